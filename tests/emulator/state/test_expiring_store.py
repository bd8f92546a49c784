"""Codes and sessions are kept until they expire, and taken once by whoever has the key."""

from __future__ import annotations

from auth0_meta.emulator.state.logins import ExpiringStore


def test_what_has_ended_is_gone_and_forgotten() -> None:
    """A value lives up to its end and not at it; the next one pushes it out."""
    kept = ExpiringStore[str]()
    kept.put("first", until=10.0, now=0.0, key="a")
    assert kept.get("a", now=9.9) == "first"
    assert kept.get("a", now=10.0) is None
    kept.put("second", until=30.0, now=20.0, key="b")
    assert kept.get("a", now=0.0) is None
    assert kept.take("b", now=30.0) is None
    assert kept.take("b", now=20.0) is None


def test_keys_are_not_to_be_guessed() -> None:
    """Each has 256 bits of its own."""
    kept = ExpiringStore[int]()
    keys = {kept.put(n, until=1.0, now=0.0) for n in range(50)}
    assert len(keys) == 50
    assert {len(key) for key in keys} == {43}
