"""Add what JSON values need beyond Python's: absence, equality, size and read-only views; PURE."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any, Final, Literal

from auth0_meta.errors import MetadataError

Bag = Literal["user_metadata", "app_metadata"]
BAGS: tuple[Bag, Bag] = ("user_metadata", "app_metadata")
"""The two metadata objects of a user; a bag is either of them."""

Path = tuple[str, ...]
"""Keys from a bag's first level down; () is the whole bag."""


class Mark(enum.Enum):
    """Name the two answers that are no JSON value; both are true in a condition, so test with `is`."""

    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Mark.ABSENT
"""There is no such key; JSON null is a value and something else."""
UNKNOWN: Final = Mark.UNKNOWN
"""Only the stored profile can tell."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def json_size(value: object, /) -> int:
    """Return the bytes that a JSON value takes as compact UTF-8 JSON.

    >>> json_size({"name": "Åsa"})
    15
    """
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def too_deep(value: object, most: int, /) -> bool:
    """Tell whether a JSON value has more than `most` levels of objects and arrays.

    >>> too_deep({"a": [1]}, 2), too_deep({"a": [1]}, 1)
    (False, True)
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return bool(level)


def json_equal(a: object, b: object, /) -> bool:
    """Tell whether two JSON values are equal as JSON: True is not 1, 1 is 1.0, objects have no order.

    >>> json_equal({"a": 1, "b": [True]}, {"b": [True], "a": 1.0}), json_equal([True], [1])
    (True, False)
    """
    if a is b:
        return True
    return a == b and _same_booleans(a, b)


def _same_booleans(a: Any, b: Any) -> bool:
    """Compare what == can't: `a == b` holds, and only True/1 and False/0 may still differ."""
    if isinstance(a, dict):
        return all(_same_booleans(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return all(map(_same_booleans, a, b))
    return isinstance(a, bool) == isinstance(b, bool)


def freeze(value: Any, *, bag: Bag, path: Path = ()) -> Any:
    """Return a read-only copy of a JSON value: dicts and lists at any depth, scalars as they are.

    `bag` and `path` say where the value was read, so that the error of an attempted change can
    name the call to use instead.

    >>> prefs = freeze({"lang": "fi"}, bag="user_metadata", path=("prefs",))
    >>> prefs["lang"] = "en"
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: tx.user_metadata['prefs'] is read-only; \
use tx.user_metadata.set('prefs.lang', ...)
    """
    return _freeze(value, bag, path, in_list=False)


def _freeze(value: Any, bag: Bag, path: Path, *, in_list: bool) -> Any:
    if isinstance(value, dict):
        items = {
            key: _freeze(item, bag, path if in_list else (*path, key), in_list=in_list)
            if isinstance(item, (dict, list))
            else item
            for key, item in value.items()
        }
        return ReadOnlyDict(items, bag, path, in_list=in_list)
    if isinstance(value, list):
        return ReadOnlyList(
            [_freeze(item, bag, path, in_list=True) for item in value], bag, path, in_list=in_list
        )
    return value


def thaw(value: Any, /) -> Any:
    """Return a plain, deep copy of a JSON value: dict and list, whatever their subclass was.

    >>> thaw(freeze({"tags": ["a"]}, bag="user_metadata"))
    {'tags': ['a']}
    """
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


def _refusing(call: str) -> Callable[..., Any]:
    """Make a mutator that refuses and names `call`; {at} is the container's path and {key} its item's."""

    def refuse(self: Any, *args: Any, **_: Any) -> Any:
        at = self._path
        if self._in_list:
            use = f"set({'.'.join(at)!r}, [...])"
        else:
            key = args[0] if args and isinstance(args[0], str) else "..."
            use = call.format(at=repr(".".join(at)), key=repr(".".join((*at, key))))
        read = f"tx.{self._bag}" + "".join(f"[{key!r}]" for key in at)
        raise MetadataError(f"{read} is read-only; use tx.{self._bag}.{use}", bag=self._bag, path=at)

    return refuse


class ReadOnlyDict(dict[str, Any]):
    """Show a stored object; every change raises `MetadataError` and names the right call.

    Equal to, and serialised like, the dict it shows; copies and pickles are plain and mutable.
    """

    __slots__ = ("_bag", "_in_list", "_path")

    def __init__(self, value: dict[str, Any], bag: Bag, path: Path, /, *, in_list: bool) -> None:
        super().__init__(value)
        self._bag = bag
        self._path = path
        self._in_list = in_list

    __setitem__ = setdefault = _refusing("set({key}, ...)")
    __delitem__ = pop = popitem = _refusing("delete({key})")
    update = __ior__ = _refusing("merge({{...}})")
    clear = _refusing("set({at}, {{}})")

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (thaw(self),)


class ReadOnlyList(list[Any]):
    """Show a stored array; every change raises `MetadataError` and names the right call.

    Equal to, and serialised like, the list it shows; copies and pickles are plain and mutable.
    """

    __slots__ = ("_bag", "_in_list", "_path")

    def __init__(self, value: list[Any], bag: Bag, path: Path, /, *, in_list: bool) -> None:
        super().__init__(value)
        self._bag = bag
        self._path = path
        self._in_list = in_list

    append = extend = insert = __iadd__ = _refusing("append({at}, ...)")
    __setitem__ = __delitem__ = __imul__ = _refusing("set({at}, [...])")
    clear = pop = remove = reverse = sort = _refusing("set({at}, [...])")

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (thaw(self),)
