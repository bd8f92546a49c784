"""What was written to each user, for tests to inspect and for a search that lags behind."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.rules.profile import Profile

_MOST_OF_USER = 100


@attrs.frozen
class Change:
    """One write: `time` is by the tenant's clock, and `by` names the request or call that made it.

    `before` and `after` are whole profiles, None if the user did not exist.
    """

    time: float
    user_id: str
    by: str
    before: dict[str, Any] | None = attrs.field(repr=False)
    after: dict[str, Any] | None = attrs.field(repr=False)

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Return (before, after) by path, except for `updated_at`, which changes with every write."""
        return differences(self.before, self.after)


_Write = tuple[float, str, Profile | None, Profile | None, int]


class History:
    """The latest writes to each user, and the profile of each user at the last mark, within bounds; thread-safe.

    Up to a hundred writes to a user are kept, and to all users together no more than `bounds` say, in number and in bytes of JSON: the
    users written to longest ago are forgotten first.  `lag` is how many seconds a search still sees the profile before a
    write.
    """

    def __init__(self, lag: float, bounds: tuple[int, int]) -> None:
        self.lag = lag
        self.most, self._most_bytes = bounds
        self._lock = threading.Lock()
        self._changes: dict[str, deque[_Write]] = {}
        self._count = self._size = 0
        self._at_mark: dict[str, Profile | None] | None = {}
        self._marked_size = 0
        self._recent: deque[tuple[float, str, Profile | None]] = deque()

    def note(
        self,
        now: float,
        user_id: str,
        *,
        before: Profile | None,
        after: Profile | None,
        by: str,
        size: int = 0,
    ) -> None:
        """Add one write; `size` is how many bytes the profile has as JSON, if that is known."""
        with self._lock:
            writes = self._changes.pop(user_id, None) or deque()
            self._changes[user_id] = writes  # the last one in the order again
            writes.append((now, by, before, after, size))
            self._count += 1
            self._size += size
            if len(writes) > _MOST_OF_USER:
                self._drop(writes)
            while self._count > self.most or (self._size > self._most_bytes and self._count > 1):
                oldest = next(iter(self._changes))
                self._drop(self._changes[oldest])
                if not self._changes[oldest]:
                    del self._changes[oldest]
            if self._at_mark is not None and user_id not in self._at_mark:
                self._at_mark[user_id] = before
                self._marked_size += size
                if len(self._at_mark) > self.most or self._marked_size > self._most_bytes:
                    self._at_mark = None
            if self.lag > 0:
                self._recent.append((now + self.lag, user_id, before))

    def _drop(self, writes: deque[_Write]) -> None:
        self._count -= 1
        self._size -= writes.popleft()[-1]

    def of(self, user_id: str) -> list[Change]:
        """Return a user's writes, oldest first, with copies of the profiles."""
        with self._lock:
            writes = list(self._changes.get(user_id, ()))
        return [
            Change(time, user_id, by, _copy(before), _copy(after)) for time, by, before, after, _ in writes
        ]

    def stale(self, now: float) -> dict[str, Profile | None]:
        """Return the older profiles that a search still sees, by user; None for a user that it doesn't see yet."""
        if not self._recent:
            return {}
        with self._lock:
            while self._recent and self._recent[0][0] <= now:
                self._recent.popleft()
            seen: dict[str, Profile | None] = {}
            for _, user_id, before in self._recent:
                seen.setdefault(user_id, before)
            return seen

    def seen(self, profiles: Iterable[Profile], now: float) -> Iterator[Profile]:
        """Yield the users as a search sees them."""
        stale = self.stale(now)
        for profile in profiles:
            shown = stale.pop(profile.user_id, profile)
            if shown is not None:
                yield shown
        # The users that are left were deleted only a moment ago.
        yield from (profile for profile in stale.values() if profile is not None)

    def mark(self) -> None:
        """Make `diff` compare with the users as they are now."""
        with self._lock:
            self._at_mark, self._marked_size = {}, 0

    def mark_user(self, user_id: str) -> None:
        """Make `diff` compare with the current profile of this user."""
        with self._lock:
            if self._at_mark is not None:
                self._at_mark.pop(user_id, None)

    def at_mark(self) -> dict[str, Profile | None] | None:
        """Return every user written to since the mark, with the profile at that time; None if these were too many to keep."""
        with self._lock:
            return None if self._at_mark is None else dict(self._at_mark)


def _copy(profile: Profile | None) -> dict[str, Any] | None:
    return None if profile is None else copy.deepcopy(profile.document())
