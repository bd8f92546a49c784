"""How many users a batch or a migration works on at once."""

from __future__ import annotations

import pytest

from auth0_meta.ratelimit.concurrency import MOST_WORKERS, Concurrency


def after(
    *seconds: float,
    fixed: int | None = None,
    waited: float = 0.0,
    per_second: float | None = None,
    overhead: float = 0.0,
) -> Concurrency:
    """Return the concurrency of a run whose users took these seconds, one request each."""
    concurrency = Concurrency(fixed, first=4, overhead=overhead)
    for one in seconds:
        concurrency.answered(one, requests=1, waited=waited, per_second=per_second)
    return concurrency


def test_before_the_first_response_any_tenant_is_steady() -> None:
    """Nothing is known yet, so nothing is slow."""
    assert after().usual == float("inf")
    assert after().steady(9.0)
    assert after().limit == 4


def test_a_few_fast_responses_do_not_count() -> None:
    """Two immediate responses among many of 0.2 s change nothing, at the start or later."""
    for seen in ([0.02, 0.02, *[0.2] * 30], [*[0.2] * 40, 0.02, *[0.2] * 10, 0.02]):
        assert after(*seen).steady(0.2)


def test_a_tenant_that_slows_down_is_not_steady() -> None:
    """If responses take half as long again as usual, no users are added."""
    assert not after(*[0.2] * 64).steady(0.31)


def test_what_was_usual_long_ago_does_not_count() -> None:
    """A few hundred responses later it is no longer what is usual."""
    assert not after(*[0.1] * 64, *[0.2] * 100).steady(0.2)
    assert after(*[0.1] * 64, *[0.2] * 300).steady(0.2)


def test_it_grows_while_the_tenant_keeps_up() -> None:
    """Each steady response without a wait adds one user, up to the maximum."""
    assert after(*[0.2] * 10).limit == 14
    assert after(*[0.2] * 500).limit == MOST_WORKERS


def test_it_stops_growing_when_responses_slow_down() -> None:
    """More users under way would make a slow tenant slower still."""
    assert after(*[0.2] * 10, *[0.4] * 50).limit == 14


def test_twice_the_buckets_rate_is_enough() -> None:
    """Ten requests a second of 0.2 s each keep two users busy; one more on each side, doubled, is the bound."""
    assert after(*[0.2] * 100, per_second=10.0).limit == 6


def test_requests_that_take_no_time_need_few_users() -> None:
    """Past 500 requests a second, more threads only compete for the interpreter."""
    assert after(*[0.002] * 100).limit == 4
    assert after(*[0.02] * 100).limit == 10


def test_users_who_wait_to_be_recorded_count_as_busy() -> None:
    """A user whose requests are done but not yet recorded needs no thread, so more users may be under way meanwhile."""
    assert after(*[0.002] * 100, overhead=0.04).limit == 21
    assert after(*[0.2] * 100, per_second=10.0, overhead=0.1).limit == 8


def test_it_shrinks_while_users_wait() -> None:
    """A wait of more than a second removes one user, down to one; shorter waits don't change the number."""
    assert after(*[0.2] * 2, waited=1.5).limit == 2
    assert after(*[0.2] * 50, waited=1.5).limit == 1
    assert after(*[0.2] * 50, waited=0.5).limit == 4


def test_users_who_cost_less_do_not_count() -> None:
    """A user without a request changes nothing; a user who is not typical can only reduce the number."""
    concurrency = Concurrency(None, first=4)
    concurrency.answered(0.0, requests=0, waited=9.0, per_second=None)
    assert concurrency.limit == 4
    concurrency.answered(0.2, requests=1, waited=0.0, per_second=None, typical=False)
    assert (concurrency.limit, concurrency.usual) == (4, float("inf"))
    concurrency.answered(0.2, requests=1, waited=2.0, per_second=None, typical=False)
    assert concurrency.limit == 3


@pytest.mark.parametrize("waited", [0.0, 5.0])
def test_a_fixed_concurrency_stays(waited: float) -> None:
    """It neither grows nor shrinks."""
    assert after(*[0.2] * 50, fixed=7, waited=waited).limit == 7


def test_a_cap_is_kept() -> None:
    """If the machine has no more threads, the number stays lower for the rest of the run."""
    concurrency = after(*[0.2] * 10)
    concurrency.cap(3)
    assert concurrency.limit == 3
    concurrency.answered(0.2, requests=1, waited=0.0, per_second=None)
    assert concurrency.limit == 3
