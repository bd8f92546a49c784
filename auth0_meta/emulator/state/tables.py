"""Tables: what a tenant knows besides the profiles of its users, as rows that a file may keep."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, MutableMapping, ValuesView
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from auth0_meta.errors import InputError

_V = TypeVar("_V")
Row = tuple[str, Any, Any]
"""The name of a table, a key, and a value; key and value are JSON values, except that arrays in a key are tuples."""

FOUND_BY = ("email", "username", "phone_number")
"""The attributes, besides the id, by which a store finds users without looking at each of them."""


def same_id() -> InputError:
    """Return the error for two users with one id, which is found before anything is changed."""
    return InputError("two users have the same user_id: no user was changed")


def tuples(key: Any) -> Any:
    """Return a key as tables know it: arrays are tuples."""
    return tuple(map(tuples, key)) if isinstance(key, list) else key


class Keeper(Protocol):
    """What keeps rows; a store in memory has nothing to do, because the tables hold them."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Return the reentrant lock that is held for each write."""

    def put_row(self, table: str, key: Any, value: Any) -> None:
        """Add a row, or replace the one with the same key."""

    def remove_row(self, table: str, key: Any) -> None:
        """Delete a row, if there is one."""

    def clear_rows(self) -> None:
        """Delete every row."""

    def rows(self) -> Iterable[Row]:
        """Return every row, in the order in which they were added."""


class Table(MutableMapping[str, _V]):
    """Rows of one kind by id, in the order in which they were added; each write goes to the keeper first.

    Assign a new value instead of changing a stored one in place: the keeper would not notice.  Iteration goes over
    a copy, so others may write meanwhile.

    >>> from auth0_meta.emulator.state.users import UserStore
    >>> table = Table[int]("numbers", UserStore())
    >>> table["a"] = 1
    >>> for name in table: del table[name]
    >>> len(table)
    0
    """

    def __init__(self, name: str, keeper: Keeper) -> None:
        self._name, self._keeper = name, keeper
        self._values: dict[str, _V] = {}
        self._indexes: dict[str, dict[str, dict[str, None]]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> _V:
        return self._values[key]

    def __setitem__(self, key: str, value: _V) -> None:
        with self._keeper.lock:
            self._keeper.put_row(self._name, key, value)
            self.take_up(key, value)

    def __delitem__(self, key: str) -> None:
        with self._keeper.lock:
            value = self._values[key]
            self._keeper.remove_row(self._name, key)
            for attribute, index in self._indexes.items():
                _move(index, key, _text_in(value, attribute), None)
            del self._values[key]

    def values(self) -> ValuesView[_V]:
        """Return the values as they are now."""
        return dict(self._values).values()

    def items(self) -> ItemsView[str, _V]:
        """Return the ids and values as they are now."""
        return dict(self._values).items()

    def take_up(self, key: str, value: _V) -> None:
        """Hold a row that the keeper has already; the caller holds the lock, or nobody else has the table yet."""
        before = self._values.get(key)
        for attribute, index in self._indexes.items():
            _move(index, key, _text_in(before, attribute), _text_in(value, attribute))
        self._values[key] = value

    def find(self, attribute: str, text: str) -> list[_V]:
        """Return the objects whose attribute is this text, without looking at each of them.

        >>> from auth0_meta.emulator.state.users import UserStore
        >>> table = Table[dict[str, str]]("roles", UserStore())
        >>> table["a"] = {"name": "admin"}
        >>> table.find("name", "admin"), table.find("name", "user")
        ([{'name': 'admin'}], [])
        """
        with self._keeper.lock:
            index = self._indexes.get(attribute)
            if index is None:
                index = self._indexes[attribute] = {}
                for key, value in self._values.items():
                    _move(index, key, None, _text_in(value, attribute))
            return [self._values[key] for key in index.get(text, ())]


def _text_in(value: Any, attribute: str) -> str | None:
    text = value.get(attribute) if isinstance(value, dict) else None
    return text if isinstance(text, str) else None


def _move(index: dict[str, dict[str, None]], key: str, old: str | None, new: str | None) -> None:
    """Find a key under its new text, and no longer under the old one."""
    if old == new:
        return
    if old is not None:
        index[old].pop(key, None)
        if not index[old]:
            del index[old]
    if new is not None:
        index.setdefault(new, {})[key] = None
