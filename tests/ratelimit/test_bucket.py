"""What a bucket learns from responses, and the figures that it reaches against simulated tenants.

The simulations are exact and seeded (see tests/support/bucket_simulation.py): a figure that gets worse is a defect.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bucket_simulation import EPOCH, Application, Client, Tenant, World

from auth0_meta import RateLimit
from auth0_meta.ratelimit.bucket import Bucket, RefillRate
from auth0_meta.ratelimit.headers import RateHeaders, ServerClock

FACTS = RateHeaders(10, 9, int(EPOCH) + 1, EPOCH)


def exchange(
    bucket: Bucket, now: float, facts: RateHeaders = FACTS, *, refused: bool = False
) -> float | None:
    """Send one request at `now`, and receive its response at once."""
    return bucket.answered(bucket.sent(now), now, facts, refused=refused, wall=EPOCH + now, jitter=0.0)


def run(
    size: int,
    rate: float,
    jobs: int,
    *,
    window: float | None = None,
    threads: int = 8,
    latency: float = 0.05,
    share: float | None = 1.0,
    seed: int = 1,
    skew: float = 0.0,
    offset: float = 0.0,
    drop: float = 0.0,
    headers: str = "all",
    bucket: Bucket | None = None,
    at: dict[float, Callable[[Tenant], None]] | None = None,
) -> tuple[float, Client]:
    """Run one client alone; return its time, less two round trips, as a multiple of the ideal time, and the client."""
    world = World(seed)
    tenant = Tenant(size, rate, window, offset=offset + 0.171 * seed, headers=headers)
    client = Client(
        world,
        tenant,
        jobs=jobs,
        threads=threads,
        share=share,
        latency=latency,
        skew=skew,
        drop=drop,
        bucket=bucket,
    )
    for when, change in (at or {}).items():
        world.at(when, lambda change=change: change(tenant))  # type: ignore[misc]
    world.run(until=1e6, done=lambda: client.done >= jobs)
    assert client.done == jobs, "a request was lost"
    return client.finished / ((jobs - size) / rate + 2 * latency), client


# ---- alone on a bucket

SLIDING = [
    # size, rate, jobs, threads, latency
    (2, 2, 60, 8, 0.05),
    (2, 1 / 60, 20, 8, 0.05),
    (5, 1 / 60, 40, 8, 0.05),
    (10, 2, 100, 8, 0.05),
    (10, 2.5, 100, 8, 0.05),
    (10, 10, 200, 8, 0.05),
    (10, 10, 200, 8, 0.2),
    (20, 200 / 60, 120, 8, 0.05),
    (40, 500 / 60, 300, 8, 0.05),
    (50, 16, 400, 8, 0.05),
    (50, 1000 / 60, 400, 8, 0.05),
    (100, 100, 2000, 32, 0.02),
    (100, 500, 4000, 64, 0.02),
    (250, 250, 3000, 64, 0.1),
    (1000, 500, 6000, 64, 0.05),
]


@pytest.mark.parametrize("share", [1.0, None])
@pytest.mark.parametrize(("size", "rate", "jobs", "threads", "latency"), SLIDING)
def test_a_client_alone_on_a_sliding_bucket_is_close_to_the_ideal(
    size: int, rate: float, jobs: int, threads: int, latency: float, share: float | None
) -> None:
    """Bulk work that takes everything, and plain threads: no 429, at most 1.02 x the ideal time, and nothing configured."""
    for seed in range(3):
        ratio, client = run(size, rate, jobs, threads=threads, latency=latency, share=share, seed=seed)
        assert client.refused == 0
        assert ratio <= 1.02


@pytest.mark.parametrize(
    ("size", "window", "jobs", "threads", "latency"),
    [
        (2, 1.0, 200, 8, 0.05),
        (10, 1.0, 400, 8, 0.05),
        (10, 1.0, 400, 8, 0.2),
        (100, 1.0, 3000, 32, 0.05),
        (60, 6.0, 600, 8, 0.05),
        (50, 60.0, 400, 8, 0.05),
    ],
)
def test_a_client_alone_on_a_fixed_window_is_close_to_the_ideal(
    size: int, window: float, jobs: int, threads: int, latency: float
) -> None:
    """In any phase at most 1 % is refused, and the mean time is at most 1.03 x the ideal."""
    ratios = []
    for seed in range(6):
        ratio, client = run(
            size, size / window, jobs, window=window, threads=threads, latency=latency, seed=seed
        )
        assert client.refused <= 0.01 * jobs
        assert client.bucket.window
        assert client.bucket.per_second == pytest.approx(size / window)
        ratios.append(ratio)
    assert sum(ratios) / len(ratios) <= 1.03


@pytest.mark.parametrize("wrong", [30.0, -30.0, 3600.0, -3600.0])
@pytest.mark.parametrize(("size", "window"), [(10, None), (10, 1.0), (50, None)])
def test_a_wrong_clock_changes_nothing(size: int, window: float | None, wrong: float) -> None:
    """A clock that is wrong by half a minute or an hour changes neither the time nor the requests."""
    right = run(size, 10, 200, window=window)[1]
    skewed = run(size, 10, 200, window=window, skew=wrong)[1]
    moved = run(size, 10, 200, window=window, offset=wrong)[1]
    if window is None:
        assert right.log == skewed.log
    assert skewed.finished == pytest.approx(right.finished, rel=0.01)
    assert moved.finished == pytest.approx(right.finished, rel=0.01)
    assert max(skewed.refused, moved.refused) <= 2


@pytest.mark.parametrize("known", [RateLimit(10, 10), RateLimit(10, 40), RateLimit(50, 10), RateLimit(10, 2)])
def test_headers_correct_a_configured_limit(known: RateLimit) -> None:
    """The right plan costs nothing; a wrong one is corrected within a few refusals."""
    ratio, client = run(10, 10, 200, bucket=Bucket(known))
    assert ratio <= 1.15
    assert client.refused <= (0 if known == RateLimit(10, 10) else 45)
    assert client.bucket.limit == 10


# ---- with other clients


@pytest.mark.parametrize(
    ("size", "rate"), [(10, 10), (10, 2), (20, 200 / 60), (40, 500 / 60), (50, 16), (100, 100)]
)
def test_bulk_work_is_a_good_neighbor(size: int, rate: float) -> None:
    """At the default share, alongside an application that uses 30 %, the application's calls succeed and bulk work gets 0.85 of the rest."""
    calls = refused = 0
    for seed in range(4):
        world = World(seed)
        tenant = Tenant(size, rate, offset=0.171 * seed)
        application = Application(world, tenant, rate=0.3 * rate, seed=seed)
        client = Client(world, tenant, jobs=1e9, threads=32 if rate > 50 else 8, share=0.5)
        seconds = 600 / rate
        world.run(until=seconds)
        left = size / 2 + rate * seconds - application.accepted
        assert client.done >= 0.85 * left
        assert client.refused <= 1
        calls, refused = calls + application.accepted, refused + application.refused
    assert refused <= 0.003 * calls


