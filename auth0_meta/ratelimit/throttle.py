"""Hold threads back at a bucket: one gate after a 429, one token per caller when it runs dry.

The only object here with locks and a clock; it sends nothing.  `bucket.py` decides how long a wait is;
this module decides who waits, in which order, and whom to wake.  README.md explains the words.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, ParamSpec, TypeVar

from auth0_meta.clock import CANCEL_POLL, Cancelled, Clock
from auth0_meta.errors import StateError
from auth0_meta.ratelimit.bucket import Bucket
from auth0_meta.ratelimit.headers import RateHeaders, ServerClock, parse_headers
from auth0_meta.ratelimit.lanes import Lane, Ticket, Turn
from auth0_meta.ratelimit.plans import RateLimit, plan

OnWait = Callable[[str, float], None]
P = ParamSpec("P")
R = TypeVar("R")

RATE_LIMIT, PACING = "rate limit", "pacing"
TOKEN_GROUP = "token"  # noqa: S105  # the route group of /oauth/token
LOOK_AGAIN = 1.0
"""Seconds after which a caller who is not the head of its line looks again, whether or not somebody wakes it."""


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


class _Caller(NamedTuple):
    """What a caller who stands in line asks for, as `Throttle.acquire` explains it, and `since` when."""

    group: str
    since: float
    most: float | None
    most_closed: float | None
    on_wait: OnWait | None
    cancelled: threading.Event | None
    takes: bool
    """Whether it takes a token once its turn has come."""


class _Look(NamedTuple):
    """What a caller in line finds: a ticket, or why and how long to wait, and whether others are ahead of it."""

    ticket: Ticket | None
    reason: str = PACING
    seconds: float = 0.0
    behind: bool = False


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
        # Not a plain lock: that would not tell a signal handler that its own thread holds it.
        self._lock = threading.RLock()
        self._arrivals = itertools.count()
        self._lanes: dict[str, Lane] = {}
        self._apart: set[frozenset[str]] = set()  # pairs of groups that are known not to share a bucket
        # One for all buckets: what a read shows of the server's clock helps the first write that is refused.
        self._server = ServerClock()
        self._shut = 0.0  # until when requests that `_aside` would let pass are refused
        shared: dict[RateLimit, Lane] = {}
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
        if self.interrupted():
            return self._aside(group)
        ticket = self._exclusively(self._take_at_once, group, share)
        if ticket is not None:
            return ticket
        caller = _Caller(group, self._clock.monotonic(), most, most_closed, on_wait, cancelled, takes=True)
        return self._stand_in_line(caller, share, urgent=urgent)

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
        if self.interrupted():
            return self._aside(group).waited
        caller = _Caller(group, self._clock.monotonic(), most, None, on_wait, cancelled, takes=False)
        return self._stand_in_line(caller, None, urgent=False).waited

    def answer(self, ticket: Ticket, *, status: int, headers: Mapping[str, str]) -> float | None:
        """Learn from a response; for a 429 close the gate and return the seconds until a resend, else None.

        All callers of that bucket wait at the gate: resend through `acquire`.  Report a 429 that is no rate limit
        (two active import jobs) with `lost` instead.
        """
        facts = parse_headers(headers)
        if not self.interrupted():
            return self._exclusively(self._learn, ticket, facts, refused=status == 429)
        closed = ticket._lane.bucket.answered(
            ticket._sent,
            self._clock.monotonic(),
            facts,
            refused=status == 429,
            wall=self._clock.time(),
            jitter=1.0,
        )
        if closed is not None:
            self._shut = self._clock.monotonic() + closed
        return closed

    def lost(self, ticket: Ticket) -> None:
        """Learn that no response came: the request may or may not have taken a token."""
        if not self.interrupted():
            self._exclusively(self._give_back, ticket)

    def renew(self) -> None:
        """Start with a fresh lock and nobody waiting, in the child after a fork; what was learned stays."""
        self._lock = threading.RLock()
        for lane in set(self._lanes.values()):
            lane.renew()

    def snapshot(self, group: str) -> Snapshot:
        """Return what is known of the bucket behind `group`."""
        lane = self._lanes.get(group)
        if lane is None:
            return Snapshot(None, None, None)
        return Snapshot(lane.bucket.limit, lane.bucket.remaining, lane.bucket.per_second)

    def server_time(self) -> float | None:
        """Return the earliest time that the server's clock may show now, None before the first `Date`."""
        return self._server.shows(self._clock.monotonic())

    # ---- interrupts

    def interrupted(self) -> bool:
        """Return whether this thread is inside this object: then a signal handler or finalizer is asking."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]  # as `threading.Condition` does

    def _exclusively(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do `work` under the lock, which no interrupt leaves taken."""
        try:
            with self._lock:
                return work(*args, **kwargs)
        except BaseException:
            if self.interrupted():
                self._lock.release()
            raise

    def _aside(self, group: str) -> Ticket:
        """Let a request pass that a signal handler or finalizer sends while its thread is inside this object.

        What it interrupts is half done, so nothing here may change and nobody may be waited for: they may wait for
        this thread.  Its request goes at once, counts as another client's, and is refused if the gate is closed.
        """
        lane, now = self._lanes.get(group), self._clock.monotonic()
        seconds = max(self._shut, 0.0 if lane is None else lane.bucket.closed_until) - now
        if seconds > 0:
            msg = (
                f"a signal handler or finalizer can't wait for the rate limit ({seconds:.1f} s) while the code that "
                "it interrupts uses the same client (nothing was sent): do it outside of the handler"
            )
            raise StateError(msg)
        ticket = Ticket(group, Lane(Bucket()), 0.0)
        ticket._lane.take(ticket, now)
        return ticket

    def _lane(self, group: str) -> Lane:
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = self._new_lane(apart=group == TOKEN_GROUP)
        return lane

    def _new_lane(self, limit: RateLimit | None = None, *, apart: bool = False) -> Lane:
        """Return a lane for a bucket; one that is `apart` belongs to another API, which may have a clock of its own."""
        return Lane(Bucket(limit, ServerClock() if apart else self._server))

    # ---- what happens under the lock

    def _take_at_once(self, group: str, share: float | None) -> Ticket | None:
        """Return a ticket if nobody waits and there is a token."""
        lane = self._lane(group)
        now = self._clock.monotonic()
        if lane.line(share) or lane.wait(now, share, 0) > 0:
            return None
        ticket = Ticket(group, lane, 0.0)
        lane.take(ticket, now)
        return ticket

    def _learn(self, ticket: Ticket, facts: RateHeaders, *, refused: bool) -> float | None:
        """Learn from a response; return the seconds until a resend after a refusal."""
        now = self._clock.monotonic()
        lane = self._place(ticket, now, facts, refused=refused)
        lane.tickets.discard(ticket)  # first: a request that is under way without a ticket is noticed
        closed = lane.bucket.answered(
            ticket._sent, now, facts, refused=refused, wall=self._clock.time(), jitter=self._random.random()
        )
        if refused:
            # Followers too: one whose `most` is shorter than the closed gate must hear of it now, not when it
            # becomes the head.
            lane.wake_all()
        else:
            lane.shared.note(ticket.group, ticket._sent.at, now, facts, taken=lane.bucket.taken)
            lane.wake()
        return closed

    def _give_back(self, ticket: Ticket) -> None:
        ticket._lane.give_back(ticket)
        ticket._lane.wake()

    # ---- which bucket

    def _place(self, ticket: Ticket, now: float, facts: RateHeaders, *, refused: bool) -> Lane:
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
        ticket._lane.give_back(ticket)
        self._lanes[ticket.group].take(ticket, ticket._sent.at)

    # ---- the line

    def _stand_in_line(self, caller: _Caller, share: float | None, *, urgent: bool) -> Ticket:
        """Wait in line: its head waits for the bucket, the others for the head."""
        turn = self._exclusively(self._new_turn, caller.group, share, urgent=urgent)
        try:
            try:
                return self._wait_in_line(turn, caller)
            finally:
                self._exclusively(turn.lane.leave, turn)
        except BaseException:
            self._exclusively(turn.lane.leave, turn)  # an interrupt may have come while it was leaving
            raise

    def _wait_in_line(self, turn: Turn, caller: _Caller) -> Ticket:
        cancelled, on_wait, reported = caller.cancelled, caller.on_wait, ""
        while cancelled is None or not cancelled.is_set():
            look = self._exclusively(self._look, turn, caller)
            if look.ticket is not None:
                return look.ticket
            if on_wait is not None and look.reason != reported:
                # Out of the line: what `on_wait` does may take long, and others need not wait for it.
                reported = look.reason
                self._exclusively(turn.lane.leave, turn)
                on_wait(look.reason, look.seconds)
                continue
            # A follower looks again by itself: what the head has learned may make its own wait too long.
            pause = min(max(look.seconds, CANCEL_POLL), LOOK_AGAIN) if look.behind else look.seconds
            self._clock.wait(turn.bell, pause if cancelled is None else min(pause, CANCEL_POLL))
        raise Cancelled

    def _new_turn(self, group: str, share: float | None, *, urgent: bool) -> Turn:
        """Return a place at the end of the line, which `_look` takes."""
        return Turn(self._lane(group), next(self._arrivals), share, urgent=urgent)

    def _look(self, turn: Turn, caller: _Caller) -> _Look:
        """Return what a caller in line finds; raise `WouldWait` if it would have to wait for too long."""
        lane, share = self._lane(caller.group), turn.share
        if lane is not turn.lane:  # a response has shown that the group has another bucket
            turn.lane.leave(turn)
            turn.lane = lane
        lane.line(share).add(turn)
        now = self._clock.monotonic()
        ahead = sum(other.order < turn.order for other in lane.line(share))
        seconds = lane.wait(now, share, ahead)
        closed = now < lane.bucket.closed_until
        # Where the bucket holds one token, the commit's own read took it and every PATCH meets a closed gate.  To
        # call that a gate would mean reading again for ever.
        gate = closed and lane.bucket.limit != 1
        bound = caller.most_closed if gate and caller.most_closed is not None else caller.most
        if bound is not None and now - caller.since + seconds > bound:
            if closed or lane.bucket.limit is not None:
                raise WouldWait(seconds, closed=gate)
            seconds = ahead = 0  # nothing is known yet that would justify an error
        if seconds > 0 or ahead:
            return _Look(None, RATE_LIMIT if closed else PACING, seconds, bool(ahead))
        ticket = Ticket(caller.group, lane, now - caller.since)
        if caller.takes:
            lane.take(ticket, now)
        return _Look(ticket)
