"""The trigger's cache: strings, for a limited time, within Auth0's limits; errors are returned."""

from __future__ import annotations

from typing import Any

import pytest
from support.logins import Login

from auth0_meta.actions import Cache
from auth0_meta.testing import FakeClock

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture
def clock() -> FakeClock:
    """Return the cache's clock."""
    return FakeClock(start=1_000.0)


def test_values_last_15_minutes_by_default(clock: FakeClock) -> None:
    """The earlier of ttl_ms and expires_at_ms counts, rounded down to milliseconds."""
    cache = Cache(clock)
    now = 1_000_000
    ends = [
        cache.set("a", "x").record,
        cache.set("b", "x", ttl_ms=1000.9).record,
        cache.set("c", "x", expires_at_ms=now + 5).record,
        cache.set("d", "x", ttl_ms=10, expires_at_ms=now + 5).record,
        cache.set("e", "x", ttl_ms=24 * HOUR).record,
    ]
    assert [end and end.expires_at - now for end in ends] == [15 * MINUTE, 1000, 5, 5, 24 * HOUR]
    clock.advance(0.005)
    assert [cache.get(key) is None for key in "abcde"] == [False, False, True, True, False]
    clock.advance(15 * 60)
    assert [cache.get(key) is None for key in "abe"] == [True, True, False]


def test_values_are_set_read_and_deleted(clock: FakeClock) -> None:
    """Setting a key again replaces the value; deleting an absent key returns an error; the repr hides the value."""
    cache = Cache(clock)
    assert cache.get("a") is None
    assert cache.set("a", "1").type == cache.set("a", "secret").type == "success"
    record = cache.get("a")
    assert record is not None
    assert record.value == "secret"
    assert "secret" not in repr(record)
    assert cache.delete("a").type == "success"
    result = cache.delete("a")
    assert (result.type, result.code) == ("error", "CacheKeyDoesNotExist")


@pytest.mark.parametrize(
    ("args", "settings", "code"),
    [
        (("k", 5), {}, "FailedToSetCacheRecord"),
        ((5, "v"), {}, "FailedToSetCacheRecord"),
        (("k" * 65, "v"), {}, "CacheKeySizeExceeded"),
        (("å" * 33, "v"), {}, "CacheKeySizeExceeded"),
        (("k", "v" * 4097), {}, "CacheValueSizeExceeded"),
        (("k", "v"), {"ttl_ms": 0}, "ItemAlreadyExpired"),
        (("k", "v"), {"expires_at_ms": 1}, "ItemAlreadyExpired"),
        (("k", "v"), {"ttl_ms": 24 * HOUR + 1}, "InvalidExpiry"),
        (("k", "v"), {"ttl_ms": float("nan")}, "InvalidExpiry"),
    ],
)
def test_errors_are_returned(clock: FakeClock, args: Any, settings: Any, code: str) -> None:
    """The result has Auth0's code; nothing is stored, and nothing is raised."""
    cache = Cache(clock)
    result = cache.set(*args, **settings)
    assert (result.type, result.code, result.record) == ("error", code, None)


def test_the_cache_is_small(clock: FakeClock) -> None:
    """It takes 20 entries and 8 kB in all; what was replaced or has expired does not count."""
    cache = Cache(clock)
    for n in range(20):
        assert cache.set(f"k{n}", "v", ttl_ms=1000).type == "success"
    assert cache.set("more", "v").code == "CacheSizeExceeded"
    assert cache.set("k0", "w").type == "success"
    clock.advance(1)
    assert cache.set("a", "v" * 4000).type == cache.set("b", "v" * 4000).type == "success"
    assert cache.set("c", "v" * 1000).code == "CacheSizeExceeded"
    assert cache.set("b", "v" * 4001).type == "success"


def test_logins_of_a_trigger_share_it() -> None:
    """The next login finds what one has stored, for any user, even if the first one failed."""
    login, found = Login(), []

    def action(event: Any, api: Any) -> None:
        record = api.cache.get("token")
        found.append(record and record.value)
        api.cache.set("token", "abc")
        if record is None:
            raise LookupError

    trigger = login.trigger(action)
    assert not trigger.run(login.event()).allowed
    assert trigger.run(login.event()).allowed
    shared = Cache(login.clock)
    shared.set("token", "shared")
    assert login.run(action, cache=shared).allowed
    assert found == [None, "abc", "shared"]


def test_nonsense_is_returned_as_an_error_and_never_raised() -> None:
    """Keys and times of the wrong type return a code, or None."""
    cache = Cache(FakeClock())
    odd: Any = [1]
    assert cache.get(odd) is None
    assert cache.delete(odd).code == "CacheKeyDoesNotExist"
    assert cache.set(odd, "v").code == "FailedToSetCacheRecord"
    for number in ("5", True, [1]):
        bad: Any = number
        assert cache.set("k", "v", ttl_ms=bad).code == "InvalidExpiry"
        assert cache.set("k", "v", expires_at_ms=bad).code == "InvalidExpiry"
