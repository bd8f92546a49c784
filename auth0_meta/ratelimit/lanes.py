"""Know who waits at a bucket and whose requests are under way; `throttle.py` has the lock around all of this."""

from __future__ import annotations

import threading
from contextlib import suppress
from operator import attrgetter
from weakref import WeakSet

from auth0_meta.ratelimit.bucket import Bucket, Sent
from auth0_meta.ratelimit.shared_buckets import SharedBuckets

NOT_SENT = Sent(0.0, 0, bold=False)
Order = tuple[bool, int, int]
"""Not urgent, the number of arrival, and minus the depth of interrupts."""


class Ticket:
    """Permission to send one request; hand it to `Throttle.answer` or `.lost`.

    A second report has no effect.  A ticket that an interrupt keeps from both counts as lost once nobody holds it.
    `group`: its route group.  `waited`: the seconds for which it was held back.
    """

    __slots__ = ("__weakref__", "_lane", "_sent", "group", "waited")

    def __init__(self, group: str, lane: Lane, waited: float) -> None:
        self.group, self.waited = group, waited
        self._lane, self._sent = lane, NOT_SENT


class Bell(threading.Condition):
    """A condition for one waiting thread, which holds nothing while it waits.

    `Condition` itself takes its lock again after each wait, and an interrupt in that moment leaves it untaken or
    taken for ever.  Here nothing but one C call waits, and nothing but one C call rings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._silent = threading.Lock()
        self._silent.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the bell has rung since the last time, for at most `timeout` seconds; return whether it has."""
        return self._silent.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    def notify(self, n: int = 1) -> None:
        """Ring."""
        with suppress(RuntimeError):  # it has rung already
            self._silent.release()


class Turn:
    """One caller's place in a line: urgent callers first, then in the order in which they came.

    The place follows from the order alone, so a caller may step out of the line and come back to where it was.
    """

    __slots__ = ("__weakref__", "bell", "lane", "order", "share", "thread")

    def __init__(self, lane: Lane, number: int, share: float | None, *, urgent: bool) -> None:
        self.bell = Bell()
        self.lane = lane
        self.share = share
        self.thread = threading.get_ident()
        # A signal handler or finalizer that sends goes before the caller that it interrupts, which can't move
        # meanwhile: behind it, it would wait for ever.
        interrupted = min((turn.order for turn in lane.turns() if turn.thread == self.thread), default=None)
        self.order: Order = (not urgent, number, 0)
        if interrupted is not None:
            self.order = (*interrupted[:2], interrupted[2] - 1)


class Lane:
    """Everything in front of one bucket: its estimate, one line for each kind of caller, what its groups were told.

    Tickets and turns belong to those who hold them: the sets here are weak, so that whatever an interrupt leaves
    behind, nobody waits behind somebody who is gone.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.shared = SharedBuckets()
        self.tickets: WeakSet[Ticket] = WeakSet()
        self.interactive: WeakSet[Turn] = WeakSet()
        self.bulk: WeakSet[Turn] = WeakSet()

    def line(self, share: float | None) -> WeakSet[Turn]:
        """Return the line for a caller with this share."""
        return self.interactive if share is None else self.bulk

    def turns(self) -> list[Turn]:
        """Return the callers of both lines."""
        return [*self.interactive, *self.bulk]

    def leave(self, turn: Turn) -> None:
        """Take a caller out of its line, if it is there, and let the next one look."""
        self.line(turn.share).discard(turn)
        self.wake()

    def wait(self, now: float, share: float | None, ahead: int) -> float:
        """Ask the bucket how long to wait; bulk work lets everybody who is waited for go first."""
        if self.bucket.in_flight != len(self.tickets):
            self.bucket.keep_flights([ticket._sent for ticket in self.tickets])
        if share is not None:
            ahead += len(self.interactive)
        return self.bucket.wait(now, share=share, ahead=ahead)

    def renew(self) -> None:
        """Forget everybody who waits or has a request under way."""
        self.bucket.keep_flights()
        self.tickets, self.interactive, self.bulk = WeakSet(), WeakSet(), WeakSet()

    def take(self, ticket: Ticket, at: float) -> None:
        """Count a ticket's request as under way from `at`."""
        ticket._lane = self
        ticket._sent = self.bucket.sent(at)
        self.tickets.add(ticket)

    def give_back(self, ticket: Ticket) -> None:
        """Count a ticket's request as lost, unless it has been reported."""
        self.tickets.discard(ticket)
        self.bucket.lost(ticket._sent)

    def wake(self) -> None:
        """Let the head of each line look again: nobody else can go before it."""
        for line in (self.interactive, self.bulk):
            # Nobody waits after nearly every response, and to look for the head of an empty line takes a while too.
            if line and (head := min(line, key=attrgetter("order"), default=None)) is not None:
                head.bell.notify()

    def wake_all(self) -> None:
        """Let every caller look again: the gate has closed, or some have to line up elsewhere."""
        for turn in self.turns():
            turn.bell.notify()
