"""The stores of suspended logins: each login can be taken once, for a limited time, and a file is only for its owner."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.json_strategies import json_values
from support.local_tenant import UID
from support.logins import Consent, Login, state_of

from auth0_meta import ConfigError, RedirectError
from auth0_meta.actions import LoginOutcome, MemoryStates, PostLoginTrigger, SqliteStates


@pytest.fixture(params=["memory", "sqlite"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return each kind of store."""
    return MemoryStates() if request.param == "memory" else SqliteStates(tmp_path / "states.db")


def test_a_login_can_be_taken_once_until_it_expires(states: Any) -> None:
    """take removes a login, and returns None for one that has expired or was never stored."""
    states.put("a", "1", expires_at=10.0, now=0.0)
    states.put("b", "2", expires_at=10.0, now=0.0)
    assert [states.take(key, now=9.9) for key in ("a", "a", "c")] == ["1", None, None]
    assert states.take("b", now=10.0) is None
    assert states.take("b", now=0.0) is None


def test_put_deletes_what_has_expired(states: Any) -> None:
    """Logins that nobody continues don't pile up."""
    states.put("old", "1", expires_at=10.0, now=0.0)
    states.put("young", "2", expires_at=20.0, now=0.0)
    states.put("new", "3", expires_at=30.0, now=10.0)
    assert states.take("old", now=0.0) is None
    assert states.take("young", now=10.0) == "2"


def test_only_one_of_many_threads_gets_a_login(states: Any) -> None:
    """A state that is used several times at the same moment works for one of them."""
    for round_ in range(5):
        states.put(f"k{round_}", "x", expires_at=10.0, now=0.0)
        barrier, taken = threading.Barrier(8), []

        def take(key: str = f"k{round_}", barrier: Any = barrier, taken: Any = taken) -> None:
            barrier.wait(5)
            taken.append(states.take(key, now=1.0))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(taken, key=str) == [None] * 7 + ["x"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_file_is_only_for_its_owner(tmp_path: Path) -> None:
    """It is created with mode 0600, whatever the umask; a file that others can read is refused."""
    path = tmp_path / "states.db"
    before = os.umask(0)
    try:
        SqliteStates(path).put("a", "1", expires_at=10.0, now=0.0)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="640"):
        SqliteStates(path)


def test_nothing_of_a_used_state_stays_in_the_file(tmp_path: Path) -> None:
    """Deleted rows are overwritten."""
    path = tmp_path / "states.db"
    states = SqliteStates(path)
    states.put("a", "a-login-that-is-over", expires_at=10.0, now=0.0)
    assert b"a-login-that-is-over" in path.read_bytes()
    assert states.take("a", now=1.0) == "a-login-that-is-over"
    assert b"a-login-that-is-over" not in path.read_bytes()


def test_workers_share_the_file(tmp_path: Path) -> None:
    """Another worker continues a login that one has suspended, and only once."""
    path = tmp_path / "states.db"
    login = Login()
    outcome = login.trigger(Consent(), states=SqliteStates(path)).run(login.event())
    assert outcome.redirect is not None
    other = login.trigger(Consent(), states=SqliteStates(path))
    assert other.resume(outcome.redirect.state, query={"answer": "yes"}).allowed
    assert not other.resume(outcome.redirect.state).allowed


def test_another_process_can_take_it(tmp_path: Path) -> None:
    """The file is all that two workers need to share."""
    path = tmp_path / "states.db"
    SqliteStates(path).put("a", "1", expires_at=10.0, now=0.0)
    code = "import sys; from auth0_meta.actions import SqliteStates; print(SqliteStates(sys.argv[1]).take('a', now=1.0))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert SqliteStates(path).take("a", now=1.0) is None


