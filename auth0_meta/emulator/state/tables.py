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
            self._values[key] = value

    def __delitem__(self, key: str) -> None:
        with self._keeper.lock:
            del self._values[key]
            self._keeper.remove_row(self._name, key)

    def values(self) -> ValuesView[_V]:
        """Return the values as they are now."""
        return dict(self._values).values()

    def items(self) -> ItemsView[str, _V]:
        """Return the ids and values as they are now."""
        return dict(self._values).items()

    def take_up(self, key: str, value: _V) -> None:
        """Hold a row that the keeper has already."""
        self._values[key] = value
