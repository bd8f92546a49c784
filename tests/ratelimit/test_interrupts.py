"""An interrupt at any instant leaves no lock taken, nobody in line and no ticket out; a handler that sends gets through."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.interrupts import Interrupt, at_every_line

from auth0_meta import RateLimit
from auth0_meta.clock import Cancelled
from auth0_meta.errors import StateError
from auth0_meta.ratelimit.throttle import Throttle, WouldWait
from auth0_meta.testing import FakeClock

START = 1_800_000_000.0
READ, WRITE = "users read", "users write"


def headers_of(remaining: int, *, limit: int = 10, reset: float = START + 1) -> dict[str, str]:
    """Return the headers of a response at START."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(int(reset)),
        "Date": "Fri, 15 Jan 2027 08:00:00 GMT",
    }


class Work:
    """Something that one thread does with a throttle of its own; keeps the error that ended it."""

    def __init__(self, do: Callable[[Throttle], object], *, before: int) -> None:
        self.throttle = Throttle(
            clock=FakeClock(start=START), random=random.Random(1), rate_limit=RateLimit(10, 10)
        )
        for remaining in range(before - 1, -1, -1):
            self.send(remaining + 10 - before)
        self.error: BaseException | None = None
        self._do = do

    def send(self, remaining: int, status: int = 200, **facts: Any) -> None:
        """Send a request, and get its response."""
        ticket = self.throttle.acquire(WRITE)
        self.throttle.answer(ticket, status=status, headers=headers_of(remaining, **facts))

    def __call__(self) -> None:
        """Do it."""
        try:
            self._do(self.throttle)
        except (Interrupt, WouldWait, Cancelled) as error:
            self.error = error  # and with it all its frames, as somebody might who logs it later


def _exchange(throttle: Throttle, status: int = 200, group: str = WRITE, **facts: Any) -> None:
    ticket = throttle.acquire(group, on_wait=lambda *_: None)
    throttle.answer(ticket, status=status, headers=headers_of(0, **facts))


def _refused(throttle: Throttle) -> None:
    _exchange(throttle, 429, reset=START + 3)
    _exchange(throttle, reset=START + 4)


def _lose(throttle: Throttle) -> None:
    throttle.lost(throttle.acquire(WRITE))


def _part(throttle: Throttle) -> None:
    """Find out that reads and writes have separate buckets, with a request under way."""
    late = throttle.acquire(WRITE)
    _exchange(throttle, group=READ, reset=START + 6)
    throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(9))
    throttle.answer(throttle.acquire("other"), status=200, headers=headers_of(19, limit=20))
    throttle.answer(late, status=200, headers=headers_of(8))


def _give_up(throttle: Throttle) -> None:
    throttle.acquire(WRITE, most=0.01)


def _cancel(throttle: Throttle) -> None:
    event = threading.Event()
    throttle.acquire(WRITE, cancelled=event, on_wait=lambda *_: event.set())


SCENES: dict[str, tuple[Callable[[Throttle], object], int]] = {
    "there are tokens": (_exchange, 3),
    "the bucket is dry": (_exchange, 10),
    "bulk work": (lambda throttle: throttle.lost(throttle.acquire(WRITE, share=0.5)), 8),
    "a 429": (_refused, 10),
    "a lost response": (_lose, 3),
    "a pause": (lambda throttle: throttle.pause(WRITE), 10),
    "two buckets": (_part, 3),
    "too long a wait": (_give_up, 10),
    "a cancelled wait": (_cancel, 10),
}
EVERY = pytest.mark.parametrize(("do", "before"), SCENES.values(), ids=list(SCENES))


def _lanes(throttle: Throttle) -> set[Any]:
    return set(throttle._lanes.values())


_other = ThreadPoolExecutor(1)


def _others_get_through(throttle: Throttle) -> None:
    """Send from another thread, as an application and as bulk work."""

    def send() -> None:
        for share in (None, 0.5):
            ticket = throttle.acquire(WRITE, share=share, most=60.0)
            throttle.answer(ticket, status=200, headers=headers_of(5))

    _other.submit(send).result(3)


@pytest.mark.slow
@EVERY
def test_an_interrupt_at_any_line_leaves_nothing_behind(
    do: Callable[[Throttle], object], before: int
) -> None:
    """No lock is taken, nobody stands in line, and no request is under way without somebody who holds its ticket."""
    lines = 0
    for work, where in at_every_line(lambda: Work(do, before=before), Interrupt, every=3):
        lines += 1
        assert not [turn for lane in _lanes(work.throttle) for turn in lane.turns()], where
        _others_get_through(work.throttle)
        lane = work.throttle._lane(WRITE)
        # The interpreter may keep frames, and so a ticket, if a trace function raises on entry.
        assert lane.bucket.in_flight == len(lane.tickets), where
    assert lines > 10


