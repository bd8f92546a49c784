"""The format of a job file: its tables, its number, and what to do with a file of another format.

Format 1 is that of 0.1.0.  In format 2 (0.2.0) a before-image may hold a bag that was not an object, and the rest is the
same, so a file of format 1 is read as it is, and has format 2 once it is opened to be written.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from auth0_meta._version import __version__
from auth0_meta.files.databases import own_database
from auth0_meta.migrate.ledger.records import State
from auth0_meta.migrate.ledger.sqlite import DAMAGED, connect, files, refusal
from auth0_meta.redact import printable

_APPLICATION = 0x41304D4C  # "A0ML"
SCHEMA = 2
"""Raise it if an earlier version would misread the file: every version refuses the formats that it doesn't know."""
_KNOWN = (1, SCHEMA)
_VERSION_NUMBER = re.compile(r"\d[\w.+-]{0,30}", re.ASCII)

TABLES = (
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE users (n INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,"
    " plan BLOB, again BLOB, seal TEXT, tried INTEGER NOT NULL DEFAULT 0, note TEXT)",
    "CREATE TABLE blocks (block INTEGER PRIMARY KEY, users INTEGER NOT NULL, digest TEXT NOT NULL)",
    "CREATE TABLE counts (state INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
    f"INSERT INTO counts (state, n) VALUES {', '.join(f'({state:d}, 0)' for state in State)}",  # noqa: S608  # whole numbers of ours
    "CREATE TABLE problems (n INTEGER PRIMARY KEY, user_id TEXT NOT NULL, kind TEXT NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE runs (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, facts TEXT NOT NULL)",
    "CREATE TABLE ticks (run INTEGER NOT NULL, second INTEGER NOT NULL, facts TEXT NOT NULL,"
    " PRIMARY KEY (run, second)) WITHOUT ROWID",
    """CREATE TRIGGER moved AFTER UPDATE OF state ON users WHEN old.state <> new.state BEGIN
        UPDATE counts SET n = n - 1 WHERE state = old.state;
        UPDATE counts SET n = n + 1 WHERE state = new.state;
    END""",
)


INDEX = "CREATE INDEX by_state ON users (state)"
"""The last thing that a plan writes before its digests."""


@functools.cache
def _objects() -> frozenset[tuple[str, str, str | None]]:
    """Return (kind, name, statement) of everything that a job file has, as SQLite keeps it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for statement in (*TABLES, INDEX):
            db.execute(statement)
        return frozenset(_found(db))


def _found(db: sqlite3.Connection) -> Iterator[tuple[str, str, str | None]]:
    yield from db.execute("SELECT type, name, sql FROM sqlite_master")


def _check_objects(path: Path, db: sqlite3.Connection) -> None:
    """Refuse a file with anything else in it, or with another definition of what it should have.

    The digests are over what the tables hold.  With a view in place of a table, or a trigger, a run could read or write
    something else than what was checked.
    """
    found = frozenset(itertools.islice(_found(db), len(_objects()) + 1))
    if added := found - _objects():
        kind, name, _ = min(added, key=str)
        what = f"holds the {kind} {printable(str(name))[:60]!r}, which auth0-meta did not make"
        raise refusal(path, f"{what}: it may have been tampered with. Restore a copy, or plan again")
    if missing := _objects() - found - {("index", "by_state", INDEX)}:
        raise refusal(path, f"can't be used, it has no {min(missing)[1]}: {DAMAGED}")


def check_format(path: Path, db: sqlite3.Connection) -> None:
    """Raise `LedgerError` unless this is a job file of a format that this version knows."""
    application, schema = _header(db)
    if not application and _is_empty(db):
        what = "is not a job file of auth0-meta migrate, or one whose plan never began: plan again"
        raise refusal(path, what)
    if application != _APPLICATION:
        raise refusal(path, "is not a job file of auth0-meta migrate")
    if schema not in _KNOWN:
        writer = _writer(db)
        cure = "finish or undo it with that version" if writer else "use the version that wrote it"
        by = f"auth0-meta {writer}" if writer else "another version of auth0-meta"
        ours = f"this is auth0-meta {__version__}, which reads formats up to {SCHEMA}"
        raise refusal(path, f"was written by {by} in format {schema}, and {ours}: {cure}")
    _check_objects(path, db)


def upgrade(db: sqlite3.Connection) -> None:
    """Give a file of an earlier format, which is about to be written, that of this version."""
    if _header(db)[1] != SCHEMA:
        db.execute(f"PRAGMA user_version = {SCHEMA}")


def _writer(db: sqlite3.Connection) -> str | None:
    """Return the version that wrote a file whose format is unknown, if it says so where format 1 does."""
    with contextlib.suppress(sqlite3.Error, ValueError, TypeError, RecursionError):
        (value,) = db.execute("SELECT value FROM facts WHERE name = 'version'").fetchone()
        version = json.loads(value)
        if isinstance(version, str) and _VERSION_NUMBER.fullmatch(version):
            return version
    return None


def _header(db: sqlite3.Connection) -> tuple[int, int]:
    return tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))


def _is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]


def check_replaceable(path: Path) -> None:
    """Refuse to replace anything but a plan that was never finished, or an empty database of this user's."""
    exists = refusal(path, "exists: choose another name, or delete it if you are done with it")
    try:
        own_database(path, _APPLICATION)
    except FileExistsError:
        if not files(path)[-1].exists():
            raise exists from None
        # It may be a plan that was killed while it made its tables, which can be read only after this journal.
    except OSError as error:
        raise refusal(path, f"can't be replaced: {error.strerror}") from None
    try:
        with contextlib.closing(connect(path, write=False)) as db:
            application, schema = _header(db)
            if application == _APPLICATION:
                row = db.execute("SELECT value FROM facts WHERE name = 'complete'").fetchone()
                unfinished = schema in _KNOWN and (row is None or row[0] == "false")
            else:
                unfinished = _is_empty(db)
    except sqlite3.Error:
        unfinished = False
    if not unfinished:
        raise exists