@pytest.mark.parametrize(("size", "window"), [(60, 6.0), (50, 60.0)])
def test_bulk_work_is_a_good_neighbor_in_a_fixed_window(size: int, window: float) -> None:
    """The floor falls with the time that is left, so both find their tokens."""
    for seed in range(3):
        world = World(seed)
        tenant = Tenant(size, size / window, window, offset=0.171 * seed)
        application = Application(world, tenant, rate=0.3 * size / window, seed=seed)
        client = Client(world, tenant, jobs=1e9, share=0.5)
        world.run(until=20 * window)
        assert client.done >= 0.8 * (20 * size - application.accepted)
        assert application.refused <= 0.01 * application.accepted
        assert client.refused <= 0.01 * client.done


@pytest.mark.parametrize("size", [5, 10, 20, 50, 100])
@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_four_clients_share_a_tenant(size: int, rate: float) -> None:
    """Four clients at the default share: at most 1 % is refused, 0.85 of the limit is used, and none starves."""
    world = World(size)
    tenant = Tenant(size, rate)
    clients = [Client(world, tenant, jobs=1e9, share=0.5, start=0.013 * n) for n in range(4)]
    seconds = 1000 / rate
    world.run(until=seconds)
    done = [client.done for client in clients]
    assert sum(done) >= 0.85 * (rate * seconds + size)
    assert sum(client.refused for client in clients) <= 0.01 * sum(done)
    assert min(done) >= 0.1 * sum(done)


