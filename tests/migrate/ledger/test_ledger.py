"""The job file: durable commits, one writer, private, and clear messages about any other file."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auth0_meta import LedgerError
from auth0_meta.migrate import purge, report, status
from auth0_meta.migrate.ledger import lock
from auth0_meta.migrate.ledger import sqlite as disk
from auth0_meta.migrate.ledger.ledger import Ledger, Settled
from auth0_meta.migrate.ledger.records import STEPS, Plan, Record, State, written

DOCUMENT = {"app_metadata": {"plan": "canary-7f3a"}}
PLAN = Plan({"app_metadata": {"reset": False, "ops": [["set", ["plan"], "canary-7f3a"]]}}, DOCUMENT, {})

FACTS = {"created": 1.0, "tenant": "x", "kind": "changes", "migration": "x.csv", "source": "x"}


def made(job: Path, users: int = 3) -> None:
    """Write a job file with a finished plan."""
    ledger = Ledger.create(job, FACTS)
    with ledger.group():
        for n in range(users):
            ledger.add([(f"auth0|{n}", written(PLAN))])
    ledger.complete(summary={})
    ledger.close()


@pytest.fixture
def shared_job() -> Iterator[Path]:
    """Return the path of a job file that other users can reach: pytest makes its own directories private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "job.db"


def test_the_file_and_its_companions_are_private(job: Path) -> None:
    """Only the owner can read the job file, its WAL, shared memory and lock, whatever the umask."""
    made(job)
    old = os.umask(0)
    try:
        with Ledger.open(job, write=True) as ledger, ledger.group():
            ledger.store_facts(x=1)
            found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in job.parent.iterdir()}
    finally:
        os.umask(old)
    assert found == dict.fromkeys(("job.db", "job.db-wal", "job.db-shm", "job.db-lock"), 0o600)


def test_every_commit_is_synced(job: Path) -> None:
    """An intent must be on disk before its PATCH is sent, even if the power fails."""
    made(job)
    with contextlib.closing(disk.connect(job, write=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL; NORMAL is 1


def test_nothing_is_left_beside_a_closed_ledger(job: Path) -> None:
    """When a writer closes the ledger, only the job file is left."""
    made(job)
    Ledger.open(job, write=True).close()
    assert [path.name for path in job.parent.iterdir()] == ["job.db"]


def test_a_second_writer_is_refused_and_a_reader_is_not(job: Path) -> None:
    """Two processes can't write to one job file, but its status can be read meanwhile."""
    made(job)
    with Ledger.open(job, write=True):
        with pytest.raises(LedgerError, match=f"process {os.getpid()} is working"):
            Ledger.open(job, write=True)
        with Ledger.open(job) as reader:
            assert reader.counts()[State.PLANNED] == 3
    Ledger.open(job, write=True).close()


def test_the_lock_ends_with_its_process(job: Path) -> None:
    """A writer that was killed locks nobody out."""
    made(job)
    code = "import os, sys; from auth0_meta.migrate.ledger.ledger import Ledger; Ledger.open(sys.argv[1], write=True); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(job)], check=False, timeout=60)
    assert (job.parent / "job.db-lock").exists()
    Ledger.open(job, write=True).close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a job file"),
        (b"user_id,app_metadata.plan\n" * 100, "is not a job file"),
        (None, "does not exist"),
    ],
    ids=["empty", "csv", "missing"],
)
def test_a_file_that_is_not_a_job_file_is_refused(job: Path, content: bytes | None, message: str) -> None:
    """The message says why."""
    if content is not None:
        job.write_bytes(content)
    for write in (True, False):
        with pytest.raises(LedgerError, match=message):
            Ledger.open(job, write=write)


def test_the_database_of_another_program_is_refused(job: Path) -> None:
    """It is SQLite, but not a job file."""
    with sqlite3.connect(job) as db:
        db.execute("CREATE TABLE users (n)")
    db.close()
    with pytest.raises(LedgerError, match="is not a job file"):
        Ledger.open(job, write=True)


def test_a_truncated_job_file_is_refused(job: Path) -> None:
    """A file that was cut short is recognized as damaged."""
    made(job, users=500)
    whole = job.read_bytes()
    job.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LedgerError, match="damaged or cut short"):
        Ledger.open(job, write=True)


