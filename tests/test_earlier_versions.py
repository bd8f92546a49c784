"""Files of auth0_meta 0.1.0 are opened, and those of a later version refused by name; `data/write_files.py` wrote them."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from data import write_files
from support.migrations import patches_by_user

from auth0_meta import migrate
from auth0_meta._version import __version__
from auth0_meta.actions import PostLoginTrigger, SqliteStates
from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, InputError, LedgerError
from auth0_meta.migrate.ledger.format import SCHEMA
from auth0_meta.testing import FakeClock

ARCHIVE = Path(__file__).parent / "data" / "0.1.0.tar.xz"
JOBS = (
    "planned",
    "planned_changes",
    "finished",
    "killed_apply",
    "killed_undo",
    "outcomes",
    "undone",
    "purged",
)
COUNTS = (
    {"planned": 10},
    {"planned": 3},
    {"done": 10},
    {"planned": 5, "sent": 2, "done": 3},
    {"done": 5, "undoing": 2, "undone": 3},
    {"done": 5, "same": 1, "drifted": 1, "unclear": 1, "gone": 1, "failed": 1},
    {"same": 1, "drifted": 1, "gone": 1, "failed": 1, "undone": 4, "kept": 2},
    {"done": 10},
)
PLANNED_FOR = "http://127.0.0.1:1"  # the URL of a local tenant of 0.1.0, to which its jobs are bound


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a copy of the files of 0.1.0."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def stored(folder: Path) -> dict[str, Any]:
    """Return every user of a tenant's file."""
    with LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant:
        return {user.user_id: (user.app_metadata, user.user_metadata) for user in tenant.users}