# The goals of the other buckets can't be met here: the bounds are what was measured, with a margin on both sides.
CROWDED = [
    # size, rate, window: four clients' part of the limit and their refusals; one client's part alongside an application
    # and the refusals of that
    (10, 10, 1.0, (0.91, 1.0), (0.03, 0.07), (0.75, 0.85), (0.005, 0.03)),  # 0.956, 0.049; 0.803, 0.013
    (2, 2, None, (0.8, 0.9), (0.3, 0.42), (0.55, 0.7), (0.15, 0.3)),  # 0.853, 0.364; 0.621, 0.234
]


@pytest.mark.parametrize(("size", "rate", "window", "used", "refused", "bulk", "calls"), CROWDED)
def test_four_clients_share_a_small_or_windowed_bucket(
    size: int,
    rate: float,
    window: float | None,
    used: tuple[float, float],
    refused: tuple[float, float],
    bulk: tuple[float, float],
    calls: tuple[float, float],
) -> None:
    """Four clients at the default share, and one alongside an application, on a window of a second or on only two tokens."""
    accepted = declined = done = missed = called = left = 0.0
    for seed in range(10):
        world = World(seed)
        tenant = Tenant(size, rate, window, offset=0.171 * seed)
        clients = [Client(world, tenant, jobs=1e9, share=0.5, start=0.013 * n) for n in range(4)]
        world.run(until=40)
        accepted, declined = accepted + tenant.accepted, declined + tenant.refused
        assert window is None or all(client.bucket.window for client in clients)
        world = World(seed)
        tenant = Tenant(size, rate, window, offset=0.171 * seed)
        application = Application(world, tenant, rate=0.3 * rate, seed=seed)
        client = Client(world, tenant, jobs=1e9, share=0.5)
        world.run(until=40)
        done, left = done + client.done, left + size / 2 + rate * 40 - application.accepted
        called, missed = called + application.accepted, missed + application.refused
    assert used[0] <= accepted / (rate * 400) <= used[1]
    assert refused[0] <= declined / accepted <= refused[1]
    assert bulk[0] <= done / left <= bulk[1]
    assert calls[0] <= missed / called <= calls[1]


def test_four_greedy_clients_still_finish() -> None:
    """Four clients that each take everything lose nothing and keep the tenant busy."""
    for share in (1.0, None):
        world = World(4)
        tenant = Tenant(10, 10.0)
        clients = [Client(world, tenant, jobs=200, share=share) for _ in range(4)]
        world.run(until=400, done=lambda clients=clients: all(c.done == 200 for c in clients))  # type: ignore[misc]
        assert [client.done for client in clients] == [200] * 4
        assert world.now <= 2 * 79


# ---- faults


@pytest.mark.parametrize("size", [2, 10, 50])
@pytest.mark.parametrize("headers", ["no date", "none"])
def test_a_client_copes_with_missing_headers(size: int, headers: str) -> None:
    """Without Date it still learns the rate; without any header only the gate helps, and all requests succeed."""
    ratio, client = run(size, 10, 200, headers=headers)
    assert ratio <= (1.2 if size > 2 or headers == "no date" else 4.0)
    if headers == "no date":
        assert client.refused <= 2


