"""Describe the requests that came closest to the one that a test expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.rules.matching.path_matching import path_matches

_SHOWN = 3
# Another path or method is a different request; any other difference makes it a near miss.
_FAR = 100


def mismatches(entry: Entry, expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return how a request differs from an expected one, as (expected, actual) by name.

    `expected` may have method, path (as `Journal.requests` takes it), user_id, status and json.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name in ("method", "user_id", "status"):
        if name in expected and getattr(entry, name) != expected[name]:
            found[name] = (expected[name], getattr(entry, name))
    path = expected.get("path")
    if path is not None and not path_matches(path, route=entry.route, path=entry.path):
        found["path"] = (path, entry.path)
    if "json" in expected:
        for inner, pair in differences(expected["json"], entry.body).items():
            found[f"json.{inner}" if inner else "json"] = pair
    return found


def describe_near_misses(
    expected: Mapping[str, Any], times: str, matched: int, entries: Iterable[Entry]
) -> str:
    """Return a message with the expected request, how often it arrived, and the nearest other requests."""
    criteria = ", ".join(f"{name}={value!r}" for name, value in expected.items())
    lines = [f"expected {times} matching ({criteria}), but the journal has {matched}"]
    compared = [(mismatches(entry, expected), entry) for entry in entries]
    misses = sorted((pair for pair in compared if pair[0]), key=lambda pair: _distance(pair[0]))
    for differs, entry in misses[:_SHOWN]:
        lines.append(f"  near miss: {entry.method} {entry.path} -> {entry.status}")
        lines += [f"    {name}: expected {want!r}, got {seen!r}" for name, (want, seen) in differs.items()]
    if not compared:
        lines.append("  the journal is empty")
    return "\n".join(lines)


def _distance(differs: Mapping[str, tuple[Any, Any]]) -> int:
    return len(differs) + _FAR * ("path" in differs) + _FAR * ("method" in differs)