@pytest.mark.parametrize(("name", "counts"), list(zip(JOBS, COUNTS, strict=True)), ids=JOBS)
def test_a_job_file_of_0_1_0_is_shown(
    files: Path, name: str, counts: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Status, report and show read it, whatever stage it is in, name the version that planned it, and change nothing."""
    job = files / name / "job.db"
    found = migrate.status(job)
    assert (found.counts, found.version) == (counts, "0.1.0")
    assert migrate.report(job)["version"] == "0.1.0"
    before = {path: path.read_bytes() for path in job.parent.glob("job.db*") if path.suffix != ".db-shm"}
    for words in (["status"], ["show"], ["show", "--all", "--show-values"]):
        assert main(["migrate", *words, str(job)]) == (name == "purged" and words[0] == "show")
        assert "by auth0-meta 0.1.0" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", ["planned", "killed_apply", "finished"])
def test_a_job_of_0_1_0_is_finished_and_undone(files: Path, name: str) -> None:
    """Wherever it stands, every user ends as 0.1.0 would have left them, none is written twice, and undo restores all."""
    folder, migration = files / name, files / name / "move.py"
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        assert migrate.apply(folder / "job.db", client, migration=migration).failed == 0
        assert all(n == 1 for n in patches_by_user(tenant).values())
    assert stored(folder) == stored(files / "finished")
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        assert migrate.undo(folder / "job.db", client).counts == {"undone": 10}
    assert stored(folder) == stored(files / "planned")


def test_a_job_file_that_was_written_here_has_the_format_of_this_version(files: Path) -> None:
    """0.1.0 reads format 1 only, and would misread what this version may write; looking at a file changes nothing."""
    job = files / "finished" / "job.db"
    migrate.status(job)
    assert format_of(job) == 1
    migrate.purge(job)
    assert format_of(job) == SCHEMA == 2


def format_of(path: Path) -> int:
    """Return the format that a database says it has."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_an_undo_of_0_1_0_is_finished(files: Path) -> None:
    """It was killed with users in doubt; every user ends as before the migration."""
    folder = files / "killed_undo"
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        assert migrate.undo(folder / "job.db", client).counts == {"undone": 7}
    assert stored(folder) == stored(files / "planned")


def test_a_change_file_planned_by_0_1_0_is_applied_to_users_who_have_changed(files: Path) -> None:
    """Its operations are applied to what is stored now."""
    folder = files / "planned_changes"
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        client.users.update("auth0|01", {"app_metadata": {"billing": {"vat": 24, "new": 1}}})
        assert migrate.apply(folder / "job.db", client).counts == {"done": 3}
        assert tenant.users["auth0|01"].app_metadata["billing"] == {"country": "FI", "new": 1}


def test_each_outcome_of_0_1_0_is_tried_again_as_its_own(files: Path) -> None:
    """A failed user is written, an unclear one is left alone, and one who had drifted needs the migration's file."""
    folder = files / "outcomes"
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        assert migrate.apply(folder / "job.db", client).counts == {"done": 1, "drifted": 1, "unclear": 1}
        again = migrate.apply(folder / "job.db", client, migration=folder / "move.py")
        assert again.counts == {"done": 1, "unclear": 1}


@pytest.mark.parametrize(
    ("name", "why"),
    [("undone", "has been undone"), ("purged", "was purged"), ("unfinished", "never finished")],
    ids=["undone", "purged", "unfinished"],
)
def test_a_job_of_0_1_0_that_is_over_is_refused(files: Path, name: str, why: str) -> None:
    """The message says why, as for a job of this version."""
    with (
        LocalTenant(serve=False, db=files / name / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
        pytest.raises(LedgerError, match=why),
    ):
        migrate.apply(files / name / "job.db", client)


def test_an_unfinished_plan_of_0_1_0_is_planned_again(files: Path) -> None:
    """It is replaced, as 0.1.0 would have done."""
    folder = files / "unfinished"
    with (
        LocalTenant(serve=False, db=folder / "users.db", public_url=PLANNED_FOR) as tenant,
        tenant.client() as client,
    ):
        summary = migrate.plan(
            lambda _, tx: tx.app_metadata.set("n", 0),
            to=folder / "job.db",
            client=client,
            users="search:user_id:*",
        )
    assert summary.changing == 12


def test_a_login_that_0_1_0_suspended_is_continued(files: Path) -> None:
    """With the action of that name, in the same browser, once."""
    clock = FakeClock(start=write_files.NOW + 60)
    users = write_files.users()
    states = json.loads((files / "logins" / "states.json").read_text(encoding="utf-8"))
    with LocalTenant(serve=False, users=users, clock=clock) as tenant, tenant.client(clock=clock) as client:
        store = SqliteStates(files / "logins" / "logins.db")
        trigger = PostLoginTrigger(client, [write_files.Consent()], states=store)
        for state, browser in zip(states, (None, write_files.BROWSER), strict=True):
            outcome = trigger.resume(state, body={"consent": "yes"}, browser=browser)
            assert (outcome.error, outcome.id_token_claims) == (None, {"https://example.com/asked": True})
            assert not trigger.resume(state, browser=browser).allowed
        assert tenant.users["auth0|01"].user_metadata["consent"] == "yes"


def test_a_snapshot_of_0_1_0_is_loaded(files: Path) -> None:
    """Every user is as saved."""
    saved = json.loads((files / "served" / "snapshot.json").read_text(encoding="utf-8"))["users"]
    with LocalTenant(serve=False, users=files / "served" / "snapshot.json") as tenant:
        assert [dict(user) for user in tenant.users] == saved


def test_what_a_tenant_of_0_1_0_announces_is_understood(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`env` and `snapshot` use it; one that lacks what they need counts as none."""
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(files / "served"))
    path = files / "served" / f"emulator-{write_files.PORT}.json"
    path.chmod(0o600)  # as it was written
    facts = json.loads(path.read_text(encoding="utf-8"))
    port = ["--port", str(write_files.PORT)]
    with LocalTenant() as tenant:  # it takes the place of the one that was served
        path.write_text(json.dumps({**facts, "url": tenant.url, "control_token": tenant.control_token}))
        assert main(["emulator", "env", *port]) == 0
        assert f"AUTH0_CLIENT_SECRET={facts['client_secret']}" in capsys.readouterr().out
        assert main(["emulator", "snapshot", "load", str(files / "served" / "snapshot.json"), *port]) == 0
        assert len(tenant.users) == 12
    path.write_text('{"format": 9}')
    assert main(["emulator", "env", *port]) == 2
    assert "no local tenant was announced" in capsys.readouterr().err


def later(path: Path) -> None:
    """Make a file say that it has a format which nobody knows."""
    if path.suffix == ".json":
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace('"auth0_meta_snapshot": 1', '"auth0_meta_snapshot": 9'), encoding="utf-8"
        )
        return
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 9")


def plan_again(job: Path) -> None:
    """Plan into a file that is there."""
    migrate.plan(job.parents[1] / "planned_changes" / "changes.ndjson", to=job)


def start(**settings: Any) -> None:
    """Start a tenant."""
    with LocalTenant(serve=False, **settings):
        pass


@pytest.mark.parametrize(
    ("name", "read", "words"),
    [
        ("finished/job.db", migrate.status, "was written by auth0-meta 0.1.0 in format 9"),
        ("finished/job.db", migrate.purge, "finish or undo it with that version"),
        ("finished/job.db", plan_again, "exists"),
        ("unfinished/job.db", plan_again, "exists"),
        ("finished/users.db", lambda path: start(db=path), "in format 9, and this is auth0-meta"),
        ("logins/logins.db", SqliteStates, "has format 9, and auth0-meta"),
        ("served/snapshot.json", lambda path: start(users=path), "in format 9, and this is auth0-meta"),
        ("finished/job.db", lambda path: start(db=path), "something other"),
        ("finished/job.db", SqliteStates, "something other"),
    ],
    ids=[
        "status",
        "purge",
        "plan",
        "plan-unfinished",
        "db",
        "states",
        "snapshot",
        "job-as-db",
        "job-as-states",
    ],
)
def test_a_file_of_a_later_format_or_another_kind_is_refused(
    files: Path, name: str, read: Callable[[Path], object], words: str
) -> None:
    """The error names the file, its format and this version, and the file is left as it was."""
    path = files / name
    later(path)
    before = path.read_bytes()
    with pytest.raises((LedgerError, ConfigError, InputError)) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert words in str(refused.value)
    assert "exists" in words or "other" in words or __version__ in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "version",
    [None, "7", '"x\x1b[31m"', '"1' + "0" * 99 + '"', "{"],
    ids=["none", "int", "escape", "long", "broken"],
)
def test_the_version_of_an_unknown_format_is_not_believed(files: Path, version: str | None) -> None:
    """Unless it looks like a version, the message says "another version", and quotes nothing."""
    path = files / "finished" / "job.db"
    later(path)
    with closing(sqlite3.connect(path)) as db, db:
        if version is None:
            db.execute("DROP TABLE facts")
        else:
            db.execute("UPDATE facts SET value = ? WHERE name = 'version'", (version,))
    with pytest.raises(
        LedgerError, match=r"was written by another version of auth0-meta in format 9, .* wrote it$"
    ):
        migrate.status(path)
