"""What a place for values outside of the profile can do."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from auth0_meta.errors import ExternalDamagedError, ExternalMissingError
from auth0_meta.redact import discreet


class ExternalStore(Protocol):
    """A place for values that are too large for a profile: `SqliteStore`, `SqlStore`, or your own class with these methods.

    A store may be used by several threads at once.  Keys have 40 hexadecimal digits and are made by `pointer`; data is at most
    4 MiB.  A store that can't do something raises `ExternalUnavailableError` or an error of its own.
    """

    @property
    def name(self) -> str:
        """Return the store's name, which its pointers begin with; it never changes, wherever the store is moved to."""
        ...

    def put(self, key: str, data: bytes, /, *, user_id: str, path: str) -> None:
        """Store the data of a user's path; it is durable on return.

        If the key has the same data already, nothing changes; other data raises `ExternalDamagedError`.
        """
        ...

    def get(self, key: str, /) -> bytes:
        """Return the data of a key; raise a `LookupError` if there is none."""
        ...

    def delete(self, key: str, /) -> None:
        """Delete what is stored under a key; do nothing if the key is absent."""
        ...

    def keys(self, user_id: str | None = None, /) -> Iterator[str]:
        """Yield all keys, or those of one user."""
        ...

    def users(self) -> Iterator[str]:
        """Yield the ids of all users who have values here, each once."""
        ...

    def forget(self, user_id: str, /) -> int:
        """Delete everything about one user; return how many values it was."""
        ...

    def close(self) -> None:
        """Release connections and files; closing again does nothing."""
        ...


@discreet
class Closing:
    """A store whose `with` block ends with `close`."""

    def close(self) -> None:
        """Release connections and files; closing again does nothing."""
        raise NotImplementedError  # pragma: no cover  # each store has its own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def missing(store: str, key: str) -> ExternalMissingError:
    """Return the error for a value that is not there."""
    what = f"{store}/{key}: the store {store!r} has no such value"
    cure = "it was deleted or forgotten, or the store is an older copy than the tenant: restore the store, or remove the pointer"
    return ExternalMissingError(f"{what}; {cure}", store=store, pointer=f"{store}/{key}")


def taken(store: str, key: str) -> ExternalDamagedError:
    """Return the error for a key that has other data already."""
    what = f"{store}/{key}: the store {store!r} holds other data under this key"
    cure = "nothing was stored. Check the store's disk, and restore a copy of it"
    return ExternalDamagedError(f"{what}; {cure}", store=store, pointer=f"{store}/{key}")