def test_a_store_that_fails_fails_the_login(tmp_path: Path) -> None:
    """The metadata is written before the store fails, and the user is not sent away."""

    class Broken(MemoryStates):
        def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
            raise OSError("disk full")

        def take(self, key: str, *, now: float) -> str | None:
            raise OSError("disk gone")

    login = Login()
    trigger = login.trigger(Consent(), states=Broken())
    outcome = trigger.run(login.event())
    assert isinstance(outcome.error, OSError)
    assert outcome.redirect is None
    assert login.app_metadata == {"asked": True}
    assert isinstance(trigger.resume("x").error, OSError)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 10**400, "5", None, True])
def test_a_busy_timeout_that_cannot_work_is_refused(seconds: Any, tmp_path: Path) -> None:
    """SQLite would take some for none, and raise other errors for others."""
    with pytest.raises(ConfigError, match="busy_timeout"):
        SqliteStates(tmp_path / "states.db", busy_timeout=seconds)


@pytest.mark.parametrize("where", ["no/such/folder.db", "folder", "text", "nul\0.db"])
def test_a_path_that_cannot_store_logins_is_refused(where: str, tmp_path: Path) -> None:
    """For a missing folder, a folder or another kind of file, the error is the package's own and names the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no database " * 100)
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(ConfigError, match=where):
        SqliteStates(tmp_path / where)


FOREIGN = {
    "other columns": "CREATE TABLE suspended (id INTEGER)",
    "more columns": "CREATE TABLE suspended (key TEXT PRIMARY KEY, data TEXT, expires_at REAL, owner TEXT NOT NULL)",
    "a view": "CREATE VIEW suspended AS SELECT 'k' AS key, 'd' AS data, 1.0 AS expires_at",
    "a type that converts": "CREATE TABLE suspended (key TEXT PRIMARY KEY, data TEXT, expires_at TEXT)",
    "short keys": "CREATE TABLE suspended (key TEXT CHECK (length(key) < 9), data TEXT, expires_at REAL)",
    "a trigger": "CREATE TABLE suspended (key TEXT PRIMARY KEY, data TEXT, expires_at REAL);"
    "CREATE TRIGGER t AFTER INSERT ON suspended BEGIN DELETE FROM suspended; END",
}


@pytest.mark.parametrize("schema", FOREIGN.values(), ids=FOREIGN)
def test_a_database_of_another_program_is_refused(schema: str, tmp_path: Path) -> None:
    """A table of the same name in which no login can be stored is noticed when the store is made."""
    path = tmp_path / "states.db"
    with sqlite3.connect(path) as db:
        db.executescript(schema)
    db.close()
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"states\.db"):
        SqliteStates(path)


def test_a_damaged_file_is_refused_or_its_logins_are_and_nobody_else_logs_in(tmp_path: Path) -> None:
    """Bytes change, and the end is cut off: no error but the package's own, and no other user's id is believed."""
    rng, path = random.Random(14), tmp_path / "states.db"
    login = Login()
    state = state_of(login.trigger(Consent(), states=SqliteStates(path)).run(login.event()))
    sound = path.read_bytes()
    for turn in range(300):
        damaged = bytearray(sound)
        for _ in range(rng.choice((1, 3, 20, 400))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randrange(len(damaged))] if turn % 5 == 0 else damaged)
        try:
            states = SqliteStates(path)
        except ConfigError:
            continue
        outcome = login.trigger(Consent(), states=states).resume(state, query={"answer": "yes"})
        if not outcome.allowed:
            assert isinstance(outcome.error, RedirectError | sqlite3.Error)
            assert outcome.user_id is None
        else:
            assert outcome.user_id == UID


class Given(MemoryStates):
    """A store that returns what the test says."""

    def __init__(self, data: str) -> None:
        super().__init__()
        self.data = data

    def take(self, key: str, *, now: float) -> str | None:
        """Return it."""
        return self.data


LOGIN = Login()


def resumed_from(data: str) -> LoginOutcome:
    """Continue a login of which this is stored."""
    return PostLoginTrigger(LOGIN.client, [Consent()], states=Given(data)).resume(
        "state", query={"answer": "yes"}
    )


def stored_login() -> Any:
    """Return what a store has of a login."""
    kept: list[str] = []

    class Spy(MemoryStates):
        def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
            kept.append(data)

    assert LOGIN.trigger(Consent(), states=Spy()).run(LOGIN.event()).error is None
    return json.loads(kept[0])


@given(data=st.one_of(json_values.map(json.dumps), st.text(max_size=20), st.just("[" * 100_000)))
@settings(deadline=None)
def test_whatever_json_is_stored_resume_does_not_raise(data: str) -> None:
    """What is no suspended login is refused."""
    outcome = resumed_from(data)
    assert isinstance(outcome.error, RedirectError)
    assert (outcome.allowed, outcome.user_id) == (False, None)


@given(data=st.data())
@settings(deadline=None)
def test_a_login_of_which_a_part_is_damaged_is_refused(data: st.DataObject) -> None:
    """A field that is missing or has another value is noticed by the checksum, or by its shape where there is none."""
    stored = LOGIN_STORED | {}
    checked = data.draw(st.booleans())
    if not checked:
        del stored["sha256"]
    path = data.draw(st.sampled_from(PATHS))
    inner: Any = stored
    for name in path[:-1]:
        inner[name] = inner = dict(inner[name]) if isinstance(inner[name], dict) else list(inner[name])
    before = inner[path[-1]]
    inner[path[-1]] = data.draw(json_values)
    outcome = resumed_from(json.dumps(stored))
    if checked and json.dumps(before) != json.dumps(inner[path[-1]]):
        assert isinstance(outcome.error, RedirectError)
    if outcome.error is None:
        assert outcome.user_id == UID


PATHS = [
    ("user_id",),
    ("position",),
    ("position", 0),
    ("position", 1),
    ("hostname",),
    ("event",),
    ("event", "transaction"),
    ("event", "transaction", "metadata"),
    ("carried",),
    ("carried", "id_token"),
    ("carried", "added_scopes"),
    ("carried", "saml"),
]
LOGIN_STORED = stored_login()


def test_a_login_that_the_first_versions_stored_continues() -> None:
    """They stored no checksum, and fields that later versions add are absent."""
    stored = {name: value for name, value in LOGIN_STORED.items() if name != "sha256"}
    del stored["carried"]["saml"]
    assert resumed_from(json.dumps(stored)).allowed


# Whose file it is, and what is in it


def made(path: Path) -> Path:
    """Make a store in which a login waits."""
    SqliteStates(path).put("a", "1", expires_at=10.0, now=0.0)
    return path


def symbolic_link(path: Path) -> None:
    """Put a link to a store in its place."""
    path.symlink_to(made(path.with_name("other.db")))


def hard_link(path: Path) -> None:
    """Give a store a second name."""
    os.link(made(path.with_name("other.db")), path)


def pipe(path: Path) -> None:
    """Put a pipe in its place, which would block."""
    os.mkfifo(path, 0o600)


def foreign_journal(path: Path) -> None:
    """Put a file that SQLite would play back or delete beside it."""
    made(path)
    path.with_name("states.db-journal").write_bytes(b"somebody's file")


def with_object(sql: str) -> Any:
    """Return a function that adds something to a store."""

    def add(path: Path) -> None:
        made(path)
        with sqlite3.connect(path) as db:
            db.executescript(sql)
        db.close()

    return add


STRANGE: dict[str, Any] = {
    "a symbolic link": symbolic_link,
    "a hard link": hard_link,
    "a pipe": pipe,
    "a journal of somebody": foreign_journal,
    "another table": with_object("CREATE TABLE other (a)"),
    "a view": with_object("CREATE VIEW other AS SELECT * FROM suspended"),
    "an index": with_object("CREATE INDEX other ON suspended (expires_at)"),
    "a trigger that keeps logins": with_object(
        "CREATE TRIGGER other BEFORE DELETE ON suspended BEGIN SELECT RAISE(IGNORE); END"
    ),
    "a trigger that copies logins": with_object(
        "CREATE TABLE copies (data); CREATE TRIGGER other AFTER INSERT ON suspended "
        "BEGIN INSERT INTO copies VALUES (new.data); END"
    ),
    "another column": with_object("ALTER TABLE suspended ADD COLUMN b"),
    "another spelling": with_object(
        "DROP TABLE suspended; CREATE TABLE suspended (key TEXT PRIMARY KEY, data TEXT, expires_at REAL)"
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_a_file_that_is_not_ours_alone_is_refused_and_not_changed(strange: Any, tmp_path: Path) -> None:
    """It is noticed when the store is made, before anything is written."""
    path = tmp_path / "states.db"
    strange(path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    with pytest.raises(ConfigError, match=r"states\.db"):
        SqliteStates(path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()} == before


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_becomes_of_the_file_later_is_noticed_too(strange: Any, tmp_path: Path) -> None:
    """Each use looks at it again; the login fails with the package's own error, or as if the store had lost it."""
    path = tmp_path / "states.db"
    states = SqliteStates(path)
    login = Login()
    state = state_of(login.trigger(Consent(), states=states).run(login.event()))
    if strange in (symbolic_link, hard_link, pipe):
        path.unlink()
    strange(path)
    outcome = login.trigger(Consent(), states=states).resume(state, query={"answer": "yes"})
    assert isinstance(outcome.error, ConfigError)
    with pytest.raises(ConfigError):
        states.put("k", "1", expires_at=10.0, now=0.0)


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it could read and change the logins in it."""
    path = made(tmp_path / "states.db")
    monkeypatch.setattr(os, "geteuid", lambda: 12345, raising=False)
    with pytest.raises(ConfigError, match="another user"):
        SqliteStates(path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_is_deleted_is_made_again_for_its_owner_only(tmp_path: Path) -> None:
    """The logins are gone; the next one is stored with the right mode, whatever the umask."""
    path = tmp_path / "states.db"
    states = SqliteStates(path)
    path.unlink()
    before = os.umask(0)
    try:
        states.put("a", "1", expires_at=10.0, now=0.0)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert states.take("a", now=1.0) == "1"


ODD_ROWS: dict[str, tuple[Any, Any]] = {
    "no data": (b"", 1e12),
    "a number": (5, 1e12),
    "not UTF-8": (b"\xff\xfe", 1e12),
    "a number as text": ("5", 1e12),
    "a list": ("[1, 2]", 1e12),
    "null": ("null", 1e12),
    "deep": ("[" * 100_000, 1e12),
    "expires at a text": ("{}", "later"),
    "expires at bytes": ("{}", b"later"),
    "never expires": ("{}", float("inf")),
    "unknown names": ('{"user_id": "auth0|1", "position": [0, "Consent"], "carried": {"x": 1}}', 1e12),
}


@pytest.mark.parametrize("row", ODD_ROWS.values(), ids=ODD_ROWS)
def test_a_malformed_row_is_refused_as_any_invalid_state(row: tuple[Any, Any], tmp_path: Path) -> None:
    """`resume` has the package's own error, and the row is used up."""
    path = tmp_path / "states.db"
    states, login = SqliteStates(path), Login()
    trigger = login.trigger(Consent(), states=states)
    state = state_of(trigger.run(login.event()))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE suspended SET data = ?, expires_at = ?", row)
    db.close()
    for _ in range(2):
        outcome = trigger.resume(state, query={"answer": "yes"})
        assert isinstance(outcome.error, RedirectError)
        assert outcome.user_id is None


def test_memory_keeps_a_bounded_number_of_logins() -> None:
    """The oldest one is dropped for the newest; its user has to log in again."""
    states = MemoryStates(most=3)
    for number in range(5):
        states.put(str(number), "x", expires_at=10.0, now=0.0)
    assert [states.take(str(number), now=1.0) for number in range(5)] == [None, None, "x", "x", "x"]


@pytest.mark.parametrize("most", [0, -1, 1.5, "5", None, True], ids=str)
def test_a_bound_that_cannot_work_is_refused(most: Any) -> None:
    """The error is the package's own and names the argument."""
    with pytest.raises(ConfigError, match="most"):
        MemoryStates(most=most)
