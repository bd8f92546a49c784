"""What a run has done so far: counts, requests a second, the slowest users, the time that is left."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any

from auth0_meta.migrate.applying.task import TaskResult
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES
from auth0_meta.ratelimit.throttle import Snapshot

_RECENT = 30.0
_SLOWEST = 20
_ENOUGH_SECONDS = 2.0
_COUNTED = ("requests", "patches", "refusals")


class Metrics:
    """Add up results; `facts` and `ticks` are what the ledger keeps of a run."""

    def __init__(self, now: float, *, total: int, per_user: int) -> None:
        self.total = total
        self.counts: dict[str, int] = {}
        self.requests = self.patches = self.refusals = 0
        self.waited = 0.0
        self._began = now
        self._per_user = per_user
        self._recent: deque[tuple[float, int]] = deque()
        self._recent_requests = 0
        self._slowest: list[tuple[float, str]] = []
        self._ticks: dict[int, dict[str, Any]] = {}

    @property
    def done(self) -> int:
        """Return how many users are finished."""
        return sum(self.counts.values())

    def add(self, result: TaskResult, now: float, *, outcome: str | None) -> None:
        """Count what one task has cost, and the `outcome` of its user, None if the user is not finished."""
        self.requests += result.requests
        self.patches += result.patches
        self.refusals += result.refusals
        self.waited += result.waited
        self._recent.append((now, result.requests))
        self._recent_requests += result.requests
        new = dict.fromkeys((*_COUNTED, "done", "failed"), 0) | {"waited": 0.0}
        tick = self._ticks.setdefault(int(now - self._began), new)
        for name in _COUNTED:
            tick[name] += getattr(result, name)
        tick["waited"] = round(tick["waited"] + result.waited, 3)
        if outcome is None:
            return
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        tick["done"] += 1
        tick["failed"] += outcome in BAD_OUTCOMES
        entry = (round(result.seconds - result.waited, 3), result.user_id)
        self._slowest = heapq.nlargest(_SLOWEST, [*self._slowest, entry])

    def note_limit(self, bucket: Snapshot, now: float) -> None:
        """Note the tenant's limit as far as it is known in this second."""
        tick = self._ticks.get(int(now - self._began))
        if tick is not None and bucket.per_second:
            tick["limit"] = round(bucket.per_second, 3)

    def per_second(self, now: float) -> float:
        """Return the requests a second over the last half minute."""
        while self._recent and self._recent[0][0] < now - _RECENT:
            self._recent_requests -= self._recent.popleft()[1]
        seconds = min(_RECENT, now - self._began)
        return self._recent_requests / seconds if seconds > 0 else 0.0

    def eta(self, now: float) -> float | None:
        """Return the seconds that the remaining requests take at the measured rate, None while unknown."""
        rate = self.per_second(now)
        if not rate or now - self._began < _ENOUGH_SECONDS or not self.done:
            return None
        return max(0, self.total - self.done) * (self.requests / self.done or self._per_user) / rate

    def facts(self, now: float) -> dict[str, Any]:
        """Return where the run stands, as JSON."""
        return {
            "seconds": round(now - self._began, 3),
            **{name: getattr(self, name) for name in ("total", "counts", *_COUNTED)},
            "waited": round(self.waited, 3),
            "slowest": self._slowest,
        }

    def ticks(self, now: float) -> dict[int, dict[str, Any]]:
        """Return the seconds that have changed since the last call, and forget those that are over."""
        changed = dict(self._ticks)
        current = int(now - self._began)
        self._ticks = {second: tick for second, tick in self._ticks.items() if second >= current}
        return changed
