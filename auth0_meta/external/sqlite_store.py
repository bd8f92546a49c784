"""Values in an SQLite file of their own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import (
    Auth0MetaError,
    ConfigError,
    ExternalDamagedError,
    ExternalUnavailableError,
    StateError,
)
from auth0_meta.external.pointers import NAME, check_key, check_name, check_put, check_user, default_name
from auth0_meta.external.store import Closing, missing, taken
from auth0_meta.files.databases import own_database
from auth0_meta.files.paths import status_of
from auth0_meta.files.sqlite import Cause, cause_of, open_database
from auth0_meta.forks import renew_after_fork
from auth0_meta.redact import discreet, printable

_APPLICATION = 0x41304D58  # "A0MX"
_FORMAT = 1
"""Raise it if an earlier version would misread the file: every version refuses the formats that it doesn't know."""
_TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE stored (key TEXT PRIMARY KEY, user_id TEXT NOT NULL, path TEXT NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX by_user ON stored (user_id)",
)
_PAGE = 1000
"""Keys or users that are read at a time: nothing is locked while the caller works with them."""
_STARTS, _PAUSE = 100, 0.05
"""How often, and after how many seconds, a file is opened that another process is just creating."""

_CURES: dict[Cause | Literal["moved"], str] = {
    "full": "the disk is full: free space and try again",
    "read-only": "it can't be written: check its permissions and the disk, and try again",
    "foreign": "it is not a file of SqliteStore",
    "damaged": "it is damaged or cut short: restore a copy",
    "thread": "it belongs to another thread",
    "locked": "another process is using it: try again",
    "unopened": "it can't be opened: check the path and its permissions",
    "failing": "the disk is full or failing: free space or repair it, and try again",
    "moved": "it was moved, replaced or deleted since it was opened: put it back, or open the store again",
}
_LASTING: dict[str, type[Auth0MetaError]] = {"foreign": ConfigError, "damaged": ExternalDamagedError}
"""What trying again does not help with."""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process.  Closing one in a child would remove the log that the parent is writing to."""


@discreet
class SqliteStore(Closing):
    """Values in an SQLite file, which several threads and processes of one machine may use at once.

    The file is created with mode 0600 if there is none.  It holds the store's name: `name` is for a new file (default:
    the file's own name without its ending), and has to be right for an existing one.  The values are personal data and
    are not encrypted: that is left to the disk.

    Raises `ConfigError` for a file that is something else, belongs to another user, has several names (hard links), has
    another store name, or comes from a later version; `ExternalUnavailableError` for a disk that is full or read-only and
    for a file that is locked for more than 5 s; `ExternalDamagedError` for a damaged file.

    >>> from auth0_meta.external import load, save
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with SqliteStore(f"{folder.name}/big.db") as store:
    ...     made = save([1, 2], store=store, user_id="auth0|1", path="app_metadata.history")
    ...     load(made, store=store), store.name, store.forget("auth0|1")
    ([1, 2], 'big', 1)
    >>> folder.cleanup()
    """

    def __init__(
        self, path: str | os.PathLike[str], /, *, name: str | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._db: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._closed = False
        self._renew_locks()
        try:
            self._path = Path(path)
            self._file = own_database(self._path, _APPLICATION)
        except FileExistsError:
            raise self._config("holds something else: name a file of its own for the store") from None
        except (OSError, TypeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise ConfigError(f"{path!s:.200} can't be used as a store: {why}") from None
        if name is not None:
            check_name(name)
        self._name = name or ""
        try:
            self._name = self._open_patiently(name, clock)
        except BaseException:
            self.close()
            raise
        renew_after_fork(self)

    def _renew_locks(self) -> None:
        """Start over with a new lock, and in a forked child with a connection of its own."""
        self._lock = threading.RLock()
        if self._db is not None:
            _inherited.append(self._db)
            self._db = None

    @property
    def name(self) -> str:
        """Return the store's name, which its pointers begin with."""
        return self._name

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        return self._path

    @property
    def url(self) -> str:
        """Return what `open_store` opens this store by, from any folder."""
        return f"sqlite:///{self._file}"

    def __repr__(self) -> str:
        return f"<SqliteStore {self._name!r}: {self._path}>"

    def put(self, key: str, data: bytes, /, *, user_id: str, path: str) -> None:
        """Store the data of a user's path under a key that `pointer` has made; it is durable on return.

        If the key has the same data already, nothing changes; other data raises `ExternalDamagedError`.  Raises
        `InputError` for what can't be stored, and `ExternalUnavailableError` if the disk is full or read-only.
        """
        check_put(key, data, user_id, path)
        statement = "INSERT INTO stored VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        with self._using(key) as db:
            if db.execute(statement, (key, user_id, printable(path), data)).rowcount:
                return
            if db.execute("SELECT data = ? FROM stored WHERE key = ?", (data, key)).fetchone() != (1,):
                raise taken(self._name, key)
            # It may come from a process that was killed before its data was on the disk: a checkpoint syncs it.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def get(self, key: str, /) -> bytes:
        """Return the data of a key; raise `ExternalMissingError`, a `LookupError`, if there is none."""
        check_key(key)
        with self._using(key) as db:
            row = db.execute("SELECT data FROM stored WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise missing(self._name, key)
        if not isinstance(row[0], bytes):
            raise ExternalDamagedError(
                f"{self._name}/{key}: {self._path} is damaged: restore a copy",
                store=self._name,
                pointer=f"{self._name}/{key}",
            )
        return row[0]

    def delete(self, key: str, /) -> None:
        """Delete what is stored under a key, and overwrite it in the file; do nothing if the key is absent."""
        check_key(key)
        with self._using(key) as db:
            db.execute("DELETE FROM stored WHERE key = ?", (key,))
            self._empty_log(db)

    def keys(self, user_id: str | None = None, /) -> Iterator[str]:
        """Yield all keys, or those of one user; the store may be changed meanwhile."""
        if user_id is None:
            return self._pages("SELECT key FROM stored WHERE key > ? ORDER BY key LIMIT ?")
        check_user(user_id)
        query = "SELECT key FROM stored WHERE user_id = ? AND key > ? ORDER BY key LIMIT ?"
        return self._pages(query, user_id)

    def users(self) -> Iterator[str]:
        """Yield the ids of all users who have values here, each once; the store may be changed meanwhile."""
        return self._pages("SELECT DISTINCT user_id FROM stored WHERE user_id > ? ORDER BY user_id LIMIT ?")

    def forget(self, user_id: str, /) -> int:
        """Delete everything about one user, and overwrite it in the file; return how many values it was."""
        check_user(user_id)
        with self._using() as db:
            deleted = db.execute("DELETE FROM stored WHERE user_id = ?", (user_id,)).rowcount
            self._empty_log(db)
        return deleted

    def close(self) -> None:
        """Close the file; closing again does nothing, and every other method then raises `StateError`."""
        with self._lock:
            self._closed = True
            db, self._db = self._db, None
            if db is not None:
                db.close()

    # The file -------------------------------------------------------------------------

    def _open_patiently(self, name: str | None, clock: Clock) -> str:
        """Open the file; try again if it fails at once because another process is just switching a new file to WAL mode."""
        for _ in range(_STARTS):
            try:
                return self._open(name)
            except ExternalUnavailableError as error:
                if error.cause != "locked":
                    raise
            clock.sleep(_PAUSE)
        return self._open(name)

    def _open(self, name: str | None) -> str:
        """Open the file, create what is missing in a new one, and return the store's name."""
        with self._using() as db:
            if self._header(db) == (_APPLICATION, _FORMAT):
                return self._check(db, name)
            db.execute("BEGIN IMMEDIATE")
            try:
                if self._header(db) == (0, 0):
                    self._create(db, name or default_name(self._path.stem))
                found = self._check(db, name)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return found

    @staticmethod
    def _header(db: sqlite3.Connection) -> tuple[int, int]:
        application, version = (
            db.execute(f"PRAGMA {one}").fetchone()[0] for one in ("application_id", "user_version")
        )
        return application, version

    @staticmethod
    def _create(db: sqlite3.Connection, name: str) -> None:
        for statement in _TABLES:
            db.execute(statement)
        db.execute("INSERT INTO facts VALUES ('name', ?)", (name,))
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_FORMAT}")

    def _check(self, db: sqlite3.Connection, name: str | None) -> str:
        """Raise `ConfigError` for a file of another program or a later version; return the store's name."""
        application, version = self._header(db)
        if application != _APPLICATION:
            raise self._config("holds something else: name a file of its own for the store")
        if version != _FORMAT:
            raise self._config(
                f"has format {version}, and this version reads format {_FORMAT}: use the version that wrote it"
            )
        # Any other table, view or trigger could change what is stored or found.
        if {row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")} != {*_TABLES}:
            raise self._config(
                "has other tables than a store has: it may have been tampered with. Restore a copy"
            )
        row = db.execute("SELECT value FROM facts WHERE name = 'name'").fetchone()
        if row is None or not isinstance(row[0], str) or not NAME.fullmatch(row[0]):
            raise ExternalDamagedError(f"{self._path} is damaged, it has no store name: restore a copy")
        if name is not None and row[0] != name:
            raise self._config(f"is the store {row[0]!r}, not {name!r}")
        return row[0]

    @contextlib.contextmanager
    def _using(self, key: str | None = None) -> Iterator[sqlite3.Connection]:
        """Give this thread the connection, and turn errors of SQLite into those of this package."""
        with self._lock:
            if self._closed:
                raise StateError(f"the store {self._name!r} is closed: open it again")
            try:
                if self._db is None:
                    self._db = open_database(self._file, "mode=rw", write=True, threads=True)
                    self._db.execute("PRAGMA secure_delete = ON")
                    self._inode = self._inode or self._inode_now()
                if self._inode_now() != self._inode:  # SQLite would write on, to a file without a name
                    raise self._failure("moved", key)
                yield self._db
            except UnicodeDecodeError:
                raise self._failure("damaged", key) from None
            except sqlite3.Error as error:
                raise self._failure(cause_of(error), key) from None

    def _inode_now(self) -> tuple[int, int] | None:
        status = status_of(self._file)
        return None if status is None else (status.st_dev, status.st_ino)

    def _failure(self, cause: Cause | Literal["moved"], key: str | None) -> Auth0MetaError:
        at = f"{self._name}/{key}" if key else ""
        kind = _LASTING.get(cause, ExternalUnavailableError)
        message = f"{at}{at and ': '}{self._path} can't be used: {_CURES[cause]}"
        return kind(message, store=self._name, pointer=at, cause=cause)

    def _config(self, what: str) -> ConfigError:
        return ConfigError(f"{self._path} {what}")

    def _pages(self, query: str, *values: str) -> Iterator[str]:
        last = ""
        while True:
            with self._using() as db:
                page = [row[0] for row in db.execute(query, (*values, last, _PAGE))]
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]

    @staticmethod
    def _empty_log(db: sqlite3.Connection) -> None:
        """Leave nothing of what was deleted in the write-ahead log, unless another process is reading just now."""
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
