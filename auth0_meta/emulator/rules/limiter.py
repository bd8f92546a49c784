"""Count tokens as Auth0's limiter does: buckets, groups of routes, and the three headers."""

from __future__ import annotations

import math
import re
import threading
from typing import Any, Literal

import attrs

from auth0_meta.emulator.http.message import BucketReading
from auth0_meta.errors import ConfigError

Group = Literal["read_users", "write_users", "other", "token", "password", "signup", "change_password"]
_MANAGEMENT: tuple[Group, ...] = ("read_users", "write_users", "other")
# A refill that ends in the middle of a float must not cost a whole token.
_SLACK = 1e-6


@attrs.frozen
class Limit:
    """Describe a bucket: `burst` tokens at most, `per_second` refilled."""

    burst: int
    per_second: float


_ALL = "*"
# Recorded in 2018 to 2021, whatever the plan.
_RECORDED = {
    "password": Limit(100, 100 / 86_400),
    "signup": Limit(50, 50 / 60),
    "change_password": Limit(10, 1 / 60),
}
PLANS: dict[str, dict[str, Limit]] = {
    "free": {_ALL: Limit(2, 2.0), "token": Limit(30, 30.0), **_RECORDED},
    "essentials": {
        "read_users": Limit(40, 500 / 60),
        "write_users": Limit(20, 200 / 60),
        "other": Limit(10, 150 / 60),
        "token": Limit(25, 25.0),
        **_RECORDED,
    },
    "enterprise": {_ALL: Limit(50, 16.0), "token": Limit(100, 100.0), **_RECORDED},
    "enterprise-dev": {_ALL: Limit(10, 2.0), "token": Limit(100, 100.0), **_RECORDED},
}
"""Auth0's published buckets by plan (August 2026); `*` is one bucket for the whole Management API."""


def parse_rate_limit(value: Any) -> dict[str, Limit] | None:
    """Turn a plan's name, "SIZE@PER_SECOND" or an object with `burst` and `per_second` into buckets.

    None and "off" give None: no limit and no headers.  Raises `ConfigError` for anything else.

    >>> parse_rate_limit("50@16")
    {'*': Limit(burst=50, per_second=16.0)}
    """
    if value is None or value == "off":
        return None
    if isinstance(value, str):
        if value in PLANS:
            return PLANS[value]
        match = re.fullmatch(r"(\d+)@(\d+(?:\.\d+)?)", value)
        if match is None:
            msg = f"rate_limit {value!r} is unknown: use off, {', '.join(PLANS)} or SIZE@PER_SECOND such as 50@16"
            raise ConfigError(msg)
        burst, per_second = match.groups()
    else:
        burst, per_second = getattr(value, "burst", None), getattr(value, "per_second", None)
    try:
        limit = Limit(int(burst), float(per_second))
    except (TypeError, ValueError):
        msg = "rate_limit must be a plan's name, SIZE@PER_SECOND, or an object with burst and per_second"
        raise ConfigError(msg) from None
    if limit.burst < 1 or not 0 < limit.per_second < math.inf:
        msg = "rate_limit needs a burst of at least 1 and a finite per_second above 0"
        raise ConfigError(msg)
    return {_ALL: limit}


class _Bucket:
    """Refill linearly: Auth0's default, a token each 1 / per_second seconds."""

    def __init__(self, limit: Limit, message: str) -> None:
        self.limit, self.message = limit, message
        self._content, self._at = float(limit.burst), -math.inf

    def take(self, now: float, *, tokens: int) -> BucketReading:
        burst, per_second = self.limit.burst, self.limit.per_second
        content = self.content(now)
        allowed = content >= tokens - _SLACK
        if allowed:
            content = max(0.0, content - tokens)
        self._content, self._at = content, now
        full = now + (burst - content) / per_second
        return BucketReading(
            allowed, burst, math.floor(content + _SLACK), math.ceil(round(full, 6)), self.message
        )

    def content(self, now: float) -> float:
        """Return the tokens at a moment, taking none."""
        elapsed = max(0.0, now - self._at)
        return min(float(self.limit.burst), self._content + elapsed * self.limit.per_second)


class _Window(_Bucket):
    """Refill all at once at the window's end; a window lasts burst / per_second seconds."""

    _start = -math.inf

    def content(self, now: float) -> float:
        """Return the tokens at a moment: all of them where a new window has begun."""
        length = self.limit.burst / self.limit.per_second
        start = math.floor(now / length + _SLACK) * length
        return float(self.limit.burst) if start > self._start else self._content

    def take(self, now: float, *, tokens: int) -> BucketReading:
        length = self.limit.burst / self.limit.per_second
        start = math.floor(now / length + _SLACK) * length
        if start > self._start:
            self._content, self._start = float(self.limit.burst), start
        allowed = self._content >= tokens
        if allowed:
            self._content -= tokens
        end = math.ceil(round(self._start + length, 6))
        return BucketReading(allowed, self.limit.burst, int(self._content), end, self.message)


class Limiter:
    """Take one token per request from the bucket of its group; thread-safe.

    `reset = ceil(now + (size - content) / per_second)`: the second at which the bucket is full
    again (326 recorded rows); `remaining = floor(content)`; a refused request takes nothing.

    >>> limiter = Limiter("2@2")
    >>> [limiter.take("other", 100.0).remaining for _ in range(2)], limiter.take("other", 100.0).allowed
    ([1, 0], False)
    >>> limiter.take("other", 100.0).reset
    101
    """

    def __init__(self, rate_limit: Any = "off", *, window: bool = False) -> None:
        self._limits = parse_rate_limit(rate_limit)
        self._kind = _Window if window else _Bucket
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Fill every bucket."""
        limits = self._limits or {}
        buckets: dict[str, _Bucket] = {}
        if _ALL in limits:
            shared = self._kind(limits[_ALL], "Global limit has been reached")
            buckets = dict.fromkeys(_MANAGEMENT, shared)
        for group, limit in limits.items():
            if group != _ALL:
                message = (
                    "Global limit has been reached" if group == "token" else "Endpoint limit has been reached"
                )
                buckets[group] = self._kind(limit, message)
        with self._lock:
            self._buckets = buckets

    def take(self, group: str, now: float) -> BucketReading | None:
        """Take a token; None where the group has no limit."""
        bucket = self._buckets.get(group)
        if bucket is None:
            return None
        with self._lock:
            return bucket.take(now, tokens=1)

    def look(self, now: float) -> list[tuple[tuple[str, ...], Limit, float]]:
        """Return each bucket: the groups that share it, its limit, and its tokens, parts of one included."""
        found: dict[int, tuple[list[str], _Bucket]] = {}
        for group, bucket in self._buckets.items():
            found.setdefault(id(bucket), ([], bucket))[0].append(group)
        with self._lock:
            return [(tuple(groups), bucket.limit, bucket.content(now)) for groups, bucket in found.values()]

    def peek(self, group: str, now: float) -> BucketReading | None:
        """Read a bucket without taking from it; None where the group has no limit."""
        bucket = self._buckets.get(group)
        if bucket is None:
            return None
        with self._lock:
            return bucket.take(now, tokens=0)
