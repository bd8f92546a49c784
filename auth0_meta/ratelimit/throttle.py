"""Hold threads back at a bucket: one gate after a 429, one token per caller when it runs dry.

The one object with locks and a clock; it sends nothing.  `bucket.py` decides how long.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from auth0_meta.clock import Clock
from auth0_meta.ratelimit.bucket import Bucket, Sent
from auth0_meta.ratelimit.headers import RateHeaders, parse_headers
from auth0_meta.ratelimit.plans import RateLimit, plan
from auth0_meta.ratelimit.shared_buckets import SharedBuckets

OnWait = Callable[[str, float], None]

RATE_LIMIT, PACING = "rate limit", "pacing"
APART = "token"
CANCEL_POLL = 0.1
NOT_SENT = Sent(0.0, 0, bold=False)


class WouldWait(Exception):
    """Say, before any waiting, that `seconds` would pass what the caller allows; `closed`: the gate asks for them."""

    def __init__(self, seconds: float, *, closed: bool) -> None:
        super().__init__(f"a wait of {seconds:.1f} s is not allowed here")
        self.seconds = seconds
        self.closed = closed


class Cancelled(Exception):
    """Say that the caller's event was set while it waited; nothing was taken."""


class Snapshot(NamedTuple):
    """Show what is known of a bucket; None where nothing is.

    `per_second`: the refill rate that is sure by now.  `window`: it refills all at once.
    `closed_for`: seconds until the gate opens, 0.0 when open.
    """

    limit: int | None
    remaining: int | None
    per_second: float | None
    window: bool
    closed_for: float


class Ticket:
    """Stand for one request that may go; hand it to `Throttle.answer` or `.lost` exactly once.

    `group`: its route group.  `waited`: the seconds it was held back.
    """

    __slots__ = ("_lane", "_sent", "group", "waited")

    def __init__(self, group: str, lane: _Lane, sent: Sent, waited: float) -> None:
        self.group, self.waited = group, waited
        self._lane, self._sent = lane, sent


class _Lane:
    """Join what stands before one bucket: its estimate, a line for either kind of caller, and what its groups were told."""

    __slots__ = ("agreement", "bucket", "bulk", "interactive")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.agreement = SharedBuckets()
        self.interactive: deque[threading.Condition] = deque()
        self.bulk: deque[threading.Condition] = deque()

    def line(self, share: float | None) -> deque[threading.Condition]:
        """Choose the line for a caller."""
        return self.interactive if share is None else self.bulk

    def wait(self, now: float, share: float | None, ahead: int) -> float:
        """Ask the bucket; bulk work lets those who are waited for go first."""
        if share is not None:
            ahead += len(self.interactive)
        return self.bucket.wait(now, share=share, ahead=ahead)

    def wake(self) -> None:
        """Let the head of each line look again."""
        if self.interactive:
            self.interactive[0].notify()
        if self.bulk:
            self.bulk[0].notify()


