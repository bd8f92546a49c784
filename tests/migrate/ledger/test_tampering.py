"""A job file, its lock and its migration file are judged before they are used; what was added to one does nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
import warnings
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from auth0_meta import InputError, LedgerError, ManagementClient, MetadataTransaction, User
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import apply, plan, purge, report, status, undo
from auth0_meta.migrate.html_report import render
from auth0_meta.migrate.ledger import records
from auth0_meta.migrate.ledger.digest import seal
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import Plan, pack, written
from auth0_meta.migrate.planning.evaluate import evaluate

EVIL = Plan({}, {"app_metadata": {"plan": "pro", "roles": ["admin"]}}, {"app_metadata": {"plan": "free"}})


def _migrate(user: User, tx: MetadataTransaction) -> None:
    tx.app_metadata.set("plan", "canary")


@pytest.fixture
def planned(tenant: LocalTenant, client: ManagementClient, job: Path) -> None:
    """Plan a change of three users, by a function of this process."""
    for n in range(3):
        tenant.users.add(user_id=f"auth0|{n}", app_metadata={"plan": "free"})
    plan(_migrate, to=job, client=client, users="search:user_id:*")


@pytest.fixture
def file(tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path) -> Path:
    """Plan a change of one user by a file; return the file."""
    tenant.users.add(user_id="auth0|1", app_metadata={"plan": "free"})
    path = tmp_path / "move.py"
    path.write_text("def migrate(user, tx):\n    tx.app_metadata.set('plan', 'pro')\n")
    plan(path, to=job, client=client, users="search:user_id:*")
    return path


def _tamper(job: Path, *statements: str) -> None:
    with closing(sqlite3.connect(job, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def _commands(job: Path, client: ManagementClient) -> list[Callable[[], object]]:
    """Return a call for each command that works with a job file."""
    return [
        lambda: status(job),
        lambda: report(job),
        lambda: apply(job, client),
        lambda: undo(job, client),
        lambda: purge(job),
    ]


EVIL_TEXT = pack(written(EVIL))
assert isinstance(EVIL_TEXT, str)
ADDED = {
    "trigger": [
        "CREATE TRIGGER t AFTER UPDATE OF state ON users WHEN new.state = 1 BEGIN"  # noqa: S608
        f" UPDATE users SET plan = '{EVIL_TEXT}' WHERE state = 0; END"
    ],
    "trigger replaced": ["DROP TRIGGER moved", "CREATE TRIGGER moved AFTER DELETE ON users BEGIN SELECT 1; END"],
    "trigger gone": ["DROP TRIGGER moved"],
    "view": ["ALTER TABLE users RENAME TO others", "CREATE VIEW users AS SELECT * FROM others ORDER BY random()"],
    "endless view": [
        "DROP TABLE facts",
        "CREATE VIEW facts AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
        " SELECT 'a' || x AS name, '1' AS value FROM c",
    ],
    "index": ["DROP INDEX by_state", "CREATE INDEX by_state ON users (n)"],
    "partial index": ["DROP INDEX by_state", "CREATE INDEX by_state ON users (state) WHERE n > 1"],
    "table": ["CREATE TABLE more (x)"],
    "column": ["ALTER TABLE users ADD COLUMN more"],
}  # fmt: skip


@pytest.mark.parametrize("statements", ADDED.values(), ids=ADDED)
@pytest.mark.usefixtures("planned")
def test_a_job_file_holds_what_a_plan_makes_and_nothing_else(
    statements: list[str], tenant: LocalTenant, client: ManagementClient, job: Path
) -> None:
    """Every command refuses it, and nothing was sent."""
    _tamper(job, *statements)
    for call in _commands(job, client):
        with pytest.raises(LedgerError, match=r"did not make|damaged"):
            call()
    assert [user.app_metadata for user in tenant.users] == [{"plan": "free"}] * 3


@pytest.mark.parametrize("state", ["planned", "sent", "drifted", "failed", "unclear"])
@pytest.mark.parametrize("operations", ["none", "the planned ones"])
@pytest.mark.usefixtures("planned")
def test_a_plan_made_again_does_only_what_was_planned(
    state: str, operations: str, tenant: LocalTenant, client: ManagementClient, job: Path
) -> None:
    """Whatever has been written into a row beside its plan, no user gets what the plan's operations don't come to."""
    with closing(sqlite3.connect(job)) as db:
        (stored,) = db.execute("SELECT plan FROM users").fetchone()
    ops = {} if operations == "none" else records.unpack(stored).ops
    evil = pack(written(Plan(ops, EVIL.document, EVIL.before)))
    for n in range(3):
        values = f"again = '{evil!s}', seal = '{seal(f'auth0|{n}', evil)}', state = {records.State[state.upper()]:d}"
        _tamper(job, f"UPDATE users SET {values} WHERE user_id = 'auth0|{n}'")  # noqa: S608
    with pytest.raises(LedgerError, match="can't be read"):
        apply(job, client)
    assert [user.app_metadata for user in tenant.users] == [{"plan": "free"}] * 3


@pytest.mark.usefixtures("planned")
def test_a_block_is_checked_again_after_somebody_else_has_written(job: Path) -> None:
    """Its digest was right when the first of its users was claimed."""
    with Ledger.open(job, write=True) as ledger:
        with ledger.group():
            assert len(ledger.claim_numbers([1], records.State.SENT)) == 1
        _tamper(job, f"UPDATE users SET plan = '{EVIL_TEXT}' WHERE n = 2")  # noqa: S608
        with pytest.raises(LedgerError, match="digest differs"), ledger.group():
            ledger.claim_numbers([2], records.State.SENT)


@pytest.mark.usefixtures("planned")
def test_a_plan_is_unpacked_up_to_a_limit(
    job: Path, client: ManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kilobyte can unpack to a gigabyte; what is above the limit is damaged."""
    monkeypatch.setattr(records, "_MOST_PLAN", 10_000)
    bomb = zlib.compress(json.dumps([{}, {}, {"app_metadata": {"x": "x" * 20_000}}]).encode())
    _tamper(job, f"UPDATE users SET plan = x'{bomb.hex()}'")  # noqa: S608
    with pytest.raises(LedgerError, match="can't be read"):
        apply(job, client)
    fits = zlib.compress(json.dumps([{}, {}, {"app_metadata": {"x": "x" * 9_000}}]).encode())
    assert records.unpack(fits).before["app_metadata"]["x"] == "x" * 9_000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET value = '\"\\ud800\\u001b[31m\"' WHERE name IN ('migration', 'digest', 'version')",
        "UPDATE users SET state = 4, note = x'41', user_id = CAST(user_id AS BLOB)",
        "INSERT INTO problems (user_id, kind, note) VALUES (x'41', x'41', x'41')",
    ],
    ids=["text that can't be written", "bytes for a note", "bytes for a problem"],
)
@pytest.mark.usefixtures("planned")
def test_a_report_can_be_written_whatever_a_job_file_says(statement: str, job: Path) -> None:
    """It is text without what a terminal obeys, as a page and as JSON, or `LedgerError` is raised."""
    _tamper(job, statement)
    with suppress(LedgerError):
        for as_json in (False, True):
            page = render(job, as_json=as_json)
            page.encode()
            assert "\x1b" not in page


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"], ids=["too long", "null character"])
def test_a_name_that_no_file_can_have_is_a_ledger_error(
    name: str, client: ManagementClient, job: Path
) -> None:
    """Every command says so, and none raises what the system raised."""
    path = job.with_name(name)
    for call in (lambda: status(path), lambda: apply(path, client), lambda: purge(path)):
        with pytest.raises(LedgerError, match="can't be used"):
            call()


