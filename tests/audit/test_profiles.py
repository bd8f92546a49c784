"""How an audit reads files: lines or not, packed or not, damaged or not."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.json_strategies import json_objects

from auth0_meta import InputError
from auth0_meta.audit import AuditReport, audit
from auth0_meta.audit.json_stream import JsonStream
from auth0_meta.migrate.planning import text_file

PROFILES: list[dict[str, Any]] = [
    {"user_id": "auth0|1", "name": 'Åsa, "the" [first]', "app_metadata": {"a.b": [1.5, None, {"c": "}{"}]}},
    {"user_id": "auth0|2", "user_metadata": {"text": "two\nlines \\ and \U0001f600"}},
    {"user_id": "auth0|3"},
]
EXPECTED = audit(PROFILES)


def compact(value: Any, **options: Any) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"), **options)


FORMS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "ndjson": lambda rows: "".join(compact(row, ensure_ascii=False) + "\n" for row in rows),
    "ndjson with spaces and escapes": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "ndjson with empty lines and CRLF": lambda rows: "\n \r\n" + "\r\n\r\n".join(map(compact, rows)),
    "array": compact,
    "array with a line for each": lambda rows: "[\n" + ",\n".join(map(compact, rows)) + "\n]\n",
    "array, indented": lambda rows: json.dumps(rows, indent=2),
    "array, indented with tabs": lambda rows: json.dumps(rows, indent="\t", ensure_ascii=False),
    "objects, indented": lambda rows: "\n".join(json.dumps(row, indent=4) for row in rows),
    "arrays after each other": lambda rows: "".join(compact([row]) for row in rows),
    "a page": lambda rows: compact({"start": 0, "limit": 50, "length": 3, "total": 3, "users": rows}),
    "a page, indented": lambda rows: json.dumps({"users": rows, "total": 3}, indent=2),
    "pages": lambda rows: "\n".join(compact({"total": 3, "users": [row]}) for row in rows),
}  # fmt: skip


def same(report: AuditReport) -> None:
    """Assert that a report is that of the profiles."""
    assert (report.users, report.problems.count) == (3, 0), report.problems
    assert (report.findings, report.sizes) == (EXPECTED.findings, EXPECTED.sizes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_profiles_are_read_from_whatever_form_they_have(
    form: str, encoding: str, tmp_path: Path, *, packed: bool
) -> None:
    """The report is the same each time."""
    data = FORMS[form](PROFILES).encode(encoding)
    path = tmp_path / "users"
    path.write_bytes(gzip.compress(data) if packed else data)
    same(audit(path))


@pytest.mark.parametrize("form", ["ndjson", "array, indented"])
def test_standard_input_is_read_as_a_file_is(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is "-"."""
    data = io.BytesIO(FORMS[form](PROFILES).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data, encoding="utf-8"))
    report = audit("-")
    same(report)
    assert report.source == "file standard input"


@given(st.lists(json_objects, min_size=1, max_size=4), st.sampled_from(sorted(FORMS)), st.integers(1, 9))
@settings(deadline=None)
def test_a_text_is_read_alike_in_pieces_of_any_size(rows: list[Any], form: str, piece: int) -> None:
    """Each object comes out as it was written."""
    rows = [{"user_id": "x", **row} for row in rows]
    text = FORMS[form](rows)

    class Slowly(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(piece, size or 0))

    found = [json.loads(one or "null") for one in JsonStream(Slowly(text.encode("utf-8", "surrogatepass")))]
    users = [user for one in found for user in ([one] if "user_id" in one else one["users"])]
    assert json.dumps(users) == json.dumps(rows)


GOOD = ['{"user_id": "auth0|1"}', '{"user_id": "auth0|2"}']


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"user_id": "auth0|9"', "not valid JSON (Expecting ',' delimiter: line 1 column 22)"),
        (b"s3cret", "not valid JSON (Expecting value: line 1 column 1)"),
        (b'"s3cret"', "not a JSON object with a user_id"),
        (b'["s3cret"]', "not a JSON object with a user_id"),
        (b'{"email": "s3cret"}', "not a JSON object with a user_id"),
        (b'{"user_id": "auth0|9", "a": NaN}', "not valid JSON (it contains NaN)"),
        (b'{"user_id": "auth0|9", "a": "s3cret\xff"}', "not text in UTF-8"),
        (b'{"user_id": "auth0|9", "a": "\xed\xa0\x80"}', "not text in UTF-8"),
        (b'{"user_id": "auth0|9", "a": ' + b"9" * 5_000 + b"}", "JSON with a number too long to be read"),
        (
            b'{"user_id": "auth0|9", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "JSON nested too deeply to be read",
        ),
        (b"\0\0\0", "not valid JSON (Expecting value: line 1 column 1)"),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_line_that_can_not_be_read_is_named_and_holds_up_nothing(
    bad: bytes, why: str, at: int, tmp_path: Path
) -> None:
    """Wherever it is; no value of it is shown."""
    lines = [one.encode() for one in GOOD]
    lines.insert(at, bad)
    path = tmp_path / "users.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    report = audit(path)
    assert report.users == 2
    if at or not bad.startswith((b"[", b'{"user_id": "auth0|9"')) or bad.endswith(b"}"):
        assert report.problems.examples == (f"users.ndjson line {at + 1}: {why}",)
    else:  # it is taken for the beginning of an array or an object of several lines
        assert report.problems.count == 1