class Throttle:
    """Pace one client: all its threads ask here before each request and report each answer.

    `rate_limit`: see `ratelimit.plan`; None learns everything from headers.  Raises `ConfigError`.
    `random` spreads resends.  Safe for many threads; after a fork call `renew` in the child.
    Route groups whose headers agree share one bucket (Auth0's Free and Enterprise plans have one,
    Essentials three), until an answer comes that one bucket can't give; "token", which belongs to
    another API, shares none.

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
        self._lanes: dict[str, _Lane] = {}
        self._apart: set[frozenset[str]] = set()  # pairs of groups that are known not to share a bucket
        shared: dict[RateLimit, _Lane] = {}
        for group, limit in plan(rate_limit).items():
            self._lanes[group] = shared.setdefault(limit, _Lane(Bucket(limit)))

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

        `most`: seconds it may wait in all, None without end; `WouldWait` is raised before a wait
        that would pass it; `most_closed`, where given, in its place while the gate is closed.  `share`: None for a caller who is waited for; for bulk work the part
        of the bucket (0 to 1) that it may draw down.  `on_wait(reason, seconds)` is called without
        locks before a wait begins, and again when its reason changes: "rate limit" or "pacing".
        `cancelled`: once set, `Cancelled` is raised within 0.1 s.  `urgent`: go first in line, as the write
        does whose read is getting old.  Whatever is raised, no token was
        taken and the next in line moves up.
        """
        with self._lock:
            lane = self._lane(group)
            line = lane.line(share)
            now = self._clock.monotonic()
            if not line and lane.wait(now, share, 0) <= 0:
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

        Arguments and errors: see `acquire`.
        """
        return self._stand_in_line(group, most, None, on_wait, cancelled, take=False).waited

    def answer(self, ticket: Ticket, *, status: int, headers: Mapping[str, str]) -> float | None:
        """Learn from an answer; for a 429 close the gate and return the seconds until a resend.

        None for any other status.  All callers of that bucket wait at the gate: resend through
        `acquire`.  A 429 that is no rate limit (two active import jobs) is reported with `lost`.
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
            if not refused:
                lane.agreement.note(ticket.group, ticket._sent.at, now, facts, taken=lane.bucket.taken)
            lane.wake()
        return closed

    def lost(self, ticket: Ticket) -> None:
        """Learn that no answer came: the request may have taken a token or not."""
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
            closed = max(bucket.closed_until - self._clock.monotonic(), 0.0)
            return Snapshot(bucket.limit, bucket.remaining, bucket.per_second, bucket.window, closed)

    def _lane(self, group: str) -> _Lane:
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = _Lane(Bucket())
        return lane

    def _place(self, ticket: Ticket, now: float, facts: RateHeaders, *, refused: bool) -> _Lane:
        """Find the bucket that an answer speaks of: its lane's, but for another limit or a contradiction."""
        if ticket._lane is not self._lanes[ticket.group]:  # its group has moved meanwhile
            self._move(ticket)
        lane = ticket._lane
        if facts.limit is not None and facts.limit != lane.bucket.limit:
            self._resettle(ticket, now, facts)
        elif not refused:  # an injected or hidden refusal may show anything
            sent = ticket._sent
            rate = lane.bucket.rate_by_reset
            other = lane.agreement.parts(ticket.group, sent.at, now, facts, taken=sent.accepted, rate=rate)
            if other is not None:
                self._part(ticket, other)
        return ticket._lane

    def _resettle(self, ticket: Ticket, now: float, facts: RateHeaders) -> None:
        """Find the bucket with another limit than that of the lane."""
        group, lane, at = ticket.group, ticket._lane, ticket._sent.at
        groups = [name for name in self._lanes if APART not in (name, group)]
        strange = {self._lanes[name] for name in groups if frozenset((name, group)) in self._apart}
        for name in groups:
            home = self._lanes[name]
            if home.bucket.limit != facts.limit or home in strange:
                continue
            if home.agreement.against(group, at, now, facts) is None:
                break
        else:
            if sum(self._lanes[name] is lane for name in groups) < 2:
                return  # its own bucket, seen for the first time or changed
            home = _Lane(Bucket())
        self._lanes[group] = home
        self._move(ticket)
        _rouse(lane)

    def _part(self, ticket: Ticket, other: str) -> None:
        """Give a group a bucket of its own; both start over, since what was learned is a mixture.  The gate stays."""
        group, lane = ticket.group, ticket._lane
        self._apart.add(frozenset((group, other)))
        rest = _Lane(Bucket())
        for name, here in self._lanes.items():
            if here is lane:
                self._lanes[name] = rest
        self._lanes[group] = _Lane(Bucket())
        for home in (rest, self._lanes[group]):
            home.bucket.closed_until = lane.bucket.closed_until
        self._move(ticket)
        _rouse(lane)

    def _move(self, ticket: Ticket) -> None:
        """Count a request that is under way at its group's bucket."""
        ticket._lane.bucket.lost()
        ticket._lane = self._lanes[ticket.group]
        ticket._sent = ticket._lane.bucket.sent(ticket._sent.at)

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
        """Wait as the last of a line (the first, if urgent): its head waits for the bucket, the others for the head."""
        clock, told = self._clock, ""
        turn = threading.Condition(self._lock)
        start = clock.monotonic()
        with self._lock:
            lane = self._lane(group)
            line = lane.line(share)
            line.insert(0 if urgent else len(line), turn)
            try:
                while cancelled is None or not cancelled.is_set():
                    if lane is not self._lane(group):
                        line.remove(turn)
                        lane = self._lane(group)
                        line = lane.line(share)
                        line.insert(0 if urgent else len(line), turn)
                    now = clock.monotonic()
                    ahead = line.index(turn)
                    seconds = lane.wait(now, share, ahead)
                    closed = now < lane.bucket.closed_until
                    gate = (
                        closed and lane.bucket.limit != 1
                    )  # one token: the read before took it, that is pacing
                    bound = most_closed if gate and most_closed is not None else most
                    if bound is not None and now - start + seconds > bound:
                        if closed or lane.bucket.limit is not None:
                            raise WouldWait(seconds, closed=gate)
                        seconds = ahead = 0  # nothing is known yet that would be worth an error
                    if seconds <= 0 and not ahead:
                        sent = lane.bucket.sent(now) if take else NOT_SENT
                        return Ticket(group, lane, sent, now - start)
                    reason = RATE_LIMIT if closed else PACING
                    if on_wait is not None and reason != told:
                        told = reason
                        self._lock.release()
                        try:
                            on_wait(reason, seconds)
                        finally:
                            self._lock.acquire()
                        continue
                    pause = None if ahead else seconds
                    if cancelled is not None:
                        pause = CANCEL_POLL if pause is None else min(pause, CANCEL_POLL)
                    clock.wait(turn, pause)
                raise Cancelled
            finally:
                line.remove(turn)
                lane.wake()


def _rouse(lane: _Lane) -> None:
    """Have all callers in a lane look where they belong: some have to line up anew."""
    for turn in (*lane.interactive, *lane.bulk):
        turn.notify()
