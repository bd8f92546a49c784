"""Who waits at a bucket, for how long and in which order, and which waits a caller may refuse."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from auth0_meta import RateLimit
from auth0_meta.clock import SYSTEM_CLOCK, Cancelled
from auth0_meta.errors import ConfigError
from auth0_meta.ratelimit.throttle import Snapshot, Throttle, WouldWait
from auth0_meta.testing import FakeClock

START = 1_800_000_000.0
WRITE, READ = "users write", "users read"


def headers_of(limit: int = 10, remaining: int = 9, reset: float = START + 1) -> dict[str, str]:
    """Return the headers of a response at START."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(int(reset)),
        "Date": "Fri, 15 Jan 2027 08:00:00 GMT",
    }


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that starts at START."""
    return FakeClock(start=START)


@pytest.fixture
def throttle(clock: FakeClock) -> Throttle:
    """Return a throttle that knows nothing."""
    return Throttle(clock=clock, random=random.Random(1))


def closed_for(throttle: Throttle, group: str) -> float:
    """Return the seconds until a group's gate opens, 0.0 if it is open."""
    try:
        throttle.pause(group, most=0.0)
    except WouldWait as would:
        return would.seconds if would.closed else 0.0
    return 0.0


def exchange(throttle: Throttle, group: str = WRITE, *, status: int = 200, **facts: int) -> float | None:
    """Send one request and receive its response."""
    ticket = throttle.acquire(group)
    return throttle.answer(ticket, status=status, headers=headers_of(**facts))


@contextmanager
def thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run `work` in a thread during the block, and join it afterwards."""
    runner = threading.Thread(target=work, daemon=True)
    runner.start()
    yield runner
    runner.join(5)
    assert not runner.is_alive()


def until(condition: Callable[[], object]) -> None:
    """Wait until another thread has made the condition true."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_nobody_waits_while_tokens_show(throttle: Throttle, clock: FakeClock) -> None:
    """While Remaining shows tokens, `on_wait` is not called."""
    for remaining in (9, 8, 7):
        assert exchange(throttle, remaining=remaining) is None
    ticket = throttle.acquire(WRITE, most=0.0, on_wait=lambda *_: pytest.fail("on_wait was called"))
    assert (ticket.waited, ticket.group, clock.slept) == (0.0, WRITE, [])


def test_a_429_closes_the_gate_until_reset(throttle: Throttle, clock: FakeClock) -> None:
    """All callers of the bucket wait until Reset and 50 to 250 ms more; `answer` returns how long."""
    exchange(throttle)
    seconds = exchange(throttle, status=429, remaining=0, reset=int(START) + 3)
    assert seconds is not None
    assert 3.05 <= seconds <= 3.25
    assert closed_for(throttle, WRITE) == pytest.approx(seconds)
    waits: list[tuple[str, float]] = []
    ticket = throttle.acquire(WRITE, on_wait=lambda *wait: waits.append(wait))
    assert waits == [("rate limit", pytest.approx(seconds))]
    assert ticket.waited == pytest.approx(seconds)
    assert clock.time() == pytest.approx(START + seconds)


def _date(epoch: float) -> str:
    return formatdate(int(epoch), usegmt=True)


class _Server:
    """A server whose clock is ahead of the local one by `skew`: what it answers now, `latency` there and back."""

    def __init__(self, throttle: Throttle, clock: FakeClock, skew: float, latency: float) -> None:
        self._throttle, self._clock, self._skew, self._latency = throttle, clock, skew, latency

    def now(self) -> float:
        return self._clock.time() + self._skew

    def exchange(self, group: str, status: int = 200, form: str = "reset") -> float:
        """Send a request and get its response, a 429 for two seconds; return the instant that it names."""
        ticket = self._throttle.acquire(group)
        self._clock.advance(self._latency / 2)
        at = math.ceil(self.now() + 2) if status == 429 else math.ceil(self.now())
        found = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0" if status == 429 else "9"}
        found["Date"] = _date(self.now())
        found |= {"Retry-After": _date(at)} if form == "date" else {"X-RateLimit-Reset": str(at)}
        self._clock.advance(self._latency / 2)
        self._throttle.answer(ticket, status=status, headers=found)
        return at

    def resent(self, group: str) -> float:
        """Return when the request that was refused reaches the server again."""
        self._throttle.acquire(group)
        return self.now() + self._latency / 2


