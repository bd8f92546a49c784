"""The users in memory, by id, email and username; callers decide what may be written."""

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

    Hold `lock` (reentrant) from a read to the write that depends on it; each method alone is atomic.
    """

    openings = 0
    """How often the store was opened before: never, because it is in memory."""

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self.lock = threading.RLock()
        self._users: dict[str, Profile] = {}
        self._index: dict[tuple[str, str], dict[str, None]] = {}
        for profile in profiles:
            self.put(profile)

    def __len__(self) -> int:
        return len(self._users)

    def get(self, user_id: str) -> Profile | None:
        """Return the user with this id, or None."""
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
        return self._find("email", email)

    def with_username(self, username: str) -> list[Profile]:
        """Return the users with this username."""
        return self._find("username", username)

    def put(self, profile: Profile) -> None:
        """Add a user or replace the one with the same id."""
        with self.lock:
            before = self._users.get(profile.user_id)
            self._users[profile.user_id] = profile
            self._reindex(profile.user_id, _keys(before), _keys(profile))

    def remove(self, user_id: str) -> None:
        """Delete the user with this id, if there is one."""
        with self.lock:
            self._reindex(user_id, _keys(self._users.pop(user_id, None)), set())

    def replace_all(self, profiles: Iterable[Profile]) -> None:
        """Replace all users with these."""
        new = UserStore(profiles)
        with self.lock:
            self._users, self._index = new._users, new._index

    def close(self) -> None:
        """Do nothing: there is no file to close."""

    def _find(self, name: str, value: str) -> list[Profile]:
        with self.lock:
            return [self._users[user_id] for user_id in self._index.get((name, value), ())]

    def _reindex(self, user_id: str, old: set[tuple[str, str]], new: set[tuple[str, str]]) -> None:
        for key in old - new:
            del self._index[key][user_id]
            if not self._index[key]:
                del self._index[key]
        for key in new - old:
            self._index.setdefault(key, {})[user_id] = None


Store: TypeAlias = "UserStore | SqliteStore"
"""Where a tenant keeps its users."""


def _keys(profile: Profile | None) -> set[tuple[str, str]]:
    """Return the keys, besides the id, by which a user can be found."""
    root = {} if profile is None else profile.root
    return {(name, root[name]) for name in ("email", "username") if root.get(name) is not None}
