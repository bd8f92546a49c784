"""Hold how a run learns what the tenant's usual speed is."""

from __future__ import annotations

from auth0_meta.ratelimit.concurrency import Concurrency


def told(*seconds: float) -> Concurrency:
    """Return what has seen these answers."""
    staffing = Concurrency()
    for one in seconds:
        staffing.answered(one)
    return staffing


def test_before_the_first_answer_anything_is_steady() -> None:
    """Nothing is known yet, so nothing is slow."""
    assert told().usual == float("inf")
    assert told().steady(9.0)


def test_a_few_fast_answers_do_not_count() -> None:
    """Two answers at once among those that take 0.2 s are no measure, first or in between."""
    for seen in ([0.02, 0.02, *[0.2] * 30], [*[0.2] * 40, 0.02, *[0.2] * 10, 0.02]):
        assert told(*seen).steady(0.2)


def test_a_tenant_that_slows_down_is_not_steady() -> None:
    """Answers that take half as long again as usual ask for no more users."""
    assert not told(*[0.2] * 64).steady(0.31)


def test_a_fast_hour_is_forgotten() -> None:
    """What was usual a few hundred answers ago is not what is usual now."""
    assert not told(*[0.1] * 64, *[0.2] * 100).steady(0.2)
    assert told(*[0.1] * 64, *[0.2] * 300).steady(0.2)
