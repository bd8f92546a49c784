"""Hold threads back at a bucket: one gate after a 429, one token per caller when it runs dry.

The only object here with locks and a clock; it sends nothing.  `bucket.py` decides how long a wait is;
this module decides who waits, in which order, and whom to wake.  README.md explains the words.
"""

from __future__ import annotations

import itertools
import random
import threading
from bisect import insort
from collections.abc import Callable, Mapping
from typing import NamedTuple

from auth0_meta.clock import CANCEL_POLL, Cancelled, Clock
from auth0_meta.ratelimit.bucket import Bucket, Sent
from auth0_meta.ratelimit.headers import RateHeaders, ServerClock, parse_headers
from auth0_meta.ratelimit.plans import RateLimit, plan
from auth0_meta.ratelimit.shared_buckets import SharedBuckets

OnWait = Callable[[str, float], None]

RATE_LIMIT, PACING = "rate limit", "pacing"
TOKEN_GROUP = "token"  # noqa: S105  # the route group of /oauth/token
LOOK_AGAIN = 1.0
"""Seconds after which a caller who is not the head of its line looks again, whether or not somebody wakes it."""
NOT_SENT = Sent(0.0, 0, bold=False)


class WouldWait(Exception):  # a signal to the sender, not an error
    """Refuse a wait of `seconds` before it begins: it would pass what the caller allows.

    `closed`: the gate asks for it, rather than pacing.
    """

    def __init__(self, seconds: float, *, closed: bool) -> None:
        super().__init__(f"a wait of {seconds:.1f} s is not allowed here")
        self.seconds = seconds
        self.closed = closed


class Snapshot(NamedTuple):
    """What is known of a bucket; None stands for unknown.

    `per_second`: the refill rate that is certain by now.
    """

    limit: int | None
    remaining: int | None
    per_second: float | None


class Ticket:
    """Permission to send one request; hand it to `Throttle.answer` or `.lost` exactly once.

    `group`: its route group.  `waited`: the seconds for which it was held back.
    """

    __slots__ = ("_lane", "_sent", "group", "waited")

    def __init__(self, group: str, lane: _Lane, sent: Sent, waited: float) -> None:
        self.group, self.waited = group, waited
        self._lane, self._sent = lane, sent


class _Turn:
    """One caller's place in a line: urgent callers first, then in the order in which they came.

    The place follows from the order alone, so a caller may step out of the line and come back to where it was.
    """

    __slots__ = ("condition", "order", "share")

    def __init__(self, lock: threading.Lock, number: int, share: float | None, *, urgent: bool) -> None:
        self.condition = threading.Condition(lock)
        self.order = (not urgent, number)
        self.share = share


