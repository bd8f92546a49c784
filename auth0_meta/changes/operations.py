"""Define the five operations that can be staged under one first-level key; PURE.

An operation is an immutable value: a `path` below the first-level key (empty: the key itself), a
`value` and, for a list, `keep`.  `apply` takes what the key holds, or `ABSENT`, and returns what
it holds then; it shares what does not change and never alters what it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from auth0_meta.changes.jsonvalue import ABSENT, Path, json_equal, json_size
from auth0_meta.changes.rules import MAX_NUMBER


class Clash(Exception):
    """Tell where an operation met the wrong type; `patch` turns it into a `PathError`."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


class _Fields(NamedTuple):
    path: Path = ()
    value: Any = None
    keep: int | None = None


class Operation(_Fields):
    """Share what all operations have; the repr shows names and sizes only."""

    __slots__ = ()
    name: ClassVar[str]
    # Bytes by which a result can outgrow the operation's own path and value.
    overhead: ClassVar[int] = 0
    blind_safe: ClassVar[bool] = True

    @property
    def whole(self) -> bool:
        """Tell whether the key's new value does not depend on its old one."""
        return False

    @property
    def size(self) -> int:
        """Return the most bytes of JSON that this can add to what the key holds."""
        return sum(json_size(key) + 4 for key in self.path) + json_size(self.value) + self.overhead

    def apply(self, old: Any) -> Any:
        """Return what the key holds after this; raise `Clash` on the wrong type."""
        raise NotImplementedError  # pragma: no cover - each operation has its own

    def covers(self, path: Path) -> bool:
        """Tell whether what is at `path` afterwards does not depend on what was there."""
        return False

    def encode(self, key: str) -> list[Any]:
        """Return this as JSON: the name of the staging method and its arguments."""
        return [self.name, [key, *self.path], self.value]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and json_equal(list(self), list(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # may hold a dict

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'.'.join(self.path)!r}: {self.size} B>"


class Set(Operation):
    """Make `value` what is at `path`; create absent parents."""

    __slots__ = ()
    name = "set"

    @property
    def whole(self) -> bool:
        """Tell whether this sets the first-level key itself."""
        return not self.path

    def apply(self, old: Any) -> Any:
        """Clash on a parent that is no object."""
        return _edited(old, self.path, lambda _: self.value) if self.path else self.value

    def covers(self, path: Path) -> bool:
        """Cover what is at and below the path."""
        return path[: len(self.path)] == self.path


class Delete(Operation):
    """Remove what is at `path`; nothing happens where there is no such thing."""

    __slots__ = ()
    name = "delete"

    @property
    def whole(self) -> bool:
        """Tell whether this removes the first-level key itself."""
        return not self.path

    def apply(self, old: Any) -> Any:
        """Never clash, and create no parents."""
        return _without(old, self.path) if self.path else ABSENT

    def covers(self, path: Path) -> bool:
        """Cover what is at and below the path."""
        return path[: len(self.path)] == self.path

    def encode(self, key: str) -> list[Any]:
        """Leave out the value."""
        return [self.name, [key, *self.path]]


class Merge(Operation):
    """Merge the object `value` into what is there, as RFC 7396 does; None deletes at any depth."""

    __slots__ = ()
    name = "merge"

    def apply(self, old: Any) -> Any:
        """Never clash: what is no object is replaced by one."""
        return _merged(old, self.value)

    def covers(self, path: Path) -> bool:
        """Cover what the patch sets or deletes, at or above `path`."""
        node = self.value
        for key in path:
            if key not in node:
                return False
            node = node[key]
            if not isinstance(node, dict):
                return True
        return False

    def encode(self, key: str) -> list[Any]:
        """Give the patch as one of the whole bag."""
        return [self.name, {key: self.value}]


class Append(Operation):
    """Add `value` to the list at `path` and keep its last `keep` items (None: all)."""

    __slots__ = ()
    name = "append"
    overhead = 3
    blind_safe = False

    def apply(self, old: Any) -> Any:
        """Clash on what is no list; create an absent one."""
        return _edited(old, self.path, self._appended)

    def _appended(self, old: Any) -> list[Any]:
        if old is ABSENT:
            return [self.value]
        if not isinstance(old, list):
            raise Clash(self.path, f"append needs an array and finds {json_type(old)}")
        items = [*old, self.value]
        return items if self.keep is None else items[-self.keep :]

    def encode(self, key: str) -> list[Any]:
        """Add the bound."""
        return [self.name, [key, *self.path], self.value, self.keep]


class Increment(Operation):
    """Add the number `value` to the number at `path`; an absent one counts as 0."""

    __slots__ = ()
    name = "increment"
    overhead = 24  # a double's longest form
    blind_safe = False

    def apply(self, old: Any) -> Any:
        """Clash on what is no number, and on a sum that no double holds."""
        return _edited(old, self.path, self._increased)

    def _increased(self, old: Any) -> float:
        if old is ABSENT:
            return self.value  # type: ignore[no-any-return]  # checked when staged
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            raise Clash(self.path, f"increment needs a number and finds {json_type(old)}")
        try:
            total = old + self.value
        except OverflowError:
            total = float("inf")
        if not abs(total) <= MAX_NUMBER:
            raise Clash(self.path, "increment passes the largest number that JSON readers can hold")
        return total  # type: ignore[no-any-return]  # checked when staged


def json_type(value: object) -> str:
    """Name a value's JSON type with its article.

    >>> json_type({}), json_type(None), json_type(True)
    ('an object', 'null', 'a boolean')
    """
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


# bool comes before int, whose subclass it is.
_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (dict, "an object"),
    (list, "an array"),
    (str, "a string"),
    (bool, "a boolean"),
    ((int, float), "a number"),
)


def _edited(node: Any, path: Path, leaf: Callable[[Any], Any], depth: int = 0) -> Any:
    """Rebuild `node` with leaf(what was there) at `path`; what is beside the path is shared."""
    if depth == len(path):
        return leaf(node)
    if node is ABSENT:
        node = {}
    elif not isinstance(node, dict):
        raise Clash(path[:depth], f"the path needs an object here and finds {json_type(node)}")
    key = path[depth]
    return {**node, key: _edited(node.get(key, ABSENT), path, leaf, depth + 1)}


def _without(node: Any, path: Path) -> Any:
    """Rebuild `node` without what is at `path`; a node that lacks it stays as it is."""
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