@pytest.mark.parametrize("size", [2, 10, 50])
def test_a_client_copes_with_dropped_connections(size: int) -> None:
    """With 5 % of the responses lost, all requests succeed; each loss costs a token and little more."""
    ratio, client = run(size, min(10, size), 300, drop=0.05)
    assert client.dropped
    assert ratio <= 1.05 + 1.5 * client.dropped / 300
    assert client.refused <= 3


def _double(tenant: Tenant) -> None:
    tenant.size *= 2


def _halve(tenant: Tenant) -> None:
    tenant.size //= 2
    tenant.tokens = min(tenant.tokens, tenant.size)


def _faster(tenant: Tenant) -> None:
    tenant.rate *= 2


def _slower(tenant: Tenant) -> None:
    tenant.rate /= 2


def _vanish(tenant: Tenant) -> None:
    tenant.headers = "none"


def _empty(tenant: Tenant) -> None:
    tenant.tokens = 0.0


def _later(tenant: Tenant) -> None:
    tenant.offset += 3600


def _earlier(tenant: Tenant) -> None:
    tenant.offset -= 3600


@pytest.mark.parametrize("window", [None, 1.0])
@pytest.mark.parametrize("change", [_double, _halve, _faster, _slower, _vanish, _empty, _later, _earlier])
def test_a_client_copes_with_changes_in_mid_run(
    change: Callable[[Tenant], None], window: float | None
) -> None:
    """Limit, rate, headers, content or the server's clock change at 5 s: all requests succeed in time."""
    ratio, client = run(10, 10, 300, window=window, at={5.0: change})
    slow = 2.0 if change in (_slower, _halve) else 1.2
    assert ratio <= slow
    assert client.refused <= (30 if change is _vanish else 4)


def test_a_storm_of_refusals_costs_few_requests() -> None:
    """For four seconds everything is refused."""

    def storm(tenant: Tenant) -> None:
        tenant.deaf_until = tenant.at + 4.0

    ratio, client = run(10, 10, 300, at={5.0: storm})
    assert ratio <= 1 + 6 / 29
    assert client.refused <= 12


def test_a_hidden_limit_falls_back_to_the_gate() -> None:
    """A 429 with tokens left comes from a limit that the headers don't show: the client waits until Reset and learns nothing."""
    bucket = Bucket()
    exchange(bucket, 0.0)
    closed = exchange(bucket, 1.0, RateHeaders(10, 8, int(EPOCH) + 3, EPOCH + 1), refused=True)
    assert closed == pytest.approx(2.05)
    assert bucket.wait(1.0) == pytest.approx(2.05)
    assert bucket.wait(3.1) == 0.0
    assert (bucket.remaining, bucket.window) == (8, False)


# ---- the rules one by one


def test_the_first_request_goes_alone() -> None:
    """With nothing known one request is sent; the others wait for its response, for at most a second."""
    bucket = Bucket()
    assert bucket.wait(0.0) == 0.0
    sent = bucket.sent(0.0)
    assert bucket.wait(0.25) == 0.75
    assert bucket.wait(1.0) == 0.0
    bucket.answered(sent, 0.3, FACTS, refused=False, wall=EPOCH, jitter=0.0)
    assert bucket.wait(0.3) == 0.0


def test_visible_tokens_are_never_withheld() -> None:
    """Interactive calls go at once while Remaining, less the requests under way, shows a token."""
    bucket = Bucket()
    exchange(bucket, 0.0)
    for _ in range(9):
        assert bucket.wait(0.0) == 0.0
        bucket.sent(0.0)
    assert bucket.wait(0.0) > 0.0


def test_without_headers_bulk_is_not_limited() -> None:
    """On a tenant that shows no bucket, such as a local one, only the first request goes alone."""
    bucket = Bucket()
    nothing = RateHeaders(None, None, None, None)
    exchange(bucket, 0.0, nothing)
    for _ in range(20):
        assert bucket.wait(0.0, share=0.5) == 0.0
        bucket.sent(0.0)


