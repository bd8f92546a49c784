"""What was written to each user, for tests to inspect and for a search that lags behind."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

import attrs

from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.rules.profile import Profile

_MAX_CHANGES = 100


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


class History:
    """The latest hundred writes to each user, and the profile of each user at the last mark.

    `lag` is how many seconds a search still sees the profile before a write.  Thread-safe.
    """

    def __init__(self, lag: float = 0.0) -> None:
        self.lag = lag
        self._lock = threading.Lock()
        self._changes: defaultdict[str, deque[tuple[float, str, Profile | None, Profile | None]]] = (
            defaultdict(lambda: deque(maxlen=_MAX_CHANGES))
        )
        self._at_mark: dict[str, Profile | None] = {}
        self._recent: deque[tuple[float, str, Profile | None]] = deque()

    def note(
        self, now: float, user_id: str, *, before: Profile | None, after: Profile | None, by: str
    ) -> None:
        """Add one write."""
        with self._lock:
            self._changes[user_id].append((now, by, before, after))
            self._at_mark.setdefault(user_id, before)
            if self.lag > 0:
                self._recent.append((now + self.lag, user_id, before))

    def of(self, user_id: str) -> list[Change]:
        """Return a user's writes, oldest first, with copies of the profiles."""
        with self._lock:
            changes = list(self._changes.get(user_id, ()))
        return [Change(time, user_id, by, _copy(before), _copy(after)) for time, by, before, after in changes]

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

    def seen(self, profiles: Iterable[Profile], now: float) -> list[Profile]:
        """Return the users as a search sees them."""
        stale = self.stale(now)
        if not stale:
            return list(profiles)
        shown = [stale.pop(profile.user_id, profile) for profile in profiles]
        # The users that are left were deleted only a moment ago.
        return [profile for profile in (*shown, *stale.values()) if profile is not None]

    def mark(self) -> None:
        """Make `diff` compare with the users as they are now."""
        with self._lock:
            self._at_mark.clear()

    def mark_user(self, user_id: str) -> None:
        """Make `diff` compare with the current profile of this user."""
        with self._lock:
            self._at_mark.pop(user_id, None)

    def at_mark(self) -> dict[str, Profile | None]:
        """Return every user written to since the mark, with the profile at that time."""
        with self._lock:
            return dict(self._at_mark)


def _copy(profile: Profile | None) -> dict[str, Any] | None:
    return None if profile is None else copy.deepcopy(profile.document())
