"""Bound the rate at which a bucket drips by comparing responses in pairs; PURE."""

from __future__ import annotations

from collections import deque
from math import inf

HISTORY = 48
"""Responses that are compared with each new one."""
TINY = 1e-6


class RefillRate:
    """Bound the refill rate from below by pairs of responses.

    Of an earlier response i and a later one j, only the refill can have raised G from at most `most_i` to at least
    `least_j`, and it had no longer than from sending i to receiving j.  So the rate is at least
    (least_j - most_i) / (received_j - sent_i), whatever other clients do.  `rate` is the greatest such bound.
    """

    __slots__ = ("_line", "_seen", "rate")

    def __init__(self) -> None:
        self.rate = 0.0
        self._seen: deque[tuple[float, float]] = deque(maxlen=HISTORY)
        self._line = inf

    def learn(self, sent: float, received: float, least: float, most: float) -> None:
        """Take in the bounds of G that one response gives."""
        # `_line` is the lowest of the lines of slope `rate` through the earlier responses.  Only a point above it can
        # raise the rate, so nearly every response costs one comparison instead of 48.
        if least - self.rate * received > self._line + TINY:
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