def test_a_ticket_that_nobody_holds_is_lost() -> None:
    """An interrupt between taking a ticket and noting it costs others nothing."""
    throttle = Throttle(clock=FakeClock(start=START), random=random.Random(1))
    throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(9))
    kept = throttle.acquire(WRITE)
    for _ in range(5):
        throttle.acquire(WRITE)
    assert throttle._lane(WRITE).bucket.in_flight == 2, (
        "the one that is kept, and the last one: nobody has asked since"
    )
    throttle.lost(kept)
    throttle.lost(kept)
    throttle.lost(throttle.acquire(WRITE))
    assert throttle._lane(WRITE).bucket.in_flight == 0


class _Unreleased:
    """The lock of a throttle, which an interrupt keeps from being released, once."""

    def __init__(self, lock: Any) -> None:
        self._lock, self._interrupts = lock, [Interrupt]
        self.release, self._is_owned = lock.release, lock._is_owned

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        if self._interrupts:
            raise self._interrupts.pop()
        self._lock.release()


def test_an_interrupt_before_the_lock_is_released_leaves_it_free() -> None:
    """`with` alone would leave it taken for ever."""
    throttle = Throttle(clock=FakeClock(start=START), random=random.Random(1), rate_limit=RateLimit(10, 10))
    throttle._lock = _Unreleased(throttle._lock)  # type: ignore[assignment]
    with pytest.raises(Interrupt):
        throttle.acquire(WRITE)
    assert not throttle.interrupted()
    _others_get_through(throttle)


class _Interrupting(FakeClock):
    """A clock that is read while the throttle is at work, and calls a handler then, once."""

    handler: Callable[[], object] | None = None

    def monotonic(self) -> float:
        """Call the handler, then return the reading."""
        handler, self.handler = self.handler, None
        if handler is not None:
            handler()
        return super().monotonic()


def test_a_handler_in_the_midst_of_the_throttle_waits_for_nobody() -> None:
    """Its pause is none, and a response that it has lost is noted once somebody asks again."""
    clock = _Interrupting(start=START)
    throttle = Throttle(clock=clock, random=random.Random(1), rate_limit=RateLimit(10, 10))
    lost = [throttle.acquire(WRITE)]
    waited: list[float] = []

    def handle() -> None:
        assert throttle.interrupted()
        waited.append(throttle.pause(WRITE))
        throttle.lost(lost.pop())

    clock.handler = handle
    throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(8))
    assert (waited, clock.slept) == ([0.0], [])
    throttle.lost(throttle.acquire(WRITE))
    assert throttle._lane(WRITE).bucket.in_flight == 0


@pytest.mark.slow
@EVERY
def test_a_signal_handler_that_sends_at_any_line_gets_through(
    do: Callable[[Throttle], object], before: int
) -> None:
    """So does what it interrupts; a handler that would have to wait there is refused at once."""
    sent = refused = 0

    def handle(work: Work) -> None:
        nonlocal sent, refused
        try:
            ticket = work.throttle.acquire(WRITE, on_wait=lambda *_: None)
            work.throttle.answer(ticket, status=200, headers=headers_of(1))
            work.throttle.lost(work.throttle.acquire(WRITE))
            work.throttle.snapshot(WRITE)
        except StateError:
            refused += 1
        else:
            sent += 1

    for work, where in at_every_line(lambda: Work(do, before=before), handle, every=3):
        assert not [turn for lane in _lanes(work.throttle) for turn in lane.turns()], where
        _others_get_through(work.throttle)
        assert {lane.bucket.in_flight for lane in _lanes(work.throttle)} == {0}, where
    assert sent > 5
    assert refused < sent / 2


def test_a_handlers_429_is_waited_out_by_nobody() -> None:
    """In the midst of the throttle its next request is refused until Reset; outside of it things go on as ever."""
    work = Work(_exchange, before=3)
    throttle = work.throttle

    def handle() -> None:
        ticket = throttle.acquire(WRITE)
        seconds = throttle.answer(ticket, status=429, headers=headers_of(0, reset=START + 5))
        assert seconds is not None
        assert seconds > 4
        with pytest.raises(StateError, match="signal handler"):
            throttle.acquire(WRITE)
        with pytest.raises(StateError, match="signal handler"):
            throttle.pause(READ)

    throttle._exclusively(handle)
    work.send(6)
