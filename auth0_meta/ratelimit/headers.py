"""Read rate-limit headers and decide how long to wait; PURE: clocks are arguments.

`bucket.py` learns a bucket from these headers, `throttle.py` holds the threads back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

DAY = 86_400.0
"""A Reset or Retry-After further away is garbage: the slowest bucket on record takes exactly a day to fill."""
SHORTEST_WAIT = 1.0
"""Seconds to wait if Reset is now or past; they double with each refusal in a row."""
LONGEST_GUESS = 60.0
"""Seconds after which to ask again where only a guess says how long to wait."""
JITTER = (0.05, 0.25)
"""Seconds added to each wait, so that many workers don't return in the same instant."""
DRIFT = 2e-4
"""Seconds per second by which two clocks may drift apart."""
TRAIL = 1.0
"""Seconds by which `Date` may trail the limiter's clock, as recorded in 2021."""
BACKOFF = 0.5
BACKOFF_CAP = 24.0
BACKOFF_JITTER = 0.25


class RateHeaders(NamedTuple):
    """What one response said about its bucket; None stands for nothing usable.

    `limit`: the bucket's size.  `remaining`: whole tokens left, rounded down.  `reset`: epoch seconds at which the
    bucket is full (if it drips) or refilled (in a fixed window), rounded up.  `date`: epoch seconds of `Date`, cut to
    the second.  `retry_after`: seconds; an HTTP date counts from `date`, and is kept as `retry_at` in epoch seconds.
    Sources: Auth0's rate-limit use cases; limitd-redis `README.md` for the meaning of Reset.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    date: float | None = None
    retry_after: float | None = None
    retry_at: float | None = None


def parse_headers(headers: Mapping[str, str], /) -> RateHeaders:
    """Read the rate-limit headers of one response; garbage counts as absent.

    `headers` should ignore case, as those of `requests` do; a plain dict needs the names below.

    >>> parse_headers({"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "soon",
    ...                "Date": "Mon, 23 Nov 2026 10:00:00 GMT"})
    RateHeaders(limit=10, remaining=9, reset=None, date=1795428000.0, retry_after=None, retry_at=None)
    """
    get = headers.get
    date = _date(get("Date"))
    limit = _whole(get("X-RateLimit-Limit"))
    remaining = _whole(get("X-RateLimit-Remaining"))
    if not limit or (remaining is not None and remaining > limit):
        limit = remaining = None  # no bucket is like that, so nothing can be learned
    after, at = _retry(get("Retry-After"), date)
    return RateHeaders(limit, remaining, _whole(get("X-RateLimit-Reset")), date, after, at)


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if 0 <= number < 10**12 else None


def _retry(text: str | None, date: float | None) -> tuple[float | None, float | None]:
    """Return the seconds for which Retry-After asks, and the instant if it names one."""
    seconds: float | None = _whole(text)
    instant = _date(text) if seconds is None else None
    if instant is not None and date is not None:
        seconds = instant - date
    return (None, None) if seconds is not None and seconds > DAY else (seconds, instant)


@lru_cache(maxsize=64)
def _date(text: str | None) -> float | None:
    """Read an HTTP date; cached, since all responses of one second share it."""
    if text is None:
        return None
    try:
        instant = parsedate_to_datetime(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, IndexError):
        return None


class ServerClock:
    """Bound how far the server's clock is ahead of the monotonic one.

    `Date` has whole seconds, so one response leaves a range of two seconds and the round trip.  Later ones narrow it,
    which is how a wait can end within half a second of Reset without ever being early, however wrong the local clock
    is.
    """

    def __init__(self) -> None:
        self.least, self.most, self.at = -math.inf, math.inf, 0.0

    def learn(self, date: float, sent: float, received: float) -> None:
        """Take in one response's `Date`, which is cut to the second and may trail."""
        low, high = date - received, date + 1.0 + TRAIL - sent
        drift = DRIFT * (received - self.at)
        self.least, self.most = max(self.least - drift, low), min(self.most + drift, high)
        if self.least > self.most:  # the server's clock was set
            self.least, self.most = low, high
        self.at = received

    def shows(self, now: float) -> float | None:
        """Return the earliest time that it may show at `now`, None before the first `Date`."""
        return None if self.least == -math.inf else now + self.least - DRIFT * (now - self.at)


def wait_after_429(
    headers: RateHeaders, /, *, wall: float, refusals: int, jitter: float, server: float | None = None
) -> float:
    """Return how many seconds after the receipt of a 429 to send the request again.

    `wall`: the local clock at receipt.  `refusals`: 429s in a row, including this one.  `jitter`: 0 to 1, spread
    over the promised 50 to 250 ms.  `server`: the earliest time that the server's clock may show, if that is known
    better than by `Date`.

    `Retry-After` wins.  Otherwise the wait lasts until Reset.  What the server's clock may show at the earliest, by
    `Date` or `server`, decides how long that is, so the wait is never too short.  The local clock counts only if there
    is neither: then for 60 s at most, and the server is asked again.  If Reset is now or past, the wait is 1 s,
    doubling with `refusals` up to 60 s.  Without a usable Reset, or with one more than a day away, `backoff` decides.

    >>> date = 1_000_000.0
    >>> wait_after_429(RateHeaders(10, 0, 1_000_004, date), wall=date + 0.5, refusals=1, jitter=0.0)
    4.05
    >>> wait_after_429(RateHeaders(10, 0, 1_000_004, date), wall=0.0, refusals=1, jitter=0.0, server=date + 0.5)
    3.55
    """
    low, high = JITTER
    extra = low + (high - low) * jitter
    date = headers.date
    known = max((time for time in (date, server) if time is not None), default=None)
    instant = headers.reset if headers.retry_at is None else headers.retry_at
    if headers.retry_after is not None and headers.retry_at is None:
        seconds, instant = headers.retry_after, None
    elif instant is None:
        return backoff(refusals, jitter=jitter)
    elif known is not None:
        # Not even a local clock that agrees with Date is finer: Date is cut to the second, so it agrees with clocks
        # that are 1 s ahead as well, and a request sent by such a clock would be refused again.
        seconds = instant - known
    else:
        seconds = instant - wall
        seconds = min(seconds, LONGEST_GUESS) if seconds <= DAY else seconds
    if seconds > DAY:
        return backoff(refusals, jitter=jitter)
    if seconds <= 0:
        # An instant that was still to come when the server sent it, and has passed on the way, needs no wait.
        ahead = instant is not None and date is not None and instant > date and refusals == 1
        seconds = 0.0 if ahead else min(SHORTEST_WAIT * 2.0 ** min(refusals - 1, 16), LONGEST_GUESS)
    return seconds + extra


def backoff(attempt: int, /, *, jitter: float) -> float:
    """Return the seconds to wait before a repeat after a 5xx or a lost connection: 0.5, doubling, at most 30.

    `attempt`: 1 for the first repeat.  `jitter`: 0 to 1; it adds up to a quarter.

    >>> [backoff(n, jitter=0.0) for n in (1, 2, 3, 99)], backoff(99, jitter=1.0)
    ([0.5, 1.0, 2.0, 24.0], 30.0)
    """
    return min(BACKOFF * 2.0 ** min(attempt - 1, 16), BACKOFF_CAP) * (1 + BACKOFF_JITTER * jitter)
