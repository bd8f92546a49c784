"""The rate-limit buckets of one tenant."""

from __future__ import annotations

import math
import threading
from typing import Any

from auth0_meta.emulator.http.message import BucketReading
from auth0_meta.emulator.rules.limiter import (
    Bucket,
    Limit,
    bucket_of,
    full_buckets,
    groups_of,
    parse_rate_limit,
)


class Limiter:
    """Take one token per request from the bucket of its group; thread-safe.

    With `window`, the buckets refill all at once instead of linearly.

    >>> limiter = Limiter("2@2")
    >>> [limiter.take("other", 100.0).remaining for _ in range(2)], limiter.take("other", 100.0).allowed
    ([1, 0], False)
    >>> limiter.take("other", 100.0).reset
    101
    """

    def __init__(self, rate_limit: Any = "off", *, window: bool = False) -> None:
        self._limits, self._window = parse_rate_limit(rate_limit), window
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Fill every bucket."""
        with self._lock:
            self._buckets: dict[str, Bucket] = full_buckets(self._limits, window=self._window)

    def take(self, group: str, now: float, count: int = 1) -> BucketReading | None:
        """Take tokens and return what the bucket's headers say; None if the group has no limit."""
        name = bucket_of(group, self._buckets)
        if name is None:
            return None
        with self._lock:
            self._buckets[name], reading = self._buckets[name].take(now, count)
        return reading

    def read(self, group: str, now: float) -> BucketReading | None:
        """Return what the bucket's headers would say, taking nothing; None if the group has no limit."""
        return self.take(group, now, count=0)

    def levels(self, now: float) -> list[tuple[tuple[str, ...], Limit, float, bool]]:
        """Return each bucket: the groups that share it, its limit, its tokens with fractions, and whether it was ever used."""
        with self._lock:
            buckets = dict(self._buckets)
        return [
            (groups_of(name), bucket.limit, bucket.level(now), bucket.at > -math.inf)
            for name, bucket in buckets.items()
        ]
