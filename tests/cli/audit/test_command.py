"""`auth0-meta audit`: what it reads, what it writes and where, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from auth0_meta.audit import AuditReport
from auth0_meta.checks.kinds import KINDS
from auth0_meta.cli import main
from auth0_meta.cli.app import root
from auth0_meta.cli.audit import command
from auth0_meta.emulator import LocalTenant

CANARY = "canary-5e1d"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns its exit code and outputs."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        code = main(["audit", *map(str, words)])
        out, err = capsys.readouterr()
        assert CANARY not in out + err
        return code, out, err

    return call


@pytest.fixture
def full(tenant: LocalTenant) -> LocalTenant:
    """Give the tenant an oversized user, one with a role that users can edit, and one without findings."""
    history = [{"at": f"2026-01-01T00:00:{n % 60:02}Z", "note": CANARY} for n in range(300)]
    tenant.users.add(user_id="auth0|big", app_metadata={"history": history})
    tenant.users.add(user_id="auth0|role", user_metadata={"roles": [CANARY]})
    tenant.users.add(user_id="auth0|clean", user_metadata={"theme": CANARY})
    return tenant


@pytest.fixture
def profiles(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes profiles to a file."""

    def write(*users: dict[str, Any], name: str = "users.ndjson") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(user)}\n" for user in users), encoding="utf-8")
        return path

    return write


def growing(lists: int) -> list[dict[str, Any]]:
    """Return profiles of which so many have a long list."""
    return [
        {"user_id": f"auth0|{n}", "app_metadata": {"log": [1] * (150 if n < lists else 1)}} for n in range(9)
    ]


def kinds_in(out: str) -> set[tuple[str, str]]:
    """Return the kinds and paths of a printed document."""
    return {(one["kind"], one["path"]) for one in json.loads(out)["findings"]}


# What it reads ---------------------------------------------------------------------------------------------


def test_it_audits_an_export_unless_told(full: LocalTenant, run: Run) -> None:
    """The tenant is only read, and no value is shown."""
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("1 of 3 users is over 10 KB\n  source       export, 3 users, ")
    assert "  user_metadata.roles         1  auth0|role\n" in out
    assert "    auth0-meta offload app_metadata.history --store sqlite:///big.db -o job.db\n" in out
    assert full.journal.count("PATCH") == 0
    assert full.journal.count("POST", "/api/v2/jobs/users-exports") == 1


@pytest.mark.parametrize("where", ["search:user_id:*", "FILE"])
def test_other_sources(where: str, full: LocalTenant, run: Run, profiles: Callable[..., Path]) -> None:
    """A search, and a file for which no tenant is needed."""
    if where == "FILE":
        where = str(profiles(*growing(2)))
    code, out, _ = run("--source", where, "--json")
    assert code == 0
    assert json.loads(out)["users"] == (3 if where.startswith("search:") else 9)
    assert full.journal.count("POST", "/api/v2/jobs/users-exports") == 0


