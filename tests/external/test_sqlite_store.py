"""The store in an SQLite file: whose it is, what survives, and what is said if something is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.forks import in_child

from auth0_meta import ConfigError, ExternalDamagedError, ExternalUnavailableError, InputError, StateError
from auth0_meta.external import SqliteStore, load, open_store, pointer, save, sqlite_store
from auth0_meta.files.sqlite import open_database
from auth0_meta.testing import FakeClock

PATH = "app_metadata.history"
SECRET = "s3cret-" * 20


def put(store: SqliteStore, n: int = 1, user_id: str = "auth0|1") -> Any:
    """Store a value, and return its pointer."""
    return save([n, SECRET], store=store, user_id=user_id, path=PATH)


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file goes."""
    return tmp_path / "big.db"


# Whose file it is -----------------------------------------------------------------


def test_only_the_user_can_read_the_file(path: Path) -> None:
    """The file and those that SQLite makes beside it have mode 0600; an existing one gets it."""
    with SqliteStore(path) as store:
        put(store)
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    path.chmod(0o644)
    with SqliteStore(path) as store:
        put(store, 2)
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE mine (a)")


def _other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA application_id = 0x41304D4C")  # a job file
        db.execute("CREATE TABLE stored (key)")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("my notes, which nobody may overwrite\n" * 100),
        lambda path: path.write_bytes(b"x"),
        _other_database,
        _other_application,
    ],
)
def test_the_file_of_another_program_is_refused_and_left_alone(path: Path, make: Any) -> None:
    """By its name, byte for byte."""
    make(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"big\.db holds something else: name a file of its own"):
        SqliteStore(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["big.db"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (lambda path: path.mkdir(), "it is a directory"),
        (os.mkfifo, "it is a pipe"),
        (lambda path: path.symlink_to(path.parent / "none" / "big.db"), "No such file"),
    ],
)
def test_what_is_no_file_is_refused(path: Path, place: Any, why: str) -> None:
    """A directory, a pipe, a folder that does not exist."""
    place(path)
    with pytest.raises(ConfigError, match=rf"big.db can't be used as a store: .*{why}"):
        SqliteStore(path)


@pytest.mark.parametrize("path", ["", "a\0b", None, 7])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """Before anything is made."""
    with pytest.raises(ConfigError, match="can't be used as a store"):
        SqliteStore(path)


def test_a_second_name_is_refused(path: Path) -> None:
    """SQLite would find another log beside the other name."""
    SqliteStore(path).close()
    (path.parent / "link.db").hardlink_to(path)
    with pytest.raises(ConfigError, match="several names"):
        SqliteStore(path)


@pytest.mark.parametrize(
    ("statement", "kind", "why"),
    [
        ("PRAGMA user_version = 2", ConfigError, "has format 2, and this version reads format 1"),
        (
            "CREATE TRIGGER t AFTER INSERT ON stored BEGIN DELETE FROM stored; END",
            ConfigError,
            "other tables",
        ),
        ("DROP INDEX by_user", ConfigError, "other tables"),
        ("DELETE FROM facts", ExternalDamagedError, "it has no store name"),
        ("UPDATE facts SET value = 'a/b'", ExternalDamagedError, "it has no store name"),
    ],
)
def test_a_file_that_is_not_as_it_was_made_is_refused(
    path: Path, statement: str, kind: Any, why: str
) -> None:
    """One of a later version, or with anything else in it."""
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    with pytest.raises(kind, match=why):
        SqliteStore(path)


# Its name -------------------------------------------------------------------------


def test_the_name_stays_with_the_values(path: Path) -> None:
    """It is the file's at first; a copy under another name still is the same store."""
    with SqliteStore(path) as store:
        made = put(store)
        assert store.name == "big"
        assert made["external"].startswith("big/")
    moved = shutil.move(path, path.parent / "elsewhere.db")
    with SqliteStore(moved) as store:
        assert load(made, store=store) == [1, SECRET]
        assert repr(store) == f"<SqliteStore 'big': {moved}>"


def test_a_name_may_be_given(path: Path) -> None:
    """For a new file; for an existing one it must be right."""
    with SqliteStore(path, name="prod.1") as store:
        assert store.name == "prod.1"
    SqliteStore(path, name="prod.1").close()
    with pytest.raises(ConfigError, match=r"is the store 'prod.1', not 'test'"):
        SqliteStore(path, name="test")
    with pytest.raises(InputError, match="the name of a store"):
        SqliteStore(path.parent / "new.db", name="a b")


