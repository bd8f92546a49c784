"""Read-only views of stored metadata, whose lookups follow paths as those of a transaction's bag do; PURE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auth0_meta.changes.jsonvalue import ABSENT, Bag, KeyPath, Path, thaw
from auth0_meta.changes.rules import first_level, parse_path, read
from auth0_meta.errors import MetadataError
from auth0_meta.redact import discreet


def _refusing(call: str) -> Callable[..., Any]:
    """Return a method that refuses a change; `call` is what to call on a transaction's bag instead."""

    def refuse(self: Any, *arguments: Any, **_: Any) -> Any:
        raise self._refusal(call, arguments)

    return discreet(refuse)


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


@discreet
class MetadataDict(ReadOnlyDict):
    """A read-only object of metadata: `get` takes a path, dotted or a tuple, as a transaction's bag does.

    `[]` and `in` take one key; a path raises `MetadataError`, which names the right call.  A key that is stored with
    its dots, as Auth0 once accepted, is found by `[]`, `in` and `get` alike.
    """

    __slots__ = ()
    _bag: Bag

    def get(self, path: KeyPath, default: Any = None, /) -> Any:
        """Return the value at `path`, or `default` if it is absent."""
        keys = parse_path(path, bag=self._bag, stored=True)
        self._looked_at(keys)
        found = read(self, keys)
        return default if found is ABSENT else found

    def __getitem__(self, key: str) -> Any:
        self._look(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._look(key)
        return super().__contains__(key)

    def _look(self, key: object) -> None:
        """Report a look at one key; refuse a path, unless a key of that very name is stored."""
        if not super().__contains__(key):
            first_level(key, bag=self._bag)
        if isinstance(key, str):
            self._looked_at((key,))

    def _looked_at(self, keys: Path) -> None:
        """Take note of a look at one place; a subclass may."""


def _observed_whole(method: Callable[..., Any]) -> Any:
    """Return a method that reports a look at the whole object, and then does what dict's own method does."""

    def look(self: Any, *arguments: Any) -> Any:
        self._looked_at_all()
        return method(self, *arguments)

    return look


class ObservedDict(MetadataDict):
    """An object of metadata that calls a method of its subclass for each look at one place, or at the whole."""

    __slots__ = ()

    def _looked_at(self, keys: Path) -> None:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

    def _looked_at_all(self) -> None:
        raise NotImplementedError  # pragma: no cover  # each subclass has its own

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
    auth0_meta.errors.MetadataError: user_metadata['prefs'] is read-only; \
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
    """What was read from a bag: a change raises `MetadataError`, which names the call to use on a transaction."""

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
        if not path and "{at}" in call:  # all of the bag
            use = "clear()"
        elif self._in_list:
            use = f"set({'.'.join(path)!r}, [...])"
        else:
            key = arguments[0] if arguments and isinstance(arguments[0], str) else "..."
            use = call.format(at=repr(".".join(path)), key=repr(".".join((*path, key))))
        read = bag + "".join(f"[{key!r}]" for key in path)
        return MetadataError(f"{read} is read-only; use tx.{bag}.{use}", bag=bag, path=path)


class BagDict(_FromBag, MetadataDict):
    """A read-only object that was read from a bag."""

    __slots__ = ("_bag", "_in_list", "_path")


class BagList(_FromBag, ReadOnlyList):
    """A read-only array that was read from a bag."""

    __slots__ = ("_bag", "_in_list", "_path")
