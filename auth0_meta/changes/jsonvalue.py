"""What JSON values need beyond Python's own: absence, equality, size and read-only views; PURE."""

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

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def json_size(value: object, /) -> int:
    """Return how many bytes a JSON value takes as compact UTF-8 JSON.

    >>> json_size({"name": "Åsa"})
    15
    """
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


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

    >>> thaw(freeze({"tags": ["a"]}, bag="user_metadata"))
    {'tags': ['a']}
    """
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


# Read-only views ------------------------------------------------------------------------------------


def _refusing(call: str) -> Callable[..., Any]:
    """Return a method that refuses a change; `call` is what to call on a transaction's bag instead."""

    def refuse(self: Any, *arguments: Any, **_: Any) -> Any:
        raise self._refusal(call, arguments)

    return refuse


class ReadOnlyDict(dict[str, Any]):
    """A JSON object that raises on every change; subclasses create the error, which names the right call.

    Equal to, and serialized like, the dict that it shows; `copy()`, `|`, copies and pickles are plain dicts.
    It is a dict, not a proxy, so that `json` and a caller's `isinstance` accept it.
    """

    __slots__ = ()

    def _refusal(self, call: str, arguments: tuple[Any, ...]) -> Exception:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    __setitem__ = setdefault = _refusing("set({key}, ...)")
    __delitem__ = pop = popitem = _refusing("delete({key})")
    update = __ior__ = _refusing("merge({{...}})")
    clear = _refusing("set({at}, {{}})")

    def copy(self) -> dict[str, Any]:
        """Return a plain deep copy."""
        plain: dict[str, Any] = thaw(self)
        return plain

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)


class ReadOnlyList(list[Any]):
    """A JSON array that raises on every change, as `ReadOnlyDict` does; copies, slices and sums are plain lists."""

    __slots__ = ()

    def _refusal(self, call: str, arguments: tuple[Any, ...]) -> Exception:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    append = extend = insert = __iadd__ = _refusing("append({at}, ...)")
    __setitem__ = __delitem__ = __imul__ = _refusing("set({at}, [...])")
    clear = pop = remove = reverse = sort = _refusing("set({at}, [...])")

    def copy(self) -> list[Any]:
        """Return a plain deep copy."""
        plain: list[Any] = thaw(self)
        return plain

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.copy(),)


def _observed(method: Callable[..., Any]) -> Any:
    """Return a method that reports a look at one key, and then does what dict's own method does."""

    def look(self: Any, key: object, *arguments: Any) -> Any:
        self._looked_at(key)
        return method(self, key, *arguments)

    return look


def _observed_whole(method: Callable[..., Any]) -> Any:
    """Return a method that reports a look at the whole object, and then does what dict's own method does."""

    def look(self: Any, *arguments: Any) -> Any:
        self._looked_at_all()
        return method(self, *arguments)

    return look


class ObservedDict(ReadOnlyDict):
    """A read-only object that calls a method of its subclass for each look at one key, or at the whole."""

    __slots__ = ()

    def _looked_at(self, key: object) -> None:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    def _looked_at_all(self) -> None:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    __getitem__ = _observed(dict.__getitem__)
    __contains__ = _observed(dict.__contains__)
    get = _observed(dict.get)
    __iter__ = _observed_whole(dict.__iter__)
    __reversed__ = _observed_whole(dict.__reversed__)
    __len__ = _observed_whole(dict.__len__)
    __eq__ = _observed_whole(dict.__eq__)
    __ne__ = _observed_whole(dict.__ne__)
    __ror__ = _observed_whole(dict.__ror__)
    __repr__ = _observed_whole(dict.__repr__)
    keys = _observed_whole(dict.keys)
    values = _observed_whole(dict.values)
    items = _observed_whole(dict.items)  # copies read these
    __hash__ = None  # type: ignore[assignment]  # a dict


def freeze(value: Any, *, bag: Bag, path: Path = (), in_list: bool = False) -> Any:
    """Return a read-only copy of a JSON value: dicts and lists at any depth, scalars as they are.

    `bag` and `path` say where the value was read, so that the error for an attempted change can name
    the call to use instead; with `in_list`, it was inside the list at `path`, where no path leads.

    >>> prefs = freeze({"lang": "fi"}, bag="user_metadata", path=("prefs",))
    >>> prefs["lang"] = "en"
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: tx.user_metadata['prefs'] is read-only; \
use tx.user_metadata.set('prefs.lang', ...)
    """
    if isinstance(value, dict):
        items = {
            key: freeze(item, bag=bag, path=path if in_list else (*path, key), in_list=in_list)
            if isinstance(item, (dict, list))
            else item
            for key, item in value.items()
        }
        return BagDict(items, bag, path, in_list=in_list)
    if isinstance(value, list):
        return BagList(
            [freeze(item, bag=bag, path=path, in_list=True) for item in value], bag, path, in_list=in_list
        )
    return value


class _FromBag:
    """What was read from a transaction's bag: a change raises `MetadataError`, which names the call to use."""

    __slots__ = ()
    _bag: Bag
    _path: Path
    _in_list: bool

    def __init__(self, value: Any, bag: Bag, path: Path, /, *, in_list: bool = False) -> None:
        super().__init__(value)  # type: ignore[call-arg]  # dict's or list's
        self._bag, self._path, self._in_list = bag, path, in_list  # type: ignore[misc]  # slots below

    def _refusal(self, call: str, arguments: tuple[Any, ...]) -> MetadataError:
        """Return the error; {at} in `call` is the path that was read, {key} the path of an item.

        No path leads into a list, so an item is changed by setting the whole list.
        """
        bag, path = self._bag, self._path
        if self._in_list:
            use = f"set({'.'.join(path)!r}, [...])"
        else:
            key = arguments[0] if arguments and isinstance(arguments[0], str) else "..."
            use = call.format(at=repr(".".join(path)), key=repr(".".join((*path, key))))
        read = f"tx.{bag}" + "".join(f"[{key!r}]" for key in path)
        return MetadataError(f"{read} is read-only; use tx.{bag}.{use}", bag=bag, path=path)


class BagDict(_FromBag, ReadOnlyDict):
    """A read-only object that was read from a bag."""

    __slots__ = ("_bag", "_in_list", "_path")


class BagList(_FromBag, ReadOnlyList):
    """A read-only array that was read from a bag."""

    __slots__ = ("_bag", "_in_list", "_path")