def test_a_newer_format_is_refused(job: Path) -> None:
    """This release can't open the job file of a later release."""
    made(job)
    with sqlite3.connect(job) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="format 99"):
        Ledger.open(job)


def test_only_an_unfinished_plan_is_overwritten(job: Path) -> None:
    """`create` refuses a file that exists, but replaces the unfinished plan of a killed process."""
    made(job)
    before = job.read_bytes()
    with pytest.raises(LedgerError, match="exists"):
        Ledger.create(job, {})
    assert job.read_bytes() == before
    job.unlink()
    job.write_text("mine")
    with pytest.raises(LedgerError, match="exists"):
        Ledger.create(job, {})
    job.unlink()
    code = "import os, sys; from auth0_meta.migrate.ledger.ledger import Ledger; Ledger.create(sys.argv[1], {}); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(job)], check=False, timeout=60)
    with pytest.raises(LedgerError, match="never finished"):
        Ledger.open(job)
    made(job)
    Ledger.open(job).close()


def test_a_group_that_raises_writes_nothing(job: Path) -> None:
    """What is written in a group is written completely or not at all."""
    made(job)
    with Ledger.open(job, write=True) as ledger:
        with pytest.raises(ZeroDivisionError), ledger.group():
            ledger.claim(State.PLANNED, State.SENT, 2)
            raise ZeroDivisionError
        assert ledger.counts()[State.PLANNED] == 3


