"""`auth0-meta migrate`: what it prints and where, its exit codes, and that values are shown only on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.migrations import populate, rows_of

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant

Rows = Callable[..., Path]
CANARY = "canary-7f3a"


@pytest.fixture
def rows(tenant: LocalTenant, ndjson: Rows) -> Path:
    """Write the profiles of four users, one with a canary in the metadata."""
    populate(tenant, 3)
    tenant.users.add(user_id="auth0|canary", app_metadata={"plan": CANARY})
    return ndjson(rows_of(tenant))


def test_plan_apply_status_and_undo_print_what_they_did(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They print it on stdout and exit with 0."""
    before = {user.user_id: user.app_metadata for user in tenant.users}
    assert main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job), "--show-values"]) == 0
    out = capsys.readouterr().out
    assert "4 users read: 4 to change, 0 unchanged, 0 invalid" in out
    assert "  app_metadata.billing  4" in out
    assert '  - app_metadata.plan: "free"' in out
    assert '  + app_metadata.billing.plan: "free"' in out
    assert "8 requests" in out

    assert main(["migrate", "apply", str(job), "--yes"]) == 0
    done = capsys.readouterr()
    assert done.out == "4 done\n"
    assert f"on {tenant.url} (4 planned)" in done.err
    assert main(["migrate", "status", str(job)]) == 0
    assert "run 1: apply finished, 4 done, 8 requests" in capsys.readouterr().out

    assert main(["migrate", "undo", str(job), "--yes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["counts"], printed["failed"], printed["remain"]) == ({"undone": 4}, 0, 0)
    assert {user.user_id: user.app_metadata for user in tenant.users} == before


def test_nothing_in_a_profile_controls_the_terminal(
    tenant: LocalTenant, ndjson: Rows, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids, keys, values and notes are printed with their control characters escaped, JSON and pages included."""
    evil = "\x1b]0;pwned\x07\u009b31m\u202e"
    tenant.users.add(user_id="auth0|1", app_metadata={"plan": evil})
    tenant.users.add(user_id=f"auth0|{evil}", app_metadata={"plan": evil})
    source = ndjson(rows_of(tenant), "source.ndjson")
    changes = ndjson([{"user_id": "auth0|1", "app_metadata": {evil: evil}}], "changes.ndjson")
    printed = ""
    for words in (
        ["plan", str(move), "--source", str(source), "-o", str(job), "--show-values"],
        ["plan", str(changes), "-o", f"{job}2", "--show-values"],
        ["apply", f"{job}2", "--yes"],
        ["status", f"{job}2"],
        ["status", f"{job}2", "--json"],
        ["report", f"{job}2"],
        ["report", f"{job}2", "--json"],
    ):
        if words[0] == "apply":
            tenant.fail(method="PATCH", status=400, body={"statusCode": 400, "error": "x", "message": evil})
        main(["migrate", *words])
        captured = capsys.readouterr()
        printed += captured.out + captured.err
    shown = "\\u001b]0;pwned\\u0007\\u009b31m\\u202e"
    assert f'  - app_metadata.plan: "{shown}"' in printed
    assert f"  + app_metadata.{shown}: " in printed
    assert "auth0|1 failed: " in printed
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", printed)


def test_a_job_with_nothing_to_do_was_not_applied(
    tenant: LocalTenant, rows: Path, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If every user is invalid, status does not claim that anything ran."""
    broken = tmp_path / "broken.py"
    broken.write_text("def migrate(user, tx):\n    1 / 0\n", encoding="utf-8")
    main(["migrate", "plan", str(broken), "--source", str(rows), "-o", str(job)])
    capsys.readouterr()
    assert main(["migrate", "status", str(job)]) == 0
    assert "applied" not in capsys.readouterr().out


def test_answering_no_sends_nothing(
    tenant: LocalTenant,
    rows: Path,
    move: Path,
    job: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not count as an interruption, and the exit code is 1."""
    assert main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job)]) == 0
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert main(["migrate", "apply", str(job)]) == 1
    assert "not applied: nothing was sent" in capsys.readouterr().err
    assert main(["migrate", "purge", str(job)]) == 1
    assert "not purged: nothing was sent" in capsys.readouterr().err
    assert tenant.journal.count("PATCH") == 0


def test_exit_codes_of_a_plan(tenant: LocalTenant, rows: Path, move: Path, job: Path) -> None:
    """3 says that something would change, with --exit-code; 2 is wrong usage; a job file that exists is 1."""
    plan = ["migrate", "plan", str(move), "--source", str(rows)]
    assert main([*plan, "-o", str(job), "--exit-code"]) == 3
    assert main([*plan, "-o", str(job)]) == 1
    assert main(["migrate", "plan", "nothing.py", "-o", str(job) + "2", "--source", str(rows)]) == 2
    assert main(["migrate", "apply", str(job)]) == 2


def test_exit_codes_of_an_apply(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 says that some users are not as planned, and names them; 4 says that the credentials were refused."""
    main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job)])
    tenant.users["auth0|000001"].delete()
    tenant.fail(method="GET", status=401, times=2)
    assert main(["migrate", "apply", str(job), "--yes", "--concurrency", "1"]) == 4
    capsys.readouterr()
    assert main(["migrate", "apply", str(job), "--yes"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "3 done, 1 gone\n"
    assert "auth0|000001 gone" in printed.err


@pytest.mark.slow
def test_only_the_diff_shows_values(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, reports, status, results and a redacted diff show names and sizes; the diff shows values with --show-values."""
    plan = ["migrate", "plan", str(move), "--source", str(rows), "--samples", "9"]
    main([*plan, "-o", str(job), "--show-values"])
    assert CANARY in capsys.readouterr().out
    for extra in (["--json"], ["--redact"], []):
        assert main([*plan, "-o", "".join([str(job), *extra, "2"]), *extra]) == 0
    tenant.users["auth0|canary"].patch(app_metadata={"plan": f"{CANARY}2"})
    main(["migrate", "apply", str(job), "--yes"])
    for words in (["status"], ["status", "--json"], ["report"], ["report", "--json"]):
        assert main(["migrate", words[0], str(job), *words[1:]]) == 0
    main(["migrate", "undo", str(job), "--yes"])
    printed = capsys.readouterr()
    assert "auth0|canary" in printed.out
    assert CANARY not in printed.out + printed.err


@pytest.mark.parametrize("color", ["", "1"])
@pytest.mark.slow
def test_a_terminal_shows_values(
    tenant: LocalTenant,
    rows: Path,
    move: Path,
    job: Path,
    color: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--redact hides them; a log with FORCE_COLOR is not a terminal."""
    monkeypatch.setenv("FORCE_COLOR", color)
    plan = ["migrate", "plan", str(move), "--source", str(rows), "--samples", "9"]
    for terminal, extra, shown in ((True, [], True), (True, ["--redact"], False), (False, [], False)):
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal, raising=False)
        assert main([*plan, "-o", f"{job}{terminal}{len(extra)}", *extra]) == 0
        assert (CANARY in capsys.readouterr().out) is shown


def test_a_search_query_is_not_shown(
    tenant: LocalTenant, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search query often contains a metadata value: neither status nor reports nor JSON show it."""
    tenant.users.add(user_id="auth0|1", app_metadata={"plan": CANARY})
    query = f'search:app_metadata.plan:"{CANARY}"'
    assert main(["migrate", "plan", str(move), "--source", query, "-o", str(job), "--json"]) == 0
    for words in (["status"], ["status", "--json"], ["report"], ["report", "--json"]):
        assert main(["migrate", words[0], str(job), *words[1:]]) == 0
    printed = capsys.readouterr()
    assert "search (31 characters)" in printed.out
    assert CANARY not in printed.out + printed.err


def test_a_plan_that_leaves_users_out_exits_with_1(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Users who can't be planned make the exit code 1, even with --exit-code, and apply says that they are left out."""
    broken = tmp_path / "broken.py"
    broken.write_text("def migrate(user, tx):\n    1 / 0\n", encoding="utf-8")
    plan = ["migrate", "plan", "--source", str(rows), "-o"]
    assert main([*plan, str(job), str(broken)]) == 1
    assert main(["migrate", "apply", str(job), "--yes"]) == 0
    assert "4 of the users or rows could not be planned and are left out" in capsys.readouterr().err
    changes = tmp_path / "changes.csv"
    changes.write_text("user_id,app_metadata.plan\nauth0|000001,x\nauth0|nobody,x\n")
    for source in ([], ["--source", str(rows)]):
        words = ["migrate", "plan", str(changes), *source, "-o", f"{job}{len(source)}", "--exit-code"]
        assert main(words) == 1
    assert main([*plan, f"{job}3", str(move), "--exit-code"]) == 3
    assert main(["migrate", "apply", f"{job}3", "--yes"]) == 0
    assert "left out" not in capsys.readouterr().err.splitlines()[-2]


def test_lines_are_not_broken_in_a_pipe(
    tenant: LocalTenant, ndjson: Rows, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key or note stays on one line of a log, however long it is."""
    tenant.users.add(user_id="auth0|1")
    rows: list[object] = [
        {"user_id": "auth0|1", "app_metadata": {"k" * 100: 1}},
        {"user_id": f"no body {'x' * 90}"},
    ]
    assert main(["migrate", "plan", str(ndjson(rows, "c.ndjson")), "-o", str(job)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"  app_metadata.{'k' * 100}  1" in lines
    assert any(
        line.startswith("  c.ndjson line 2: row: ") and line.endswith("can't be seen") for line in lines
    )
    main(["migrate", "status", str(job)])
    assert f"{job}: planned" in capsys.readouterr().out.splitlines()


def test_a_token_can_be_passed(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--token and --domain replace the environment in every command that talks to the tenant."""
    for name in tenant.env:
        monkeypatch.delenv(name)
    given = ["--domain", tenant.url, "--token", "a-token"]
    assert main(["migrate", "plan", str(move), "--source", "search:user_id:*", "-o", str(job), *given]) == 0
    assert main(["migrate", "apply", str(job), "--yes", *given]) == 0
    assert main(["migrate", "undo", str(job), "--yes", *given]) == 0
    assert main(["migrate", "undo", str(job), "--yes"]) == 2


def test_a_plan_that_needs_a_tenant_says_what_is_missing(
    tenant: LocalTenant,
    job: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The users of a change file have to be read: without a tenant, the error names the environment variables."""
    monkeypatch.delenv("AUTH0_DOMAIN")
    changes = tmp_path / "changes.csv"
    changes.write_text("user_id,app_metadata.plan\nauth0|1,x\n")
    assert main(["migrate", "plan", str(changes), "-o", str(job)]) == 2
    printed = capsys.readouterr().err
    assert "AUTH0_DOMAIN" in printed
    assert "pass a client" not in printed
    assert not job.exists()


def test_commands_leave_nothing_beside_the_job_file(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, tmp_path: Path
) -> None:
    """SQLite's companion files are gone when a command ends."""
    for words in (
        ["plan", str(move), "--source", str(rows), "-o", str(job)],
        ["status", str(job)],
        ["report", str(job)],
    ):
        assert main(["migrate", *words]) == 0
        assert [path.name for path in tmp_path.glob("job.db*")] == ["job.db"]


def test_fields_are_for_an_export(
    tenant: LocalTenant, job: Path, tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading a field that was not exported fails the users, and the message names the option for it."""
    path = tmp_path / "count.py"
    path.write_text("def migrate(user, tx):\n    tx.app_metadata['count'] = user.get('logins_count', 0)\n")
    plan = ["migrate", "plan", str(path), "-o"]
    assert main([*plan, str(job)]) == 1
    assert "--fields logins_count" in capsys.readouterr().out
    assert main([*plan, f"{job}2", "--fields", "logins_count, nickname"]) == 0
    assert main([*plan, f"{job}3", "--fields", "logins_count", "--source", str(rows)]) == 2


class Page(HTMLParser):
    """Collect the tags of a page and what they link to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_report_is_one_page_that_needs_nothing_else(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, tmp_path: Path
) -> None:
    """Plots are inline SVG, there are no scripts or links, and hostile ids are shown as text."""
    hostile = "auth0|<script>alert(1)</script>"
    tenant.users.add(user_id=hostile, app_metadata={"plan": "x", "<b>": 1})
    rows.write_text("".join(json.dumps(row) + "\n" for row in rows_of(tenant)))
    main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job)])
    tenant.users[hostile].delete()
    tenant.fail(method="PATCH", status=429, reset=0)
    main(["migrate", "apply", str(job), "--yes"])
    page = tmp_path / "report.html"
    assert main(["migrate", "report", str(job), "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    parsed = Page()
    parsed.feed(text)
    assert parsed.tags.count("svg") >= 3
    assert "polyline" in parsed.tags
    assert "circle" in parsed.tags
    assert "script" not in parsed.tags
    assert parsed.links == []
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text


def test_the_plot_of_a_short_run_is_not_empty(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of less than a second is drawn as a line from edge to edge, on an axis with a length."""
    main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job)])
    main(["migrate", "apply", str(job), "--yes"])
    capsys.readouterr()
    main(["migrate", "report", str(job)])
    page = capsys.readouterr().out
    assert page.count(">0 s</text>") == 1
    drawn = re.search(r'class="rate" points="([^"]+)"', page)
    assert drawn is not None
    assert len(drawn[1].split()) >= 2


def test_a_purged_job_can_only_be_viewed(
    tenant: LocalTenant, rows: Path, move: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be neither applied nor undone."""
    main(["migrate", "plan", str(move), "--source", str(rows), "-o", str(job)])
    assert main(["migrate", "purge", str(job), "--yes"]) == 0
    assert main(["migrate", "status", str(job)]) == 0
    assert "purged" in capsys.readouterr().out
    assert main(["migrate", "apply", str(job), "--yes"]) == 1
    assert main(["migrate", "undo", str(job), "--yes"]) == 1
    assert "was purged" in capsys.readouterr().err


def test_a_change_file_can_come_from_standard_input(tenant: LocalTenant, job: Path) -> None:
    """`plan -` reads it from a pipe."""
    user = tenant.users.add(user_id="auth0|1", app_metadata={"plan": "free"})
    line = [sys.executable, "-m", "auth0_meta", "migrate", "plan", "-", "-o", str(job)]
    text = "user_id,app_metadata.plan\nauth0|1,pro\n"
    done = subprocess.run(line, input=text, capture_output=True, text=True, timeout=60, check=True)
    assert "1 to change" in done.stdout
    assert main(["migrate", "apply", str(job), "--yes"]) == 0
    assert user.app_metadata == {"plan": "pro"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_job_can_be_resumed_after_ctrl_c(move: Path, job: Path, ndjson: Rows) -> None:
    """An interrupted apply finishes what is under way and exits with 130; the same command resumes it."""
    with LocalTenant(rate_limit="20@20") as tenant:
        populate(tenant, 60)
        environment = {**os.environ, **tenant.env}
        line = [sys.executable, "-m", "auth0_meta", "migrate"]
        rows = str(ndjson(rows_of(tenant)))
        subprocess.run(
            [*line, "plan", str(move), "--source", rows, "-o", str(job)],
            env=environment,
            check=True,
            timeout=60,
            capture_output=True,
        )
        process = subprocess.Popen(
            [*line, "apply", str(job), "--yes"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while tenant.journal.count("PATCH") < 3 and process.poll() is None:
            wait_a_moment()
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "finishing what is under way" in talk
        assert re.search(r"(\d+) users? still to do", talk)
        done = subprocess.run(
            [*line, "status", str(job), "--json"],
            env=environment,
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        )
        assert json.loads(done.stdout)["stage"] == "unfinished"
        assert "sent" not in json.loads(done.stdout)["counts"]


def wait_a_moment() -> None:
    """Give another process a moment."""
    import time

    time.sleep(0.02)


def test_an_unstable_function_is_exit_1_unless_it_is_allowed(
    tenant: LocalTenant, rows: Path, tmp_path: Path, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The users and the path are named; the job can be looked at, and apply refuses it."""
    path = tmp_path / "unstable.py"
    path.write_text(
        "import random\ndef migrate(user, tx):\n    tx.app_metadata.set('a.b', random.random())\n",
        encoding="utf-8",
    )
    words = ["migrate", "plan", str(path), "--source", str(rows)]
    assert main([*words, "-o", str(job), "--redact"]) == 1
    said = capsys.readouterr()
    assert "the two differ at app_metadata.a.b" in said.out
    assert "apply will refuse this job" in said.err
    assert main(["migrate", "status", str(job)]) == 0
    assert main(["migrate", "apply", str(job), "--yes"]) == 1
    assert "--allow-unstable" in capsys.readouterr().err
    allowed = job.with_name("allowed.db")
    assert main([*words, "-o", str(allowed), "--allow-unstable"]) == 0
    assert "apply will refuse" not in capsys.readouterr().err
    assert main(["migrate", "apply", str(allowed), "--yes"]) == 0
