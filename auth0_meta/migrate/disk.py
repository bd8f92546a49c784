"""Open SQLite files durably, and say in words what goes wrong with them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from auth0_meta.errors import Auth0MetaError, LedgerError

__all__ = ["beside", "connect", "told"]

_BUSY_MS = 5000

# What SQLite says -> what it means here; the first that fits. "" fits always.
_MEANINGS: tuple[tuple[str, str], ...] = (
    ("full", "the disk is full: free space and run the same command again"),
    ("readonly", "it can't be written: check its permissions and the disk, and run the same command again"),
    ("read-only", "it can't be written: check its permissions and the disk, and run the same command again"),
    ("not a database", "it is no ledger of auth0-meta migrate"),
    ("malformed", "it is damaged or cut short: restore a copy, or plan again"),
    ("created in a thread", "it belongs to the thread that opened it"),
    ("locked", "another process holds it: wait for that one"),
    ("unable to open", "it can't be opened: check the path and its permissions"),
    ("", "the disk failed: run the same command again once it works"),
)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one that says what happened and what to do."""
    try:
        yield
    except Auth0MetaError:  # some are OSErrors too, and say what they mean
        raise
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, sqlite3.Error):
            meaning = f"{error.strerror or error}: check the path and its permissions"
        else:
            text = str(error)
            meaning = next(meaning for sign, meaning in _MEANINGS if sign in text)
        msg = f"{path} can't be used: {meaning} (SQLite: {error})"
        raise LedgerError(msg, path=str(path)) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open an existing file; a writer's commits are durable when they return."""
    mode = "rw" if write else "ro"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    try:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        db.close()
        raise
    return db


def beside(path: Path) -> list[Path]:
    """Return the names of the files that SQLite keeps beside it."""
    return [path.with_name(path.name + end) for end in ("-wal", "-shm")]
