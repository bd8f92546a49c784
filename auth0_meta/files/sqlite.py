"""Open SQLite files so that what is committed is durable, and say in one word what an error of SQLite means."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

_BUSY_MS = 5000

Cause = Literal["full", "read-only", "foreign", "damaged", "thread", "locked", "unopened", "failing"]

# Words in an SQLite message -> what has caused it; the first that matches counts, and "" always matches.
_SIGNS: dict[str, Cause] = {
    "full": "full",
    "readonly": "read-only",
    "read-only": "read-only",
    "not a database": "foreign",
    "malformed": "damaged",
    "no such table": "damaged",
    "no such column": "damaged",
    "no such index": "damaged",
    "created in a thread": "thread",
    "locked": "locked",
    "unable to open": "unopened",
    "": "failing",
}


def cause_of(error: sqlite3.Error) -> Cause:
    """Return what has caused an error of SQLite.

    >>> cause_of(sqlite3.OperationalError("database or disk is full"))
    'full'
    """
    text = str(error)
    if "decode" in text:  # SQLite's own message holds bytes of the file that are not UTF-8
        return "damaged"
    return next(cause for sign, cause in _SIGNS.items() if sign in text)


def open_database(path: Path, how: str, *, write: bool = False, threads: bool = False) -> sqlite3.Connection:
    """Open an existing file; `how` is the part of SQLite's URI after "?".  A writer's commits are durable when they return.

    With `threads` several threads may use the connection, one at a time.
    """
    uri = f"{path.absolute().as_uri()}?{how}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=not threads)
    try:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        db.execute("PRAGMA trusted_schema = OFF")  # what somebody has put into the file calls no functions
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            # Not NORMAL: in WAL mode that may lose the last commits to a power cut, and with them the intent of
            # PATCHes that have left.
            db.execute("PRAGMA synchronous = FULL")
        else:
            db.execute("SELECT COUNT(*) FROM sqlite_master")
    except BaseException:  # any: SQLite's message about damaged bytes may not even decode
        db.close()
        raise
    return db
