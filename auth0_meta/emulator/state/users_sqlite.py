"""The users in a SQLite file, where they outlive the process."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from auth0_meta._version import __version__
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.errors import ConfigError
from auth0_meta.files.databases import own_database

_APPLICATION = 1630563685  # "a0me" in ASCII: marks the file as ours
_VERSION = 1
"""Raise it if an earlier version would misread the file; format 1 is that of 0.1.0 and 0.2.0."""
_PAGE = 1000
_SCHEMA = """
    BEGIN;
    CREATE TABLE users (
        seq INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, email TEXT, username TEXT,
        root TEXT NOT NULL, app TEXT, updated_ms INTEGER NOT NULL);
    CREATE INDEX users_email ON users (email) WHERE email IS NOT NULL;
    CREATE INDEX users_username ON users (username) WHERE username IS NOT NULL;
    CREATE TABLE openings (count INTEGER NOT NULL);
    INSERT INTO openings VALUES (0);
    PRAGMA application_id = 1630563685;
    PRAGMA user_version = 1;
    COMMIT;
"""
_REPLACE = "UPDATE users SET email = ?, username = ?, root = ?, app = ?, updated_ms = ? WHERE user_id = ?"
_ADD = "INSERT INTO users (email, username, root, app, updated_ms, user_id) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT user_id, root, app, updated_ms, seq FROM users"


class SqliteStore:
    """The methods of `UserStore`, on a file that no other process may have open.

    The file is created with mode 0600, and an existing one of ours is changed to it.  It is opened on first
    use and again after `close`.  A killed process loses nothing; a power failure may lose the last
    writes.  Raises `ConfigError` for a file that is in use or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._count = 0
        (self.openings,) = self._db.execute("SELECT count FROM openings").fetchone()
        """How often the file had been opened before: random ids must not repeat."""
        self._db.execute("UPDATE openings SET count = count + 1")

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connection = _opened(self.path)
            # Python warns about a connection that is still open when it is garbage-collected.
            weakref.finalize(self, connection.close)
            # Counting a large table takes milliseconds, so the count is kept.
            (self._count,) = connection.execute("SELECT count(*) FROM users").fetchone()
        return self._connection

    def close(self) -> None:
        """Write everything into the one file and release it."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __len__(self) -> int:
        with self.lock:
            _ = self._db
            return self._count

    def get(self, user_id: str) -> Profile | None:
        """Return the user with this id, or None."""
        found = self._select("WHERE user_id = ?", _text(user_id))
        return found[0] if found else None

    def all(self) -> Iterator[Profile]:
        """Yield every user, oldest first; users that are added or deleted meanwhile may be included or not."""
        last = 0
        while True:
            with self.lock:
                where = f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?"
                rows = self._db.execute(where, (last, _PAGE)).fetchall()
            if not rows:
                return
            yield from (_profile(*row) for row in rows)
            last = rows[-1][-1]

    def slice(self, start: int, count: int) -> list[Profile]:
        """Return `count` users from the `start`-th on, oldest first."""
        return self._select("ORDER BY seq LIMIT ? OFFSET ?", count, start)

    def with_email(self, email: str) -> list[Profile]:
        """Return the users whose stored email is exactly `email`."""
        return self._select("WHERE email = ? ORDER BY seq", _text(email))

    def with_username(self, username: str) -> list[Profile]:
        """Return the users with this username."""
        return self._select("WHERE username = ? ORDER BY seq", _text(username))

    def put(self, profile: Profile) -> None:
        """Add a user or replace the one with the same id."""
        row = _row(profile)
        with self.lock:
            if self._db.execute(_REPLACE, row).rowcount == 0:
                self._db.execute(_ADD, row)
                self._count += 1

    def remove(self, user_id: str) -> None:
        """Delete the user with this id, if there is one."""
        with self.lock:
            self._count -= self._db.execute("DELETE FROM users WHERE user_id = ?", (_text(user_id),)).rowcount

    def replace_all(self, profiles: Iterable[Profile]) -> None:
        """Replace all users with these, or none: a process killed meanwhile leaves the old ones."""
        rows = [_row(profile) for profile in profiles]
        with self.lock:
            database = self._db
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute("DELETE FROM users")
                database.executemany(_ADD, rows)
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise
            self._count = len(rows)

    def _select(self, rest: str, *values: Any) -> list[Profile]:
        with self.lock:
            rows = self._db.execute(f"{_SELECT} {rest}", values).fetchall()
        return [_profile(*row) for row in rows]


def _opened(path: str) -> sqlite3.Connection:
    """Open the file for this process alone; create its tables if it is new."""
    try:
        target = own_database(path, _APPLICATION)
        # One lock guards it, and a second process should fail at once.
        connection = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)
    except FileExistsError:
        raise _holds_something_else(path) from None
    except (OSError, sqlite3.Error) as error:
        msg = f"can't keep the users in {path}: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(msg) from error
    try:
        _prepare(connection, path)
    except (sqlite3.Error, ConfigError) as error:
        connection.close()
        if isinstance(error, ConfigError):
            raise
        why = "another local tenant has it open" if "locked" in str(error) else str(error)
        raise ConfigError(f"can't keep the users in {path}: {why}") from error
    return connection


def _holds_something_else(path: str) -> ConfigError:
    msg = f"{path} holds something other than a local tenant's users: use another file (nothing was written)"
    return ConfigError(msg)


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check what the file is before the first write, then lock it and create what is missing."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION:
        raise _holds_something_else(path)
    if tables and version != _VERSION:
        ours = f"this is auth0-meta {__version__}, which reads format {_VERSION}"
        cure = "use that version, or another file (nothing was written)"
        msg = f"{path} was written by another version of auth0-meta in format {version}, and {ours}: {cure}"
        raise ConfigError(msg)
    connection.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT;")
    if not tables:
        # Before the log is used, so that the file itself says whose it is.
        connection.executescript(_SCHEMA)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")


def _text(value: Any) -> str:
    """Return a value as ASCII JSON: text in SQLite can't contain a lone surrogate."""
    return json.dumps(value, separators=(",", ":"))


def _row(profile: Profile) -> tuple[Any, ...]:
    email, username = profile.root.get("email"), profile.root.get("username")
    return (
        None if email is None else _text(email),
        None if username is None else _text(username),
        _text(profile.root),
        None if profile.app_metadata is None else _text(profile.app_metadata),
        profile.updated_ms,
        _text(profile.user_id),
    )


def _profile(user_id: str, root: str, app: str | None, updated_ms: int, _: int) -> Profile:
    shown = None if app is None else json.loads(app)
    return Profile(json.loads(user_id), json.loads(root), shown, updated_ms)