SKEWS = (
    -3600.0,
    -61.0,
    -5.0,
    -1.4,
    -1.0,
    -0.75,
    -0.5,
    -0.3,
    -0.2,
    -0.1,
    0.0,
    0.1,
    0.2,
    0.5,
    0.9,
    1.3,
    2.0,
    60.0,
    3600.0,
)


@pytest.mark.parametrize("form", ["reset", "date"])
@pytest.mark.parametrize("skew", SKEWS)
def test_a_request_is_never_resent_before_reset_by_the_servers_clock(skew: float, form: str) -> None:
    """It arrives within 1.6 s after Reset on first contact, and within half a second once responses have bounded the clock.

    The responses may have come for another group, and from another bucket.
    """
    rng = random.Random(skew)
    for n in range(60):
        for warm in (False, True):
            clock = FakeClock(start=START + rng.random())
            throttle = Throttle(clock=clock, random=random.Random(n), rate_limit="essentials")
            server = _Server(throttle, clock, skew, latency=0.02 * rng.random())
            for _ in range(40 if warm else 0):
                server.exchange(READ)
                clock.advance(rng.random())
            at = server.exchange(WRITE, 429, form)
            assert 0.0 <= server.resent(WRITE) - at <= (0.5 if warm else 1.6)


def test_a_wait_that_would_pass_most_is_refused_at_once(throttle: Throttle, clock: FakeClock) -> None:
    """The error is raised before the wait and says how long it would be; nobody has slept, and no token was taken."""
    exchange(throttle)
    exchange(throttle, status=429, remaining=0, reset=int(START) + 4 * 3600)
    for call in (throttle.acquire, throttle.pause):
        with pytest.raises(WouldWait) as caught:
            call(WRITE, most=60.0)
        assert caught.value.seconds == pytest.approx(14_400, abs=1)
    assert clock.slept == []
    clock.advance(14_401)
    assert throttle.acquire(WRITE, most=0.0).waited == 0.0


def test_most_limits_the_whole_wait(throttle: Throttle, clock: FakeClock) -> None:
    """This holds even if the gate moves further away in mid-wait."""
    exchange(throttle)
    first, second = throttle.acquire(WRITE), throttle.acquire(WRITE)
    throttle.answer(first, status=429, headers=headers_of(remaining=0, reset=START + 3))

    def moves_away(*_: object) -> None:
        throttle.answer(second, status=429, headers=headers_of(remaining=0, reset=START + 20))

    with pytest.raises(WouldWait) as caught:
        throttle.acquire(WRITE, most=5.0, on_wait=moves_away)
    assert 20.05 <= caught.value.seconds <= 20.25
    assert clock.slept == []


def test_an_unknown_bucket_refuses_nobody(throttle: Throttle) -> None:
    """Before the first response a caller who may not wait goes at once; one who may wait does so for up to a second."""
    first = throttle.acquire(WRITE)
    second = throttle.acquire(WRITE, most=0.0)
    assert (first.waited, second.waited) == (0.0, 0.0)
    assert throttle.acquire(WRITE).waited == pytest.approx(1.0)


def test_a_dry_bucket_lets_one_caller_through_per_token(clock: FakeClock) -> None:
    """At a known bucket that is empty, each caller waits for the next token; the reason is pacing."""
    throttle = Throttle(clock=clock, random=random.Random(1), rate_limit=RateLimit(2, 4))
    waits: list[tuple[str, float]] = []
    for remaining in (1, 0):
        throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(2, remaining))
    for _ in range(4):
        throttle.acquire(WRITE, on_wait=lambda *wait: waits.append(wait))
    assert [reason for reason, _ in waits] == ["pacing"] * 4
    assert clock.monotonic() == pytest.approx(1.0)
    with pytest.raises(WouldWait):
        throttle.acquire(WRITE, most=0.1)


def test_bulk_work_leaves_its_floor(throttle: Throttle) -> None:
    """It waits at its floor, where an interactive caller still goes."""
    exchange(throttle, remaining=6)
    ticket = throttle.acquire(WRITE, share=0.5, most=0.0)
    throttle.answer(ticket, status=200, headers=headers_of(remaining=5))
    with pytest.raises(WouldWait):
        throttle.acquire(WRITE, share=0.5, most=0.0)
    assert throttle.acquire(WRITE, most=0.0).waited == 0.0