def test_it_is_found_from_another_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its URL is absolute, and a store of a relative path stays where it was."""
    monkeypatch.chdir(path.parent)
    with open_store("sqlite:///big.db") as store:
        monkeypatch.chdir("/")
        made = save([1], store=store, user_id="auth0|1", path=PATH)
        with open_store(store.url) as same:
            assert load(made, store=same) == [1]


# What survives --------------------------------------------------------------------

PUT_UNTIL_KILLED = """
import sys
from auth0_meta.external import SqliteStore, save
store = SqliteStore(sys.argv[1])
for n in range(100_000):
    made = save([n, "x" * 5_000], store=store, user_id=f"auth0|{n % 7}", path="app_metadata.history")
    print(n, made["external"].split("/")[1], flush=True)
"""


@pytest.mark.parametrize("lines", [1, 17, 40])
def test_after_a_kill_a_value_is_there_or_not(path: Path, lines: int) -> None:
    """What was stored before the kill is there, and nothing is there in part."""
    with subprocess.Popen(
        [sys.executable, "-c", PUT_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    with SqliteStore(path) as store:
        whole = [line.split() for line in said if line.endswith("\n")]
        assert len(whole) >= lines
        for n, key in whole:
            assert json.loads(store.get(key)) == [int(n), "x" * 5_000]
        for key in store.keys(None):
            assert len(json.loads(store.get(key))[1]) == 5_000
        n = int(whole[-1][0])
        again = save([n, "x" * 5_000], store=store, user_id=f"auth0|{n % 7}", path="app_metadata.history")
        assert again["external"] == f"big/{whole[-1][1]}"
        assert len(list(store.keys())) in (len(whole), len(whole) + 1)


PUT_FIVE = """
import sys
from auth0_meta.external import SqliteStore, save
input()
with SqliteStore(sys.argv[1]) as store:
    for n in range(5):
        save([n], store=store, user_id=f"auth0|{sys.argv[2]}", path="app_metadata.history")
        save([n], store=store, user_id="auth0|all", path="app_metadata.history")
"""


def test_processes_share_a_file_from_its_first_moment(path: Path) -> None:
    """Three that create it at the same time, and then write to it, all succeed."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PUT_FIVE, str(path), str(n)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    failures = [process.communicate(timeout=120)[1] for process in started]
    assert failures == [""] * 3
    with SqliteStore(path) as store:
        assert sorted(store.users()) == ["auth0|0", "auth0|1", "auth0|2", "auth0|all"]
        assert len(list(store.keys())) == 20


def test_a_forked_child_has_a_connection_of_its_own(path: Path) -> None:
    """Parent and child write in turns, and each finds what the other has stored."""
    with SqliteStore(path) as store:
        first = put(store)
        made = json.loads(in_child(lambda: json.dumps([load(first, store=store), put(store, 2)])))
        assert made[0] == [1, SECRET]
        assert load(made[1], store=store) == [2, SECRET]
        put(store, 3)
        assert in_child(lambda: str(len(list(store.keys())))) == "3"


def test_nothing_is_left_of_what_was_deleted(path: Path) -> None:
    """Neither in the file nor in the log beside it."""
    with SqliteStore(path) as store:
        key = put(store, 1)["external"].split("/")[1]
        put(store, 2, "auth0|2")
        held = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert SECRET.encode() in held
        store.delete(key)
        assert store.forget("auth0|2") == 1
        held = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert SECRET.encode() not in held
        assert b"auth0|2" not in held


# What is wrong --------------------------------------------------------------------