@pytest.mark.parametrize("form", ["array with a line for each", "array, indented", "objects, indented"])
@pytest.mark.parametrize(
    "bad", ['"user_id": auth0|2', '"user_id": "auth0|2', '"user_id": "auth0|2"]', '"user_id": 5', "5"]
)
def test_an_object_that_can_not_be_read_loses_no_other(form: str, bad: str, tmp_path: Path) -> None:
    """Reading goes on at the next line that begins as it did."""
    rows = [{"user_id": f"auth0|{n}", "app_metadata": {"list": [{"a": 1}, {"b": 2}]}} for n in (1, 2, 3)]
    text = FORMS[form](rows)
    text = text.replace('"user_id":"auth0|2"', bad).replace('"user_id": "auth0|2"', bad)
    path = tmp_path / "users.json"
    path.write_text(text)
    report = audit(path)
    assert (report.users, report.problems.count) == (2, 1)
    assert report.problems.examples[0].startswith("users.json object 2: not a JSON object")


def test_what_follows_a_bad_object_in_one_line_is_reported_as_skipped(tmp_path: Path) -> None:
    """Nobody can say where the next one begins."""
    path = tmp_path / "users.json"
    path.write_text('[{"user_id": "auth0|1"}, {bad}, {"user_id": "auth0|2"}]')
    report = audit(path)
    assert report.users == 1
    assert report.problems.examples == (
        "users.json object 2: not a JSON object; what follows it in the same line was skipped",
    )


@pytest.mark.parametrize("form", ["ndjson", "array with a line for each"])
def test_a_line_that_is_too_long_is_left_out(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never in memory as a whole."""
    for module in ("auth0_meta.migrate.planning.text_file", "auth0_meta.audit.json_stream"):
        monkeypatch.setattr(f"{module}.MOST_LINE", 1_000)
    monkeypatch.setattr("auth0_meta.audit.json_stream._PIECE", 100)
    rows = [{"user_id": f"auth0|{n}", "text": "x" * (5_000 if n == 2 else 10)} for n in (1, 2, 3)]
    path = tmp_path / "users.json"
    path.write_text(FORMS[form](rows))
    report = audit(path)
    assert (report.users, report.problems.count) == (2, 1)


def test_a_long_line_is_read(tmp_path: Path) -> None:
    """A profile may have a megabyte."""
    path = tmp_path / "users.json"
    rows = [{"user_id": f"auth0|{n}", "app_metadata": {"text": "x" * 1_000_000}} for n in (1, 2)]
    for form in ("ndjson", "array"):
        path.write_text(FORMS[form](rows))
        assert audit(path).sizes.largest > 1_000_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "users.json is empty: it has no profile"),
        (b"\n \r\n", "users.json is empty: it has no profile"),
        (codecs.BOM_UTF8, "users.json is empty: it has no profile"),
        (b"user_id,email\nauth0|1,a@example.com\n", "users.json is CSV, which can't hold whole profiles"),
        (b"PK\x03\x04", "is a workbook or a zip archive"),
        (gzip.compress(b'{"user_id": "auth0|1"}\n' * 999)[:-9], "is cut short or is not a gzip file"),
    ],
)
def test_a_file_that_has_no_profiles_is_refused(data: bytes, why: str, tmp_path: Path) -> None:
    """An audit of nothing would find nothing."""
    path = tmp_path / "users.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why):
        audit(path)


@pytest.mark.parametrize("data", [b"[]", b"[\n]", b'{"users": [], "total": 0}'])
def test_a_tenant_without_users_is_one(data: bytes, tmp_path: Path) -> None:
    """That is no problem."""
    path = tmp_path / "users.json"
    path.write_bytes(data)
    report = audit(path)
    assert (report.users, report.problems.count) == (0, 0)


def test_of_a_key_that_is_there_twice_the_last_value_counts(tmp_path: Path) -> None:
    """As in JavaScript."""
    path = tmp_path / "users.json"
    path.write_text('{"user_id": "auth0|1", "app_metadata": {"a": "AKIAIOSFODNN7EXAMPLE", "a": 1}}\n')
    report = audit(path)
    assert (report.users, report.findings) == (1, ())


def test_the_longest_line_is_bounded_by_one_constant() -> None:
    """A stream of objects has the same bound as lines."""
    assert JsonStream.__init__.__globals__["MOST_LINE"] == text_file.MOST_LINE
