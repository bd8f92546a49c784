"""Define the operations that can be staged: how each is checked, applied and written as JSON; PURE.

An operation is an immutable value: the `path` that it changes, first-level key first, a `value`
and, for a list, `keep`.  `apply` takes what the first-level key holds, or `ABSENT`, and returns
what the key holds afterwards; it shares what does not change and never modifies its argument.

A new operation is a subclass here and a method of `BagChange` and of `MetadataBag`.  The class
declares its name and fields in JSON, whether it is safe to repeat, and what it depends on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from auth0_meta.changes import rules
from auth0_meta.changes.foreign_types import type_name
from auth0_meta.changes.jsonvalue import ABSENT, Bag, KeyPath, Path, json_equal
from auth0_meta.checks.sizes import json_size
from auth0_meta.warn import Place


class Clash(Exception):
    """Report where an operation met the wrong type; `BagChange` turns it into a `PathError`."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


class _Fields(NamedTuple):
    path: Path
    value: Any = None
    keep: int | None = None


class Operation(_Fields):
    """What all operations have in common; the repr shows names and sizes only."""

    staged_at: Place | None = None
    """The line that staged it, if an error at the commit may have to name that; no part of its value."""
    name: ClassVar[str]
    # What follows the name in JSON, which is also what `of` takes after the bag.
    fields: ClassVar[tuple[str, ...]] = ("path", "value")
    # Whether what is at the path afterwards does not depend on what was there.
    replaces: ClassVar[bool] = False
    # Whether applying it a second time changes nothing more, so that it may be sent again after a lost response.
    repeatable: ClassVar[bool] = True
    # Bytes by which a result can outgrow the operation's own path and value.
    overhead: ClassVar[int] = 0

    @classmethod
    def of(cls, bag: Bag, /, *arguments: Any) -> tuple[Operation, ...]:
        """Check a caller's arguments and return the operations that result, one per first-level key."""
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    @property
    def key(self) -> str:
        """Return the first-level key."""
        return self.path[0]

    @property
    def whole(self) -> bool:
        """Return whether the key's new value does not depend on its old one."""
        return self.replaces and len(self.path) == 1

    @property
    def may_clash(self) -> bool:
        """Return whether `apply` may raise `Clash`."""
        return False

    @property
    def size(self) -> int:
        """Return how many bytes of JSON this can add, at most, to what the key holds."""
        return sum(json_size(key) + 4 for key in self.path[1:]) + json_size(self.value) + self.overhead

    def apply(self, old: Any) -> Any:
        """Return what the key holds after this; raise `Clash` on the wrong type."""
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    def covers(self, path: Path) -> bool:
        """Return whether what is at `path` afterwards does not depend on what was there."""
        return self.replaces and path[: len(self.path)] == self.path

    def to_json(self) -> list[Any]:
        """Return this as JSON: its name, then its fields."""
        return [self.name, list(self.path), *(getattr(self, field) for field in self.fields[1:])]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and json_equal(list(self), list(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # may hold a dict

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self)  # without the line, which has the globals of its module

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'.'.join(self.path)!r}: {self.size} B>"


class Set(Operation):
    """Store `value` at `path`; create absent parents."""

    __slots__ = ()
    name = "set"
    replaces = True

    @classmethod
    def of(cls, bag: Bag, path: KeyPath, value: Any, /) -> tuple[Operation, ...]:
        """Take a path and a JSON value; None deletes, None inside the value is data."""
        if value is None:
            return Delete.of(bag, path)
        keys = _parsed(path, bag)
        return (cls(keys, rules.checked(value, bag=bag, path=keys)),)

    @property
    def may_clash(self) -> bool:
        """Return whether it has parents."""
        return len(self.path) > 1

    def apply(self, old: Any) -> Any:
        """Raise `Clash` if a parent is not an object."""
        return self.value if self.whole else _edited(old, self.path, lambda _: self.value)


