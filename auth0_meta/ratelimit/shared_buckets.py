"""Find out from their headers that two route groups have separate buckets; PURE: every method takes the time."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from auth0_meta.ratelimit.headers import RateHeaders

HISTORY = 16
"""Responses of each group that are remembered."""
STEEPEST = 1.5
"""How much faster than known, or than a burst a second, a bucket may drip before two buckets are suspected."""
BACK = 1
"""Seconds by which Reset may go back from one response to the next: it is rounded."""
AGAIN = 2
"""Seconds that must pass before Remaining contradicts a second time: by then the rate of a fast drip is known."""


class _Seen(NamedTuple):
    sent: float
    received: float
    limit: int
    remaining: int
    reset: int
    date: float
    taken: int


class SharedBuckets:
    """Remember what the groups of one bucket were told, and find responses that no single bucket can give.

    Groups with equal limits are assumed to share a bucket, as on the Free and Enterprise plans, but they need not:
    taken for one, two buckets made a job of reads and writes take 1.5 times as long as it had to.  Two signs tell
    them apart.  Reset, the second at which a bucket is full, never goes back.  While it stands still, Remaining
    rises no faster than the bucket drips.

    >>> shared = SharedBuckets()
    >>> shared.note("read", 0.0, 0.1, RateHeaders(10, 2, 101, 100.0), taken=8)
    >>> shared.contradiction("write", 0.1, 0.2, RateHeaders(10, 9, 101, 100.0))
    'read'
    >>> shared.contradiction("write", 0.1, 0.2, RateHeaders(10, 2, 101, 100.0)) is None
    True
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[_Seen]] = {}
        self._doubted: int | None = None  # Reset when Remaining first contradicted

    def note(self, group: str, sent: float, received: float, facts: RateHeaders, *, taken: int) -> None:
        """Remember an accepted response.

        `taken`: requests of all groups that may have taken a token by then.
        """
        limit, remaining, reset, date, *_ = facts
        if limit is not None and remaining is not None and reset is not None and date is not None:
            seen = self._seen.setdefault(group, deque(maxlen=HISTORY))
            seen.append(_Seen(sent, received, limit, remaining, reset, date, taken))

    def contradiction(self, group: str, sent: float, received: float, facts: RateHeaders) -> str | None:
        """Return a group whose responses make it unlikely that this accepted one is of the same bucket, or None."""
        return self._sign(group, sent, received, facts, 0, 0.0)[0]

    def apart_from(
        self, group: str, sent: float, received: float, facts: RateHeaders, *, taken: int, rate: float
    ) -> str | None:
        """Return a group that certainly has another bucket than this accepted response's, or None.

        `taken`: requests of all groups that had certainly taken a token when it was sent.  `rate`: the refill a
        second that Reset alone proves.
        """
        other, certain = self._sign(group, sent, received, facts, taken, rate)
        if other is None or certain:
            return other
        reset = facts.reset or 0
        if self._doubted is None:
            self._doubted = reset
        return other if reset >= self._doubted + AGAIN else None

    def _sign(
        self, group: str, sent: float, received: float, facts: RateHeaders, taken: int, rate: float
    ) -> tuple[str | None, bool]:
        """Return a group that contradicts this response, and whether it does so by Reset, which is certain."""
        limit, remaining, reset, date, *_ = facts
        if limit is None or remaining is None or reset is None or date is None:
            return None, False
        steepest = STEEPEST * max(float(limit), rate)
        for other, responses in self._seen.items():
            for seen in responses if other != group else ():
                if limit != seen.limit or sent < seen.received or date < seen.date:
                    continue  # perhaps served before that one, or the server's clock was set
                if reset < seen.reset - BACK:
                    return other, True
                rise = remaining - seen.remaining + max(taken - seen.taken, 0)
                if reset == seen.reset and rise >= 1.0 + steepest * (received - seen.sent):
                    return other, False
        return None, False