class _Lane:
    """Everything in front of one bucket: its estimate, one line for each kind of caller, what its groups were told."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.shared = SharedBuckets()
        self.interactive: list[_Turn] = []
        self.bulk: list[_Turn] = []

    def line(self, share: float | None) -> list[_Turn]:
        """Return the line for a caller with this share."""
        return self.interactive if share is None else self.bulk

    def enter(self, turn: _Turn) -> None:
        """Put a caller in its place."""
        insort(self.line(turn.share), turn, key=lambda other: other.order)

    def leave(self, turn: _Turn) -> None:
        """Take a caller out of its line and let the next one look."""
        self.line(turn.share).remove(turn)
        self.wake()

    def wait(self, now: float, share: float | None, ahead: int) -> float:
        """Ask the bucket how long to wait; bulk work lets everybody who is waited for go first."""
        if share is not None:
            ahead += len(self.interactive)
        return self.bucket.wait(now, share=share, ahead=ahead)

    def wake(self) -> None:
        """Let the head of each line look again: nobody else can go before it."""
        for line in (self.interactive, self.bulk):
            if line:
                line[0].condition.notify()

    def wake_all(self) -> None:
        """Let every caller look again: the gate has closed, or some have to line up elsewhere."""
        for turn in (*self.interactive, *self.bulk):
            turn.condition.notify()


class Throttle:
    """Pace one client: all its threads ask here before each request and report each response.

    `rate_limit`: see `plans.plan`; None learns everything from headers.  `random` spreads resends.
    Raises `ConfigError` for a rate limit that it can't read.  Safe for many threads; after a fork call `renew`
    in the child.

    Route groups whose headers agree share one bucket (Auth0's Free and Enterprise plans have one, Essentials
    three), until a response comes that one bucket can't give.  The group "token" belongs to another API and
    never shares.

    >>> from auth0_meta.testing import FakeClock
    >>> throttle = Throttle(clock=FakeClock(), random=random.Random(7))
    >>> ticket = throttle.acquire("users write")
    >>> throttle.answer(ticket, status=200, headers={"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9"})
    >>> throttle.snapshot("users write").remaining
    9
    """

    def __init__(
        self, *, clock: Clock, random: random.Random, rate_limit: str | RateLimit | None = None
    ) -> None:
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._arrivals = itertools.count()
        self._lanes: dict[str, _Lane] = {}
        self._apart: set[frozenset[str]] = set()  # pairs of groups that are known not to share a bucket
        self._server = (
            ServerClock()
        )  # one for all buckets: what a read shows of it helps the first refused write
        shared: dict[RateLimit, _Lane] = {}
        for group, limit in plan(rate_limit).items():
            self._lanes[group] = shared.setdefault(limit, self._new_lane(limit))

    def acquire(
        self,
        group: str,
        *,
        most: float | None = None,
        most_closed: float | None = None,
        share: float | None = None,
        on_wait: OnWait | None = None,
        cancelled: threading.Event | None = None,
        urgent: bool = False,
    ) -> Ticket:
        """Block until one request of `group` may leave, and count it as sent.

        `most`: seconds that it may wait in all, None for no limit; `WouldWait` is raised before a wait that would
        pass it.  `most_closed` takes its place while the gate is closed.  `share`: None for a caller whom somebody
        waits for; for bulk work, the part of the bucket (0 to 1) that it may draw down.

        `on_wait(reason, seconds)` is called before a wait begins and again when its reason changes: "rate
        limit" or "pacing".  The caller stands in no line meanwhile, so `on_wait` may use this throttle.
        `cancelled`: once set, `Cancelled` is raised within 0.1 s.
        `urgent`: go before callers who are not, as a write does whose read is getting old.

        Whatever is raised, no token was taken and the next in line moves up.
        """
        with self._lock:
            lane = self._lane(group)
            now = self._clock.monotonic()
            if not lane.line(share) and lane.wait(now, share, 0) <= 0:
                return Ticket(group, lane, lane.bucket.sent(now), 0.0)
        return self._stand_in_line(
            group, most, share, on_wait, cancelled, most_closed=most_closed, take=True, urgent=urgent
        )

    def pause(
        self,
        group: str,
        *,
        most: float | None = None,
        on_wait: OnWait | None = None,
        cancelled: threading.Event | None = None,
    ) -> float:
        """Wait until a request of `group` could leave, take nothing; return the seconds waited.

        A commit waits here with its lock released: `acquire` raised `WouldWait`, the commit let go of the lock, and
        after this it takes the lock and reads again.  A token taken now would be gone before that read.

        Arguments and errors: see `acquire`.
        """
        return self._stand_in_line(group, most, None, on_wait, cancelled, take=False).waited

    def answer(self, ticket: Ticket, *, status: int, headers: Mapping[str, str]) -> float | None:
        """Learn from a response; for a 429 close the gate and return the seconds until a resend, else None.

        All callers of that bucket wait at the gate: resend through `acquire`.  Report a 429 that is no rate limit
        (two active import jobs) with `lost` instead.
        """
        facts = parse_headers(headers)
        clock = self._clock
        refused = status == 429
        with self._lock:
            now = clock.monotonic()
            lane = self._place(ticket, now, facts, refused=refused)
            closed = lane.bucket.answered(
                ticket._sent, now, facts, refused=refused, wall=clock.time(), jitter=self._random.random()
            )
            if refused:
                # Followers too: one whose `most` is shorter than the closed gate must hear of it now, not when it
                # becomes the head.
                lane.wake_all()
            else:
                lane.shared.note(ticket.group, ticket._sent.at, now, facts, taken=lane.bucket.taken)
                lane.wake()
        return closed

    def lost(self, ticket: Ticket) -> None:
        """Learn that no response came: the request may or may not have taken a token."""
        with self._lock:
            ticket._lane.bucket.lost()
            ticket._lane.wake()

    def renew(self) -> None:
        """Start with fresh locks and nobody waiting, in the child after a fork; what was learned stays."""
        self._lock = threading.Lock()
        for lane in set(self._lanes.values()):
            lane.bucket.forget_flights()
            lane.interactive.clear()
            lane.bulk.clear()

    def snapshot(self, group: str) -> Snapshot:
        """Return what is known of the bucket behind `group`."""
        with self._lock:
            bucket = self._lane(group).bucket
            return Snapshot(bucket.limit, bucket.remaining, bucket.per_second)

    def _lane(self, group: str) -> _Lane:
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = self._new_lane(apart=group == TOKEN_GROUP)
        return lane

    def _new_lane(self, limit: RateLimit | None = None, *, apart: bool = False) -> _Lane:
        """Return a lane for a bucket; one that is `apart` belongs to another API, which may have a clock of its own."""
        return _Lane(Bucket(limit, ServerClock() if apart else self._server))

    # ---- which bucket

    def _place(self, ticket: Ticket, now: float, facts: RateHeaders, *, refused: bool) -> _Lane:
        """Find the bucket that a response speaks of: its lane's, unless limit or content contradict that."""
        if ticket._lane is not self._lanes[ticket.group]:  # its group moved while it was under way
            self._move(ticket)
        lane = ticket._lane
        if facts.limit is not None and facts.limit != lane.bucket.limit:
            self._resettle(ticket, now, facts)
        elif not refused:  # a refusal by a limit that the headers don't show may carry any Remaining
            sent = ticket._sent
            rate = lane.bucket.rate_by_reset
            other = lane.shared.apart_from(ticket.group, sent.at, now, facts, taken=sent.accepted, rate=rate)
            if other is not None:
                self._part(ticket, other)
        return ticket._lane

    def _resettle(self, ticket: Ticket, now: float, facts: RateHeaders) -> None:
        """Move a group to the lane whose bucket has the limit that its headers show, or to a new one."""
        group, lane, at = ticket.group, ticket._lane, ticket._sent.at
        groups = [name for name in self._lanes if TOKEN_GROUP not in (name, group)]
        ruled_out = {self._lanes[name] for name in groups if frozenset((name, group)) in self._apart}
        for name in groups:
            home = self._lanes[name]
            if home.bucket.limit != facts.limit or home in ruled_out:
                continue
            if home.shared.contradiction(group, at, now, facts) is None:
                break
        else:
            if sum(self._lanes[name] is lane for name in groups) < 2:
                return  # its own bucket, seen for the first time or changed
            home = self._new_lane()
        self._lanes[group] = home
        self._move(ticket)
        lane.wake_all()

    def _part(self, ticket: Ticket, other: str) -> None:
        """Give a group a bucket of its own.

        Both start over, since what was learned is a mixture of the two.  The gate stays closed for both: which of
        them was empty is not known.
        """
        group, lane = ticket.group, ticket._lane
        self._apart.add(frozenset((group, other)))
        rest = self._new_lane()
        for name, here in self._lanes.items():
            if here is lane:
                self._lanes[name] = rest
        self._lanes[group] = self._new_lane()
        for home in (rest, self._lanes[group]):
            home.bucket.closed_until = lane.bucket.closed_until
        self._move(ticket)
        lane.wake_all()

    def _move(self, ticket: Ticket) -> None:
        """Count a request that is under way at its group's bucket."""
        ticket._lane.bucket.lost()
        ticket._lane = self._lanes[ticket.group]
        ticket._sent = ticket._lane.bucket.sent(ticket._sent.at)

    # ---- the line

    def _stand_in_line(
        self,
        group: str,
        most: float | None,
        share: float | None,
        on_wait: OnWait | None,
        cancelled: threading.Event | None,
        *,
        take: bool,
        most_closed: float | None = None,
        urgent: bool = False,
    ) -> Ticket:
        """Wait in line: its head waits for the bucket, the others for the head."""
        clock, reported = self._clock, ""
        start = clock.monotonic()
        with self._lock:
            turn = _Turn(self._lock, next(self._arrivals), share, urgent=urgent)
            lane = self._lane(group)
            lane.enter(turn)
            try:
                while cancelled is None or not cancelled.is_set():
                    if lane is not self._lane(group):
                        # A response has shown that the group has another bucket.
                        lane.leave(turn)
                        lane = self._lane(group)
                        lane.enter(turn)
                    now = clock.monotonic()
                    ahead = lane.line(share).index(turn)
                    seconds = lane.wait(now, share, ahead)
                    closed = now < lane.bucket.closed_until
                    # Where the bucket holds one token, the commit's own read took it and every PATCH meets a closed
                    # gate.  To call that a gate would mean reading again for ever.
                    gate = closed and lane.bucket.limit != 1
                    bound = most_closed if gate and most_closed is not None else most
                    if bound is not None and now - start + seconds > bound:
                        if closed or lane.bucket.limit is not None:
                            raise WouldWait(seconds, closed=gate)
                        seconds = ahead = 0  # nothing is known yet that would justify an error
                    if seconds <= 0 and not ahead:
                        sent = lane.bucket.sent(now) if take else NOT_SENT
                        return Ticket(group, lane, sent, now - start)
                    reason = RATE_LIMIT if closed else PACING
                    if on_wait is not None and reason != reported:
                        reported = reason
                        self._report(on_wait, reason, seconds, turn, lane)
                        continue
                    # A follower looks again by itself: what the head has learned may make its own wait too long.
                    pause = min(max(seconds, CANCEL_POLL), LOOK_AGAIN) if ahead else seconds
                    clock.wait(turn.condition, pause if cancelled is None else min(pause, CANCEL_POLL))
                raise Cancelled
            finally:
                lane.leave(turn)

    def _report(self, on_wait: OnWait, reason: str, seconds: float, turn: _Turn, lane: _Lane) -> None:
        """Call `on_wait` without the lock and out of the line.

        A request that it sends with the same client would otherwise stand behind its own caller for ever.
        """
        lane.leave(turn)
        self._lock.release()
        try:
            on_wait(reason, seconds)
        finally:
            self._lock.acquire()
            lane.enter(turn)
