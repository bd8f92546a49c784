"""The tenant's clock stands still, jumps, and drives everything else."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock


def test_it_runs_with_the_clock_behind_it() -> None:
    """Until it is frozen, it reads, sleeps and waits as its base does."""
    base = FakeClock(start=100.0, monotonic=5.0)
    clock = TenantClock(base)
    base.advance(2)
    clock.sleep(1)
    condition = threading.Condition()
    with condition:
        assert clock.wait(condition, 3) is False
    assert (clock.time(), clock.monotonic(), base.slept, clock.frozen) == (106.0, 11.0, [1, 3], False)
    assert "running at 106" in repr(clock)


def test_frozen_it_moves_only_when_told_or_slept_on() -> None:
    """The base may run: a frozen clock stands; sleeps and waits on it move it and block nobody."""
    base = FakeClock(start=100.0)
    clock = TenantClock(base)
    clock.freeze()
    base.advance(50)
    assert (clock.time(), clock.monotonic()) == (100.0, 0.0)
    clock.sleep(3600)
    clock.sleep(-1)
    condition = threading.Condition()
    with condition:
        assert clock.wait(condition, 10) is False
    clock.advance(1)
    assert (clock.time(), clock.monotonic(), base.slept) == (3711.0, 3611.0, [])
    clock.freeze(at=5.0)
    assert (clock.time(), clock.monotonic()) == (5.0, 3611.0)
    assert "frozen at 5.0" in repr(clock)


def test_it_resumes_from_where_it_stands() -> None:
    """Neither reading jumps on resume; running on, it can be advanced too."""
    base = FakeClock(start=100.0)
    clock = TenantClock(base)
    clock.resume()
    clock.freeze()
    clock.advance(10)
    base.advance(1000)
    clock.resume()
    assert (clock.time(), clock.monotonic()) == (110.0, 10.0)
    base.advance(1)
    clock.advance(5)
    assert (clock.time(), clock.monotonic()) == (116.0, 16.0)
    clock.reset()
    assert (clock.time(), clock.monotonic()) == (1101.0, 16.0)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_it_never_steps_back(seconds: float) -> None:
    """advance takes finite numbers from 0 on."""
    with pytest.raises(InputError, match="advance"):
        TenantClock(FakeClock()).advance(seconds)


def test_a_wait_without_a_bound_is_a_real_one() -> None:
    """Frozen or not, waiting until notified waits until notified."""
    clock, condition = TenantClock(FakeClock()), threading.Condition()
    clock.freeze()

    def notify() -> None:
        with condition:
            condition.notify_all()

    with condition:
        threading.Timer(0.01, notify).start()
        assert clock.wait(condition, None) is True


def test_it_drives_the_tenant(talk: Any) -> None:
    """Refill, Reset, token expiry, updated_at, jobs and the index follow one frozen clock."""
    tenant = LocalTenant(serve=False, rate_limit="2@2", jobs="60 seconds", index_lag=5)
    tenant.clock.freeze(at=1_800_000_000)
    api = talk(tenant, token=tenant.token(expires_in=100))
    made = api.create(email="ann@example.com")
    assert made.json()["updated_at"] == "2027-01-15T08:00:00.000Z"
    assert (made.headers["x-ratelimit-remaining"], made.headers["x-ratelimit-reset"]) == ("1", "1800000001")
    assert api.list(q="email:ann@example.com").json() == []
    assert api.list().status_code == 429
    tenant.clock.advance(5)
    assert len(api.list(q="email:ann@example.com").json()) == 1
    job = api("POST", "/api/v2/jobs/users-exports", json={}).json()["id"]
    tenant.clock.advance(60)
    assert tenant.jobs[job].status == "pending"
    assert api("GET", f"/api/v2/jobs/{job}").json()["status"] == "completed"
    tenant.clock.advance(35)
    assert api.list().json()["message"].startswith("Expired token")


def test_a_frozen_hour_costs_a_client_nothing() -> None:
    """The tenant's client waits out a 429 on the tenant's clock, over real sockets."""
    started = time.monotonic()
    with LocalTenant() as tenant:
        tenant.clock.freeze()
        user = tenant.users.add()
        tenant.fail(method="PATCH", status=429, reset=600)
        with tenant.client() as client, client.transaction(user.user_id) as tx:
            tx.user_metadata["a"] = 1
        assert 599 <= tx.result.waited < 602
    assert time.monotonic() - started < 5


def test_a_reset_lets_time_run_again() -> None:
    """A tenant starts over with the clock that it was given."""
    clock = FakeClock(start=100.0)
    tenant = LocalTenant(serve=False, clock=clock)
    tenant.clock.freeze(at=5.0)
    tenant.reset()
    assert tenant.now() == 100.0


def test_monotonic_never_goes_back_over_a_reset() -> None:
    """A client that outlives a reset must not wait for lost time: only `time` returns."""
    base = FakeClock(start=100.0, monotonic=5.0)
    clock = TenantClock(base)
    clock.advance(3600)
    clock.reset()
    assert (clock.time(), clock.monotonic()) == (100.0, 3605.0)
    clock.freeze()
    clock.advance(60)
    clock.reset()
    base.advance(1)
    assert (clock.time(), clock.monotonic(), clock.frozen) == (101.0, 3666.0, False)


def test_a_reset_costs_a_client_no_wait() -> None:
    """A client used before and after a reset of a clock that had jumped goes on at once."""
    base = FakeClock(start=1_800_000_000.0)
    tenant = LocalTenant(serve=False, rate_limit="free", clock=base, users=[{"user_id": "auth0|1"}])
    with tenant.client() as client:
        client.users.get("auth0|1")
        tenant.clock.advance(80_000)
        tenant.fail(status=429, reset=1)
        client.users.get("auth0|1")
        tenant.reset()
        for _ in range(4):
            client.users.get("auth0|1")
    assert sum(base.slept) < 10


@pytest.mark.parametrize("at", [-1.0, 253_402_300_800.0, float("inf"), float("nan")])
def test_a_moment_that_no_date_can_say_is_refused(at: float) -> None:
    """Neither freeze nor advance moves time past the last date; it stays unchanged."""
    clock = TenantClock(FakeClock(start=100.0))
    with pytest.raises(InputError, match="freeze takes epoch seconds"):
        clock.freeze(at=at)
    for _ in range(2):
        with pytest.raises(InputError, match="9998"):
            clock.advance(1e300)
        assert clock.time() == 100.0
        clock.freeze()