def test_a_pause_takes_no_token(throttle: Throttle, clock: FakeClock) -> None:
    """It waits as a request would."""
    exchange(throttle)
    exchange(throttle, status=429, remaining=0, reset=int(START) + 2)
    assert 2.05 <= throttle.pause(WRITE) <= 2.25
    assert throttle.pause(WRITE) == 0.0
    assert throttle.acquire(WRITE, most=0.0).waited == 0.0


def test_cancelled_callers_leave_the_line(throttle: Throttle, clock: FakeClock) -> None:
    """A set event ends the wait, in the line or before it, and no token is taken."""
    exchange(throttle)
    exchange(throttle, status=429, remaining=0, reset=int(START) + 3600)
    event = threading.Event()

    def stop(*_: object) -> None:
        event.set()

    with pytest.raises(Cancelled):
        throttle.acquire(WRITE, on_wait=stop, cancelled=event)
    with pytest.raises(Cancelled):
        throttle.acquire(WRITE, cancelled=event)
    assert clock.slept == []
    assert throttle.acquire(READ, cancelled=threading.Event()).waited == 0.0


@pytest.mark.parametrize("share", [None, 1.0])
def test_an_urgent_caller_goes_first(share: float | None) -> None:
    """A write whose read is getting old goes before those who already wait in its line."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(1, 4))
    throttle.answer(throttle.acquire(WRITE, share=share), status=200, headers=headers_of(1, 0))
    order: list[str] = []
    waiting = threading.Semaphore(0)

    def go(name: str, *, urgent: bool) -> None:
        def say(*_: object) -> None:
            waiting.release()

        ticket = throttle.acquire(WRITE, share=share, urgent=urgent, on_wait=say)
        order.append(name)
        throttle.lost(ticket)

    with thread(lambda: go("first", urgent=False)):
        assert waiting.acquire(timeout=5)
        with thread(lambda: go("second", urgent=False)):
            assert waiting.acquire(timeout=5)
            with thread(lambda: go("urgent", urgent=True)):
                assert waiting.acquire(timeout=5)
    assert order == ["urgent", "first", "second"]


def test_a_waiting_caller_is_cancelled_soon(clock: FakeClock) -> None:
    """A caller with an event checks it every 0.1 s, at the head of the line and behind."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1))
    exchange(throttle)
    headers = headers_of(remaining=0) | {"Retry-After": "600"}
    throttle.answer(throttle.acquire(WRITE), status=429, headers=headers)
    event, ended = threading.Event(), []

    def wait() -> None:
        with pytest.raises(Cancelled):
            throttle.acquire(WRITE, cancelled=event)
        ended.append(time.monotonic())

    with thread(wait), thread(wait):
        time.sleep(0.05)
        assert not ended
        event.set()
        start = time.monotonic()
    assert max(ended) - start < 1.0


