"""What a report comes to, in words and groups that the terminal and the HTML page share; PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from auth0_meta.audit.report_types import AuditJSON, DifferenceJSON, FindingJSON, WeightJSON
from auth0_meta.checks.kinds import KINDS, Kind
from auth0_meta.checks.sizes import PROFILE_LIMIT
from auth0_meta.redact import count

_MOST_IN_A_COMMAND = 8
_HEAVY_PART = 0.95
_MOST_HEAVY = 8
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?(?:Z|\+00:00)")

LIMIT = (
    "Auth0 limits profiles to 10 KB, and the time to comply ends on 4 March 2027. Some time after that, the limit holds for "
    "every tenant: a profile over it is logged, and past about ten times that, logins, updates and imports of the user may fail."
)
ESTIMATE = (
    "All sizes are estimates, in bytes of compact JSON: Auth0 counts an internal form of the profile, with fields that no "
    "API shows."
)


@attrs.frozen
class Group:
    """The findings of one kind; `users` are added up over the paths, so that some may count twice."""

    kind: Kind
    findings: tuple[FindingJSON, ...]
    users: int
    commands: tuple[str, ...]


def groups(document: AuditJSON) -> tuple[Group, ...]:
    """Return the findings by kind, the worst kind first, each with the commands to go on with."""
    found: dict[str, list[FindingJSON]] = {}
    for finding in document["findings"]:
        found.setdefault(finding["kind"], []).append(finding)
    heavy = heavy_paths(document["weights"])
    return tuple(
        Group(
            kind,
            tuple(ones),
            sum(one["users"] for one in ones),
            kind.next_commands(_paths(ones) or heavy),
        )
        for name, kind in KINDS.items()
        if (ones := found.get(name))
    )


def _paths(findings: Iterable[FindingJSON]) -> tuple[str, ...]:
    """Return the paths for a command: those of the findings, but not so many that nobody reads it."""
    return tuple(one["path"] for one in findings if one["path"])[:_MOST_IN_A_COMMAND]


def heavy_paths(weights: Iterable[WeightJSON]) -> tuple[str, ...]:
    """Return the keys that weigh most in large profiles: at most eight, which make up nearly all metadata there."""
    keys = [one for one in weights if "." in one["path"]]  # others are fields of the profile itself
    total, sum_, chosen = sum(one["bytes"] for one in keys), 0, []
    for one in keys[:_MOST_HEAVY]:
        if sum_ >= _HEAVY_PART * total:
            break
        sum_ += one["bytes"]
        chosen.append(one["path"])
    return tuple(chosen)


def users_with(document: AuditJSON, kind: str) -> int:
    """Return how many users have a kind of finding that concerns the profile as a whole."""
    return sum(one["users"] for one in document["findings"] if one["kind"] == kind)


def headline(document: AuditJSON) -> str:
    """Return in one sentence what was found.

    >>> headline({"users": 3, "findings": [{"kind": "oversized", "path": "", "users": 1, "examples": []}]})
    '1 of 3 users is over 10 KB'
    """
    users, over = document["users"], users_with(document, "oversized")
    if not users:
        return "There are no users"
    if over:
        return f"{over:,} of {users:,} {'user' if users == 1 else 'users'} {'is' if over == 1 else 'are'} over 10 KB"
    if not document["findings"]:
        return f"Nothing found in {users:,} {'profile' if users == 1 else 'profiles'}"
    return "No profile is over 10 KB, but there is more to look at"


def part(number: int, total: int) -> str:
    """Return a part of a whole in percent, as people write it.

    >>> part(1, 3), part(3, 200_000), part(1, 10_000_000), part(0, 5)
    ('33 %', '0.0015 %', 'under 0.001 %', '0 %')
    """
    percent = 100 * number / total if total else 0.0
    if 0 < percent < 0.001:
        return "under 0.001 %"
    return f"{percent:.2g} %" if percent < 99.5 else f"{percent:.0f} %"


def differences(document: AuditJSON) -> dict[tuple[str, str], DifferenceJSON]:
    """Return the differences from the baseline by kind and path, or an empty dict if there is no baseline."""
    baseline = document.get("baseline")
    return {} if baseline is None else {(one["kind"], one["path"]): one for one in baseline["differences"]}


def in_words(difference: DifferenceJSON) -> str:
    """Return what has changed about a finding.

    >>> in_words({"kind": "secret", "path": "user_metadata.pin", "change": "grew", "before": 2, "after": 5})
    'grew from 2 to 5 users'
    """
    before, after = difference["before"], difference["after"]
    if difference["change"] == "new":
        return "new"
    if difference["change"] == "gone":
        return f"gone, {count(before, 'user')} before"
    return f"{difference['change']} from {before:,} to {count(after, 'user')}"


def when(moment: str) -> str:
    """Return a time in ISO 8601 and UTC as people write it, and any other text unchanged.

    >>> when("2026-12-01T15:11:13Z")
    '2026-12-01 15:11 UTC'
    """
    known = _MOMENT.fullmatch(moment)
    return moment if known is None else f"{known[1]} {known[2]} UTC"


def over_both(document: AuditJSON) -> int | None:
    """Return how many users are over 10 KB also if a KB is 1,024 bytes, None if the report doesn't say."""
    over = users_with(document, "oversized")
    if len(document["oversized"]) == over:
        return sum(one["bytes"] > PROFILE_LIMIT for one in document["oversized"])
    return document["sizes"].get("over_10240") or None  # more users than a report names
