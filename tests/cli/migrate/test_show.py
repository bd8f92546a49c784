"""`auth0-meta migrate show`: somebody who has the job file alone sees whom it changes, and how."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, populate

from auth0_meta import migrate
from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.lock import FileLock
from auth0_meta.migrate.ledger.records import Plan, written

CANARY = "canary-7f3a"
Show = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that names a tenant."""
    for name in [name for name in os.environ if name.startswith("AUTH0_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Return a function that runs the command and returns its exit code and outputs."""

    def run(job: Path, *words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["migrate", "show", str(job), *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with 25 users to change, one who can't be planned and one who stays as it is."""
    with LocalTenant(serve=False) as local:
        populate(local, 25)
        local.users.add(user_id="auth0|broken", app_metadata={"plan": {"a": 1}, "billing": 7})
        local.users.add(user_id="auth0|other")
        yield local


def plan(tenant: LocalTenant, job: Path, migration: Any = move_plan) -> Path:
    """Plan for every user."""
    with tenant.client() as client:
        migrate.plan(migration, to=job, client=client, users="search:user_id:*")
    return job


def plan_changes(tenant: LocalTenant, job: Path, rows: list[Any]) -> Path:
    """Plan a change file."""
    path = job.with_suffix(".ndjson")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with tenant.client() as client:
        migrate.plan(path, to=job, client=client)
    return job


def rows(text: str) -> list[list[str]]:
    """Parse CSV."""
    return list(csv.reader(io.StringIO(text), strict=True))


def test_the_job_and_its_first_users_are_shown(tenant: LocalTenant, job: Path, show: Show) -> None:
    """What was planned, when, for which tenant, its counts and keys, whom it leaves out and why, and how to see more."""
    plan(tenant, job)
    code, out, err = show(job)
    assert (code, err) == (0, "")
    for words in (
        f"{job}: planned\n",
        f"tenant     {tenant.url}",
        "migration  move_plan",
        "source     search (9 characters)",
        f"plan       {migrate.status(job).digest[:12]}",
        "UTC, by auth0-meta ",
        "27 users read: 25 to change, 1 unchanged, 1 invalid",
        "  app_metadata.billing  25",
        "  auth0|broken: failed: ",
        "\nauth0|000000 planned\n  + app_metadata.billing.plan: 6 B\n  - app_metadata.plan: 6 B\n",
        "20 of 25 users shown: --all shows all, --user ID one, --csv writes a row for each path",
    ):
        assert words in out
    assert "auth0|000019" in out
    assert "auth0|000020" not in out
    _, out, _ = show(job, "--all")
    assert "auth0|000024" in out
    assert "shown:" not in out


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({}, {"a": 1}, ["+ app_metadata.a: 1"]),
        ({}, {"a": {"b": {"c": 1}}}, ['+ app_metadata.a: {"b": {"c": 1}}']),
        (
            {"a": {"b": 1, "c": {"d": 1}}},
            {"a": {"b": 2, "c": {"e": [1]}}},
            ["~ app_metadata.a.b: 1 -> 2", "+ app_metadata.a.c.e: [1]"],
        ),
        ({"a": 1}, {"a": True}, ["~ app_metadata.a: 1 -> true"]),
        ({"a": [1, 2]}, {"a": [1]}, ["~ app_metadata.a: [1, 2] -> [1]"]),
        ({"a": {"b": 1}}, {"a": {"b": None}}, ["- app_metadata.a.b: 1"]),
        ({"a": {"b": 1}}, {"a": None}, ['- app_metadata.a: {"b": 1}']),
        ({"a": 7}, {"a": {"b": 1}}, ['~ app_metadata.a: 7 -> {"b": 1}']),
    ],
    ids=["added", "object", "nested", "type", "list", "deleted", "deleted-object", "replaced"],
)
def test_each_path_that_differs_is_one_line(
    job: Path, before: Any, after: Any, lines: list[str], show: Show
) -> None:
    """+ is added, ~ changed, - deleted; what stays as it is isn't shown."""
    with LocalTenant(serve=False, users=[{"user_id": "auth0|1", "app_metadata": before}]) as tenant:
        plan_changes(tenant, job, [{"user_id": "auth0|1", "app_metadata": after}])
    code, out, _ = show(job, "--user", "auth0|1", "--show-values")
    assert (code, out) == (0, "\nauth0|1 planned\n" + "".join(f"  {line}\n" for line in lines))


def test_an_emptied_bag_is_shown_by_its_keys(tenant: LocalTenant, job: Path, show: Show) -> None:
    """Each key that was there is deleted."""
    plan(tenant, job, lambda _, tx: tx.user_metadata.clear())
    assert show(job, "--user", "auth0|000001")[1] == "\nauth0|000001 planned\n  - user_metadata.theme: 6 B\n"


def test_a_bag_that_was_not_an_object_is_shown_as_a_whole(job: Path, show: Show) -> None:
    """It becomes an object."""
    source = job.with_suffix(".ndjson")
    source.write_text('{"user_id": "auth0|1", "app_metadata": "text"}', encoding="utf-8")
    migrate.plan(lambda _, tx: tx.app_metadata.clear(), to=job, users=str(source))
    assert show(job, "--user", "auth0|1", "--show-values")[1].endswith('\n  ~ app_metadata: "text" -> {}\n')


def test_one_user_is_planned_left_out_or_unknown(tenant: LocalTenant, job: Path, show: Show) -> None:
    """The command says which; the exit code is 1 for a user of whom the job has nothing."""
    plan(tenant, job)
    assert show(job, "--user", "auth0|000024")[:2] == (
        0,
        "\nauth0|000024 planned\n  + app_metadata.billing.plan: 6 B\n  - app_metadata.plan: 6 B\n",
    )
    code, out, err = show(job, "--user", "auth0|broken")
    assert (code, err) == (0, "")
    assert out.startswith("auth0|broken not planned: failed: ")
    for form in ([], ["--csv"], ["--json"]):
        code, out, err = show(job, "--user", "auth0|other", *form)
        assert code == 1
        assert (json.loads(out)["error"]["type"] if form == ["--json"] else out) in ("CommandError", "")
        assert "auth0|other is not in" in err
        assert "unchanged" in err


def test_values_are_shown_on_a_terminal_or_on_request(
    tenant: LocalTenant, job: Path, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the diff of a plan: elsewhere, and with --redact, there are names and sizes only; JSON never has values."""
    tenant.users.add(user_id="auth0|canary", app_metadata={"plan": CANARY})
    plan(tenant, job)
    for form in ([], ["--csv"], ["--all"], ["--user", "auth0|canary"], ["--user", "auth0|canary", "--json"]):
        assert CANARY not in show(job, *form)[1]
        assert (CANARY in show(job, *form, "--show-values")[1]) is bool(form and "--json" not in form)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        assert (CANARY in show(job, *form)[1]) is bool(form and "--json" not in form)
        assert CANARY not in show(job, *form, "--redact")[1]
        monkeypatch.undo()


def test_csv_has_a_row_for_each_path(tenant: LocalTenant, job: Path, show: Show) -> None:
    """Cells are JSON, or sizes; an empty cell is an absent value."""
    plan(tenant, job)
    found = rows(show(job, "--csv", "--show-values")[1])
    assert len(found) == 51
    assert found[:3] == [
        ["user_id", "state", "path", "before", "after"],
        ["auth0|000000", "planned", "app_metadata.billing.plan", "", '"free"'],
        ["auth0|000000", "planned", "app_metadata.plan", '"free"', ""],
    ]
    assert rows(show(job, "--csv")[1])[1] == [
        "auth0|000000",
        "planned",
        "app_metadata.billing.plan",
        "",
        "6 B",
    ]
    assert len(rows(show(job, "--csv", "--user", "auth0|000003")[1])) == 3


HOSTILE = [
    '=1+1"',
    "+1,1",
    "-1\n=2",
    "@SUM(A1)",
    "\uff1d1",
    "\x1b[31m\u202e\u2028",
    "[bold]:smile:",
    "\t=1",
    '"',
    "'",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{n}" for n in range(len(HOSTILE))])
def test_hostile_text_is_harmless(text: str, job: Path, show: Show) -> None:
    """No cell of the CSV is a formula, and nothing in ids, keys or values controls a terminal or is markup."""
    user_id, key = f"{text}|1", text.replace(".", "")
    planned = Plan({}, {"app_metadata": {"a": [text], key: text}}, {"app_metadata": {"a": text}})
    facts = {"created": 1.8e9, "tenant": None, "migration": "m.py", "source": "export"}
    with Ledger.create(job, facts) as ledger:
        with ledger.group():
            ledger.add([(user_id, written(planned))])
            ledger.add_problem(f"{text}|2", "failed", text)
        ledger.complete(summary={"changing": 1})
    for words in (["--csv"], [], ["--user", user_id], ["--json"]):
        code, out, err = show(job, *words, "--show-values")
        assert (code, err) == (0, "")
        assert not any((ord(c) < 32 and c != "\n") or c in "\x7f\u202e\u2028" for c in out)
        if words == ["--csv"]:
            (_, *cells) = rows(out)
            assert len(cells) == 2
            assert not any(cell.startswith(tuple("=+-@\uff1d\t\r")) for row in cells for cell in row)
            assert json.loads(cells[0][3]) == text
            assert json.loads(cells[0][4]) == [text]
        if "[bold]" in text and not words:
            assert '~ app_metadata.a: "[bold]:smile:" -> ["[bold]:smile:"]' in out


def test_json_has_names_and_sizes(tenant: LocalTenant, job: Path, show: Show) -> None:
    """It has the status, the first users, and who was left out; --csv is for everyone."""
    plan(tenant, job)
    found = json.loads(show(job, "--json")[1])
    assert (found["stage"], found["tenant"], len(found["users"])) == ("planned", tenant.url, 20)
    assert found["users"][0] == {
        "user_id": "auth0|000000",
        "state": "planned",
        "note": None,
        "changes": [
            {"path": "app_metadata.billing.plan", "change": "added", "before_bytes": None, "after_bytes": 6},
            {"path": "app_metadata.plan", "change": "deleted", "before_bytes": 6, "after_bytes": None},
        ],
    }
    assert [one["user_id"] for one in found["invalid"]] == ["auth0|broken"]
    only = json.loads(show(job, "--json", "--user", "auth0|broken")[1])
    assert (only["users"], len(only["invalid"])) == ([], 1)
    for words in (["--json", "--all"], ["--json", "--csv"], ["--all", "--user", "x"]):
        assert show(job, *words)[0] == 2


def test_what_became_of_each_user_is_shown(tenant: LocalTenant, job: Path, show: Show) -> None:
    """The state, the note, and the plan that was made again."""
    plan(tenant, job)
    with tenant.client() as client:
        client.users.delete("auth0|000001")
        client.users.update("auth0|000002", {"app_metadata": {"billing": {"vat": 25}}})
        tenant.fail(method="PATCH", user_id="auth0|000003", status=400)
        migrate.apply(job, client)
        _, out, _ = show(job, "--show-values")
        assert f"{job}: applied" in out
        assert "\nauth0|000000 done\n" in out
        assert "\nauth0|000001 gone: the user does not exist any more\n" in out
        assert "\nauth0|000003 failed: " in out
        found = {(row[0], row[2]): row for row in rows(show(job, "--csv", "--show-values")[1])}
        assert found["auth0|000002", "app_metadata.billing.plan"][1:] == [
            "done",
            "app_metadata.billing.plan",
            "",
            '"free"',
        ]
        client.users.update("auth0|000004", {"app_metadata": {"billing": {}}})
        migrate.undo(job, client)
    _, out, _ = show(job)
    assert f"{job}: undone" in out
    assert "\nauth0|000000 undone\n" in out
    assert "\nauth0|000004 kept: " in out


def test_a_purged_job_shows_its_counts_and_is_refused(tenant: LocalTenant, job: Path, show: Show) -> None:
    """The exit code is 1, and the message says that the values are gone."""
    plan(tenant, job)
    migrate.purge(job)
    code, out, err = show(job)
    assert code == 1
    assert f"{job}: purged\n" in out
    assert "25 to change" in out
    assert "was purged: it holds no values any more" in err
    for words in (["--csv"], ["--json"], ["--user", "auth0|000000"]):
        code, out, err = show(job, *words)
        assert code == 1
        assert "was purged" in (json.loads(out)["error"]["message"] if words == ["--json"] else err)
        assert words == ["--json"] or not out


def interrupted(job: Path) -> None:
    """Leave what a plan leaves that was killed after its first commit."""
    code = (
        "import os, sys\n"
        "from auth0_meta.migrate.ledger.ledger import Ledger\n"
        "from auth0_meta.migrate.ledger.records import Plan, written\n"
        "facts = dict(created=1.8e9, tenant=None, kind='function', migration='m.py', source='export')\n"
        "ledger = Ledger.create(sys.argv[1], facts)\n"
        "with ledger.group():\n"
        "    ledger.add([('auth0|1', written(Plan({}, {'app_metadata': {'a': 1}}, {})))])\n"
        "    ledger.add_problem('auth0|2', 'failed', 'why')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(job)], check=False, timeout=60)


def test_an_interrupted_plan_shows_what_is_there_and_is_refused(job: Path, show: Show) -> None:
    """The exit code is 1; while the plan is being made, the message says to wait."""
    interrupted(job)
    code, out, err = show(job)
    assert code == 1
    assert f"{job}: unfinished plan\n" in out
    assert "\nauth0|1 planned\n  + app_metadata.a: 1 B\n" in out
    assert "auth0|2: failed: why" in out
    assert "is a plan that was never finished: plan again" in err
    assert show(job, "--csv")[:2] == (1, "")
    lock = FileLock(job)
    lock.take()
    try:
        assert "is still being planned by another process: wait for it" in show(job)[2]
    finally:
        lock.close()


@pytest.mark.parametrize(
    "damage",
    [
        'UPDATE users SET plan = \'[{}, {"app_metadata": {"x": 1}}, {}]\' WHERE n = 3',
        "UPDATE users SET plan = 'x' WHERE n = 3",
        "UPDATE users SET plan = '[{}, [], []]' WHERE n = 3",
        "UPDATE users SET user_id = 'auth0|evil' WHERE n = 3",
        "DELETE FROM users WHERE n = 3",
        "UPDATE blocks SET digest = 'x'",
        "UPDATE facts SET value = '\"x\"' WHERE name = 'created'",
        "UPDATE facts SET value = '1e308' WHERE name = 'created'",
        "DELETE FROM counts",
        "DROP TABLE problems",
    ],
    ids=["plan", "text", "shape", "id", "gone", "digest", "created", "far", "counts", "problems"],
)
def test_a_plan_that_was_altered_or_damaged_is_refused(
    tenant: LocalTenant, job: Path, damage: str, show: Show
) -> None:
    """What is shown is what would be applied, or there is an error; never a traceback."""
    plan(tenant, job)
    with closing(sqlite3.connect(job)) as db, db:
        db.execute(damage)
    for words in ([], ["--csv"], ["--json"], ["--user", "auth0|000002"]):
        code, _, err = show(job, *words)
        assert code == 1
        assert err.startswith("error: " + str(job)) or "is not in" in err


@pytest.mark.parametrize("content", [b"", b"user_id\n" * 99, None], ids=["empty", "csv", "missing"])
def test_any_other_file_is_refused(job: Path, content: bytes | None, show: Show) -> None:
    """In one line."""
    if content is not None:
        job.write_bytes(content)
    assert show(job)[0] == 1


def test_nothing_is_changed_by_looking(tenant: LocalTenant, job: Path, show: Show) -> None:
    """The file keeps its bytes, mode and times, and nothing is left beside it, in every form."""
    plan(tenant, job)
    job.chmod(0o640)
    before = job.read_bytes(), job.stat().st_mode, job.stat().st_mtime_ns
    for words in ([], ["--csv"], ["--json"], ["--all"], ["--user", "auth0|000001"]):
        assert show(job, *words)[0] == 0
        assert (job.read_bytes(), job.stat().st_mode, job.stat().st_mtime_ns) == before
        assert [path.name for path in job.parent.iterdir()] == ["job.db"]


def test_a_job_is_shown_while_it_runs(tenant: LocalTenant, job: Path, show: Show) -> None:
    """A run that holds the file is neither disturbed nor waited for, and its users are shown as they stand."""
    plan(tenant, job)
    with tenant.client() as client:

        def look(_: object) -> None:
            assert show(job, "--csv")[0] == 0

        tenant.before("PATCH", None, look, nth=5)
        assert migrate.apply(job, client).counts == {"done": 25}
