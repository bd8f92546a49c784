"""Open SQLite files durably, and say in words what goes wrong with them."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from auth0_meta.errors import Auth0MetaError, LedgerError

_BUSY_MS = 5000
DAMAGED = "it is damaged or cut short: restore a copy, or plan again"

# What SQLite says -> what it means here; the first that fits. "" fits always.
_MEANINGS: tuple[tuple[str, str], ...] = (
    ("full", "the disk is full: free space and run the same command again"),
    ("readonly", "it can't be written: check its permissions and the disk, and run the same command again"),
    ("read-only", "it can't be written: check its permissions and the disk, and run the same command again"),
    ("not a database", "it is no ledger of auth0-meta migrate"),
    ("malformed", DAMAGED),
    ("no such table", DAMAGED),
    ("no such column", DAMAGED),
    ("decode", DAMAGED),
    ("created in a thread", "it belongs to the thread that opened it"),
    ("locked", "another process holds it: wait for that one"),
    ("unable to open", "it can't be opened: check the path and its permissions"),
    ("", "the disk is full or failing: free space or mend it, and run the same command again"),
)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one that says what happened and what to do."""
    try:
        yield
    except Auth0MetaError:  # some are OSErrors too, and say what they mean
        raise
    except UnicodeDecodeError:  # in what SQLite itself has to say of a damaged file
        raise _unreadable(path) from None
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, sqlite3.Error):
            cure = "free space" if error.errno == errno.ENOSPC else "check the path and its permissions"
            meaning = f"{error.strerror or error}: {cure}"
        else:
            text = str(error)
            meaning = next(meaning for sign, meaning in _MEANINGS if sign in text)
            if "decode" in text:  # SQLite goes on to quote what it read
                raise _unreadable(path) from None
        msg = f"{path} can't be used: {meaning} (SQLite: {error})"
        raise LedgerError(msg, path=str(path)) from error


@contextlib.contextmanager
def sound(path: Path) -> Iterator[None]:
    """Say of a file whose content makes no sense that it is damaged; what it holds is not told."""
    try:
        with told(path):
            yield
    except Auth0MetaError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, zlib.error):
        raise _unreadable(path) from None


def _unreadable(path: Path) -> LedgerError:
    return LedgerError(f"{path} can't be used: {DAMAGED}", path=str(path))


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open an existing file; a writer's commits are durable when they return.

    A reader who may not write beside it, where SQLite wants to, takes a file that nobody has open as it is.
    """
    if write:
        return _opened(path, "mode=rw", write=True)
    try:
        return _opened(path, "mode=ro")
    except sqlite3.OperationalError:
        if any(name.exists() for name in files(path)[1:]):
            raise
        return _opened(path, "mode=ro&immutable=1")


def _opened(path: Path, how: str, *, write: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
        else:
            db.execute("SELECT COUNT(*) FROM sqlite_master")
    except BaseException:  # of rotten bytes SQLite's own message may not be text
        db.close()
        raise
    return db


def files(path: Path) -> list[Path]:
    """Return the file that a path leads to, and the names of those that SQLite keeps beside it."""
    real = os.path.realpath(path)
    return [Path(real + end) for end in ("", "-wal", "-shm", "-journal")]
