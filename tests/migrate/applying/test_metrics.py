"""What a run says of itself: counts, requests a second, the slowest users, the time that is left."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.migrate.applying.metrics import Metrics
from auth0_meta.migrate.applying.task import TaskResult
from auth0_meta.ratelimit.throttle import Snapshot


def result(user_id: str = "a", **facts: Any) -> TaskResult:
    """Return what became of a user for whom two requests were sent."""
    return TaskResult(n=1, user_id=user_id, outcome="done", **{"requests": 2, "patches": 1} | facts)


def test_requests_a_second_are_those_of_the_last_half_minute() -> None:
    """At the beginning, those since then."""
    metrics = Metrics(100.0, total=9, per_user=2)
    assert metrics.per_second(100.0) == 0.0
    metrics.add(result(requests=30), 101.0, outcome="done")
    assert metrics.per_second(110.0) == pytest.approx(3.0)
    metrics.add(result(requests=60), 120.0, outcome="done")
    assert metrics.per_second(130.0) == pytest.approx(3.0)
    assert metrics.per_second(131.0) == pytest.approx(3.0)
    assert metrics.per_second(131.1) == pytest.approx(2.0)
    assert metrics.per_second(151.0) == 0.0


def test_the_time_that_is_left_rests_on_what_a_user_has_cost() -> None:
    """It is unknown for two seconds, and while nobody is done; nobody left takes no time."""
    metrics = Metrics(0.0, total=4, per_user=2)
    metrics.add(result(requests=5), 1.0, outcome=None)
    assert metrics.eta(5.0) is None
    metrics.add(result(requests=5), 1.0, outcome="done")
    assert metrics.eta(1.9) is None
    assert metrics.eta(5.0) == pytest.approx(3 * 10 / 2.0)
    assert metrics.eta(90.0) is None
    for _ in range(5):
        metrics.add(result(), 5.0, outcome="same")
    assert metrics.eta(5.0) == 0.0
    free = Metrics(0.0, total=3, per_user=2)
    free.add(result(requests=0), 0.0, outcome="gone")
    assert free.eta(4.0) is None


def test_counts_and_costs_are_added_up() -> None:
    """A user who is to be dealt with again has cost something and is not done."""
    metrics = Metrics(10.0, total=3, per_user=2)
    metrics.add(result(waited=0.25, refusals=1), 11.0, outcome="done")
    metrics.add(result(), 11.5, outcome="failed")
    metrics.add(result(), 12.0, outcome=None)
    facts = metrics.facts(14.0)
    assert (metrics.done, facts["seconds"], facts["total"]) == (2, 4.0, 3)
    assert facts["counts"] == {"done": 1, "failed": 1}
    assert [facts[name] for name in ("requests", "patches", "refusals", "waited")] == [6, 3, 1, 0.25]


def test_the_slowest_users_are_named_without_their_waits() -> None:
    """At most twenty, the slowest first; a wait for the rate limit is nobody's own."""
    metrics = Metrics(0.0, total=30, per_user=2)
    for n in range(25):
        metrics.add(
            result(f"user {n}", seconds=n + 100.0 * (n % 2), waited=100.0 * (n % 2)), 1.0, outcome="done"
        )
    slowest = metrics.facts(2.0)["slowest"]
    assert slowest == [(float(n), f"user {n}") for n in range(24, 4, -1)]


def test_seconds_are_kept_until_they_are_over() -> None:
    """The present one may still change; the limit is noted where something was done and it is known."""
    metrics = Metrics(10.0, total=9, per_user=2)
    metrics.add(result(), 10.9, outcome="done")
    metrics.note_limit(Snapshot(10, 5, None), 10.9)
    metrics.add(result(waited=0.1234), 11.0, outcome="failed")
    metrics.note_limit(Snapshot(10, 5, 2.00049), 11.5)
    metrics.note_limit(Snapshot(10, 5, 2.0), 12.5)
    new = {"requests": 2, "patches": 1, "refusals": 0, "done": 1, "failed": 0, "waited": 0.0}
    second = new | {"failed": 1, "waited": 0.123, "limit": 2.0}
    assert metrics.ticks(11.5) == {0: new, 1: second}
    assert metrics.ticks(11.6) == {1: second}
    metrics.add(result(), 11.7, outcome=None)
    (present,) = metrics.ticks(12.0).values()
    assert (present["requests"], present["done"]) == (4, 1)
    assert metrics.ticks(12.0) == {}