# The files around it ----------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


@posix
@pytest.mark.parametrize("kind", ["pipe", "directory", "link to a pipe"])
def test_what_is_not_a_regular_file_is_no_job_file(kind: str, client: ManagementClient, job: Path) -> None:
    """It is refused without waiting for it, and is what it was afterwards."""
    if kind == "directory":
        job.mkdir()
    else:
        os.mkfifo(job if kind == "pipe" else job.with_name("pipe"), 0o644)
        if kind == "link to a pipe":
            job.symlink_to("pipe")
    before = job.stat()
    changes = job.with_name("changes.csv")
    changes.write_text("user_id,app_metadata.plan\nauth0|1,pro\n")
    for call in (
        lambda: plan(changes, to=job, client=client),
        lambda: status(job),
        lambda: apply(job, client),
    ):
        with pytest.raises(LedgerError, match=r"not a regular file"):
            call()
    after = job.stat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


@posix
@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_files_beside_a_new_job_file_that_are_not_its_own_are_left_alone(
    end: str, client: ManagementClient, job: Path
) -> None:
    """An empty file under the job's name does not make the files beside it ours, even behind a symbolic link."""
    real = job.with_name("real")
    real.touch()
    job.symlink_to(real)
    beside = job.with_name(f"real{end}")
    beside.symlink_to("precious")
    job.with_name("precious").write_text("precious")
    changes = job.with_name("changes.csv")
    changes.write_text("user_id,app_metadata.plan\nauth0|1,pro\n")
    with pytest.raises(LedgerError, match="in the way"):
        plan(changes, to=job, client=client)
    assert beside.read_text() == "precious"


