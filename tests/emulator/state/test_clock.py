"""The tenant's clock can be frozen and advanced, and everything in the tenant follows it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock


def test_it_follows_its_base_clock() -> None:
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


def test_a_frozen_clock_moves_only_by_advance_and_sleep() -> None:
    """Time of the base does not count; sleeps and waits move the clock and block nobody."""
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


def test_it_resumes_where_it_was_frozen() -> None:
    """Neither reading jumps on resume; a running clock can be advanced too."""
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
    """`advance` accepts only finite numbers of 0 or more."""
    with pytest.raises(InputError, match="advance"):
        TenantClock(FakeClock()).advance(seconds)


def test_a_wait_without_a_timeout_waits_until_notified() -> None:
    """This holds whether the clock is frozen or not."""
    clock, condition = TenantClock(FakeClock()), threading.Condition()
    clock.freeze()

    def notify() -> None:
        with condition:
            condition.notify_all()

    with condition:
        threading.Timer(0.01, notify).start()
        assert clock.wait(condition, None) is True


def test_the_whole_tenant_follows_it(talk: Any) -> None:
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


def test_a_client_waits_an_hour_on_a_frozen_clock_in_no_time() -> None:
    """After a 429, the tenant's client waits on the tenant's clock, even over real sockets."""
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
    """After a reset, the tenant follows the clock that it was created with."""
    clock = FakeClock(start=100.0)
    tenant = LocalTenant(serve=False, clock=clock)
    tenant.clock.freeze(at=5.0)
    tenant.reset()
    assert tenant.now() == 100.0


def test_a_reset_does_not_set_monotonic_back() -> None:
    """A client that outlives a reset must not wait for lost time: only `time` goes back."""
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


def test_a_client_does_not_wait_after_a_reset() -> None:
    """A client that was used before a reset of a clock that had jumped continues at once."""
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
def test_a_time_past_the_last_date_is_refused(at: float) -> None:
    """Neither freeze nor advance moves time past the last date that there is; the clock stays unchanged."""
    clock = TenantClock(FakeClock(start=100.0))
    with pytest.raises(InputError, match="freeze takes epoch seconds"):
        clock.freeze(at=at)
    for _ in range(2):
        with pytest.raises(InputError, match="9998"):
            clock.advance(1e300)
        assert clock.time() == 100.0
        clock.freeze()