def test_bulk_work_keeps_its_floor() -> None:
    """At share 0.3 of 10 tokens, seven stay for others; slow start sends one, then two at a time."""
    bucket = Bucket()
    exchange(bucket, 0.0)
    assert bucket.wait(0.0, share=0.3) == 0.0
    first = bucket.sent(0.0)
    assert bucket.wait(0.0, share=0.3) > 0.0
    assert bucket.wait(0.0) == 0.0
    bucket.answered(first, 0.0, FACTS._replace(remaining=8), refused=False, wall=EPOCH, jitter=0.0)
    assert bucket.wait(0.0, share=0.3) == 0.0
    exchange(bucket, 0.0, FACTS._replace(remaining=7))
    assert bucket.wait(0.0, share=0.3) > 0.0
    assert bucket.wait(0.0, share=0.4) == 0.0


def test_a_share_of_nothing_still_gets_the_overflow() -> None:
    """However small its share, bulk work goes when the bucket is full."""
    bucket = Bucket(RateLimit(2, 2))
    assert bucket.wait(0.0, share=0.01) == 0.0
    bucket.sent(0.0)
    assert bucket.wait(0.0, share=0.01) > 0.0


def test_the_gate_opens_for_one_then_two_then_more() -> None:
    """After a 429 nothing is sent before the gate opens; then one request, and one more for each response."""
    bucket = Bucket(RateLimit(10, 10))
    sent = [bucket.sent(0.0) for _ in range(4)]
    empty = RateHeaders(10, 0, int(EPOCH) + 2, EPOCH)
    for one in sent:
        assert bucket.answered(one, 0.1, empty, refused=True, wall=EPOCH + 0.1, jitter=0.0) == pytest.approx(
            2.05
        )
    assert bucket.wait(0.1) == pytest.approx(2.05)
    assert bucket.wait(2.2) == 0.0
    scout = bucket.sent(2.2)
    assert bucket.wait(2.2) > 0.0
    bucket.answered(scout, 2.2, FACTS._replace(date=EPOCH + 2), refused=False, wall=EPOCH, jitter=0.0)
    bucket.sent(2.2)
    assert bucket.wait(2.2) == 0.0
    bucket.sent(2.2)
    assert bucket.wait(2.2) > 0.0


def test_refusals_of_one_moment_count_once() -> None:
    """Eight requests that are refused together count as one refusal: the shortest wait of 1 s is not doubled eight times."""
    bucket = Bucket(RateLimit(10, 10))
    now = RateHeaders(10, 0, int(EPOCH), EPOCH)
    waits = []
    for start in (0.0, 5.0, 10.0):
        sent = [bucket.sent(start) for _ in range(8)]
        for one in sent:
            bucket.answered(one, start + 0.1, now, refused=True, wall=EPOCH, jitter=0.0)
        waits.append(bucket.wait(start + 0.1))
    assert waits == pytest.approx([1.05, 2.05, 4.05])
    exchange(bucket, 20.0)
    exchange(bucket, 20.0, now, refused=True)
    assert bucket.wait(20.0) == pytest.approx(1.05)


def test_the_count_stays_right_after_lost_responses() -> None:
    """A lost response frees its request's slot, and its token counts as taken."""
    bucket = Bucket()
    exchange(bucket, 0.0)
    before = bucket.in_flight
    sent = [bucket.sent(0.0) for _ in range(9)]
    for one in (*sent[:4], sent[0]):  # the same loss twice is one loss
        bucket.lost(one)
    assert bucket.in_flight == before + 5
    assert bucket.wait(0.0) > 0.0
    bucket.keep_flights(sent[4:6])
    assert bucket.in_flight == 2
    bucket.keep_flights()
    assert bucket.in_flight == 0