@posix
@pytest.mark.parametrize("planted", ["symbolic link", "hard link", "text", "pipe"])
def test_a_lock_is_taken_on_nothing_but_a_lock_file(
    planted: str, file: Path, client: ManagementClient, job: Path
) -> None:
    """What has been planted under the lock's name is neither followed nor emptied."""
    name, victim = job.with_name(f"{job.name}-lock"), job.with_name("victim")
    victim.write_text("precious, and longer than the number of any process")
    if planted == "symbolic link":
        name.symlink_to(victim)
    elif planted == "hard link":
        name.hardlink_to(victim)
    elif planted == "text":
        name.write_text(victim.read_text())
    else:
        os.mkfifo(name)
    for call in (
        lambda: apply(job, client),
        lambda: purge(job),
        lambda: plan(file, to=job, client=client),
    ):
        with pytest.raises(LedgerError, match=r"lock can't be"):
            call()
    assert status(job).stage == "planned"
    assert victim.read_text().startswith("precious")
    assert name.exists()


def _plant_pipe(name: Path, victim: Path) -> None:
    os.mkfifo(name)


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "pipe": _plant_pipe,
    "directory": lambda name, victim: name.mkdir(),
    "symbolic link": lambda name, victim: name.symlink_to(victim),
    "hard link": lambda name, victim: name.hardlink_to(victim),
}


@posix
@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_nothing_is_opened_beside_a_job_file_but_files_of_its_own(
    plant: Callable[[Path, Path], object], end: str, file: Path, client: ManagementClient, job: Path
) -> None:
    """SQLite would write to what has been planted there, delete it or wait for it, whichever command opens the job."""
    victim, new = job.with_name("victim"), job.with_name("new.db")
    victim.write_bytes(b"")
    beside = [job.with_name(f"{one.name}{end}") for one in (job, new)]
    for name in beside:
        plant(name, victim)
    before = [(one.lstat().st_mode, one.lstat().st_nlink) for one in (*beside, victim)]
    calls = _commands(job, client)
    calls.append(lambda: plan(file, to=new, client=client, users="search:user_id:*"))
    for call in calls:
        with pytest.raises(LedgerError, match="in the way"):
            call()
    assert [(one.lstat().st_mode, one.lstat().st_nlink) for one in (*beside, victim)] == before
    assert victim.read_bytes() == b""
    assert not new.exists()


@posix
@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_text_beside_a_job_file_is_not_deleted(
    end: str, file: Path, client: ManagementClient, job: Path
) -> None:
    """It has the name of a file of SQLite's and is none, so it's somebody's notes."""
    notes = job.with_name(f"{job.name}{end}")
    notes.write_text("notes of mine")
    for call in (lambda: status(job), lambda: apply(job, client), lambda: purge(job)):
        with pytest.raises(LedgerError, match="in the way"):
            call()
    assert notes.read_text() == "notes of mine"


@posix
@pytest.mark.parametrize(
    ("mode", "refused"), [(0o620, True), (0o602, True), (0o666, True), (0o644, False), (0o600, False)]
)
@pytest.mark.usefixtures("planned")
def test_a_job_file_that_others_can_change_is_not_applied(
    mode: int, refused: bool, client: ManagementClient, job: Path
) -> None:
    """It may not hold what was planned; looking at it is possible."""
    job.chmod(mode)
    assert status(job).stage == "planned"
    if refused:
        with pytest.raises(LedgerError, match="changed by other users"):
            apply(job, client)
        assert stat.S_IMODE(job.stat().st_mode) == mode
    else:
        assert apply(job, client).counts == {"done": 3}


