"""What JSON values need beyond Python's own: absence, equality and size; PURE."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, SupportsIndex, TypeAlias, TypeVar

Bag = Literal["user_metadata", "app_metadata"]
BAGS: tuple[Bag, Bag] = ("user_metadata", "app_metadata")
"""The two metadata objects of a user; a bag is either of them."""

Path = tuple[str, ...]
"""Keys from a bag's first level down; () is the whole bag."""

KeyPath = str | Sequence[str]
"""A path as callers give it: "billing.plan", or a tuple of keys."""

_Item = TypeVar("_Item", covariant=True)


class ListOrTuple(Protocol[_Item]):
    """What lists and tuples have in common, for type checkers.

    `Sequence` would accept bytes, ranges and deques too.  bytes lacks a `__contains__` for any object, ranges and memory
    views can't be multiplied, deques only by an int.
    """

    def __iter__(self) -> Iterator[_Item]: ...
    def __len__(self) -> int: ...
    def __contains__(self, item: object, /) -> bool: ...
    def __mul__(self, times: SupportsIndex, /) -> ListOrTuple[_Item]: ...


class AnyTypedDict(Protocol):
    """What only a TypedDict has, for type checkers; for them it is no `Mapping[str, JSONValue]`, whatever its fields are."""

    __required_keys__: ClassVar[frozenset[str]]


JSONObject: TypeAlias = Mapping[str, "JSONValue"] | AnyTypedDict
"""A JSON object as callers give it: a dict with string keys, or a TypedDict."""

JSONValue: TypeAlias = str | int | float | bool | ListOrTuple["JSONValue"] | JSONObject | None
"""A value that JSON can represent, as callers give it: an object, a list or tuple, a string, number, boolean or None."""


class Mark(enum.Enum):
    """Two results that are not JSON values; both are true in a condition, so test with `is`."""

    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Mark.ABSENT
"""The key does not exist.  JSON null is different: it is a value."""
UNKNOWN: Final = Mark.UNKNOWN
"""The value depends on the stored profile."""

_NESTED = (dict, list)  # half as slow to test for as dict | list


def too_deep(value: object, most: int, /) -> bool:
    """Return whether a JSON value has more than `most` levels of objects and arrays.

    >>> too_deep({"a": [1]}, 2), too_deep({"a": [1]}, 1)
    (False, True)
    """
    level = [value] if isinstance(value, _NESTED) else []
    for _ in range(most):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, _NESTED)
        ]
        if not level:
            return False
    return bool(level)


def json_equal(a: object, b: object, /) -> bool:
    """Return whether two JSON values are equal as JSON: True is not 1, 1 is 1.0, objects have no order.

    >>> json_equal({"a": 1, "b": [True]}, {"b": [True], "a": 1.0}), json_equal([True], [1])
    (True, False)
    """
    return a is b or (a == b and _same_booleans(a, b))


def _same_booleans(a: Any, b: Any) -> bool:
    """Compare what == can't: `a == b` holds, and only True/1 and False/0 may still differ."""
    if isinstance(a, dict):
        return all(_same_booleans(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return all(map(_same_booleans, a, b))
    return isinstance(a, bool) == isinstance(b, bool)


def thaw(value: Any, /) -> Any:
    """Return a plain, deep copy of a JSON value: dict and list, whatever their subclass was.

    >>> from collections import Counter
    >>> thaw({"counts": Counter(["a"])})
    {'counts': {'a': 1}}
    """
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value
