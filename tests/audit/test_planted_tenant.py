"""A tenant with known faults: the audit finds all of them, and nothing in users who have none."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import pytest
from support.planted_tenant import planted
from support.planted_tenant.plant import size_of

from auth0_meta.audit import AuditReport, audit

USERS = int(os.environ.get("AUTH0_META_PLANTED_USERS", "3000"))
BY_STATISTICS = {("dynamic_keys", "app_metadata.labels.<>"), ("dynamic_keys", "app_metadata.mfa_required_<>")}
"""Words that users chose, and ids that by chance look like names: a few users may be missed or counted twice."""
OF_ONE_USER = {
    "oversized", "over_allowance", "near_limit", "bad_key", "reserved_name", "dynamic_keys", "unsearchable",
    "growing_list", "secret", "authorization_in_user_metadata", "device_state",
}  # fmt: skip
"""The kinds that one profile shows, without a look at the others."""

Place = tuple[str, str]


class Audited(NamedTuple):
    """A tenant's answer key, and what the audit found."""

    certain: dict[Place, set[str]]
    possible: dict[Place, set[str]]
    sizes: dict[str, int]
    report: AuditReport
    rows: list[dict[str, str]]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Audit a file of the tenant's users, some of whose lines are escaped or spaced out."""
    folder = tmp_path_factory.mktemp("planted")
    certain: dict[Place, set[str]] = defaultdict(set)
    possible: dict[Place, set[str]] = defaultdict(set)
    sizes = {}
    with (folder / "users.ndjson").open("w", encoding="utf-8") as file:
        for number, (profile, faults) in enumerate(planted(USERS, seed=1)):
            file.write(
                json.dumps(
                    profile, ensure_ascii=number % 2 == 0, separators=None if number % 3 else (",", ":")
                )
                + "\n"
            )
            for fault in faults:
                (certain if fault.certain else possible)[fault.kind, fault.path].add(profile["user_id"])
                if fault.kind in ("oversized", "near_limit"):
                    sizes[profile["user_id"]] = size_of(profile)
    report = audit(str(folder / "users.ndjson"), csv=folder / "users.csv")
    with (folder / "users.csv").open(encoding="utf-8", newline="") as file:
        return Audited(certain, possible, sizes, report, list(csv.DictReader(file)))


def without_words(path: str) -> str:
    """Return a path with `<>` for each dynamic key, whatever a report calls the data in it."""
    return re.sub("<[a-z_]+>", "<>", re.sub("<[a-z_]+>([-_]<[a-z_]+>)+", "<>", path))


def found(report: AuditReport) -> dict[Place, tuple[int, set[str]]]:
    """Return the findings: by kind and path, how many users and which examples."""
    findings: dict[Place, tuple[int, set[str]]] = {}
    for each in report.findings:
        place = (each.kind, without_words(each.path))
        users, examples = findings.get(place, (0, set()))
        findings[place] = (users + each.users, examples | set(each.examples))
    return findings


def test_all_planted_faults_are_found_in_exactly_the_users_who_have_them(audited: Audited) -> None:
    """Every kind and path, with the number of users; only what statistics decide may differ by a few."""
    findings = found(audited.report)
    assert audited.report.users == USERS
    assert set(audited.certain) <= set(findings)
    for place, users in audited.certain.items():
        if place in BY_STATISTICS:
            assert 0.9 * len(users) - 1 <= findings[place][0] <= 1.1 * len(users), place
        else:
            assert len(users) <= findings[place][0] <= len(users | audited.possible[place]), place


def test_nothing_is_found_that_was_not_planted(audited: Audited) -> None:
    """No false alarm: every finding is in the answer key, and its examples are users who have the fault."""
    findings = found(audited.report)
    assert set(findings) <= set(audited.certain) | set(audited.possible)
    for place, (users, examples) in findings.items():
        planted_users = audited.certain[place] | audited.possible[place]
        assert users <= (1.1 if place in BY_STATISTICS else 1) * len(planted_users), place
        assert examples, place
        assert examples <= planted_users, place


