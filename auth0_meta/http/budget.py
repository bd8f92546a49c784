"""Count what one operation costs, and what it may still wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

from auth0_meta.clock import Clock
from auth0_meta.models import Wait

_LAST_WAITS = 30.0


class WaitBudget:
    """Count what one operation (a call, a commit) has cost, against its budget for waits.

    `max_wait` is in seconds; None is no bound, 0 allows no wait.  `in_flight`: the last request may have left,
    and nothing is known of what became of it: no answer, or a 5xx.  `bound`: what bounds its waits, in words.
    """

    __slots__ = (
        "_clock",
        "_ends",
        "attempts",
        "bound",
        "cancelled",
        "failures",
        "in_flight",
        "max_wait",
        "on_wait",
        "refusals",
        "requests",
        "share",
        "stopping",
        "user_id",
        "waited",
        "waits",
    )

    def __init__(
        self,
        *,
        max_wait: float | None,
        on_wait: Callable[[Wait], object] | None = None,
        user_id: str | None = None,
        share: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.cancelled = cancelled
        self.stopping: threading.Event | None = None
        self.bound = f"max_wait={max_wait} s"
        self.max_wait = max_wait
        self.on_wait = on_wait
        self.user_id = user_id
        self.share = share
        self.requests = self.attempts = self.refusals = self.failures = self.waits = 0
        self.waited = 0.0
        self.in_flight = False
        self._clock: Clock | None = None
        self._ends: float | None = None

    def left(self) -> float | None:
        """Return the seconds of waiting that remain, None without bound."""
        if self.stopping is not None and self.stopping.is_set() and self._clock is not None:
            self.stopping, self.bound = None, f"the stop ({_LAST_WAITS:.0f} s)"
            self._ends = self._clock.monotonic() + _LAST_WAITS
        left = None if self.max_wait is None else max(0.0, self.max_wait - self.waited)
        if self._ends is None or self._clock is None:
            return left
        last = max(0.0, self._ends - self._clock.monotonic())
        return last if left is None else min(left, last)

    def see_through(self, clock: Clock) -> None:
        """End no longer unfinished when cancelled: what may have been written is found out, in half a minute.

        That is counted from when the stop is seen, requests that time out included.
        """
        if self.cancelled is not None:
            self._clock = clock
            self.stopping, self.cancelled = self.cancelled, None