@posix
@pytest.mark.usefixtures("planned")
def test_a_job_file_of_another_user_is_not_applied(
    client: ManagementClient, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by root either."""
    monkeypatch.setattr(os, "geteuid", lambda: job.stat().st_uid + 1)
    with pytest.raises(LedgerError, match="belongs to another user"):
        apply(job, client)


# Purging ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("planned")
def test_a_purge_beside_a_reader_says_that_the_values_are_still_there(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are gone once it is repeated after the reader has ended."""
    monkeypatch.setattr("auth0_meta.files.sqlite._BUSY_MS", 10)
    with closing(sqlite3.connect(job, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM users").fetchone()
        with pytest.raises(LedgerError, match="being read by another process"):
            purge(job)
        reader.execute("ROLLBACK")
    purge(job)
    assert b"canary" not in b"".join(path.read_bytes() for path in job.parent.glob("job.db*"))


@pytest.mark.usefixtures("planned")
def test_after_a_purge_nothing_is_left_to_guess_a_value_from(job: Path) -> None:
    """No digest, because short values can be found by trying; and no note, because one may quote a value."""
    purge(job)
    with closing(sqlite3.connect(job)) as db:
        for column in ("plan", "again", "seal", "note"):
            assert db.execute(f"SELECT COUNT({column}) FROM users").fetchone() == (0,)  # noqa: S608
        assert set(db.execute("SELECT digest FROM blocks")) == {("",)}
        assert db.execute("SELECT value FROM facts WHERE name = 'digest'").fetchone() == ('""',)
    assert status(job).stage == "purged"


# The migration's file and its process -----------------------------------------------------------------


@pytest.mark.parametrize("module", ["queue", "json", "signal", "sqlite3", "attrs", "auth0_meta"])
def test_modules_of_the_current_directory_are_not_run(
    module: str,
    file: Path,
    client: ManagementClient,
    job: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever starts a migration in a directory of downloads runs none of them."""
    here = tmp_path / "downloads"
    here.mkdir()
    (here / f"{module}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    monkeypatch.chdir(here)
    plan(file, to=job.with_name("two.db"), client=client, users="search:user_id:*")
    assert not (tmp_path / "run").exists()


def test_the_process_of_a_migration_has_no_credentials(
    file: Path, client: ManagementClient, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the settings in the environment it sees which tenant it is, and nothing that opens it."""
    for name in ("CLIENT_ID", "CLIENT_SECRET", "API_TOKEN", "PRIVATE_KEY", "DOMAIN", "META_CONTROL_TOKEN"):
        monkeypatch.setenv(f"AUTH0_{name}", "canary")
    file.write_text(
        "import os\ndef migrate(user, tx):\n"
        "    tx.app_metadata.set('names', sorted(name for name in os.environ if name.startswith('AUTH0_')))\n"
    )
    two = job.with_name("two.db")
    plan(file, to=two, client=client, users="search:user_id:*")
    with Ledger.open(two) as ledger:
        assert ledger.records(1)[0].plan.document == {"app_metadata": {"names": ["AUTH0_DOMAIN"]}}


def test_a_file_that_was_not_planned_with_is_not_run(
    file: Path, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """Its digest is compared before a line of it runs, in `apply` and in each new process of a plan."""
    file.write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n{file.read_text()}")
    with pytest.raises(InputError, match="not the file that was planned with"):
        apply(job, client, migration=file)
    assert not (tmp_path / "run").exists()


@posix
def test_a_file_that_everybody_can_change_is_not_run(file: Path, client: ManagementClient, job: Path) -> None:
    """Nor is one of another user's; one that the group may change is common, and is run."""
    file.chmod(0o666)
    with pytest.raises(InputError, match="can be changed by everybody"):
        apply(job, client, migration=file)
    file.chmod(0o664)
    assert apply(job, client, migration=file).counts == {"done": 1}


def test_of_a_warning_of_the_function_a_plan_keeps_the_kind_and_the_line() -> None:
    """Its text may quote metadata, and a job file's summary and the reports hold none; our own warnings have no values."""

    def migrate(user: User, tx: MetadataTransaction) -> None:
        warnings.warn(f"odd: {user.app_metadata['plan']}", stacklevel=1)
        tx.app_metadata.set("plan", 2**53 + 1)

    profile = {"user_id": "auth0|1", "app_metadata": {"plan": "canary"}}
    theirs, ours = evaluate(migrate, profile)["advice"]
    assert theirs.startswith("UserWarning (test_tampering.py line ")
    assert "app_metadata" in ours