def _with(monkeypatch: pytest.MonkeyPatch, pragma: str) -> None:
    """Give every connection that is opened from now on a setting."""

    def opened(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db = open_database(*args, **kwargs)
        db.execute(pragma)
        return db

    monkeypatch.setattr(sqlite_store, "open_database", opened)


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits is there, what does not is not there in part; later it can be stored."""
    with monkeypatch.context() as patch:
        _with(patch, "PRAGMA max_page_count = 12")
        with SqliteStore(path) as store:
            kept = put(store)
            with pytest.raises(
                ExternalUnavailableError, match="the disk is full: free space and try again"
            ) as full:
                save(SECRET * 1000, store=store, user_id="auth0|2", path=PATH)
            assert full.value.cause == "full"
            assert full.value.pointer.startswith("big/")
            assert full.value.pointer in str(full.value)
            assert "s3cret" not in str(full.value)
            assert load(kept, store=store) == [1, SECRET]
            assert list(store.users()) == ["auth0|1"]
    with SqliteStore(path) as store:
        made = save(SECRET * 1000, store=store, user_id="auth0|2", path=PATH)
        assert load(made, store=store) == SECRET * 1000


UNTIL_THE_LIMIT = """
import resource, sys
from auth0_meta import ExternalUnavailableError
from auth0_meta.external import SqliteStore, save
store = SqliteStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for n in range(1_000):
        print(save([n, "x" * 9_000], store=store, user_id="auth0|1", path="app_metadata.history")["external"])
except ExternalUnavailableError as error:
    print(error.cause, file=sys.stderr)
"""


def test_a_file_that_may_not_grow(path: Path) -> None:
    """The system refuses a write in the middle of a value: those before it are there, and it is not."""
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_LIMIT, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr.strip() in ("failing", "full")
    made = done.stdout.split()
    assert made
    with SqliteStore(path) as store:
        assert {f"big/{key}" for key in store.keys(None)} == set(made)
        assert {len(store.get(key.split("/")[1])) > 9_000 for key in made} == {True}


def test_a_file_that_can_only_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read, and an attempt to store says why it failed."""
    with SqliteStore(path) as store:
        made = put(store)
    _with(monkeypatch, "PRAGMA query_only = ON")
    with SqliteStore(path) as store:
        assert load(made, store=store) == [1, SECRET]
        with pytest.raises(
            ExternalUnavailableError, match="can't be written: check its permissions"
        ) as refused:
            put(store, 2)
        assert refused.value.cause == "read-only"


def test_a_file_that_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the wait of SQLite; storing is possible again when the other process is done."""
    monkeypatch.setattr("auth0_meta.files.sqlite._BUSY_MS", 10)
    with SqliteStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        made = put(store)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            ExternalUnavailableError, match="another process is using it: try again"
        ) as locked:
            put(store, 2)
        assert locked.value.cause == "locked"
        assert load(made, store=store) == [1, SECRET]
        other.execute("ROLLBACK")
        put(store, 2)


def test_a_new_file_that_stays_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is opened again for some seconds, and then the error says so."""
    monkeypatch.setattr("auth0_meta.files.sqlite._BUSY_MS", 0)
    clock = FakeClock()
    path.touch()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ExternalUnavailableError, match="another process is using it"):
            SqliteStore(path, clock=clock)
    assert 2 < sum(clock.slept) < 10
    SqliteStore(path).close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_gone(path: Path, replaced: bool) -> None:  # a parameter
    """Nothing is written to a file without a name, from which nobody could read it."""
    with SqliteStore(path) as store:
        made = put(store)
        for file in [*path.parent.iterdir()]:
            shutil.move(file, f"{file}.away")
        if replaced:
            SqliteStore(path, name="big").close()
        for call in (lambda: put(store, 2), lambda: load(made, store=store), lambda: list(store.keys())):
            with pytest.raises(
                ExternalUnavailableError, match="moved, replaced or deleted since it was opened"
            ):
                call()


def test_a_damaged_file(path: Path) -> None:
    """It is named, with what to do, and its bytes are not quoted."""
    with SqliteStore(path) as store:
        made = [put(store, n, f"auth0|{n}") for n in range(100)]
    data = bytearray(path.read_bytes())
    data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with (
        pytest.raises(ExternalDamagedError, match="it is damaged or cut short: restore a copy"),
        SqliteStore(path) as store,
    ):
        load(made[50], store=store)


def test_a_row_of_another_type(path: Path) -> None:
    """SQLite lets a column hold anything."""
    with SqliteStore(path) as store:
        made = put(store)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE stored SET data = CAST(data AS TEXT)")
        with pytest.raises(ExternalDamagedError, match="is damaged: restore a copy"):
            load(made, store=store)
        with pytest.raises(ExternalDamagedError, match="other data under this key"):
            put(store)


def test_a_closed_store(path: Path) -> None:
    """Every call says so, and an iteration that had begun too."""
    store = SqliteStore(path)
    made = put(store)
    begun = store.keys()
    store.close()
    for call in (
        lambda: put(store),
        lambda: load(made, store=store),
        lambda: store.forget("a|1"),
        lambda: next(begun),
    ):
        with pytest.raises(StateError, match="the store 'big' is closed"):
            call()


@pytest.mark.parametrize(
    ("key", "data", "user_id", "path_"),
    [
        ("0" * 40, b"1", "auth0|1", PATH),  # made for somebody else
        ("x", b"1", "auth0|1", PATH),
        (None, b"1", "auth0|1", PATH),
        ("", b"", "auth0|1", PATH),
        ("", b"1", "", PATH),
        ("", b"1", "auth0|1", "history"),
        ("", "1", "auth0|1", PATH),
    ],
)
def test_arguments_that_no_pointer_has(path: Path, key: Any, data: Any, user_id: Any, path_: Any) -> None:
    """Nothing is stored."""
    right = pointer(b"1", store="big", user_id="auth0|1", path=PATH)["external"].split("/")[1]
    with SqliteStore(path) as store:
        with pytest.raises(InputError):
            store.put(right if key == "" else key, data, user_id=user_id, path=path_)
        assert list(store.keys()) == []
        for call in (store.get, store.delete):
            with pytest.raises(InputError, match="40 hexadecimal digits"):
                call("../../etc/passwd")
