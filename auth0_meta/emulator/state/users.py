"""The users in memory, by id, email and username; what may be written is not decided here."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from auth0_meta.emulator.rules.profile import Profile

if TYPE_CHECKING:
    from auth0_meta.emulator.state.users_sqlite import SqliteStore


class UserStore:
    """Profiles in memory, in the order of their creation.

    `lock` (reentrant) guards a read and the write that follows from it; each method alone is
    atomic under it.
    """

    openings = 0
    """How often the store was opened before: never, it lives in memory."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._users: dict[str, Profile] = {}
        self._by_email: dict[str, dict[str, None]] = {}
        self._by_username: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._users)

    def get(self, user_id: str) -> Profile | None:
        """Return the user, None if there is none."""
        return self._users.get(user_id)

    def all(self) -> Iterator[Profile]:
        """Yield a snapshot of every user, oldest first."""
        with self.lock:
            return iter(list(self._users.values()))

    def slice(self, start: int, count: int) -> list[Profile]:
        """Return `count` users from the `start`-th on, oldest first."""
        with self.lock:
            return list(islice(self._users.values(), start, start + count))

    def with_email(self, email: str) -> list[Profile]:
        """Return the users whose stored email is exactly `email`."""
        with self.lock:
            return [self._users[user_id] for user_id in self._by_email.get(email, ())]

    def with_username(self, username: str) -> list[Profile]:
        """Return the users with this username."""
        with self.lock:
            return [self._users[user_id] for user_id in self._by_username.get(username, ())]

    def put(self, profile: Profile) -> None:
        """Add a user or replace the one with the same id."""
        with self.lock:
            before = self._users.get(profile.user_id)
            self._users[profile.user_id] = profile
            for index, name in ((self._by_email, "email"), (self._by_username, "username")):
                old = before.root.get(name) if before is not None else None
                new = profile.root.get(name)
                if old != new:
                    _drop(index, old, profile.user_id)
                    if new is not None:
                        index.setdefault(new, {})[profile.user_id] = None

    def remove(self, user_id: str) -> bool:
        """Delete a user; returns False if there was none."""
        with self.lock:
            profile = self._users.pop(user_id, None)
            if profile is None:
                return False
            _drop(self._by_email, profile.root.get("email"), user_id)
            _drop(self._by_username, profile.root.get("username"), user_id)
            return True

    def clear(self) -> None:
        """Delete every user."""
        with self.lock:
            self._users.clear()
            self._by_email.clear()
            self._by_username.clear()

    def replace_all(self, profiles: Iterable[Profile]) -> None:
        """Replace every user by these."""
        new = UserStore()
        for profile in profiles:
            new.put(profile)
        with self.lock:
            self._users, self._by_email, self._by_username = new._users, new._by_email, new._by_username

    def close(self) -> None:
        """Do nothing: there is no file to close."""


Store: TypeAlias = "UserStore | SqliteStore"
"""Where a tenant keeps its users."""


def _drop(index: dict[str, dict[str, None]], key: str | None, user_id: str) -> None:
    if key is None:
        return
    ids = index[key]
    del ids[user_id]
    if not ids:
        del index[key]
