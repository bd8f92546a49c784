"""Decide how long bulk work repeats a request that fails: does it concern one user, or everybody?  PURE.

Nobody can tell from one failure.  What others get meanwhile tells, and if there are none, a user who could be read
before is read again: in an outage that fails too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf

from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.request import Target

# Seconds for which bulk work waits an outage out.
_OUTAGE = 900.0
# So many users whose writes fail, and nobody's succeeds, while reads do: fewer may each have a reason of their own.
_MANY = 12
# Seconds between two tries to read somebody else: all threads fail at the same time.
_PROBE_EVERY = 5.0


class Outages:
    """What the responses of one client say about whether its tenant is there.

    No lock is needed: each step is a single assignment, and a lost one costs a probe at most.
    """

    def __init__(self) -> None:
        self._succeeded_at = self._wrote_at = -inf
        self._since = inf
        self._writers: set[str | None] = set()
        """Whose writes have failed since the last one that succeeded."""
        self._readable: deque[Target] = deque(maxlen=2)
        self._others: deque[Target] = deque()
        self._probed_at = -inf

    def start(self, others: Iterable[Target] = ()) -> None:
        """Begin bulk work, which waits an outage out whatever earlier work has waited.

        `others`: whom to try to read if nobody could be read yet.
        """
        self._since = inf
        self._others = deque(others)

    def succeeded(self, method: str, now: float) -> None:
        """Note a 2xx."""
        self._succeeded_at = now
        if method == "PATCH":
            self._wrote_at = now
            self._writers = set()

    def note_readable(self, target: Target) -> None:
        """Remember somebody who could be read."""
        if target not in self._readable:
            self._readable.append(target)

    def note_write(self, user_id: str | None) -> None:
        """Note whose write has failed."""
        self._writers.add(user_id)

    def is_outage(self, budget: WaitBudget) -> bool:
        """Return whether nobody has succeeded since this operation began to fail, at least in writing."""
        return self._succeeded_at <= budget.failing_since or self._no_writes(budget)

    def _no_writes(self, budget: WaitBudget) -> bool:
        mine = budget.user_id in self._writers
        return mine and len(self._writers) >= _MANY and self._wrote_at <= budget.failing_since

    def patience(self, budget: WaitBudget) -> float:
        """Return for how many seconds this operation may be repeated because of an outage, 0 if there is none.

        One outage is waited out once, and not anew by each user.
        """
        if not self.is_outage(budget):
            return 0.0
        ended = self._wrote_at if self._no_writes(budget) else self._succeeded_at
        if ended > self._since:
            self._since = inf
        self._since = min(self._since, budget.failing_since)
        return _OUTAGE - (budget.failing_since - self._since)

    def whom_to_try(self, budget: WaitBudget, now: float) -> Target | None:
        """Return somebody else, whose read shows whether the tenant is there; None if that was tried just now."""
        if now - self._probed_at < _PROBE_EVERY:
            return None
        self._probed_at = now
        for known in (self._readable, self._others):
            known.rotate()
            for target in known:
                if target.id != budget.user_id:
                    return target
        return None
