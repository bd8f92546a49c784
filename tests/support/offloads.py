"""Helpers for tests of offloads: users with large values, what a tenant's pointers lead to, stores that fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from auth0_meta.emulator import LocalTenant
from auth0_meta.external import ExternalStore, SqliteStore, is_pointer, load

HISTORY, NOTES = "app_metadata.history", "user_metadata.notes.old"
PATHS = [HISTORY, NOTES]


def populate(tenant: LocalTenant, number: int, *, items: int = 40) -> list[str]:
    """Add users with two large values each, one of them nested beside others; return their ids."""
    return [
        tenant.users.add(
            user_id=f"auth0|{n:06d}",
            app_metadata={"plan": "pro", "history": [{"n": n, "text": f"login {i}"} for i in range(items)]},
            user_metadata={"theme": "dark", "notes": {"old": f"{n} " * 200, "new": n}},
        ).user_id
        for n in range(number)
    ]


def bags_of(tenant: LocalTenant) -> dict[str, str]:
    """Return both bags of every user as JSON text, the order of the keys included."""
    return {user.user_id: json.dumps([user.user_metadata, user.app_metadata]) for user in tenant.users}


def resolved(value: Any, store: ExternalStore, user_id: str) -> Any:
    """Return a value with everything in it that a pointer stands for."""
    if is_pointer(value):
        return load(value, store=store, user_id=user_id)
    if isinstance(value, dict):
        return {key: resolved(item, store, user_id) for key, item in value.items()}
    return [resolved(item, store, user_id) for item in value] if isinstance(value, list) else value


def resolved_bags(tenant: LocalTenant, store: ExternalStore) -> dict[str, str]:
    """Return what `bags_of` returned before the values were moved, if nothing was lost."""
    return {
        user.user_id: json.dumps(
            [resolved(bag, store, user.user_id) for bag in (user.user_metadata, user.app_metadata)],
            sort_keys=True,
        )
        for user in tenant.users
    }


def in_order(bags: dict[str, str]) -> dict[str, str]:
    """Return bags as JSON text with their keys in order: that of keys in a moved value is not kept."""
    return {user_id: json.dumps(json.loads(text), sort_keys=True) for user_id, text in bags.items()}


def pointers_in(value: Any) -> Iterator[Any]:
    """Yield the pointers in a value."""
    if is_pointer(value):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from pointers_in(item)


class Watched:
    """A store in a file that notes what is asked of it, and does what a test says instead: `put` and `get` are called first."""

    def __init__(self, path: Path) -> None:
        self._store = SqliteStore(path)
        self.calls: list[tuple[str, str]] = []
        self.put_first: Callable[[bytes], object] | None = None
        self.get_last: Callable[[bytes], Any] | None = None

    @property
    def name(self) -> str:
        """Return the name of the store in the file."""
        return self._store.name

    def put(self, key: str, data: bytes, /, *, user_id: str, path: str) -> None:
        """Store, unless `put_first` raises."""
        self.calls.append(("put", path))
        if self.put_first is not None:
            self.put_first(data)
        self._store.put(key, data, user_id=user_id, path=path)

    def get(self, key: str, /) -> bytes:
        """Return what `get_last` makes of the data."""
        self.calls.append(("get", key))
        data = self._store.get(key)
        return data if self.get_last is None else self.get_last(data)

    def delete(self, key: str, /) -> None:
        """Delete what a key has."""
        self._store.delete(key)

    def keys(self, user_id: str | None = None, /) -> Iterator[str]:
        """Yield the keys."""
        return self._store.keys(user_id)

    def users(self) -> Iterator[str]:
        """Yield the users."""
        return self._store.users()

    def forget(self, user_id: str, /) -> int:
        """Delete everything about a user."""
        return self._store.forget(user_id)

    def close(self) -> None:
        """Close the file."""
        self._store.close()