class Delete(Operation):
    """Remove what is at `path`; do nothing if it is absent."""

    __slots__ = ()
    name = "delete"
    fields = ("path",)
    replaces = True

    @classmethod
    def of(cls, bag: Bag, path: KeyPath, /) -> tuple[Operation, ...]:
        """Take a path."""
        return (cls(_parsed(path, bag)),)

    def apply(self, old: Any) -> Any:
        """Never raise `Clash`, and create no parents."""
        return ABSENT if self.whole else _without(old, self.path[1:])


class Merge(Operation):
    """Merge the object `value` into a first-level key, as RFC 7396 does; None deletes at any depth."""

    __slots__ = ()
    name = "merge"
    fields = ("value",)

    @classmethod
    def of(cls, bag: Bag, patch: dict[str, Any], /) -> tuple[Operation, ...]:
        """Take a patch of the whole bag; {} results in no operation."""
        return tuple(
            cls((key,), value) if isinstance(value, dict) else _stored(key, value)
            for key, value in _object(patch, bag, cls.name).items()
        )

    def apply(self, old: Any) -> Any:
        """Never raise `Clash`: anything but an object is replaced by one."""
        return _merged(old, self.value)

    def covers(self, path: Path) -> bool:
        """Cover what the patch sets or deletes, at or above `path`."""
        node = self.value
        for key in path[1:]:
            if key not in node:
                return False
            node = node[key]
            if not isinstance(node, dict):
                return True
        return False

    def to_json(self) -> list[Any]:
        """Return the patch as one of the whole bag, which is what `of` takes."""
        return [self.name, {self.key: self.value}]


class Append(Operation):
    """Add `value` to the list at `path` and keep its last `keep` items (None: all)."""

    __slots__ = ()
    name = "append"
    fields = ("path", "value", "keep")
    repeatable = False
    may_clash = True
    overhead = 3

    @classmethod
    def of(cls, bag: Bag, path: KeyPath, value: Any, keep: int | None, /) -> tuple[Operation, ...]:
        """Take a path, a JSON value (None is data here) and the bound, at least 1 or None."""
        keys = _parsed(path, bag)
        if keep is not None and (type(keep) is not int or keep < 1):
            problem = "append's keep must be a whole number of at least 1, or None for no limit"
            rules.refuse(problem, bag=bag, path=keys)
        return (cls(keys, rules.checked(value, bag=bag, path=keys), keep),)

    def apply(self, old: Any) -> Any:
        """Raise `Clash` on anything but a list; create an absent one."""
        return _edited(old, self.path, self._appended)

    def _appended(self, old: Any) -> list[Any]:
        if old is ABSENT:
            return [self.value]
        if not isinstance(old, list):
            raise Clash(self.path, f"append needs an array here, not {json_type(old)}")
        items = [*old, self.value]
        return items if self.keep is None else items[-self.keep :]


class Increment(Operation):
    """Add the number `value` to the number at `path`; an absent one counts as 0."""

    __slots__ = ()
    name = "increment"
    repeatable = False
    may_clash = True
    overhead = 24  # the longest form of a double

    @classmethod
    def of(cls, bag: Bag, path: KeyPath, by: float, /) -> tuple[Operation, ...]:
        """Take a path and an int or a finite float."""
        keys = _parsed(path, bag)
        if isinstance(by, bool) or not isinstance(by, int | float):
            problem = f"increment takes a number, not {type_name(by)}: convert it with int(...) or float(...)"
            rules.refuse(problem, bag=bag, path=keys)
        return (cls(keys, rules.checked(by, bag=bag, path=keys)),)

    def apply(self, old: Any) -> Any:
        """Raise `Clash` on anything but a number, and on a sum that no double can hold."""
        return _edited(old, self.path, self._increased)

    def _increased(self, old: Any) -> float:
        if old is ABSENT:
            return self.value  # type: ignore[no-any-return]  # checked when staged
        if isinstance(old, bool) or not isinstance(old, int | float):
            raise Clash(self.path, f"increment needs a number here, not {json_type(old)}")
        try:
            total = old + self.value
        except OverflowError:  # an int too large for a double, and a float
            total = float("inf")
        if not abs(total) <= rules.MAX_NUMBER:
            raise Clash(self.path, "increment would exceed the largest number that JSON readers can hold")
        return total  # type: ignore[no-any-return]  # checked when staged


