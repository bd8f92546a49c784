"""How long a piece of work still takes, from how much of it is done at which time; PURE."""

from __future__ import annotations

from collections import deque

_INDEXING = 0.3
"""The part of a plan that reading a change file is, if a source of users follows."""
_RECENT = 30.0
_ENOUGH = 2.0
"""Seconds before the first estimate."""


class Estimate:
    """Estimate the seconds left by the pace of the last half minute, since a phase may be slower than the one before."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque([(0.0, 0.0)])

    def seconds_left(self, now: float, part: float | None) -> float | None:
        """Return the seconds left, None while unknown; `now`: seconds since the start, `part`: what is done, from 0 to 1.

        >>> estimate = Estimate()
        >>> estimate.seconds_left(1.0, 0.1), estimate.seconds_left(10.0, 0.25), estimate.seconds_left(40.0, 1.0)
        (None, 30.0, 0.0)
        """
        if part is None:
            return None
        self._seen.append((now, part))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _RECENT:
            self._seen.popleft()
        since, before = self._seen[0]
        if part >= 1.0:
            return 0.0
        if now < _ENOUGH or part <= before:
            return None
        return (1.0 - part) * (now - since) / (part - before)


def part_done(
    *,
    users: float | None,
    changes: float | None,
    only_changes: bool,
    named: int,
    under_way: int,
    limit: int | None,
) -> float | None:
    """Return the part of a plan that is done, from 0 to 1, None if nobody knows how much there is.

    `users`, `changes`: the part of the source and of the change file that has been read, None for one that has none or
    does not know.  `only_changes`: the change file names the users.  `named`: users who have been named so far,
    `under_way`: those of them who are still being read.  `limit`: how many there are at most.

    >>> part_done(users=0.5, changes=None, only_changes=False, named=100, under_way=20, limit=None)
    0.4
    """
    source = changes if only_changes else users
    if source is None and changes is not None and not named:
        source = 0.0  # it begins once the change file has been read
    if limit is not None:
        source = max(source or 0.0, min(1.0, named / limit))
    if source is None:
        return None
    part = source * max(0, named - under_way) / named if named else 0.0
    return part if only_changes or changes is None else _INDEXING * changes + (1 - _INDEXING) * part
