"""Compute rate limits as Auth0's limiter does: the buckets of each plan, their tokens and the three headers."""

from __future__ import annotations

import math
import re
from collections.abc import Container
from typing import Any, Literal

import attrs

from auth0_meta.emulator.http.message import BucketReading
from auth0_meta.errors import ConfigError

Group = Literal["read_users", "write_users", "other", "token", "password", "signup", "change_password"]
_MANAGEMENT: tuple[Group, ...] = ("read_users", "write_users", "other")
# Rounding errors of the refill must not cost a whole token.
_SLACK = 1e-6


@attrs.frozen
class Limit:
    """The limit of a bucket: it holds at most `burst` tokens, and `per_second` are refilled."""

    burst: int
    per_second: float


_ALL = "*"
_GLOBAL, _ENDPOINT = "Global limit has been reached", "Endpoint limit has been reached"
# Recorded from 2018 to 2021, the same for every plan.
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
    """Return the limits that a plan's name, "SIZE@PER_SECOND" or an object with `burst` and `per_second` stands for.

    Return None, which means no limit and no headers, for None and "off".  Raises `ConfigError` for anything else.

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


@attrs.frozen
class Bucket:
    """A bucket that refills linearly, one token every 1 / per_second seconds: Auth0's default.

    It held `tokens` at the time `at`.  `message` is how Auth0 words the refusal of a request.
    """

    limit: Limit
    message: str
    tokens: float
    at: float = -math.inf

    def level(self, now: float) -> float:
        """Return the number of tokens at a given time, fractions included."""
        elapsed = max(0.0, now - self.at)
        return min(float(self.limit.burst), self.tokens + elapsed * self.limit.per_second)

    def refills_from(self, now: float) -> float:
        """Return the time from which a bucket that is used now refills."""
        return now

    def full_at(self) -> float:
        """Return when it is full again."""
        return self.at + (self.limit.burst - self.tokens) / self.limit.per_second

    def take(self, now: float, count: int) -> tuple[Bucket, BucketReading]:
        """Return the bucket after a request for `count` tokens, and the values of its headers.

        `reset = ceil(now + (size - tokens) / per_second)`: the second at which the bucket is full again
        (326 recorded rows); `remaining = floor(tokens)`; a refused request takes nothing.
        """
        level = self.level(now)
        allowed = level >= count - _SLACK
        left = max(0.0, level - count) if allowed else level
        after = attrs.evolve(self, tokens=left, at=self.refills_from(now))
        # Round first: an error of the float sum just above a whole second must not yield the next one.
        reset = math.ceil(round(after.full_at(), 6))
        return after, BucketReading(allowed, self.limit.burst, math.floor(left + _SLACK), reset, self.message)


class WindowBucket(Bucket):
    """A bucket that refills all at once when a window of burst / per_second seconds ends; `at` is when it began."""

    def level(self, now: float) -> float:
        """Return the number of tokens at a given time: all of them if a new window has begun."""
        return float(self.limit.burst) if self.refills_from(now) > self.at else self.tokens

    def refills_from(self, now: float) -> float:
        """Return when the current window began, never earlier than `at`."""
        length = self.limit.burst / self.limit.per_second
        return max(self.at, math.floor(now / length + _SLACK) * length)

    def full_at(self) -> float:
        """Return the end of the window."""
        return self.at + self.limit.burst / self.limit.per_second


def full_buckets(limits: dict[str, Limit] | None, *, window: bool) -> dict[str, Bucket]:
    """Return a full bucket for each limit, by the name of its group, or `*`."""
    kind = WindowBucket if window else Bucket
    return {
        name: kind(limit, _GLOBAL if name in (_ALL, "token") else _ENDPOINT, float(limit.burst))
        for name, limit in (limits or {}).items()
    }


def bucket_of(group: str, names: Container[str]) -> str | None:
    """Return the name of a group's bucket: its own, else the one that the Management API shares, else None.

    >>> bucket_of("other", PLANS["free"]), bucket_of("token", PLANS["free"]), bucket_of("token", ["*"])
    ('*', 'token', None)
    """
    if group in names:
        return group
    return _ALL if group in _MANAGEMENT and _ALL in names else None


def groups_of(name: str) -> tuple[str, ...]:
    """Return the groups that share the bucket of this name."""
    return _MANAGEMENT if name == _ALL else (name,)
