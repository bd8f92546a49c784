"""Store logins that wait for a redirect to come back: under a hash, for one use, for a limited time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from auth0_meta.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3


def new_state() -> str:
    """Return 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(state: str, browser: str | None) -> str:
    """Return the key under which a login is stored: a hash of its state and of what identifies the browser.

    The store never sees the state, so whoever reads the store can't continue any login.  As the browser is part
    of the key and not compared afterwards, another browser finds nothing, and does not use up the login of
    the right one.
    """
    # Each part is hashed by itself, so that no two pairs of a state and a browser have the same key.
    parts = (part.encode("utf-8", "surrogatepass") for part in (state, browser or ""))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class States(Protocol):
    """A store of suspended logins; `key` is a hash, `data` is JSON without secrets."""

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, in seconds since the epoch."""
        ...

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`; None if there is nothing or it has expired.

        If several callers ask at the same time, exactly one gets it.
        """
        ...


class MemoryStates:
    """Suspended logins in the memory of this process: for a single worker, and lost when it restarts.

    >>> states = MemoryStates()
    >>> states.put("hash", "{}", expires_at=10.0, now=0.0)
    >>> states.take("hash", now=1.0), states.take("hash", now=1.0)
    ('{}', None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stored: dict[str, tuple[str, float]] = {}

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, and delete what has expired."""
        with self._lock:
            for old in [k for k, (_, end) in self._stored.items() if end <= now]:
                del self._stored[old]
            self._stored[key] = data, expires_at

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`."""
        with self._lock:
            data, expires_at = self._stored.pop(key, ("", now))
        return data if expires_at > now else None


_TABLE = "CREATE TABLE IF NOT EXISTS suspended (key TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at REAL NOT NULL)"


class SqliteStates:
    """Suspended logins in an SQLite file that all workers of one machine share.

    The file is created with mode 0600.  Each call opens it anew, so it is safe with threads and forks.
    `busy_timeout`: seconds to wait for another worker.

    Raises `ConfigError` for a file that others may read or write, a file that is not an SQLite database, and
    a path where no file can be created.
    """

    def __init__(self, path: str | os.PathLike[str], /, *, busy_timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._busy_timeout = busy_timeout
        try:
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)) as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
        except OSError as error:
            msg = f"{self._path} can't be opened ({error.strerror}): name a file in a folder that exists and is writable"
            raise ConfigError(msg) from None
        if os.name == "posix" and mode & 0o077:
            raise ConfigError(
                f"{self._path} has mode {mode:o}, so others can read or write suspended logins: chmod 600 it"
            )
        import sqlite3  # noqa: PLC0415  # loaded on use

        try:
            with self._open() as db:
                db.execute(_TABLE)
        except sqlite3.DatabaseError as error:
            msg = f"{self._path} can't store suspended logins ({error}): use a file that holds nothing else"
            raise ConfigError(msg) from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file in a write transaction; SQLite gives its journal the mode of the file.

        BEGIN IMMEDIATE takes the write lock before anything is read, so two workers can't both take the same
        login. secure_delete overwrites what was deleted, so that no claims of past logins stay in the file.
        """
        import sqlite3  # noqa: PLC0415  # loaded on use

        with contextlib.closing(
            sqlite3.connect(self._path, timeout=self._busy_timeout, isolation_level=None)
        ) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, and delete what has expired."""
        with self._open() as db:
            db.execute("DELETE FROM suspended WHERE expires_at <= ?", (now,))
            db.execute("INSERT OR REPLACE INTO suspended VALUES (?, ?, ?)", (key, data, expires_at))

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`."""
        with self._open() as db:
            row = db.execute("SELECT data, expires_at FROM suspended WHERE key = ?", (key,)).fetchone()
            db.execute("DELETE FROM suspended WHERE key = ?", (key,))
        return str(row[0]) if row is not None and row[1] > now else None
