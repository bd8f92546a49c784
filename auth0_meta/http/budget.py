"""How long one operation may still wait, and how long what it has read stays fresh."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from auth0_meta.arguments import number
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import ConfigError
from auth0_meta.models import RequestInfo, Wait

MaxWait = float | Literal["client"] | None
"""Seconds that one operation may wait; "client" means the client's own setting, None no limit."""

Timeout = float | tuple[float, float] | Literal["client"]
"""Seconds to connect and to wait for bytes, or one number for both; "client" means the client's own setting."""

OnRequest = Callable[[RequestInfo], object] | Literal["client"] | None
"""What is called after each request; "client" means the client's own setting, None nothing."""

AT_ONCE = 0.25
"""Seconds that taking a free lock, even over a network, or starting a thread may take without counting as a wait."""
_AFTER_A_STOP = 30.0
WORK = 1.0
"""Seconds that a request or a token may always take: less would cut off a healthy tenant.  Anything longer is a wait."""
_BULK_REPEAT = 10.0
# Waits that another read brings back: it takes a token from the bucket, and may need a new access token.
_RECURRING = ("pacing", "token")


class WaitBudget:
    """Count what one operation (a call, a commit) costs, and limit how long it takes.

    `max_wait`: seconds that it may wait in all; None is no limit, 0 allows no wait.  `failure_wait`: the seconds of
    these that may go to failures (5xx, lost connections), counted from the first one; None is no separate limit.  `ends`: the
    instant on the monotonic clock at which it must be over, requests included.  `in_flight` is true from the first byte
    of a request until a response shows that it was refused.  `bound` names the limit in error messages.  `alone`: it
    must not wait for other threads, since they may be waiting for this one.  `timeout`: (connect, read) in seconds for
    each of its requests, None for the client's.
    """

    def __init__(
        self,
        *,
        max_wait: float | None,
        failure_wait: float | None = None,
        ends: float | None = None,
        timeout: tuple[float, float] | None = None,
        on_wait: Callable[[Wait], object] | None = None,
        on_request: Callable[[RequestInfo], object] | None = None,
        user_id: str | None = None,
        share: float | None = None,
        cancelled: threading.Event | None = None,
        alone: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.cancelled = cancelled
        self.stopping: threading.Event | None = None
        self.bound = f"max_wait={max_wait} s"
        self.max_wait = max_wait
        self.failure_wait = failure_wait
        self.ends = ends
        self.timeout = timeout
        self.on_wait = on_wait
        self.on_request = on_request
        self.user_id = user_id
        self.share = share
        self.requests = self.attempts = self.refusals = self.failures = self.waits = 0
        self.waited = 0.0
        self.reasons: dict[str, None] = {}
        """Why it has waited."""
        self.answered: Mapping[str, str] = {}
        """The headers of its last response."""
        self.reported = 0.0
        """The part of `waited` that `on_request` knows of."""
        self.objection: BaseException | None = None
        """What `on_request` raised after a successful write: it is raised again once the write is noted."""
        self.took = 0.0
        """The seconds of the last request."""
        self.failed = 0.0
        """The seconds that went into failures after the first one."""
        self.failing_since = 0.0
        """When its first request failed, if one has."""
        self.outlasts = False
        """Whether it has gone on for longer than `failure_wait` because of an outage."""
        self.outage = False
        """Whether it gave up while no request of the client succeeded, so that others would fail too."""
        self.excused = False
        """Whether its last failure says nothing about its user: there was no token, or an outage swallowed the request."""
        self.in_flight = False
        self.alone = alone
        self._spent = 0.0
        self._clock = clock

    def spend(self, seconds: float) -> None:
        """Count what took `seconds` without being a wait of ours: a request, a token, a lock, a queue."""
        if seconds > WORK:
            self._spent += seconds

    def left(self) -> float | None:
        """Return the seconds of waiting that remain, None if there is no limit."""
        if self.stopping is not None and self.stopping.is_set():
            self.stopping, self.bound = None, f"the stop ({_AFTER_A_STOP:.0f} s)"
            stop = self._clock.monotonic() + _AFTER_A_STOP
            self.ends = stop if self.ends is None else min(self.ends, stop)
        left = None if self.max_wait is None else max(0.0, self.max_wait - self.waited - self._spent)
        if self.ends is None:
            return left
        last = max(0.0, self.ends - self._clock.monotonic())
        return last if left is None else min(left, last)

    def request_time(self, connect: float, read: float) -> float:
        """Return the seconds that the next request may take as a whole, from connecting to the last byte.

        `connect`, `read`: the client's timeouts.  What is left of `max_wait` cuts this down to a second at least;
        0 means only that there are no waits.
        """
        seconds = connect + 2 * read
        if self.max_wait:
            seconds = min(seconds, max(WORK, self.max_wait - self.waited - self._spent))
        if self.failures and self.failure_wait is not None:
            least = (
                WORK if self.share is None else _BULK_REPEAT
            )  # of bulk work after an outage, which is slow at first
            seconds = min(seconds, max(least, self.failure_wait - self.failed))
        if self.ends is not None:
            seconds = min(seconds, self.ends - self._clock.monotonic())
        return seconds

    def raise_objection(self) -> None:
        """Raise what `on_request` raised, if that was put off; whoever sends a write calls this after noting its result."""
        objection, self.objection = self.objection, None
        try:
            if objection is not None:
                raise objection
        finally:
            del objection

    def see_through(self) -> None:
        """Stop honoring cancellation: a PATCH may have been applied, and leaving now would leave that open.

        Once cancelled, the operation gets another 30 s to find out.  They count from when it notices, and requests
        that time out use them up too, or a dead network would hold a stopped batch for minutes.
        """
        if self.cancelled is not None:
            self.stopping, self.cancelled = self.cancelled, None


class LongWait(Exception):  # a signal to whoever holds what was read, not an error
    """Interrupt a write before a wait that would make its read stale; `seconds` is 0 if that wait is over already."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason, seconds)
        self.reason = reason
        self.seconds = seconds


class Deadline(NamedTuple):
    """The instants, on the monotonic clock, after which a request must not be sent.

    `closed`: if a closed gate or a failure holds it back.  `paced`: in any case.
    """

    closed: float
    paced: float


class Freshness:
    """Decide how long a write may rest on a read: `seconds`, and more where reading again would not help.

    A wait after a 429 or a failure is over once it has been waited out, so the next read is followed by no such wait.
    A wait for the tokens that the read itself has used up, or for a slow token endpoint, comes again with every
    read: each one that was too long doubles the limit for the next, or else the write would never be sent.

    >>> freshness = Freshness(1.0)
    >>> freshness.until(10.0)
    Deadline(closed=11.0, paced=11.0)
    >>> freshness.note(LongWait("pacing", 5.0))
    >>> freshness.until(20.0)
    Deadline(closed=21.0, paced=22.0)
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._factor = 1

    def until(self, since: float, *, needed: float = 0.0) -> Deadline:
        """Return the deadline of a write that rests on a read at `since`; pacing takes at least `needed` seconds."""
        return Deadline(since + self._seconds, since + max(self._seconds, needed) * self._factor)

    def note(self, wait: LongWait) -> None:
        """Learn from a wait that was too long."""
        if wait.reason in _RECURRING:
            self._factor *= 2


def check_wait(name: str, seconds: object) -> float | None:
    """Validate `max_wait` or `failure_wait` and return it as a float, None for no limit."""
    return None if seconds is None else number(name, seconds, least=0, infinite=True, error=ConfigError)


def check_timeout(timeout: object) -> tuple[float, float]:
    """Validate `timeout` and return (connect, read) in seconds."""
    pair = timeout if isinstance(timeout, tuple | list) else (timeout, timeout)
    if len(pair) != 2:
        msg = f"timeout must be (connect, read) in seconds, or one number for both, not {len(pair)} values"
        raise ConfigError(msg)
    connect, read = (number("timeout", seconds, above=0, error=ConfigError) for seconds in pair)
    return connect, read
