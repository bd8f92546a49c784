"""Tell a test that looked for a request in vain which one came closest, and what was different."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.rules.path_matching import addressed

_SHOWN = 3
# A request of another kind altogether is no near miss.
_FAR = 100


def mismatches(entry: Entry, wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what of a request differs from what is wanted, (wanted, seen) by name.

    `wanted` may have method, path (as `Journal.requests` takes it), user_id, status and json.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name in ("method", "user_id", "status"):
        if name in wanted and getattr(entry, name) != wanted[name]:
            found[name] = (wanted[name], getattr(entry, name))
    path = wanted.get("path")
    if path is not None and not addressed(path, route=entry.route, path=entry.path):
        found["path"] = (path, entry.path)
    if "json" in wanted:
        for inner, pair in differences(wanted["json"], entry.body).items():
            found[f"json.{inner}" if inner else "json"] = pair
    return found


def story(wanted: Mapping[str, Any], times: str, matched: int, entries: Iterable[Entry]) -> str:
    """Write what was expected, how often it came, and the nearest other requests."""
    said = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
    lines = [f"expected {times} of ({said}), the journal has {matched}"]
    misses = [(mismatches(entry, wanted), entry) for entry in entries]
    near = sorted((miss for miss in misses if miss[0]), key=lambda miss: _distance(miss[0]))
    for differs, entry in near[:_SHOWN]:
        lines.append(f"  near: {entry.method} {entry.path} -> {entry.status}")
        lines += [f"    {name}: wanted {want!r}, was {seen!r}" for name, (want, seen) in differs.items()]
    if not misses:
        lines.append("  the journal is empty")
    return "\n".join(lines)


def _distance(differs: Mapping[str, tuple[Any, Any]]) -> int:
    return len(differs) + _FAR * ("path" in differs) + _FAR * ("method" in differs)
