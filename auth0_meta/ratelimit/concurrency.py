"""Learn from answers how fast the tenant usually is, to see whether more users under way would still be; PURE."""

from __future__ import annotations

from collections import deque
from statistics import median

_BLOCK = 16
_BLOCKS = 16
_STEADY = 1.5


class Concurrency:
    """Watch how long answers take, waits not counted in.

    What is usual is the least median of the latest blocks of 16 answers: a few that come at once (a cache, a
    user who is gone) say nothing about the rest, and a fast hour is forgotten in a slow one.

    >>> staffing = Concurrency()
    >>> for seconds in [0.01] + [0.2] * 40:
    ...     staffing.answered(seconds)
    >>> staffing.usual, staffing.steady(0.2), staffing.steady(0.4)
    (0.2, True, False)
    """

    def __init__(self) -> None:
        self._block: list[float] = []
        self._medians: deque[float] = deque(maxlen=_BLOCKS)

    def answered(self, seconds: float) -> None:
        """Take in how long a request took."""
        self._block.append(seconds)
        if len(self._block) == _BLOCK:
            self._medians.append(median(self._block))
            self._block.clear()

    @property
    def usual(self) -> float:
        """Return the seconds that a request takes where nothing holds it up; infinite before the first."""
        return min(self._medians) if self._medians else median(self._block or [float("inf")])

    def steady(self, seconds: float) -> bool:
        """Tell whether an answer that took `seconds` came about as fast as they do, so that there is room for more."""
        return seconds <= _STEADY * self.usual
