"""The values of an audit: their JSON comes back as they were, and two of them can be compared."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta import InputError
from auth0_meta.audit import AuditReport, Difference, Finding, KeyWeight, OversizedUser, Problems, Sizes

texts = st.text(max_size=8)
wholes = st.integers(0, 2**40)
findings = st.builds(
    Finding, kind=texts, path=texts, users=wholes, examples=st.lists(texts, max_size=5).map(tuple)
)
reports = st.builds(
    AuditReport,
    generated_at=texts,
    source=texts,
    users=wholes,
    findings=st.lists(findings, max_size=3).map(tuple),
    oversized=st.lists(
        st.builds(
            OversizedUser, user_id=texts, bytes=wholes, keys=st.dictionaries(texts, wholes, max_size=3)
        ),
        max_size=3,
    ).map(tuple),
    sizes=st.builds(
        Sizes,
        edges=st.lists(wholes, min_size=1, max_size=4).map(tuple),
        counts=st.lists(wholes, max_size=3).map(tuple),
        total=wholes,
        median=wholes,
        p99=wholes,
        largest=wholes,
    ),
    weights=st.lists(
        st.builds(KeyWeight, path=texts, bytes=wholes, users=wholes, largest=wholes), max_size=3
    ).map(tuple),
    problems=st.builds(Problems, count=wholes, examples=st.lists(texts, max_size=3).map(tuple)),
    notes=st.lists(texts, max_size=2).map(tuple),
    checks=st.sampled_from(["all", "sizes"]),
    seconds=st.floats(0, 1e6),
)


def report(**fields: Any) -> AuditReport:
    """Return a report of 100 users."""
    return AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=100, **fields)


def finding(kind: str, path: str, users: int) -> Finding:
    """Return a finding without examples."""
    return Finding(kind=kind, path=path, users=users)


@given(reports)
def test_a_report_is_what_its_json_says(one: AuditReport) -> None:
    """The document, its text and its bytes all lead back to the report."""
    text = json.dumps(one.to_json())
    assert (
        AuditReport.from_json(one.to_json())
        == AuditReport.from_json(text)
        == AuditReport.from_json(text.encode())
        == one
    )


def test_the_documented_fields_suffice() -> None:
    """A baseline need not have what a later version added, and may have what a still later one adds."""
    document = {
        "generated_at": "2026-12-01T12:00:00Z",
        "users": 3,
        "findings": [{"kind": "secret", "path": "app_metadata.token", "users": 1, "examples": ["auth0|1"]}],
        "oversized": [{"user_id": "auth0|1", "bytes": 12000, "keys": {"app_metadata.history": 11000}}],
        "of_a_later_version": [1],
    }
    read = AuditReport.from_json(document)
    assert (read.users, read.sizes, read.problems, read.checks) == (3, Sizes(), Problems(), "all")
    assert read.findings == (
        Finding(kind="secret", path="app_metadata.token", users=1, examples=("auth0|1",)),
    )
    assert read.oversized[0].keys == {"app_metadata.history": 11000}


VALID: dict[str, Any] = {"generated_at": "", "users": 0, "findings": [], "oversized": []}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("[]", "it must be a JSON object, not list"),
        ("{", "it is not valid JSON"),
        (b"\xff", "it is not text in UTF-8"),
        (5, "it must be a JSON object, not int"),
        ({}, "generated_at of the report must be a string, not absent"),
        ({**VALID, "users": True}, "users of the report must be a whole number of at least 0, not bool"),
        ({**VALID, "users": -1}, "users of the report must be a whole number of at least 0, not int"),
        ({**VALID, "findings": {}}, "findings of the report must be an array, not dict"),
        ({**VALID, "findings": ["s3cret"]}, "findings[0] of the report must be an object, not str"),
        ({**VALID, "findings": [{"kind": 5}]}, "kind of findings[0] must be a string, not int"),
        ({**VALID, "sizes": {"edges": ["s3cret"]}}, "edges[0] of sizes of the report must be a whole number"),
        ({**VALID, "notes": [5]}, "notes[0] of the report must be a string, not int"),
        ({**VALID, "seconds": "1"}, "seconds of the report must be a number of at least 0, not str"),
        ({**VALID, "problems": []}, "problems of the report must be an object, not list"),
    ],
)
def test_anything_else_is_refused(document: Any, why: str) -> None:
    """The error says which field is wrong, and holds no value."""
    with pytest.raises(InputError) as caught:
        AuditReport.from_json(document)
    assert str(caught.value).startswith("this is not a report of an audit: ")
    assert why in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_comparison_says_what_is_new_grew_shrank_and_is_gone() -> None:
    """What is equal is left out; each group has the order of the findings."""
    old = report(
        findings=(
            finding("oversized", "", 5),
            finding("secret", "app_metadata.a", 5),
            finding("secret", "app_metadata.b", 5),
            finding("growing_list", "app_metadata.c", 5),
        )
    )
    new = report(
        findings=(
            finding("bad_key", "app_metadata.d", 1),
            finding("oversized", "", 4),
            finding("secret", "app_metadata.a", 6),
            finding("growing_list", "app_metadata.c", 5),
        )
    )
    assert new.compare(old) == (
        Difference(kind="bad_key", path="app_metadata.d", change="new", before=0, after=1),
        Difference(kind="secret", path="app_metadata.a", change="grew", before=5, after=6),
        Difference(kind="oversized", path="", change="shrank", before=5, after=4),
        Difference(kind="secret", path="app_metadata.b", change="gone", before=5, after=0),
    )


@given(reports, reports)
def test_a_comparison_is_reversed_by_exchanging_the_reports(one: AuditReport, other: AuditReport) -> None:
    """What is new in one direction is gone in the other, and a report has no difference to itself."""
    there, back = one.compare(other), other.compare(one)
    assert {(d.kind, d.path, d.before, d.after) for d in there} == {
        (d.kind, d.path, d.after, d.before) for d in back
    }
    assert one.compare(one) == ()


def test_kinds_that_one_audit_has_not_looked_for_are_not_compared() -> None:
    """An audit of sizes alone has no other findings, and that does not mean that they are gone or new."""
    whole = report(findings=(finding("oversized", "", 5), finding("secret", "app_metadata.a", 5)))
    sizes = report(findings=(finding("oversized", "", 6),), checks="sizes")
    assert [one.kind for one in sizes.compare(whole)] == ["oversized"]
    assert [one.kind for one in whole.compare(sizes)] == ["oversized"]