def test_an_error_in_on_wait_frees_the_line(throttle: Throttle, clock: FakeClock) -> None:
    """The error reaches the caller, and the next caller is not blocked."""
    exchange(throttle)
    exchange(throttle, status=429, remaining=0, reset=int(START) + 2)

    def fail(*_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        throttle.acquire(WRITE, on_wait=fail)
    assert throttle.acquire(WRITE).waited > 2.0


def test_groups_with_one_limit_share_a_bucket(throttle: Throttle) -> None:
    """Reads and writes that show the same limit share a bucket: a 429 for one closes both."""
    exchange(throttle, READ, limit=50, remaining=49)
    exchange(throttle, WRITE, limit=50, remaining=48)
    exchange(throttle, WRITE, limit=50, remaining=0, status=429, reset=int(START) + 2)
    assert closed_for(throttle, READ) > 2.0


def test_groups_with_different_limits_have_separate_buckets(throttle: Throttle) -> None:
    """With the buckets of Essentials, a 429 for writes delays no read."""
    exchange(throttle, READ, limit=40, remaining=39)
    exchange(throttle, WRITE, limit=20, remaining=19)
    exchange(throttle, WRITE, limit=20, remaining=0, status=429, reset=int(START) + 2)
    assert throttle.snapshot(READ) == Snapshot(40, 39, throttle.snapshot(READ).per_second)
    assert closed_for(throttle, READ) == 0.0
    assert closed_for(throttle, WRITE) > 2.0


def test_a_shared_bucket_splits_when_a_limit_differs(clock: FakeClock) -> None:
    """If a plan names one bucket, a group that shows another limit still gets its own."""
    throttle = Throttle(clock=clock, random=random.Random(1), rate_limit="enterprise")
    exchange(throttle, READ, limit=50, remaining=49)
    ticket = throttle.acquire(WRITE)
    throttle.answer(ticket, status=429, headers=headers_of(20, 0, START + 2))
    assert (throttle.snapshot(READ).limit, throttle.snapshot(WRITE).limit) == (50, 20)
    assert closed_for(throttle, READ) == 0.0
    exchange(throttle, "other", limit=20, remaining=3)
    assert closed_for(throttle, "other") > 0.0


def test_groups_that_contradict_each_other_have_separate_buckets(throttle: Throttle) -> None:
    """If writes show a full bucket just after reads showed an empty one, there are two buckets in spite of the same limit."""
    exchange(throttle, READ, limit=50, remaining=3)
    exchange(throttle, WRITE, limit=50, remaining=49)
    assert (throttle.snapshot(READ).remaining, throttle.snapshot(WRITE).remaining) == (3, 49)
    exchange(throttle, "other", limit=50, remaining=2)
    assert (throttle.snapshot(READ).remaining, throttle.snapshot("other").remaining) == (2, 2)


def test_a_bucket_that_turns_out_to_be_two_is_split(clock: FakeClock) -> None:
    """A Reset that goes back shows this: requests under way move to their own bucket, and the gate stays closed."""
    throttle = Throttle(clock=clock, random=random.Random(1), rate_limit="50@10")
    exchange(throttle, "token")
    late = throttle.acquire(WRITE)
    lost = throttle.acquire(WRITE)
    exchange(throttle, READ, limit=50, remaining=0, reset=int(START) + 6)
    exchange(throttle, READ, limit=50, remaining=0, reset=int(START) + 6, status=429)
    closed = closed_for(throttle, WRITE)
    assert closed > 5.0
    clock.sleep(closed)
    exchange(throttle, WRITE, limit=50, remaining=48)
    assert throttle.snapshot(READ).limit is None
    assert throttle.snapshot(WRITE).remaining == 48
    throttle.answer(late, status=200, headers=headers_of(50, 47))
    throttle.lost(lost)
    assert throttle.snapshot(WRITE).remaining == 47
    exchange(throttle, READ, limit=50, remaining=49)
    exchange(throttle, "other", limit=50, remaining=48)
    assert [throttle.snapshot(group).remaining for group in (WRITE, READ, "other")] == [47, 48, 48]
    throttle.answer(throttle.acquire(WRITE), status=429, headers=headers_of(50, 0, START + 9))
    assert closed_for(throttle, READ) == 0.0


def test_a_bucket_begins_again_if_its_limit_changes(throttle: Throttle) -> None:
    """This goes for the bucket of the only group."""
    exchange(throttle, limit=10)
    exchange(throttle, limit=50, remaining=49)
    assert throttle.snapshot(WRITE)[:2] == (50, 49)


def test_the_token_endpoint_has_its_own_bucket(throttle: Throttle) -> None:
    """`/oauth/token` belongs to another API and never shares a bucket with the Management API."""
    exchange(throttle, WRITE, limit=30, remaining=29)
    exchange(throttle, "token", limit=30, remaining=0, status=429, reset=int(START) + 2)
    assert closed_for(throttle, WRITE) == 0.0
    assert closed_for(throttle, "token") > 2.0


def test_waiters_move_to_their_groups_bucket() -> None:
    """A caller who waits for the first response of a bucket moves to the right one when it comes."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1))
    exchange(throttle, READ, limit=10, remaining=9)
    first = throttle.acquire(WRITE)
    passed: list[float] = []
    with thread(lambda: passed.append(throttle.acquire(WRITE).waited)):
        time.sleep(0.05)
        assert not passed
        throttle.answer(first, status=200, headers=headers_of(10, 8))
    assert passed[0] < 0.9


def test_lines_are_fair() -> None:
    """Callers leave in the order in which they came, one for each token, and interactive ones before bulk work."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(2, 8))
    for _ in range(2):
        throttle.acquire(WRITE)
    order: list[int] = []

    def stand(number: int, waits: threading.Event) -> None:
        throttle.acquire(WRITE, share=1.0 if number < 2 else None, on_wait=lambda *_: waits.set())
        order.append(number)

    threads = []
    for number in range(6):
        waits = threading.Event()
        threads.append(threading.Thread(target=stand, args=(number, waits), daemon=True))
        threads[-1].start()
        assert waits.wait(5)
    for one in threads:
        one.join(5)
    assert order == [2, 3, 4, 5, 0, 1]


# ---- several callers in one line


def closes_for(seconds: int) -> dict[str, str]:
    """Return the headers of a 429 that closes the gate for `seconds`."""
    return headers_of(remaining=0) | {"Retry-After": str(seconds)}


@pytest.fixture
def dry() -> Throttle:
    """Return a throttle in real time whose bucket is empty and gets a token every five seconds."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(10, 0.2))
    for remaining in range(9, -1, -1):
        headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": str(remaining)}
        throttle.answer(throttle.acquire(WRITE), status=200, headers=headers)
    return throttle


def queue(throttle: Throttle) -> list[object]:
    """Return the callers in line."""
    lane = throttle._lane(WRITE)
    return [*lane.interactive, *lane.bulk]


@pytest.mark.parametrize("share", [None, 1.0])
def test_a_follower_learns_at_once_that_the_gate_has_closed(share: float | None) -> None:
    """Another caller's 429 closes the gate for a minute: the second in line, who may wait 12 s, is refused at once."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(10, 0.2))
    tickets = [throttle.acquire(WRITE) for _ in range(10)]  # under way; the bucket is known to be dry
    event, refused = threading.Event(), []

    def head() -> None:
        with pytest.raises(Cancelled):
            throttle.acquire(WRITE, share=share, cancelled=event)

    def follower() -> None:
        with pytest.raises(WouldWait) as caught:
            throttle.acquire(WRITE, share=share, most=12.0)
        refused.append((time.monotonic(), caught.value))

    with thread(head):
        until(lambda: len(queue(throttle)) == 1)
        with thread(follower):
            until(lambda: len(queue(throttle)) == 2)
            time.sleep(0.05)
            assert not refused
            closed = time.monotonic()
            throttle.answer(tickets[0], status=429, headers=closes_for(60))
        event.set()
    at, error = refused[0]
    assert at - closed < 0.5
    assert error.closed
    assert error.seconds > 59


def test_a_follower_may_refuse_a_wait_too(dry: Throttle) -> None:
    """`most` also counts behind others: two tokens away, at five seconds each, is more than seven seconds."""
    event = threading.Event()

    def head() -> None:
        with pytest.raises(Cancelled):
            dry.acquire(WRITE, cancelled=event)

    with thread(head):
        until(lambda: queue(dry))
        start = time.monotonic()
        with pytest.raises(WouldWait) as caught:
            dry.acquire(WRITE, most=7.0)
        assert time.monotonic() - start < 0.5
        event.set()
    assert not caught.value.closed
    assert 9.0 <= caught.value.seconds <= 10.0


def test_a_follower_checks_again_without_being_woken(dry: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that is slow to leave keeps its follower waiting past the bound only until the next check."""
    monkeypatch.setattr("auth0_meta.ratelimit.throttle.LOOK_AGAIN", 0.1)
    event, refused = threading.Event(), []
    lane = dry._lane(WRITE)

    def head() -> None:
        with pytest.raises(Cancelled):
            dry.acquire(WRITE, cancelled=event)

    def follower() -> None:
        with pytest.raises(WouldWait):
            dry.acquire(WRITE, most=12.0)
        refused.append(time.monotonic())

    with thread(head):
        until(lambda: len(queue(dry)) == 1)
        with thread(follower):
            until(lambda: len(queue(dry)) == 2)
            changed = time.monotonic()
            with dry._lock:
                lane.bucket.closed_until = (
                    changed + 60
                )  # as if the estimate had changed and nobody had been notified
        event.set()
    assert refused[0] - changed < 0.5


@pytest.mark.parametrize("share", [None, 1.0])
def test_urgent_callers_leave_in_the_order_in_which_they_came(share: float | None) -> None:
    """Each passes callers who are not urgent; among them, the one with the oldest read goes first."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(1, 10))
    empty = {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0"}
    throttle.answer(throttle.acquire(WRITE, share=share), status=200, headers=empty)
    order: list[str] = []

    def go(name: str) -> None:
        ticket = throttle.acquire(WRITE, share=share, urgent=name.startswith("urgent"))
        order.append(name)
        throttle.answer(ticket, status=200, headers=empty)

    names = ["plain 0", "urgent 1", "plain 2", "urgent 3", "urgent 4", "plain 5"]
    with throttle._lock:  # all of them are in line before the first may go
        throttle._lane(WRITE).bucket.closed_until = time.monotonic() + 0.5
    threads = []
    for waiting, name in enumerate(names, 1):
        threads.append(threading.Thread(target=go, args=(name,), daemon=True))
        threads[-1].start()
        until(lambda: len(queue(throttle)) == waiting)  # noqa: B023  # used in this turn only
    for one in threads:
        one.join(10)
        assert not one.is_alive()
    assert order == ["urgent 1", "urgent 3", "urgent 4", "plain 0", "plain 2", "plain 5"]


def test_on_wait_may_use_its_own_client() -> None:
    """A request from inside `on_wait` succeeds, and then its caller continues from its place in line."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1), rate_limit=RateLimit(1, 20))
    throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(1, 0))
    reasons: list[str] = []

    def nested(reason: str, _: float) -> None:
        reasons.append(reason)
        throttle.answer(throttle.acquire(WRITE), status=200, headers=headers_of(1, 0))

    done: list[float] = []
    with thread(lambda: done.append(throttle.acquire(WRITE, on_wait=nested).waited)):
        pass
    assert reasons == ["pacing"]
    assert done[0] >= 0.08  # two tokens at 20 a second
    assert not queue(throttle)


def test_time_spent_in_on_wait_counts(throttle: Throttle, clock: FakeClock) -> None:
    """The time that the callback takes is part of the wait that `most` limits."""
    exchange(throttle)
    exchange(throttle, status=429, remaining=0, reset=int(START) + 10)

    def dawdle(*_: object) -> None:
        exchange(throttle, status=429, remaining=0, reset=int(START) + 30)

    with pytest.raises(WouldWait):
        throttle.acquire(WRITE, most=15.0, on_wait=dawdle)
    assert not queue(throttle)


def test_a_response_wakes_the_callers_that_wait_for_it() -> None:
    """Callers behind the first request leave as soon as its response shows tokens."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1))
    first = throttle.acquire(WRITE)
    passed: list[float] = []
    with thread(lambda: passed.append(throttle.acquire(WRITE).waited)):
        time.sleep(0.05)
        throttle.answer(first, status=200, headers=headers_of())
    assert passed[0] < 0.9


def test_a_lost_response_wakes_the_callers_that_wait_for_it() -> None:
    """If the first request is lost, the next one leaves at once and alone."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1))
    first = throttle.acquire(WRITE)
    passed: list[float] = []
    with thread(lambda: passed.append(throttle.acquire(WRITE).waited)):
        time.sleep(0.05)
        throttle.lost(first)
    assert passed[0] < 0.9
    assert throttle.snapshot(WRITE).limit is None


def test_eight_threads_keep_the_pace_in_real_time() -> None:
    """On 30 tokens at 30 a second, 75 requests take the ideal 1.5 s, and none is refused."""
    throttle = Throttle(clock=SYSTEM_CLOCK, random=random.Random(1))
    size, rate = 30, 30.0
    lock = threading.Lock()
    state = {"tokens": float(size), "at": time.monotonic(), "left": 75, "refused": 0}

    def take() -> tuple[int, dict[str, str]]:
        with lock:
            now = time.monotonic()
            state["tokens"] = min(size, state["tokens"] + (now - state["at"]) * rate)
            state["at"] = now
            ok = state["tokens"] >= 1
            state["tokens"] -= ok
            state["refused"] += not ok
            wall = time.time()
            reset = -int(-(wall + (size - state["tokens"]) / rate) // 1)
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(wall))
            return (200 if ok else 429), headers_of(size, int(state["tokens"]), reset) | {"Date": date}

    def work() -> None:
        while True:
            with lock:
                if not state["left"]:
                    return
                state["left"] -= 1
            status = 429
            while status == 429:
                ticket = throttle.acquire(WRITE)
                time.sleep(0.005)
                status, headers = take()
                throttle.answer(ticket, status=status, headers=headers)

    start = time.monotonic()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
        assert not one.is_alive()
    assert state["refused"] <= 1
    assert 1.4 <= time.monotonic() - start <= 2.9


def test_renew_discards_requests_under_way(throttle: Throttle) -> None:
    """Requests of the parent get no response in the child, so nobody waits for them."""
    throttle.acquire(WRITE)
    throttle.renew()
    assert throttle.acquire(WRITE).waited == 0.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_held_at_a_fork_does_not_stop_the_child() -> None:
    """If another thread holds the lock at a fork, the child works after `renew`, with what was learned."""
    clock = FakeClock(start=START)
    throttle = Throttle(clock=clock, random=random.Random(1))
    exchange(throttle)
    inside, leave = threading.Event(), threading.Event()
    steady = clock.monotonic

    def stuck() -> float:
        inside.set()
        leave.wait(10)
        return steady()

    clock.monotonic = stuck  # type: ignore[method-assign]
    with thread(lambda: throttle.acquire(WRITE)):
        assert inside.wait(5)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # forking while threads run is what this tests
            child = os.fork()
        if child == 0:  # pragma: no cover  # another process
            clock.monotonic = steady  # type: ignore[method-assign]
            throttle.renew()
            fine = throttle.snapshot(WRITE).limit == 10 and throttle.acquire(WRITE, most=0.0).waited == 0.0
            os._exit(0 if fine else 1)
        leave.set()
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0)


def test_bad_rate_limits_are_refused(clock: FakeClock) -> None:
    """A plan that does not exist fails before anything is sent."""
    with pytest.raises(ConfigError):
        Throttle(clock=clock, random=random.Random(1), rate_limit="gold")


def test_plans_decide_which_groups_share_a_bucket(clock: FakeClock) -> None:
    """Essentials starts with three buckets, the other plans with one."""
    essentials = Throttle(clock=clock, random=random.Random(1), rate_limit="essentials")
    assert [essentials.snapshot(group).limit for group in (READ, WRITE, "other")] == [40, 20, 10]
    enterprise = Throttle(clock=clock, random=random.Random(1), rate_limit="enterprise")
    enterprise.answer(enterprise.acquire(READ), status=429, headers={})
    assert closed_for(enterprise, WRITE) > 0.0
    assert enterprise.snapshot("token") == Snapshot(None, None, None)
    assert closed_for(enterprise, "token") == 0.0


def test_a_wait_without_a_timeout_ends_when_it_is_notified() -> None:
    """The fake clock's wait does not end before that."""
    clock, condition, met = FakeClock(start=5.0), threading.Condition(), []

    def wait() -> None:
        with condition:
            met.append(clock.wait(condition, None))

    with thread(wait):
        until(lambda: condition._waiters)  # type: ignore[attr-defined]
        assert not met
        with condition:
            condition.notify()
    assert met == [True]
    assert clock.time() == 5.0


def test_a_closed_gate_has_its_own_bound(throttle: Throttle) -> None:
    """`most_closed` counts while the gate is closed, and the error says so; `most` counts for pacing."""
    exchange(throttle, status=429, remaining=0, reset=int(START) + 5)
    with pytest.raises(WouldWait) as caught:
        throttle.acquire("users write", most=60, most_closed=1)
    assert caught.value.closed
    assert throttle.acquire("users write", most=60).waited >= 5


def test_with_one_token_a_closed_gate_counts_as_pacing(throttle: Throttle) -> None:
    """If the bucket holds one token, the caller's own read has closed the gate, so `most` counts."""
    exchange(throttle, status=429, limit=1, remaining=0, reset=int(START) + 5)
    with pytest.raises(WouldWait) as caught:
        throttle.acquire("users write", most=2, most_closed=1)
    assert not caught.value.closed
    assert throttle.acquire("users write", most=60, most_closed=1).waited >= 5
