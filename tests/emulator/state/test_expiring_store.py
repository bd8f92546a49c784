"""Codes and sessions are kept until they expire, and whoever has the key can take them once."""

from __future__ import annotations

from auth0_meta.emulator.state.logins import ExpiringStore


def test_an_expired_value_is_gone() -> None:
    """A value is found until just before its end; its memory is free once many more have been stored."""
    kept = ExpiringStore[str]()
    kept.put("first", until=10.0, now=0.0, key="a")
    assert kept.get("a", now=9.9) == "first"
    assert kept.get("a", now=10.0) is None
    kept.put("second", until=30.0, now=20.0, key="b")
    for _ in range(100):
        kept.put("more", until=30.0, now=20.0)
    assert kept.get("a", now=0.0) is None
    assert kept.take("b", now=30.0) is None
    assert kept.take("b", now=20.0) is None


def test_keys_can_not_be_guessed() -> None:
    """Each key has 256 random bits."""
    kept = ExpiringStore[int]()
    keys = {kept.put(n, until=1.0, now=0.0) for n in range(50)}
    assert len(keys) == 50
    assert {len(key) for key in keys} == {43}