@pytest.mark.parametrize(
    ("size", "per_second", "rows"),
    [
        (10, 2.0, [(9, 1), (6, 3), (3, 5), (0, 6)]),
        (100, 1 / 864, [(97, 2592), (96, 3456), (95, 4321), (94, 5185), (81, 16024)]),
        (10, 1 / 60, [(9, 60)]),
        (10, 5 / 60, [(9, 13)]),
        (20, 10 / 60, [(19, 7)]),
        (50, 50 / 60, [(49, 2)]),
    ],
)
def test_recorded_traffic_never_overstates_the_rate(
    size: int, per_second: float, rows: list[tuple[int, int]]
) -> None:
    """No recorded pair of Remaining and Reset - Date puts the rate above its true value."""
    for remaining, ahead in rows:
        bucket = Bucket()
        exchange(bucket, 0.0, RateHeaders(size, remaining, int(EPOCH) + ahead, EPOCH))
        found = bucket.per_second or 0.0
        assert found <= per_second * 1.0005  # 4321 s is 5 x 864 s, rounded up
        if remaining < size - 1:
            assert found >= per_second * (size - remaining - 1) / (size - remaining) * (ahead - 1) / (
                ahead + 1
            )


@given(
    rate=st.floats(0.02, 200),
    steps=st.lists(
        st.tuples(st.floats(0, 2), st.floats(0, 0.3), st.floats(0, 1), st.integers(0, 3)), max_size=60
    ),
)
def test_a_rise_never_overstates_the_rate(rate: float, steps: list[tuple[float, float, float, int]]) -> None:
    """Whatever the delays and whatever others take, pairs of responses bound the rate from below."""
    refill, tenant, now, taken = RefillRate(), Tenant(50, rate), 0.0, 0
    for pause, latency, where, others in steps:
        now += pause
        sent, now = now, now + latency
        for _ in range(others):
            tenant.take(sent)
        ok, headers = tenant.take(sent + where * latency)
        remaining = int(headers["X-RateLimit-Remaining"])
        taken += ok
        refill.learn(sent, now, remaining + taken, min(remaining + 1, 49 if ok else 1) + taken)
        assert refill.rate <= rate * (1 + 1e-6)


@given(
    offset=st.floats(-1e6, 1e6),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1),
)
def test_the_servers_clock_stays_in_its_bounds(
    offset: float, steps: list[tuple[float, float, float, float]]
) -> None:
    """Date, rounded down to the second and up to a second late, bounds the server's clock from both sides."""
    clock, now = ServerClock(), 0.0
    for pause, latency, where, trail in steps:
        now += pause
        date = float(int(1e9 + offset + now + where * latency - trail))
        clock.learn(date, now, now + latency)
        now += latency
        assert clock.least - 1e-6 <= 1e9 + offset <= clock.most + 1e-6


def test_the_bounds_begin_again_after_the_servers_clock_is_set() -> None:
    """They fit its new time."""
    clock = ServerClock()
    clock.learn(1000.0, 0.0, 0.1)
    clock.learn(9000.0, 1.0, 1.1)
    assert clock.least <= 9000.0 <= clock.most + 1.0


def test_a_changed_limit_discards_the_rate() -> None:
    """Another Limit means another bucket."""
    bucket = Bucket(RateLimit(10, 10))
    exchange(bucket, 0.0, RateHeaders(50, 49))
    assert (bucket.limit, bucket.remaining, bucket.per_second) == (50, 49, None)


def test_an_unknown_dry_bucket_is_tried_once_a_second() -> None:
    """Without Reset and rate, it is tried when it would be full at a refill of a burst per second."""
    bucket = Bucket()
    exchange(bucket, 0.0, RateHeaders(5, 0))
    assert bucket.wait(0.0) == pytest.approx(1.0)
    assert bucket.wait(1.0) == 0.0
    bucket.sent(1.0)
    assert bucket.wait(1.0) == pytest.approx(1.0)