def test_a_full_disk_is_reported_and_does_no_damage(job: Path) -> None:
    """If the file can't grow, the group fails with a message about what to do, and the file is as before."""
    made(job)
    limited = (
        "import resource, signal, sys\n"
        "from auth0_meta import LedgerError\n"
        "from auth0_meta.migrate.ledger.ledger import Ledger\n"
        "from auth0_meta.migrate.ledger.records import Plan, State\n"
        "ledger = Ledger.open(sys.argv[1], write=True)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))\n"
        "try:\n"
        "    with ledger.group():\n"
        "        ledger.claim(State.PLANNED, State.SENT, 3)\n"
        "        ledger.store_facts(big='x' * 500_000)\n"
        "except LedgerError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(job)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "run the same command again" in done.stdout
    with Ledger.open(job, write=True) as ledger:
        assert ledger.counts()[State.PLANNED] == 3


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are of POSIX")
def test_a_read_only_job_file_is_refused_before_anything_is_sent(shared_job: Path) -> None:
    """Opening it for writing fails."""
    made(shared_job)
    shared_job.chmod(0o444)
    shared_job.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.chown(shared_job, 65534, -1)
    code = (
        "import os, sys\n"
        "from auth0_meta import LedgerError\n"
        "from auth0_meta.migrate.ledger.ledger import Ledger\n"
        "if os.geteuid() == 0: os.setegid(65534); os.seteuid(65534)\n"
        "try: Ledger.open(sys.argv[1], write=True)\n"
        "except LedgerError as error: print(error)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(shared_job)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        shared_job.parent.chmod(0o755)
    assert "must be writable" in done.stdout or "can't be written" in done.stdout


def test_a_ledger_belongs_to_one_thread(job: Path) -> None:
    """Using a ledger from another thread raises an error instead of mixing two commits."""
    made(job)
    errors = []
    with Ledger.open(job, write=True) as ledger:

        def use() -> None:
            try:
                ledger.counts()
            except LedgerError as error:
                errors.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_a_purged_job_file_holds_no_value(job: Path) -> None:
    """After a purge no file holds a single byte of a value; counts and ids stay."""
    made(job)
    assert b"canary-7f3a" in job.read_bytes()
    with Ledger.open(job, write=True) as ledger:
        ledger.purge()
        left = b"".join(path.read_bytes() for path in job.parent.iterdir())
    assert b"canary-7f3a" not in left
    assert b"canary-7f3a" not in job.read_bytes()
    with Ledger.open(job) as ledger:
        assert ledger.counts()[State.PLANNED] == 3
        with pytest.raises(LedgerError, match="purged"):
            ledger.records()


def test_the_digest_covers_users_and_plans(job: Path, tmp_path: Path) -> None:
    """Plans with the same content have the same digest; any difference changes the digest."""
    made(job)
    made(tmp_path / "same.db")
    made(tmp_path / "more.db", users=4)
    digests = []
    for name in (job, tmp_path / "same.db", tmp_path / "more.db"):
        with Ledger.open(name) as ledger:
            digests.append(ledger.facts["digest"])
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("beginning", ["empty", "no tables"])
def test_a_plan_that_was_killed_at_its_start_is_replaced(job: Path, beginning: str) -> None:
    """Such a plan leaves an empty file or an empty database; both are replaced."""
    job.touch()
    if beginning == "no tables":
        with sqlite3.connect(job) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA user_version = 0")
        db.close()
        assert job.stat().st_size
    with pytest.raises(LedgerError, match=r"is not a job file .* or one whose plan never began: plan again"):
        status(job)
    made(job)
    assert status_counts(job) == 3


def test_a_plan_that_was_killed_inside_its_first_commit_is_replaced(job: Path) -> None:
    """It leaves a journal that has to be rolled back first; status, apply and the next plan all do that."""
    code = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1')\n"
        "db.execute('BEGIN')\n"
        "db.execute('CREATE TABLE facts (name, value)')\n"
        "db.executemany('INSERT INTO facts VALUES (?, ?)', [('x', 'y' * 3000)] * 100)\n"
        "os._exit(9)\n"
    )

    def kill() -> None:
        for name in disk.files(job):
            name.unlink(missing_ok=True)
        subprocess.run([sys.executable, "-c", code, str(job)], check=False, timeout=60)
        assert job.with_name("job.db-journal").stat().st_size
        assert job.stat().st_size

    for look in (status, purge):
        kill()
        with pytest.raises(LedgerError, match=r"plan again$"):
            look(job)
    kill()
    made(job)
    assert status_counts(job) == 3


def status_counts(job: Path) -> int:
    """Return how many users are planned."""
    with Ledger.open(job) as ledger:
        return ledger.counts()[State.PLANNED]


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("room", [0, 2000, 5000, 9000, 20_000, 60_000])
def test_a_plan_on_a_full_disk_leaves_no_file(job: Path, room: int) -> None:
    """However little space there is, the plan ends with a message about what to do."""
    code = (
        "import resource, signal, sys\n"
        "from auth0_meta import LedgerError\n"
        "from auth0_meta.migrate.ledger.ledger import Ledger\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try: Ledger.create(sys.argv[1], {'much': 'x' * 100_000})\n"
        "except LedgerError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(job)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "the disk is full" in done.stdout
    assert list(job.parent.iterdir()) == []


def test_a_lock_needs_no_room_on_the_disk(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held even if the process id can't be written into the lock file."""
    made(job)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock.os, "write", full)
    with Ledger.open(job, write=True), pytest.raises(LedgerError, match="another process is working"):
        Ledger.open(job, write=True)
    assert [path.name for path in job.parent.iterdir()] == ["job.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL, errno.EIO, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_not_taken_for_another_process(
    job: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The message says what the system said, and where the job file can be."""
    made(job)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(LedgerError, match="can't be locked") as caught:
        Ledger.open(job, write=True)
    assert os.strerror(number) in str(caught.value)
    assert "working with" not in str(caught.value)
    assert not lock.is_held(job)


def test_a_lock_whose_owner_was_interrupted_is_free_again(job: Path) -> None:
    """A ledger that nobody closed, since an interrupt came before its block, does not keep others out."""
    made(job)
    ledger = Ledger.open(job, write=True)
    ledger._db.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del ledger
    Ledger.open(job, write=True).close()


def begun(job: Path) -> None:
    """Begin two runs and end neither."""
    facts = {"started": 1.0, "share": 0.5, "ended": "running", "counts": {}, "slowest": []}
    numbers = dict.fromkeys(("seconds", "requests", "patches", "refusals", "waited"), 0)
    with Ledger.open(job, write=True) as ledger:
        with ledger.group():
            ledger.begin_run("apply", facts | numbers)
            ledger.begin_run("apply", facts | numbers)
        assert [run["ended"] for run in status(job).runs] == ["killed", "running"]


def test_a_run_without_a_process_was_killed(job: Path) -> None:
    """A run is "running" while its process holds the lock, and "killed" after that; checking this does not disturb the run."""
    made(job)
    begun(job)
    assert [run["ended"] for run in status(job).runs] == ["killed", "killed"]
    assert not lock.is_held(job)
    job.with_name("job.db-lock").touch()  # what a killed run leaves
    assert not lock.is_held(job)


@pytest.mark.parametrize(
    ("mode", "directory"),
    [(0o444, 0o555), (0o666, 0o555), (0o444, 0o777)],
    ids=["read-only", "fixed", "shared"],
)
def test_a_job_file_of_somebody_else_can_be_read(shared_job: Path, mode: int, directory: int) -> None:
    """Status and report work with a closed job file that can only be read, and leave nothing beside it."""
    made(shared_job)
    begun(shared_job)
    code = (
        "import os, sys\n"
        "from auth0_meta.migrate import report, status\n"
        "if os.geteuid() == 0: os.setegid(65534); os.seteuid(65534)\n"
        "print(status(sys.argv[1]).counts, len(report(sys.argv[1])['runs']))\n"
    )
    shared_job.chmod(mode)
    shared_job.parent.chmod(directory)

    def read() -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", code, str(shared_job)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    try:
        done = read()
        assert done.stdout == "{'planned': 3} 2\n", done.stderr
        assert [path.name for path in shared_job.parent.iterdir()] == [shared_job.name]
        shared_job.parent.chmod(0o755)
        # It may hold more than the file, and can't be read here.
        shared_job.with_name("job.db-wal").write_bytes(b"x")
        shared_job.parent.chmod(0o555)
        assert "LedgerError" in read().stderr
    finally:
        shared_job.parent.chmod(0o755)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE facts SET value = '{' WHERE name = 'digest'",
        "UPDATE facts SET value = '7' WHERE name = 'summary'",
        "DELETE FROM facts WHERE name = 'created'",
        "UPDATE facts SET value = CAST(x'ff22' AS TEXT) WHERE name = 'tenant'",
        "UPDATE runs SET facts = '[]'",
        "UPDATE runs SET facts = '{}'",
        "UPDATE runs SET facts = json_set(facts, '$.counts', 'x')",
        "UPDATE runs SET facts = json_set(facts, '$.seconds', 'x')",
        "UPDATE counts SET state = 99 WHERE state = 0",
        "DROP TABLE runs",
    ],
)
def test_a_job_file_that_makes_no_sense_is_reported_as_damaged(job: Path, damage: str) -> None:
    """Whatever was changed in a job file, the message says that the file is damaged, and quotes nothing from it."""
    made(job)
    begun(job)
    with sqlite3.connect(job) as db:
        db.execute(damage)
    db.close()
    for step in (status, report):
        with pytest.raises(LedgerError, match="damaged or cut short"):
            step(job)


def claimed(job: Path) -> None:
    """Claim every user."""
    with Ledger.open(job, write=True) as ledger:
        ledger.check_plan()
        with ledger.group():
            ledger.claim(State.PLANNED, State.SENT, 100)


def test_damaged_bytes_cause_no_traceback(job: Path) -> None:
    """A job file with wrong bytes works or is refused, and the message quotes nothing from it."""
    made(job, users=40)
    begun(job)
    good, chance = job.read_bytes(), random.Random(2)
    refusals: list[str] = []
    assert good.count(b"canary") >= 40
    steps: tuple[Callable[[Path], object], ...] = (status, report, claimed, purge)
    for _ in range(150):
        rotten = bytearray(good)
        for _ in range(chance.choice((1, 5, 40))):
            rotten[chance.randrange(100, len(rotten))] = chance.randrange(256)
        for step in steps:
            for name in disk.files(job):
                name.unlink(missing_ok=True)
            job.write_bytes(rotten)
            try:
                step(job)
            except LedgerError as error:
                refusals.append(str(error))
    assert refusals
    assert "canary" not in " ".join(refusals)


class LedgerMachine(RuleBasedStateMachine):
    """Compare a ledger with a dict; close and reopen it, and make groups fail, in between."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.job = Path(self.folder.name) / "job.db"
        self.model: dict[int, State] = {}

    @initialize(users=st.integers(0, 12))
    def make(self, users: int) -> None:
        """Plan some users."""
        made(self.job, users)
        self.model = {n + 1: State.PLANNED for n in range(users)}
        self.ledger = Ledger.open(self.job, write=True)

    @rule(limit=st.integers(0, 5))
    def claim(self, limit: int) -> None:
        """Claim the first planned users, in order."""
        with self.ledger.group():
            rows = self.ledger.claim(State.PLANNED, State.SENT, limit)
        expected = [n for n, state in self.model.items() if state is State.PLANNED][:limit]
        assert [row.n for row in rows] == expected
        assert all(row.plan.document == DOCUMENT for row in rows)
        self.model.update(dict.fromkeys(expected, State.SENT))

    @rule(
        state=st.sampled_from([State.DONE, State.SAME, State.DRIFTED, State.FAILED, State.GONE]),
        data=st.data(),
    )
    @precondition(lambda self: State.SENT in self.model.values())
    def settle(self, state: State, data: st.DataObject) -> None:
        """Settle users, which moves only those that it names."""
        sent = [n for n, known in self.model.items() if known is State.SENT]
        chosen = data.draw(st.lists(st.sampled_from(sent), unique=True, max_size=4))
        with self.ledger.group():
            self.ledger.settle(
                [Settled(Record(n, f"auth0|{n - 1}", State.SENT, PLAN), state, "note") for n in chosen]
            )
        self.model.update(dict.fromkeys(chosen, state))

    @rule(limit=st.integers(1, 5))
    def fail_in_a_group(self, limit: int) -> None:
        """Raise an error in a group, which then changes nothing."""
        with pytest.raises(KeyError), self.ledger.group():
            self.ledger.claim(State.PLANNED, State.SENT, limit)
            raise KeyError

    @rule()
    def retry(self) -> None:
        """Plan failed and drifted users once more."""
        with self.ledger.group():
            self.ledger.move((State.FAILED, State.DRIFTED), State.PLANNED)
        for n, state in self.model.items():
            if state in (State.FAILED, State.DRIFTED):
                self.model[n] = State.PLANNED

    @rule()
    def reopen(self) -> None:
        """Close the ledger and open it again, which loses nothing."""
        self.ledger.close()
        self.ledger = Ledger.open(self.job, write=True)

    @invariant()
    def agrees(self) -> None:
        """Compare records, counts and users in doubt with the model."""
        if not hasattr(self, "ledger"):
            return
        assert {row.n: row.state for row in self.ledger.records()} == self.model
        counts = self.ledger.counts()
        assert all(counts[state] == list(self.model.values()).count(state) for state in State)
        assert self.ledger.numbers(STEPS["apply"].doubts) == [
            n for n, state in self.model.items() if state is State.SENT
        ]

    def teardown(self) -> None:
        """Close and clean up."""
        if hasattr(self, "ledger"):
            self.ledger.close()
        self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupt_while_the_lock_is_taken_leaves_it_free(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is so while somebody still keeps the exception, whose traceback refers to all that was going on."""
    job = tmp_path / "job.db"
    take = lock._lock

    def interrupted(file: int) -> None:
        if late:
            take(file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lock, "_lock", interrupted)
        with pytest.raises(KeyboardInterrupt) as kept:
            Ledger.create(job, {})
    with Ledger.create(job, {}):
        pass
    assert kept.value.__traceback__ is not None


def test_an_interrupt_while_the_lock_is_taken_leaves_that_of_another_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is not removed, or a third process would lock a file of its own."""
    job = tmp_path / "job.db"

    def interrupted(file: int) -> None:
        raise KeyboardInterrupt

    with Ledger.create(job, {}):
        with monkeypatch.context() as patched:
            patched.setattr(lock, "_lock", interrupted)
            with pytest.raises(KeyboardInterrupt):
                Ledger.open(job, write=True)
        with pytest.raises(LedgerError, match="is working with"):
            Ledger.open(job, write=True)
