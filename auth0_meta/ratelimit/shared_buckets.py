"""Tell from the headers of two route groups that they draw on two buckets; pure: every method is told the time."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from auth0_meta.ratelimit.headers import RateHeaders

HISTORY = 16
"""Answers of each group that are remembered."""
STEEPEST = 1.5
"""How much faster a bucket may drip than is known, or than a burst a second, as in every published plan."""
BACK = 1
"""Seconds by which Reset may go back from one answer to the next: it is rounded."""
AGAIN = 2
"""Seconds after a first contradiction by Remaining that another must come: by then a fast drip is known."""


class _Seen(NamedTuple):
    sent: float
    received: float
    limit: int
    remaining: int
    reset: int
    date: float
    taken: int


class SharedBuckets:
    """Remember what the groups behind one bucket were told, and find answers that no single bucket gives.

    Groups with equal limits are taken to share a bucket, but they need not.  Two signs tell: Reset, the instant at
    which a bucket is full, never goes back; and while it stands still, Remaining rises no faster than it may drip.

    >>> agreement = SharedBuckets()
    >>> agreement.note("read", 0.0, 0.1, RateHeaders(10, 2, 101, 100.0), taken=8)
    >>> agreement.against("write", 0.1, 0.2, RateHeaders(10, 9, 101, 100.0)), agreement.against(
    ...     "write", 0.1, 0.2, RateHeaders(10, 2, 101, 100.0))
    ('read', None)
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[_Seen]] = {}
        self._doubted: int | None = None  # Reset when Remaining first contradicted

    def note(self, group: str, sent: float, received: float, facts: RateHeaders, *, taken: int) -> None:
        """Remember an accepted answer.  `taken`: our requests that may have taken a token by then, all groups'."""
        limit, remaining, reset, date, _ = facts
        if limit is not None and remaining is not None and reset is not None and date is not None:
            seen = self._seen.setdefault(group, deque(maxlen=HISTORY))
            seen.append(_Seen(sent, received, limit, remaining, reset, date, taken))

    def against(self, group: str, sent: float, received: float, facts: RateHeaders) -> str | None:
        """Return the group that speaks against this accepted answer's being of the same bucket, None if none does."""
        return self._sign(group, sent, received, facts, 0, 0.0)[0]

    def parts(
        self, group: str, sent: float, received: float, facts: RateHeaders, *, taken: int, rate: float
    ) -> str | None:
        """Return the group that surely has another bucket than the one that gave this accepted answer, None so far.

        `taken`: our requests that surely had taken a token when it was sent, all groups'.  `rate`: the refill a
        second that Reset alone proves.
        """
        other, surely = self._sign(group, sent, received, facts, taken, rate)
        if other is None or surely:
            return other
        reset = facts.reset or 0
        if self._doubted is None:
            self._doubted = reset
        return other if reset >= self._doubted + AGAIN else None

    def _sign(
        self, group: str, sent: float, received: float, facts: RateHeaders, taken: int, rate: float
    ) -> tuple[str | None, bool]:
        """Return the group whose answers contradict this one, and whether by Reset, which is sure."""
        limit, remaining, reset, date, _ = facts
        if limit is None or remaining is None or reset is None or date is None:
            return None, False
        steepest = STEEPEST * max(float(limit), rate)
        for other, answers in self._seen.items():
            for seen in answers if other != group else ():
                if limit != seen.limit or sent < seen.received or date < seen.date:
                    continue  # not surely served after that one, or the server's clock was set
                if reset < seen.reset - BACK:
                    return other, True
                rise = remaining - seen.remaining + max(taken - seen.taken, 0)
                if reset == seen.reset and rise >= 1.0 + steepest * (received - seen.sent):
                    return other, False
        return None, False