def test_a_headerless_429_empties_the_estimate() -> None:
    """A 429 without headers backs off, and the bucket counts as empty after it."""
    bucket = Bucket(RateLimit(10, 10))
    exchange(bucket, 0.0)
    assert exchange(bucket, 0.1, RateHeaders(), refused=True) == 0.5
    assert bucket.wait(0.6) == 0.0  # the refill of half a second
    unknown = Bucket()
    assert exchange(unknown, 0.0, RateHeaders(), refused=True) == 0.5
    exchange(unknown, 0.5, RateHeaders())
    unknown.sent(0.6)
    assert unknown.wait(0.6) == 0.0
    unknown.sent(0.6)
    assert unknown.wait(0.6) > 0.0


def test_a_response_of_the_last_window_is_ignored() -> None:
    """A response that was overtaken by one from the next window says nothing about that window."""
    world = World(3)
    tenant = Tenant(10, 10, 1.0)
    client = Client(world, tenant, jobs=100)
    world.run(done=lambda: client.bucket.window and tenant.tokens == 0)
    bucket, now = client.bucket, world.now
    here = EPOCH + int(now)
    late = bucket.sent(now)
    exchange(bucket, now + 1.0, RateHeaders(10, 9, int(here) + 2, here + 1))
    bucket.answered(
        late, now + 1.1, RateHeaders(10, 0, int(here) + 1, here), refused=False, wall=0.0, jitter=0.0
    )
    assert bucket.wait(now + 1.1) == 0.0


def test_a_reset_with_another_meaning_is_ignored() -> None:
    """A Reset that is always a minute ahead means neither that the bucket is full nor that a window ends."""
    bucket = Bucket()

    def minute(now: float, remaining: int) -> None:
        exchange(bucket, now, RateHeaders(10, remaining, int(EPOCH + now) + 60, EPOCH + int(now)))

    for remaining in (9, 5, 0):
        minute(0.1, remaining)
    assert bucket.window  # so far it looks like a window
    minute(20.0, 9)
    assert not bucket.window
    for remaining in (8, 5, 0):
        minute(20.1, remaining)
    assert not bucket.window
    assert bucket.wait(20.1) <= 1.0


def test_a_caller_behind_others_never_slips_through() -> None:
    """With the rate unknown, a caller behind others has to wait."""
    bucket = Bucket()
    exchange(bucket, 0.0, RateHeaders(5, 0))
    assert bucket.wait(9.0) == 0.0
    assert bucket.wait(9.0, ahead=1) > 0.0


# ---- cases that used to get stuck


@pytest.mark.parametrize(("size", "rate", "share"), [(2, 2, 0.5), (2, 10, 0.5), (10, 10, 0.1)])
def test_bulk_work_that_waits_for_a_full_bucket_still_learns_the_rate(
    size: int, rate: float, share: float
) -> None:
    """A full bucket shows no rise, so bulk work comes a little earlier each time it finds the bucket full."""
    for seed in range(6):
        assert run(size, rate, 60, share=share, seed=seed)[0] <= 3.0


def test_responses_without_headers_do_not_keep_a_low_rate() -> None:
    """If most users are gone, their 404s show no bucket: a rate that was learned from one response must not stay."""
    world = World(1)
    tenant = Tenant(50, 1000 / 60)
    client = Client(world, tenant, jobs=400, share=0.5, latency=0.02)
    world.at(0.03, lambda: _vanish(tenant))
    world.run(until=1e4, done=lambda: client.done == 400)
    assert client.finished <= 50
    assert client.refused <= 20


def test_a_simulation_continues_where_it_was_stopped() -> None:
    """An event after the end of one run is the first of the next."""
    world, seen = World(), list[float]()
    world.at(2.0, lambda: seen.append(world.now))
    world.run(until=1.0)
    assert (world.now, seen) == (1.0, [])
    world.run(until=5.0)
    assert seen == [2.0]