def test_a_file_needs_no_tenant(
    run: Run, profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the environment names one."""
    for name in [name for name in os.environ if name.startswith("AUTH0_")]:
        monkeypatch.delenv(name)
    path = profiles({"user_id": "auth0|1"})
    code, out, err = run("--source", path)
    assert (code, err) == (0, "")
    assert out.startswith("Nothing found in 1 profile (")
    assert out.count("\n") == 1
    code, _, err = run()
    assert code == 2
    assert "AUTH0_DOMAIN" in err


# What it writes ----------------------------------------------------------------------------------------------


def test_json_is_one_document(full: LocalTenant, run: Run) -> None:
    """With the documented fields; it can be read again."""
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert {"generated_at", "users", "findings", "oversized"} <= document.keys()
    assert ("oversized", "") in kinds_in(out)
    assert ("growing_list", "app_metadata.history") in kinds_in(out)
    (finding,) = (one for one in document["findings"] if one["kind"] == "authorization_in_user_metadata")
    assert finding == {
        "kind": "authorization_in_user_metadata",
        "path": "user_metadata.roles",
        "users": 1,
        "examples": ["auth0|role"],
    }
    (user,) = document["oversized"]
    assert user["user_id"] == "auth0|big"
    assert user["bytes"] > user["keys"]["app_metadata.history"] > 10_000
    assert AuditReport.from_json(out).to_json() == document


def test_all_forms_combine(full: LocalTenant, run: Run, tmp_path: Path) -> None:
    """One export serves them all; files with ids are for this user only."""
    table, page = tmp_path / "a.csv", tmp_path / "a.html"
    code, out, err = run("--json", "--csv", table, "--html", page)
    assert code == 0
    assert json.loads(out)["users"] == 3
    assert err.splitlines() == [f"wrote {table}", f"wrote {page}"]
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert {row["user_id"] for row in rows} == {"auth0|big", "auth0|role"}
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "1 of 3 users is over 10 KB" in text
    assert CANARY not in text + table.read_text("utf-8")
    assert full.journal.count("POST", "/api/v2/jobs/users-exports") == 1
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in (table, page)} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.html"]


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_a_file_that_can_not_be_written_is_refused_before_the_export(
    option: str, full: LocalTenant, run: Run, tmp_path: Path
) -> None:
    """An export of a large tenant takes long, and would be in vain."""
    for path in (tmp_path, tmp_path / "none" / "a"):
        code, out, err = run(option, path)
        assert (code, out) == (2, "")
        assert f"{path} can't be written: " in err
    assert full.journal.requests() == []


def test_the_files_must_differ(run: Run, tmp_path: Path) -> None:
    """One would replace the other."""
    code, _, err = run("--csv", tmp_path / "a", "--html", tmp_path / "a")
    assert code == 2
    assert "--csv and --html name the same file" in err


@pytest.mark.parametrize("option", ["--csv", "--html"])
@pytest.mark.parametrize("read", ["--source", "--baseline"])
def test_what_is_read_is_not_replaced(
    run: Run, profiles: Callable[..., Path], tmp_path: Path, read: str, option: str
) -> None:
    """Nor by another name of the file."""
    users = profiles({"user_id": "auth0|1", "app_metadata": {"a.b": 1}})
    report = tmp_path / "audit.json"
    report.write_text(run("--source", users, "--json")[1], encoding="utf-8")
    chosen = users if read == "--source" else report
    other = tmp_path / "other"
    other.symlink_to(chosen)
    for path in (chosen, other, tmp_path / "." / chosen.name):
        before = chosen.read_bytes()
        code, _, err = run("--source", users, "--baseline", report, option, path)
        assert code == 2
        assert f"{read} and {option} name the same file" in err
        assert chosen.read_bytes() == before


def test_an_interrupted_audit_writes_nothing(
    run: Run, tmp_path: Path, profiles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and an earlier file stays."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "examine", interrupt)
    page = tmp_path / "a.html"
    page.write_text("earlier", encoding="utf-8")
    code, out, err = run("--source", profiles(*growing(1)), "--html", page)
    assert (code, out) == (130, "")
    assert err.split("\n") == [
        f"the audit was not finished, and {page} was not written",
        "",
        "interrupted",
        "",
    ]
    assert page.read_text("utf-8") == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "users.ndjson"]
    assert run("--source", profiles(*growing(1)))[2].startswith("the audit was not finished\n")


def test_what_could_not_be_read_is_said(run: Run, profiles: Callable[..., Path]) -> None:
    """On stderr, beside the place where the first is."""
    path = profiles(*growing(1))
    path.write_text(path.read_text("utf-8") + "[broken\n", encoding="utf-8")
    code, out, err = run("--source", path)
    assert code == 0
    assert "  not read     1 record\n" in out
    assert re.search(r"1 record could not be read and so could not be checked, the first at .*line 10: ", err)


def test_refused_credentials(full: LocalTenant, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4."""
    full.fail(method="POST", path="/api/v2/jobs/users-exports", status=401, times=9)
    assert run()[0] == 4


# What fails --------------------------------------------------------------------------------------------------


def test_fail_on_a_kind(run: Run, profiles: Callable[..., Path]) -> None:
    """The report is printed all the same; stderr says what failed."""
    path = profiles(*growing(2))
    code, out, err = run("--source", path, "--fail-on", "secret", "--fail-on", "oversized , growing_list")
    assert code == 1
    assert "Growing list (growing_list)" in out
    assert err == "--fail-on: growing_list at app_metadata.log (2 users)\n"
    assert run("--source", path, "--fail-on", "any")[0] == 1
    assert run("--source", path, "--fail-on", "secret,bad_key")[0] == 0
    assert run("--source", profiles(*growing(0)), "--fail-on", "any")[0] == 0


def test_with_a_baseline_only_what_is_new_or_grew_fails(
    run: Run, profiles: Callable[..., Path], tmp_path: Path
) -> None:
    """Both sides: equal and fewer pass."""
    earlier = tmp_path / "audit.json"
    earlier.write_text(run("--source", profiles(*growing(3)), "--json")[1], encoding="utf-8")
    for lists, code in ((2, 0), (3, 0), (4, 1)):
        words = ("--source", profiles(*growing(lists)), "--baseline", earlier, "--fail-on", "any", "--json")
        found, out, err = run(*words)
        assert found == code
        changes = [(one["path"], one["change"]) for one in json.loads(out)["baseline"]["differences"]]
        assert (
            changes == {2: [("app_metadata.log", "shrank")], 3: [], 4: [("app_metadata.log", "grew")]}[lists]
        )
        assert err == ("--fail-on: growing_list at app_metadata.log (4 users, 3 before)\n" if code else "")
    earlier.write_text(run("--source", profiles(*growing(0)), "--json")[1], encoding="utf-8")
    code, out, err = run(
        "--source", profiles(*growing(1)), "--baseline", earlier, "--fail-on", "growing_list"
    )
    assert (code, err) == (1, "--fail-on: growing_list at app_metadata.log (1 user, new)\n")
    assert re.search(r"app_metadata\.log +1  new  auth0\|0\n", out)


def test_many_failures_are_counted(run: Run, profiles: Callable[..., Path]) -> None:
    """One line is enough."""
    user = {"user_id": "auth0|1", "user_metadata": {f"list{n}": [1] * 101 for n in range(9)}}
    err = run("--source", profiles(user), "--fail-on", "growing_list")[2]
    assert err.count("\n") == 1
    assert err.endswith("; and 4 more\n")


@pytest.mark.parametrize("given", ["sizes", "", "oversized,,secret", "Oversized"])
def test_an_unknown_kind_is_refused_before_anything_is_read(given: str, full: LocalTenant, run: Run) -> None:
    """The error lists the kinds."""
    code, out, err = run("--fail-on", given)
    assert (code, out) == (2, "")
    assert all(kind in " ".join(err.split()) for kind in KINDS)
    assert full.journal.requests() == []


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [("over", ["over_allowance", "oversized"]), ("secret,b", ["secret,bad_key"]), ("x", [])],
)
def test_the_shell_completes_kinds(typed: str, kinds: list[str]) -> None:
    """Also behind a comma."""
    completion = ShellComplete(root, {}, "auth0-meta", "_AUTH0_META_COMPLETE")
    found = completion.get_completions(["audit", "--fail-on"], typed)
    assert [one.value for one in found] == kinds


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json", '{"users": 3, "findings": {}}', None])
def test_what_is_no_report_is_no_baseline(
    content: str | None, full: LocalTenant, run: Run, tmp_path: Path
) -> None:
    """Also a file that does not exist."""
    earlier = tmp_path / "audit.json"
    if content is not None:
        earlier.write_text(content, encoding="utf-8")
    code, out, err = run("--baseline", earlier)
    assert (code, out) == (2, "")
    assert f"{earlier} can't be read: " in " ".join(err.split())
    assert full.journal.requests() == []


def test_a_baseline_of_sizes_does_not_hide_other_kinds(
    run: Run, tmp_path: Path, profiles: Callable[..., Path]
) -> None:
    """It can't say which of them are new."""
    earlier = tmp_path / "audit.json"
    one = AuditReport(generated_at="2026-12-01T12:00:00Z", source="export", users=9, checks="sizes")
    earlier.write_text(json.dumps(one.to_json()), encoding="utf-8")
    source = ("--source", profiles(*growing(1)), "--baseline", earlier)
    assert run(*source, "--fail-on", "any")[0] == 2
    assert run(*source, "--fail-on", "oversized")[0] == 0


@pytest.mark.slow
def test_it_works_without_an_account() -> None:
    """Around a local tenant with a sample, as the documentation shows it."""
    program = [sys.executable, "-m", "auth0_meta"]
    words = [
        *program,
        "emulator",
        "exec",
        "--sample",
        "oversized",
        "--",
        *program,
        "audit",
        "--fail-on",
        "over_allowance",
    ]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "Over the allowance (over_allowance)" in ended.stdout
    assert "--fail-on: over_allowance (" in ended.stderr
