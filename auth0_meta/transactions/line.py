"""Waiting for a worker thread, which counts against the wait budget of an operation."""

from __future__ import annotations

from auth0_meta.errors import RateLimitError
from auth0_meta.http.budget import AT_ONCE, WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.threads.errand import NO_THREAD


class Line:
    """The place of one operation in the line for a thread, from now on; `what` names the operation in the error."""

    def __init__(self, channel: Channel, budget: WaitBudget, what: str) -> None:
        self._channel = channel
        self._budget = budget
        self._what = what
        self._since = channel.clock.monotonic()

    def left(self) -> float | None:
        """Return the seconds for which it may wait, None for no limit."""
        return self._budget.left()

    def count(self) -> float:
        """Count the time in line once a thread is free, and return it; raise `RateLimitError` if it was too long."""
        waited, left = self._channel.clock.monotonic() - self._since, self._budget.left()
        if waited <= AT_ONCE:
            return 0.0
        self._budget.waited += waited
        self._budget.reasons[NO_THREAD] = None
        if left is not None and waited > left:
            raise self._error(waited)
        return waited

    def too_long(self) -> RateLimitError:
        """Return the error for an operation that got no thread in time."""
        return self._error(self._channel.clock.monotonic() - self._since)

    def _error(self, waited: float) -> RateLimitError:
        msg = (
            f"no worker thread was free for {self._what} within {self._budget.bound}: others wait in all of them. "
            "Nothing was sent. Try again, or pass a larger pool_size or max_wait"
        )
        return self._channel.out_of_time(msg, self._budget, waited=waited)
