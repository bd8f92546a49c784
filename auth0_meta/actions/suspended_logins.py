"""Keep logins that wait for a redirect to come back: by the hash of their state, once, for a while."""

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
    """Return what a state is kept under: its hash together with what identifies the browser.

    Another browser thus finds nothing, and takes nothing away from the right one.
    """
    parts = (part.encode("utf-8", "surrogatepass") for part in (state, browser or ""))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class States(Protocol):
    """Describe a store of suspended logins; `key` is a hash, `data` JSON without secrets."""

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Keep `data` until `expires_at`, epoch seconds."""
        ...

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is kept under `key`, None where there is nothing or it has expired.

        Of several callers at the same time exactly one gets it.
        """
        ...


class MemoryStates:
    """Keep suspended logins in this process: for one worker, and gone when it restarts.

    >>> states = MemoryStates()
    >>> states.put("hash", "{}", expires_at=10.0, now=0.0)
    >>> states.take("hash", now=1.0), states.take("hash", now=1.0)
    ('{}', None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Keep `data` until `expires_at`, and forget what has expired."""
        with self._lock:
            for old in [k for k, (_, end) in self._kept.items() if end <= now]:
                del self._kept[old]
            self._kept[key] = data, expires_at

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is kept under `key`."""
        with self._lock:
            data, expires_at = self._kept.pop(key, ("", now))
        return data if expires_at > now else None


_TABLE = "CREATE TABLE IF NOT EXISTS suspended (key TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at REAL NOT NULL)"


class SqliteStates:
    """Keep suspended logins in an SQLite file that all workers of one machine share.

    The file is created with mode 0600; one that others may read or write, or that is no SQLite file, is refused with
    `ConfigError`, and so is a path where none can be made.
    Each call opens the file anew, so threads and forks need no care.  `busy_timeout`: seconds to wait
    for another worker.
    """

    def __init__(self, path: str | os.PathLike[str], /, *, busy_timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._busy = busy_timeout
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            msg = f"{self._path} can't be opened ({error.strerror}): name a file in a folder that exists and may be written"
            raise ConfigError(msg) from None
        try:
            mode = os.fstat(descriptor).st_mode & 0o777
        finally:
            os.close(descriptor)
        if os.name == "posix" and mode & 0o077:
            msg = f"{self._path} has mode {mode:o}: suspended logins are for its owner only, so chmod 600 it"
            raise ConfigError(msg)
        import sqlite3  # noqa: PLC0415  # loaded on use

        try:
            with self._open() as db:
                db.execute(_TABLE)
        except sqlite3.DatabaseError as error:
            msg = f"{self._path} can't hold suspended logins ({error}): name a file of its own for them"
            raise ConfigError(msg) from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file in a write transaction; SQLite gives its journal the mode of the file."""
        import sqlite3  # noqa: PLC0415  # loaded on use

        with contextlib.closing(sqlite3.connect(self._path, timeout=self._busy, isolation_level=None)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Keep `data` until `expires_at`, and forget what has expired."""
        with self._open() as db:
            db.execute("DELETE FROM suspended WHERE expires_at <= ?", (now,))
            db.execute("INSERT OR REPLACE INTO suspended VALUES (?, ?, ?)", (key, data, expires_at))

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is kept under `key`."""
        with self._open() as db:
            row = db.execute("SELECT data, expires_at FROM suspended WHERE key = ?", (key,)).fetchone()
            db.execute("DELETE FROM suspended WHERE key = ?", (key,))
        return str(row[0]) if row is not None and row[1] > now else None
