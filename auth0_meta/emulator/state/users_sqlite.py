"""A tenant's users, and the rows of its tables, in a SQLite file, where they outlive the process."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from auth0_meta._version import __version__
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.tables import FOUND_BY, Row, same_id, tuples
from auth0_meta.errors import ConfigError
from auth0_meta.files.databases import own_database

_APPLICATION = 1630563685  # "a0me" in ASCII: marks the file as ours
_VERSION = 2
"""Raise it if an earlier version would misread the file; format 1, of 0.1.0, holds users only, and is upgraded."""
_PAGE = 1000
_USERS = """
    CREATE TABLE users (
        seq INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, email TEXT, username TEXT,
        root TEXT NOT NULL, app TEXT, updated_ms INTEGER NOT NULL);
    CREATE INDEX users_email ON users (email) WHERE email IS NOT NULL;
    CREATE INDEX users_username ON users (username) WHERE username IS NOT NULL;
    CREATE TABLE openings (count INTEGER NOT NULL);
    INSERT INTO openings VALUES (0);
"""
# Everything that format 2 adds.  Keys and values of rows are JSON.
_REST = """
    ALTER TABLE users ADD COLUMN phone_number TEXT;
    ALTER TABLE users ADD COLUMN password TEXT;
    CREATE INDEX users_phone_number ON users (phone_number) WHERE phone_number IS NOT NULL;
    CREATE TABLE rows (
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (kind, key));
    PRAGMA application_id = 1630563685;
    PRAGMA user_version = 2;
