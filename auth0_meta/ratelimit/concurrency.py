"""Decide how many users to work on at once: the one rule of batches and migrations; PURE.

More users under way than the bucket's rate can feed only wait in line.  So a run starts small, adds one while
responses come as fast as usual and nobody waits, and takes one away when a wait gets long.
"""

from __future__ import annotations

from collections import deque
from math import inf
from statistics import median

MOST_WORKERS = 64
"""The most threads that a run starts."""
PACED = 1.0
"""Seconds of waiting for one user past which one worker fewer would do."""
_BLOCK = 16
_BLOCKS = 16
_STEADY = 1.5
# Users for twice the bucket's rate are enough: more would only stand in line.
_SPARE = 2.0
# Requests a second past which more threads only take the interpreter from each other; no published plan allows as many.
_PLENTY = 500.0


class Concurrency:
    """Grow and shrink `limit`, the users to have under way, by how long the tenant's responses take.

    `fixed`: a number that the caller chose and that never changes; None adapts from `first` on, up to 64.
    `overhead`: the seconds for which a user is also under way without a request, waiting to be recorded.

    The usual time is the least median of the latest blocks of 16 responses.  A few that come at once (a cache, a
    user who is gone) say nothing about the rest, and 16 blocks later a fast hour is forgotten in a slow one.

    >>> concurrency = Concurrency(None, first=1)
    >>> for _ in range(40):
    ...     concurrency.answered(0.2, requests=1, waited=0.0, per_second=10.0)
    >>> concurrency.limit  # twice what 10 requests a second of 0.2 s each keep busy
    6
    >>> concurrency.usual, concurrency.steady(0.2), concurrency.steady(0.4)
    (0.2, True, False)
    """

    def __init__(self, fixed: int | None, *, first: int, overhead: float = 0.0) -> None:
        self.most = fixed or MOST_WORKERS
        self.limit = fixed or first
        self._fixed = fixed is not None
        self._overhead = overhead
        self._block: list[float] = []
        self._medians: deque[float] = deque(maxlen=_BLOCKS)

    def answered(
        self, seconds: float, *, requests: int, waited: float, per_second: float | None, typical: bool = True
    ) -> None:
        """Learn from what one user took.

        `seconds`: for all of its `requests`, without the seconds that it `waited`.  `per_second`: the refill rate
        of the bucket that the work is limited by, None while unknown.  `typical`: False for a user who cost less
        than most and so tells nothing about the tenant.
        """
        if self._fixed or not requests:
            return
        if waited > PACED:
            self.limit = max(1, self.limit - 1)
        if not typical:
            return
        each = seconds / requests
        self._learn(each)
        if waited or not self.steady(each):
            return
        enough = min(_PLENTY * (self.usual + self._overhead), self.most)
        if per_second is not None:
            enough = min(enough, _SPARE * (1.0 + per_second * (seconds + self._overhead)))
        if self.limit < enough:
            self.limit += 1

    def cap(self, most: int) -> None:
        """Never go past `most`: the machine has no thread left for more."""
        self.most = most
        self.limit = min(self.limit, most)

    def _learn(self, seconds: float) -> None:
        self._block.append(seconds)
        if len(self._block) == _BLOCK:
            self._medians.append(median(self._block))
            self._block.clear()

    @property
    def usual(self) -> float:
        """Return the seconds that a request takes when nothing holds it up; infinite before the first."""
        return min(self._medians) if self._medians else median(self._block or [inf])

    def steady(self, seconds: float) -> bool:
        """Return whether a request that took `seconds` was about as fast as usual, so that there is room for more."""
        return seconds <= _STEADY * self.usual
