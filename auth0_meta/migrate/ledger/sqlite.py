"""SQLite files that are durable, and errors that say in plain words what is wrong with one."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auth0_meta.errors import Auth0MetaError, LedgerError
from auth0_meta.files.databases import check_neighbours
from auth0_meta.files.sqlite import Cause, cause_of, open_database

DAMAGED = "it is damaged or cut short: restore a copy, or plan again"

_MEANINGS: dict[Cause, str] = {
    "full": "the disk is full: free space and run the same command again",
    "read-only": "it can't be written: check its permissions and the disk, and run the same command again",
    "foreign": "it is not a job file of auth0-meta migrate",
    "damaged": DAMAGED,
    "thread": "it belongs to the thread that opened it",
    "locked": "another process is using it: wait for that one",
    "unopened": "it can't be opened: check the path and its permissions",
    "failing": "the disk is full or failing: free space or repair it, and run the same command again",
}


def refusal(path: Path, why: str) -> LedgerError:
    """Return the error that says what is wrong with a job file."""
    return LedgerError(f"{path} {why}", path=str(path))


def damaged(path: Path) -> LedgerError:
    """Return the error for a job file that contradicts itself or can't be read."""
    return refusal(path, f"can't be used: {DAMAGED}")


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the disk into `LedgerError`s that say what happened and what to do."""
    try:
        yield
    except Auth0MetaError:  # some are OSErrors too, and are clear already
        raise
    except UnicodeDecodeError:  # in SQLite's own message about a damaged file
        raise damaged(path) from None
    except sqlite3.Error as error:
        if "decode" in str(error):  # such a message quotes what was read, which may be a value
            raise damaged(path) from None
        raise refusal(path, f"can't be used: {_MEANINGS[cause_of(error)]} (SQLite: {error})") from None
    except OSError as error:
        cure = "free space" if error.errno == errno.ENOSPC else "check the path and its permissions"
        raise refusal(path, f"can't be used: {error.strerror or error}: {cure} (SQLite: {error})") from None


@contextlib.contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """Turn decoding errors into "the file is damaged", without quoting its content."""
    try:
        with explain_errors(path):
            yield
    except Auth0MetaError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, zlib.error):
        raise damaged(path) from None


def rows_of(path: Path, db: sqlite3.Connection, query: str, *values: object) -> list[Any]:
    """Return all rows of a query."""
    with explain_damage(path):
        return db.execute(query, values).fetchall()


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open an existing file; a writer's commits are durable when they return."""
    if write:
        return open_database(path, "mode=rw", write=True)
    if not any(name.exists() for name in files(path)[1:]) and not may_write(path):
        # Reading a file in WAL mode makes files beside it, which could not be removed and would be in its owner's way.
        return open_database(path, "mode=ro&immutable=1")
    try:
        return open_database(path, "mode=ro")
    except sqlite3.OperationalError:
        if files(path)[-1].exists():
            # A plan that was killed while it made its tables leaves this; only a writer can roll it back.
            return open_database(path, "mode=rw")
        # In WAL mode even a reader writes beside the file.  In a directory where it may not, a file that nobody has
        # open can be read as immutable.
        if any(name.exists() for name in files(path)[1:]):
            raise
        return open_database(path, "mode=ro&immutable=1")


def may_write(path: Path) -> bool:
    """Return whether this user may write to a file; opening it to find out could drop SQLite's locks on it."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def check_companions(path: Path) -> None:
    """Refuse a job file beside which something else has the name of one of SQLite's companion files."""
    target = files(path)[0]
    try:
        check_neighbours(target)
    except OSError as error:
        raise refusal(path, f"can't be used: {error.strerror}. Nothing was sent") from None


def files(path: Path) -> list[Path]:
    """Return the file that a path leads to, followed by the names of SQLite's companion files."""
    real = os.path.realpath(path)
    return [Path(real + end) for end in ("", "-wal", "-shm", "-journal")]
