"""Which headers a single bucket can send, and how two buckets with the same limit are recognized."""

from __future__ import annotations

import random

import pytest
from support.bucket_simulation import EPOCH, Tenant, World

from auth0_meta.clock import Clock
from auth0_meta.ratelimit.headers import RateHeaders
from auth0_meta.ratelimit.shared_buckets import SharedBuckets
from auth0_meta.ratelimit.throttle import Throttle

READ, WRITE = "users read", "users write"
FACTS = RateHeaders(10, 2, 101, 100.0)


class Virtual(Clock):
    """A clock that reads the time of a simulated world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        """Return the world's time."""
        return self._world.now

    def time(self) -> float:
        """Return the world's time as epoch seconds."""
        return EPOCH + self._world.now


class Job:
    """Send a read and then a write for each of `users`, from 16 workers at one throttle, in virtual time."""

    def __init__(self, reads: Tenant, writes: Tenant, *, users: int, share: float | None, seed: int) -> None:
        self.world = World(seed)
        self.throttle = Throttle(clock=Virtual(self.world), random=random.Random(seed))
        self.tenants, self.share = {READ: reads, WRITE: writes}, share
        self.left, self.done, self.refused = users, 0, 0
        for _ in range(16):
            self._next()
        self.world.run(until=1e4, done=lambda: self.done == users)

    def _next(self) -> None:
        if self.left:
            self.left -= 1
            self._ask(READ)

    def _ask(self, group: str) -> None:
        world = self.world
        seconds = self.throttle._lane(group).wait(world.now, self.share, 0)
        if seconds > 0:
            pause = min(seconds, 0.04) * world.random.uniform(1.0, 1.1)
            world.at(world.now + max(pause, 1e-3), lambda: self._ask(group))
            return
        ticket = self.throttle.acquire(group, share=self.share)

        def arrive() -> None:
            ok, headers = self.tenants[group].take(world.now)
            world.at(world.now + world.random.uniform(0.016, 0.024), lambda: back(ok, headers))

        def back(ok: bool, headers: dict[str, str]) -> None:
            self.throttle.answer(ticket, status=200 if ok else 429, headers=headers)
            if not ok:
                self.refused += 1
                self._ask(group)
            elif group == READ:
                self._ask(WRITE)
            else:
                self.done += 1
                self._next()

        world.at(world.now + world.random.uniform(0.016, 0.024), arrive)

    @property
    def shared(self) -> bool:
        """Return whether both groups use one bucket."""
        return self.throttle._lane(READ) is self.throttle._lane(WRITE)


@pytest.mark.parametrize("share", [1.0, None])
def test_two_buckets_with_one_limit_are_told_apart(share: float | None) -> None:
    """Reads and writes with a bucket of ten each are told apart, so that both are used to the full."""
    for seed in range(3):
        job = Job(Tenant(10, 10), Tenant(10, 10), users=200, share=share, seed=seed)
        assert job.world.now <= 1.15 * 19.0
        assert job.refused <= 10
        assert not job.shared


@pytest.mark.parametrize("share", [1.0, 0.5, None])
@pytest.mark.parametrize(
    ("size", "rate", "window"), [(10, 10.0, None), (10, 10.0, 1.0), (50, 16.0, None), (100, 500.0, None)]
)
def test_one_bucket_is_never_taken_for_two(
    size: int, rate: float, window: float | None, share: float | None
) -> None:
    """Nothing that one bucket does looks like two, not even a drip of five bursts a second."""
    for seed in range(3):
        tenant = Tenant(size, rate, window)
        job = Job(tenant, tenant, users=400 if rate > 100 else 60, share=share, seed=seed)
        assert job.shared


@pytest.mark.parametrize(
    ("facts", "contradicted"),
    [
        (FACTS, False),
        (FACTS._replace(remaining=4), True),
        (FACTS._replace(remaining=4, reset=102), False),
        (FACTS._replace(remaining=9, date=99.0), False),
        (FACTS._replace(limit=20, remaining=19), False),
        (FACTS._replace(reset=100), False),
        (FACTS._replace(reset=99), True),
        (FACTS._replace(reset=None), False),
        (RateHeaders(), False),
    ],
)
def test_a_single_bucket_can_send_only_certain_headers(facts: RateHeaders, contradicted: bool) -> None:
    """While Reset stands still, Remaining may rise by a drip; Reset never goes back by more than its rounding."""
    shared = SharedBuckets()
    shared.note(READ, 0.0, 0.02, FACTS, taken=8)
    shared.note(READ, 0.0, 0.02, RateHeaders(), taken=8)
    assert shared.contradiction(WRITE, 0.02, 0.04, facts) == (READ if contradicted else None)
    assert shared.contradiction(WRITE, 0.01, 0.04, facts) is None  # perhaps served before the other
    assert shared.contradiction(READ, 0.02, 0.04, facts) is None


def test_remaining_must_contradict_twice() -> None:
    """A fast drip looks the same at first, but two seconds later its rate is known.  A Reset that contradicts counts at once."""
    shared = SharedBuckets()
    for second in range(4):
        facts = FACTS._replace(reset=101 + second, date=100.0 + second)
        shared.note(READ, second, second + 0.02, facts, taken=8)
        other = facts._replace(remaining=4)
        found = shared.apart_from(WRITE, second + 0.02, second + 0.04, other, taken=8, rate=0.0)
        assert found == (READ if second >= 2 else None)
        assert shared.apart_from(WRITE, second + 0.02, second + 0.04, other, taken=8, rate=99.0) is None
    back = FACTS._replace(reset=101, date=103.0)
    assert shared.apart_from(WRITE, 4.0, 4.1, back, taken=8, rate=99.0) == READ
    assert SharedBuckets().apart_from(WRITE, 4.0, 4.1, back, taken=8, rate=99.0) is None