def test_oversized_users_are_listed_with_their_sizes(audited: Audited) -> None:
    """The largest first, and the largest of their keys explain where the bytes are."""
    oversized = audited.certain["oversized", ""]
    assert {user.user_id: user.bytes for user in audited.report.oversized} == {
        user_id: audited.sizes[user_id] for user_id in oversized
    }
    assert [user.bytes for user in audited.report.oversized] == sorted(
        (audited.sizes[each] for each in oversized), reverse=True
    )
    for user in audited.report.oversized:
        assert sum(user.keys.values()) > user.bytes / 3


def test_the_table_of_users_has_every_user_with_a_fault_and_no_other(audited: Audited) -> None:
    """One row for each, with the kinds that the profile shows by itself."""
    kinds: dict[str, set[str]] = defaultdict(set)
    tolerated: dict[str, set[str]] = defaultdict(set)
    for key, of_user in ((audited.certain, kinds), (audited.possible, tolerated)):
        for place, users in key.items():
            for user_id in users if place[0] in OF_ONE_USER else ():
                (tolerated if place in BY_STATISTICS else of_user)[user_id].add(place[0])
    listed = {row["user_id"]: set(re.findall(r"\w+", row["kinds"])) for row in audited.rows}
    assert len(listed) == len(audited.rows)
    assert set(kinds) <= set(listed) <= set(kinds) | set(tolerated)
    for user_id, shown in listed.items():
        assert kinds[user_id] <= shown <= kinds[user_id] | tolerated[user_id], user_id


def test_profiles_from_memory_have_the_same_findings_as_those_from_a_file(audited: Audited) -> None:
    """Escapes and spaces in a file count for nothing."""
    profiles: Any = (profile for profile, _ in planted(USERS, seed=1))
    report = audit(profiles)
    assert report.findings == audited.report.findings
    assert report.oversized == audited.report.oversized
    assert report.sizes == audited.report.sizes


def test_one_user_with_thousands_of_keys_hides_nothing() -> None:
    """What is found in others keeps its path, and nobody else is said to have dynamic keys."""
    keys = {f"k{number}x": 1 for number in range(30_000)}
    odd = {"user_id": "auth0|odd", "user_metadata": keys, "app_metadata": keys}
    tenant = list(planted(1_200, seed=2))
    expected = audit(profile for profile, _ in tenant)
    report = audit(itertools.chain([odd], (profile for profile, _ in tenant)))
    findings = {(each.kind, each.path): each.users for each in report.findings}
    for each in expected.findings:
        place = (each.kind, each.path)
        assert findings.pop(place) == each.users + (place in (("oversized", ""), ("over_allowance", ""))), (
            place
        )
    assert findings == {("dynamic_keys", "app_metadata.<key>"): 1, ("dynamic_keys", "user_metadata.<key>"): 1}


def test_an_audit_of_sizes_alone_finds_the_same_sizes(audited: Audited) -> None:
    """And nothing else."""
    report = audit((profile for profile, _ in planted(USERS, seed=1)), checks="sizes")
    sizes = ("oversized", "over_allowance", "near_limit")
    assert report.findings == tuple(each for each in audited.report.findings if each.kind in sizes)
    assert report.oversized == audited.report.oversized


def test_the_tenant_is_the_same_each_time_and_another_for_another_seed() -> None:
    """An answer key is worth something only if the tenant that it belongs to can be made again."""
    first = list(planted(300, seed=1))
    assert list(planted(300, seed=1)) == first
    assert list(planted(300, seed=2)) != first


def test_every_kind_is_planted_in_several_users_and_harmless_users_keep_to_the_limits() -> None:
    """The answer key is not empty anywhere, and what it calls harmless is."""
    kinds: Counter[str] = Counter()
    paths = set()
    for profile, faults in planted(3_000):
        kinds.update({fault.kind for fault in faults if fault.certain})
        paths |= {(fault.kind, fault.path) for fault in faults}
        if not faults:
            assert size_of(profile) < 7_900
    assert min(kinds.values()) >= 5, kinds
    assert set(kinds) == {
        "oversized", "over_allowance", "near_limit", "bad_key", "reserved_name", "dynamic_keys",
        "mixed_types", "unsearchable", "growing_list", "secret", "authorization_in_user_metadata", "device_state",
    }  # fmt: skip
    assert len(paths) > 190