"""
_REPLACE = "UPDATE users SET email = ?, username = ?, phone_number = ?, root = ?, app = ?, updated_ms = ? WHERE user_id = ?"
_ADD = (
    "INSERT INTO users (email, username, phone_number, root, app, updated_ms, user_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SELECT = "SELECT user_id, root, app, updated_ms, seq FROM users"
_SET_ASIDE = (
    "CREATE TEMP TABLE known AS SELECT user_id, password FROM users WHERE password IS NOT NULL",
    "CREATE UNIQUE INDEX temp.known_user ON known (user_id)",
)
_BRING_BACK = (
    "UPDATE users SET password = (SELECT password FROM known WHERE known.user_id = users.user_id)",
    "DROP TABLE known",
)
_PUT_ROW = (
    "INSERT INTO rows (kind, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
)


class SqliteStore:
    """The methods of `UserStore`, on a file that no other process may have open.

    The file is created with mode 0600, and an existing one of ours is changed to it.  It is opened on first
    use and again after `close`.  A killed process loses nothing; a power failure may lose the last
    writes.  Raises `ConfigError` for a file that is in use or holds something else.
    """

    is_kept = True
    history_bounds = (2_000, 16 * 1024**2)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._count = 0
        self.is_new = False
        """Whether it had no tables for rows before."""
        (self.openings,) = self._db.execute("SELECT count FROM openings").fetchone()
        """How often the file had been opened before: random ids must not repeat."""
        self._db.execute("UPDATE openings SET count = count + 1")

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            connection, self.is_new = _opened(self.path)
            self._connection = connection
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
        # A closed file stays closed: whoever only prints a stopped tenant must not take it from the next one.
        return self._count

    def get(self, user_id: str) -> Profile | None:
        """Return the user with this id, or None."""
        found = self._select("WHERE user_id = ?", _text(user_id))
        return found[0] if found else None

    def all(self) -> Iterator[Profile]:
        """Yield every user, oldest first; users that are added or deleted meanwhile may be included or not."""
        for row in self._pages(f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?"):
            yield _profile(*row)

    def slice(self, start: int, count: int) -> list[Profile]:
        """Return `count` users from the `start`-th on, oldest first."""
        return self._select("ORDER BY seq LIMIT ? OFFSET ?", count, start)

    def with_email(self, email: str) -> list[Profile]:
        """Return the users whose stored email is exactly `email`."""
        return self._select("WHERE email = ? ORDER BY seq", _text(email))

    def with_username(self, username: str) -> list[Profile]:
        """Return the users with this username."""
        return self._select("WHERE username = ? ORDER BY seq", _text(username))

    def with_phone_number(self, number: str) -> list[Profile]:
        """Return the users with this phone number."""
        return self._select("WHERE phone_number = ? ORDER BY seq", _text(number))

    def put(self, profile: Profile) -> None:
        """Add a user or replace the one with the same id."""
        row = _row(profile)
        with self.lock:
            if self._db.execute(_REPLACE, row).rowcount == 0:
                self._db.execute(_ADD, row)
                self._count += 1

    def remove(self, user_id: str) -> None:
        """Delete the user with this id, if there is one, and the user's password."""
        with self.lock:
            self._count -= self._db.execute("DELETE FROM users WHERE user_id = ?", (_text(user_id),)).rowcount

    def replace_all(self, profiles: Iterable[Profile], *, keep_passwords: bool = False) -> None:
        """Replace all users with these, or none: a process killed meanwhile leaves the old ones.

        With `keep_passwords`, users who are among these keep theirs.  Raises `InputError` if two have the same id.
        """
        with self.transaction():
            database = self._db
            for statement in _SET_ASIDE if keep_passwords else ():
                database.execute(statement)
            database.execute("DELETE FROM users")
            try:
                added = database.executemany(_ADD, map(_row, profiles)).rowcount
            except sqlite3.IntegrityError as error:
                raise (same_id() if "user_id" in str(error) else error) from None
            self._count = max(0, added)
            for statement in _BRING_BACK if keep_passwords else ():
                database.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock, and undo everything in the block if it ends with an error, or with the process."""
        with self.lock:
            database, count = self._db, self._count
            if database.in_transaction:
                yield
                return
            database.execute("BEGIN IMMEDIATE")
            try:
                yield
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                self._count = count
                raise

    def set_password(self, user_id: str, known: str) -> None:
        """Store the hash of the password of a user, if there is such a user."""
        with self.lock:
            self._db.execute("UPDATE users SET password = ? WHERE user_id = ?", (known, _text(user_id)))

    def password(self, user_id: str) -> str | None:
        """Return the hash of a user's password, None for a user without one."""
        with self.lock:
            found = self._db.execute("SELECT password FROM users WHERE user_id = ?", (_text(user_id),))
            return next((known for (known,) in found), None)

    def passwords(self) -> Iterator[tuple[str, str]]:
        """Yield the id and the hash of each user who has a password."""
        known = "SELECT user_id, password, seq FROM users WHERE password IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?"
        for user_id, password, _ in self._pages(known):
            yield json.loads(user_id), password

    # The rows of tables -----------------------------------------------------------------------------

    def put_row(self, table: str, key: Any, value: Any) -> None:
        """Add a row, or replace the one with the same key."""
        with self.lock:
            self._db.execute(_PUT_ROW, (table, _text(key), _text(value)))

    def remove_row(self, table: str, key: Any) -> None:
        """Delete a row, if there is one."""
        with self.lock:
            self._db.execute("DELETE FROM rows WHERE kind = ? AND key = ?", (table, _text(key)))

    def clear_rows(self) -> None:
        """Delete every row."""
        with self.lock:
            self._db.execute("DELETE FROM rows")

    def rows(self) -> Iterator[Row]:
        """Yield every row, in the order in which they were added."""
        for kind, key, value, _ in self._pages(
            "SELECT kind, key, value, seq FROM rows WHERE seq > ? ORDER BY seq LIMIT ?"
        ):
            yield kind, tuples(json.loads(key)), json.loads(value)

    def _pages(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query page by page, so that others may write meanwhile; the last column is `seq`."""
        last = 0
        while True:
            with self.lock:
                found = self._db.execute(query, (last, _PAGE)).fetchall()
            if not found:
                return
            yield from found
            last = found[-1][-1]

    def _select(self, rest: str, *values: Any) -> list[Profile]:
        with self.lock:
            rows = self._db.execute(f"{_SELECT} {rest}", values).fetchall()
        return [_profile(*row) for row in rows]


def _opened(path: str) -> tuple[sqlite3.Connection, bool]:
    """Open the file for this process alone, create what is missing, and return whether the table of rows was."""
    try:
        target = own_database(path, _APPLICATION)
        # One lock guards it, and a second process should fail at once.
        connection = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)
    except FileExistsError:
        raise _holds_something_else(path) from None
    except (OSError, sqlite3.Error) as error:
        msg = f"can't keep the tenant in {path}: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(msg) from None
    try:
        is_new = _prepare(connection, path)
    except (sqlite3.Error, ConfigError) as error:
        connection.close()
        if isinstance(error, ConfigError):
            raise
        why = "another local tenant has it open" if "locked" in str(error) else str(error)
        raise ConfigError(f"can't keep the tenant in {path}: {why}") from None
    return connection, is_new


def _holds_something_else(path: str) -> ConfigError:
    msg = f"{path} holds something other than a local tenant's users: use another file (nothing was written)"
    return ConfigError(msg)


def _prepare(connection: sqlite3.Connection, path: str) -> bool:
    """Check what the file is before the first write, then lock it and create what is missing; return whether rows were."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION:
        raise _holds_something_else(path)
    if tables and not 1 <= version <= _VERSION:
        ours = f"this is auth0-meta {__version__}, which reads formats 1 to {_VERSION}"
        cure = "use that version, or another file (nothing was written)"
        msg = f"{path} was written by another version of auth0-meta in format {version}, and {ours}: {cure}"
        raise ConfigError(msg)
    connection.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT;")
    is_new = not tables or version < _VERSION
    if is_new:
        # Before the log is used, so that the file itself says whose it is.
        connection.executescript(f"BEGIN; {'' if tables else _USERS} {_REST}")
        _fill_in(connection)
        connection.execute("COMMIT")
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
    return is_new


def _fill_in(connection: sqlite3.Connection) -> None:
    """Fill in the column for phone numbers in an earlier version's file."""
    rows = connection.execute("SELECT root, seq FROM users WHERE root LIKE '%phone_number%'")
    numbers = [(json.loads(root).get("phone_number"), seq) for root, seq in rows]
    found = [(_text(number), seq) for number, seq in numbers if isinstance(number, str)]
    connection.executemany("UPDATE users SET phone_number = ? WHERE seq = ?", found)


def _text(value: Any) -> str:
    """Return a value as ASCII JSON: text in SQLite can't contain a lone surrogate."""
    return json.dumps(value, separators=(",", ":"))


def _row(profile: Profile) -> tuple[Any, ...]:
    found_by = (profile.root.get(name) for name in FOUND_BY)
    return (
        *(None if value is None else _text(value) for value in found_by),
        _text(profile.root),
        None if profile.app_metadata is None else _text(profile.app_metadata),
        profile.updated_ms,
        _text(profile.user_id),
    )


def _profile(user_id: str, root: str, app: str | None, updated_ms: int, _: int) -> Profile:
    shown = None if app is None else json.loads(app)
    return Profile(json.loads(user_id), json.loads(root), shown, updated_ms)