_BY_NAME = {kind.name: kind for kind in Operation.__subclasses__()}


def from_json(bag: Bag, encoded: object, /) -> tuple[Operation, ...]:
    """Return the operations that `to_json` wrote; they are checked as if they were staged.

    Raises `MetadataError` for an unknown operation, and what staging it raises.
    """
    if isinstance(encoded, list) and encoded and isinstance(encoded[0], str):
        name, *arguments = encoded
        kind = _BY_NAME.get(name)
        if kind is not None and len(arguments) == len(kind.fields):
            return kind.of(bag, *arguments)
    rules.refuse("an unknown operation, or one with too few or too many arguments", bag=bag)


def replacement(bag: Bag, document: dict[str, Any], /) -> tuple[Operation, ...]:
    """Return the operations that make an emptied bag hold `document`; first-level None is left out."""
    return tuple(
        _stored(key, value) for key, value in _object(document, bag, "replace").items() if value is not None
    )


def _parsed(path: KeyPath, bag: Bag) -> Path:
    """Parse the path of an operation; the names that Auth0 reserves can't be written."""
    if type(path) is str and len(path) <= _SHORT:
        return _parsed_before(path, bag)
    return _parsed_now(path, bag)


def _parsed_now(path: KeyPath, bag: Bag) -> Path:
    keys = rules.parse_path(path, bag=bag)
    rules.check_name(keys[0], bag=bag)
    return keys


_SHORT = 200
# A program stages at the same few paths again and again.
_parsed_before = functools.lru_cache(256)(_parsed_now)


def _object(value: object, bag: Bag, call: str) -> dict[str, Any]:
    """Return a checked copy of a document for the whole bag."""
    if not isinstance(value, dict):
        rules.refuse(f"{call} takes a dict, not {type_name(value)}", bag=bag)
    copy: dict[str, Any] = rules.checked(value, bag=bag, path=())
    for key in copy:
        rules.check_name(key, bag=bag)
    return copy


def _stored(key: str, value: Any) -> Operation:
    """Return the operation that stores a first-level value of a checked document."""
    return Delete((key,)) if value is None else Set((key,), value)


def json_type(value: object) -> str:
    """Return the name of a value's JSON type with its article.

    >>> json_type({}), json_type(None), json_type(True)
    ('an object', 'null', 'a boolean')
    """
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


# bool comes before int, whose subclass it is.
_TYPES = (
    *((dict, "an object"), (list, "an array"), (str, "a string")),
    *((bool, "a boolean"), (int, "a number"), (float, "a number")),
)


def _edited(node: Any, path: Path, leaf: Callable[[Any], Any], depth: int = 1) -> Any:
    """Rebuild `node`, which is at path[:depth], with leaf(what was there) at `path`; share everything else."""
    if depth == len(path):
        return leaf(node)
    if node is ABSENT:
        node = {}
    elif not isinstance(node, dict):
        raise Clash(path[:depth], f"the path needs an object here, not {json_type(node)}")
    key = path[depth]
    return {**node, key: _edited(node.get(key, ABSENT), path, leaf, depth + 1)}


def _without(node: Any, path: Path) -> Any:
    """Rebuild `node` without what is at `path`; a node that lacks it is returned unchanged."""
    key, below = path[0], path[1:]
    if not isinstance(node, dict) or key not in node:
        return node
    if not below:
        return {name: item for name, item in node.items() if name != key}
    return {**node, key: _without(node[key], below)}


def _merged(node: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """Follow RFC 7396's MergePatch for a patch that is an object."""
    result = dict(node) if isinstance(node, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key), value)
        else:
            result[key] = value
    return result
