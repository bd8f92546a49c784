"""Say how long a write may wait on what was read for it, before that is read again; PURE."""

from __future__ import annotations

from typing import NamedTuple

_COME_AGAIN = ("pacing", "token")


class LongWait(Exception):  # a signal between two rooms, not an error
    """Tell the transaction that a wait past its patience is due, before it begins, or is over (0 seconds)."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason, seconds)
        self.reason = reason
        self.seconds = seconds


class Deadline(NamedTuple):
    """Hold the instants, on the monotonic clock, past which a request must not leave.

    `closed`: where a closed gate or a failure holds it back.  `paced`: in any case.
    """

    closed: float
    paced: float


class Freshness:
    """Allow a write `seconds` from its read on, however those pass.

    A wait after a 429 or a failure is measured by that, however often one comes.  A wait for the tokens that the
    read itself has used up, or for a slow token endpoint, comes again with every read: each one that was too long
    doubles what the next may take.

    >>> patience = Freshness(1.0)
    >>> patience.until(10.0)
    Deadline(closed=11.0, paced=11.0)
    >>> patience.note(LongWait("pacing", 5.0))
    >>> patience.until(20.0)
    Deadline(closed=21.0, paced=22.0)
    """

    __slots__ = ("_factor", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._factor = 1

    def until(self, since: float, *, needed: float = 0.0) -> Deadline:
        """Return how long what was read at `since` will do; `needed`: what pacing takes at the least."""
        return Deadline(since + self._seconds, since + max(self._seconds, needed) * self._factor)

    def note(self, wait: LongWait) -> None:
        """Learn from a wait that was too long."""
        if wait.reason in _COME_AGAIN:
            self._factor *= 2
