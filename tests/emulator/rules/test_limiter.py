"""The limiter: its formula, its plans and its headers."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.state.limiter import Limiter
from auth0_meta.errors import ConfigError
from auth0_meta.testing import FakeClock

NAMES = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def limits(response: Any) -> list[int] | None:
    """Return the values of the three headers, None if there are none."""
    found = [int(response.headers[name]) for name in NAMES if name in response.headers]
    return found or None


# remaining -> seconds from Date to Reset, as recorded (both bounds, because Date is truncated).
RECORDED = [
    ("10@2", {9: (1, 2), 6: (2, 3), 4: (3, 4), 0: (5, 6)}),
    ("100@0.00115740740740740741", {97: (2592, 2593), 96: (3456, 3457), 95: (4320, 4321), 94: (5184, 5185)}),
    ("50@0.83333333333333333333", {49: (2, 3)}),
    ("10@0.01666666666666666667", {9: (60, 61)}),
    ("10@0.08333333333333333333", {9: (12, 13)}),
]


@pytest.mark.parametrize(("limit", "rows"), RECORDED)
@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.999])
def test_reset_is_the_second_at_which_the_bucket_is_full(
    limit: str, rows: dict[int, tuple[int, int]], fraction: float
) -> None:
    """Reset minus Date matches the recorded rows for each remaining count."""
    now = 1_600_000_000 + fraction
    limiter = Limiter(limit)
    seen = {}
    for _ in range(10):
        verdict = limiter.take("other", now)
        assert verdict is not None
        seen[verdict.remaining] = verdict.reset - math.floor(now)
    for remaining, (low, high) in rows.items():
        assert low <= seen[remaining] <= high


@given(
    burst=st.integers(1, 60),
    per_second=st.floats(0.01, 100),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=80),
    start=st.floats(1.5e9, 1.9e9),
)
def test_the_bucket_never_gives_more_than_burst_plus_refill(
    burst: int, per_second: float, steps: list[float], start: float
) -> None:
    """In any span at most burst + elapsed x rate requests pass, and headers stay in their bounds."""
    limiter = Limiter(SimpleNamespace(burst=burst, per_second=per_second))
    now, passed = start, 0
    for step in steps:
        now += step
        verdict = limiter.take("other", now)
        assert verdict is not None
        passed += verdict.allowed
        assert 0 <= verdict.remaining < burst or not verdict.allowed
        assert math.floor(now) <= verdict.reset <= math.ceil(now + burst / per_second) + 1
        assert passed <= burst + (now - start) * per_second + 1e-3


@given(burst=st.integers(1, 50), per_second=st.sampled_from([2.0, 16.0, 500 / 60, 150 / 60, 3.0, 0.7]))
def test_a_token_is_available_after_exactly_its_refill_time(burst: int, per_second: float) -> None:
    """A caller who waits exactly as long as one token takes is never refused because of a rounding error."""
    limiter = Limiter(SimpleNamespace(burst=burst, per_second=per_second))
    now = 1_800_000_000.0
    for _ in range(burst):
        limiter.take("other", now)
    for _ in range(50):
        refused = limiter.take("other", now)
        assert refused is not None
        assert not refused.allowed
        now += 1 / per_second
        verdict = limiter.take("other", now)
        assert verdict is not None
        assert verdict.allowed


def test_a_429_has_the_recorded_headers_and_takes_no_token(talk: Any, clock: FakeClock) -> None:
    """A 429 has the recorded body and headers, and does not delay the next token."""
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit="2@0.5"))
    user = api.tenant.users.add()
    clock.advance(0.25)
    assert [limits(api.get(user.user_id)) for _ in range(2)] == [[2, 1, 1_800_000_003], [2, 0, 1_800_000_005]]
    for _ in range(3):
        response = api.get(user.user_id)
        assert response.status_code == 429
        assert limits(response) == [2, 0, 1_800_000_005]
        assert "retry-after" not in response.headers
        assert response.json() == {
            "statusCode": 429,
            "error": "Too Many Requests",
            "message": "Global limit has been reached",
            "errorCode": "too_many_requests",
        }
    clock.advance(2)
    assert api.get(user.user_id).status_code == 200
    assert [entry.tokens for entry in api.tenant.journal] == [1, 0, 0, 0, 0, 0]


def test_other_errors_have_no_rate_limit_headers(talk: Any, clock: FakeClock) -> None:
    """400, 401 and 404 have no rate-limit headers, unless the switch adds them; a 404 does take a token."""
    for shown in (False, True):
        switches = Switches(error_rate_headers=shown)
        api = talk(LocalTenant(serve=False, clock=clock, rate_limit="10@2", switches=switches))
        missing, bad = api.get("auth0|gone"), api.get("bad")
        assert (limits(missing), limits(bad)) == (
            ([10, 9, 1_800_000_001], [10, 8, 1_800_000_001]) if shown else (None, None)
        )
        assert [entry.tokens for entry in api.tenant.journal] == [9, 8]
        api.token = None
        assert limits(api.get("auth0|gone")) is None


def test_a_401_takes_a_token_only_by_switch(talk: Any, clock: FakeClock) -> None:
    """The switch limit_before_auth decides whether a 401 takes a token."""
    for switch, left in ((False, 9), (True, 8)):
        switches = Switches(limit_before_auth=switch)
        api = talk(LocalTenant(serve=False, clock=clock, rate_limit="10@2", switches=switches))
        api.token = None
        assert api.list().status_code == 401
        api.token = "x"
        assert limits(api.list()) == [10, left, 1_800_000_001]


def test_off_has_neither_limit_nor_headers(api: Any) -> None:
    """With rate_limit="off" every request passes, and responses have no rate-limit headers."""
    assert {limits(api.list()) is None for _ in range(100)} == {True}
    assert api.tenant.journal[0].tokens is None


def test_essentials_has_three_buckets(talk: Any, clock: FakeClock) -> None:
    """Reads, writes and other requests have separate buckets; the message of the 429 says "Endpoint"."""
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit="essentials"))
    user = api.tenant.users.add()
    assert limits(api.get(user.user_id)) == [40, 39, 1_800_000_001]
    assert limits(api("GET", "/api/v2/users-by-email?email=a")) == [40, 38, 1_800_000_001]
    assert limits(api.patch(user.user_id, {})) == [20, 19, 1_800_000_001]
    assert [api.delete("auth0|x").status_code for _ in range(20)] == [204] * 19 + [429]
    assert api.delete("auth0|x").json()["message"] == "Endpoint limit has been reached"
    assert limits(api.get(user.user_id)) == [40, 37, 1_800_000_001]


@pytest.mark.parametrize(
    ("plan", "burst", "full"),
    [("free", 2, 1), ("enterprise", 50, 4), ("enterprise-dev", 10, 5), ("7@3.5", 7, 2)],
)
def test_every_other_plan_has_one_bucket(
    talk: Any, clock: FakeClock, plan: str, burst: int, full: int
) -> None:
    """Reads and writes share the bucket, which is full again burst / rate seconds after it was emptied."""
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit=plan))
    user = api.tenant.users.add()
    seen = [limits(api.patch(user.user_id, {}) if n % 2 else api.list()) for n in range(burst)]
    assert [row[1] for row in seen if row] == list(range(burst))[::-1]
    assert seen[-1] == [burst, 0, 1_800_000_000 + full]


def test_the_window_strategy_refills_at_once(talk: Any) -> None:
    """All tokens come back at the end of the window, the second that Reset names."""
    clock = FakeClock(start=1_800_000_000.5)
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit="4@2", window=True))
    assert [limits(api.list()) for _ in range(3)] == [
        [4, 3, 1_800_000_002],
        [4, 2, 1_800_000_002],
        [4, 1, 1_800_000_002],
    ]
    clock.advance(1.4)
    assert limits(api.list()) == [4, 0, 1_800_000_002]
    assert api.list().status_code == 429
    clock.advance(0.1)
    assert limits(api.list()) == [4, 3, 1_800_000_004]


def test_retry_after_is_sent_if_requested(talk: Any, clock: FakeClock) -> None:
    """retry_after=True adds the whole seconds until Reset, never 0, to a 429 and to no other response."""
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit="1@0.1", retry_after=True))
    assert "retry-after" not in api.list().headers
    assert api.list().headers["retry-after"] == "10"


def test_the_token_endpoint_has_its_own_bucket(talk: Any, clock: FakeClock) -> None:
    """The bucket of /oauth/token shows in headers of errors too; when it is empty, the response is a 429, or a 500 by a switch."""
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    for status, error in ((429, "too_many_requests"), (500, "access_denied")):
        switches = Switches(token_limit_status=status)  # type: ignore[arg-type]
        api = talk(LocalTenant(serve=False, clock=clock, rate_limit="free", switches=switches))
        first = api("POST", "/oauth/token", data=form)
        assert (first.status_code, limits(first)) == (403, [30, 29, 1_800_000_001])
        last = [api("POST", "/oauth/token", data=form) for _ in range(30)][-1]
        assert last.status_code == status
        assert last.json() == {"error": error, "error_description": "Global limit has been reached"}
        assert limits(api.list()) == [2, 1, 1_800_000_001]


def test_the_clock_may_step_back(talk: Any, clock: FakeClock) -> None:
    """A step back in time neither fills nor blocks the bucket."""
    api = talk(LocalTenant(serve=False, clock=clock, rate_limit="2@1"))
    api.list()
    clock.step(-3600)
    assert limits(api.list()) == [2, 0, 1_799_996_402]
    clock.step(2)
    assert limits(api.list()) == [2, 1, 1_799_996_403]


@pytest.mark.parametrize(
    "value",
    [
        "fast",
        "5",
        "0@1",
        "5@0",
        object(),
        SimpleNamespace(burst="x", per_second=1),
        SimpleNamespace(burst=1, per_second=math.inf),
    ],
)
def test_a_bad_limit_is_refused(value: Any) -> None:
    """An unknown plan or an impossible bucket is a ConfigError."""
    with pytest.raises(ConfigError, match="rate_limit"):
        LocalTenant(serve=False, rate_limit=value)
