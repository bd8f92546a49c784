"""Bound the rate at which a bucket drips by comparing answers two by two; pure."""

from __future__ import annotations

from collections import deque
from math import inf

HISTORY = 48
"""Answers that are compared for the rate."""
TINY = 1e-6


class Rises:
    """Bound the refill rate from below by pairs of answers."""

    __slots__ = ("_line", "_seen", "rate")

    def __init__(self) -> None:
        self.rate = 0.0
        self._seen: deque[tuple[float, float]] = deque(maxlen=HISTORY)
        self._line = inf

    def learn(self, sent: float, received: float, least: float, most: float) -> None:
        """Take in the bounds of G that one answer gives."""
        if least - self.rate * received > self._line + TINY:  # some earlier answer allows a steeper line
            for at, top in self._seen:
                if received > at and least - top > self.rate * (received - at):
                    self.rate = (least - top) / (received - at)
            self._line = min(top - self.rate * at for at, top in self._seen)
        self._seen.append((sent, most))
        self._line = min(self._line, most - self.rate * sent)

    def forget(self, rate: float = 0.0) -> None:
        """Start over from `rate`."""
        self.rate, self._line = rate, inf
        self._seen.clear()
