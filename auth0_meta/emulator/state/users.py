"""The users in memory, by id, email and username; callers decide what may be written."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.tables import FOUND_BY, Row, same_id

if TYPE_CHECKING:
    from auth0_meta.emulator.state.users_sqlite import SqliteStore


class UserStore:
    """Profiles in memory, in the order of their creation.

    Hold `lock` (reentrant) from a read to the write that depends on it; each method alone is atomic.
    """

    openings = 0
    """How often the store was opened before: never, because it is in memory."""
    is_new, is_kept = True, False
    """Whether nothing is in it yet, and whether it outlives the process."""
    history_bounds = (100_000, 256 * 1024**2)
    """How many writes are remembered, and how many bytes of JSON: here the profiles are in memory anyway."""

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self.lock = threading.RLock()
        self._users: dict[str, Profile] = {}
        self._index: dict[tuple[str, str], dict[str, None]] = {}
        self._passwords: dict[str, str] = {}
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

    def with_phone_number(self, number: str) -> list[Profile]:
        """Return the users with this phone number."""
        return self._find("phone_number", number)

    def put(self, profile: Profile) -> None:
        """Add a user or replace the one with the same id."""
        with self.lock:
            before = self._users.get(profile.user_id)
            self._users[profile.user_id] = profile
            if before is None or _found_by(before) != _found_by(profile):
                self._reindex(profile.user_id, _keys(before), _keys(profile))

    def remove(self, user_id: str) -> None:
        """Delete the user with this id, if there is one, and the user's password."""
        with self.lock:
            self._reindex(user_id, _keys(self._users.pop(user_id, None)), set())
            self._passwords.pop(user_id, None)

    def replace_all(self, profiles: Iterable[Profile], *, keep_passwords: bool = False) -> None:
        """Replace all users with these, or none; raises `InputError` if two have the same id.

        With `keep_passwords`, users who are among these keep theirs.
        """
        new = UserStore()
        for profile in profiles:
            if profile.user_id in new._users:
                raise same_id()
            new.put(profile)
        with self.lock:
            known = self._passwords if keep_passwords else {}
            new._passwords = {key: value for key, value in known.items() if key in new._users}
            self._users, self._index, self._passwords = new._users, new._index, new._passwords

    def set_password(self, user_id: str, known: str) -> None:
        """Store the hash of the password of a user, if there is such a user."""
        with self.lock:
            if user_id in self._users:
                self._passwords[user_id] = known

    def password(self, user_id: str) -> str | None:
        """Return the hash of a user's password, None for a user without one."""
        return self._passwords.get(user_id)

    def passwords(self) -> Iterable[tuple[str, str]]:
        """Return the id and the hash of each user who has a password."""
        with self.lock:
            return list(self._passwords.items())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock, and undo `replace_all` if the block ends with an error."""
        with self.lock:
            before = self._users, self._index, self._passwords
            try:
                yield
            except BaseException:
                self._users, self._index, self._passwords = before
                raise

    # Rows are held by the tables that consist of them, so there is nothing to keep.

    def put_row(self, table: str, key: Any, value: Any) -> None:
        """Do nothing."""

    def remove_row(self, table: str, key: Any) -> None:
        """Do nothing."""

    def clear_rows(self) -> None:
        """Do nothing."""

    def rows(self) -> Iterable[Row]:
        """Return nothing: a store in memory begins empty."""
        return ()

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


def _found_by(profile: Profile) -> list[Any]:
    return list(map(profile.root.get, FOUND_BY))


def _keys(profile: Profile | None) -> set[tuple[str, str]]:
    """Return the keys, besides the id, by which a user can be found."""
    root = {} if profile is None else profile.root
    return {(name, root[name]) for name in FOUND_BY if isinstance(root.get(name), str)}
