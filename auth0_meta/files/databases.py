"""Find out whether a SQLite database is ours before SQLite opens it: opening it may change it and the files beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import IO

from auth0_meta.files.paths import check_owner, check_regular, own_file, refusal, status_of

# How SQLite's own files begin, unless they are empty or were not finished.  It deletes or plays back whatever else is there.
_NEIGHBOURS = {"-journal": b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "-wal": b"\x37\x7f\x06", "-shm": b""}
_WAL_HEADER, _FRAME_HEADER = 32, 24
_APPLICATION_AT = 68
_SMALLEST = 512
"""The bytes of the smallest page.  SQLite takes a file of one byte for an empty database."""


def own_database(path: str | os.PathLike[str], application: int) -> Path:
    """Return where the user's own database is, created with mode 0600 if there is none; an existing one is set to it.

    It must be empty or have `application` as its `application_id`; else `FileExistsError`.  Nothing is changed before
    that is known.  A file with several names (hard links) is refused: SQLite finds what belongs to it by its name.
    """
    target, status = own_file(path)
    check_neighbours(target)
    if status is None:
        with contextlib.suppress(
            FileExistsError
        ):  # made by another process just now, which has its lock then
            os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return target
    if status.st_nlink != 1:
        raise refusal("it has several names (hard links)")
    if 0 < status.st_size < _SMALLEST or not _is_ours(target, application):
        raise refusal("it holds something else", errno.EEXIST)
    if stat.S_IMODE(status.st_mode) != 0o600:
        os.chmod(target, 0o600)
    return target


def check_neighbours(target: Path) -> None:
    """Refuse a database beside which something else has the name of a file of SQLite's, which would write to it or delete it.

    SQLite's files belong to this user, or to the owner of the database.
    """
    status = status_of(target)
    owners = () if status is None else (status.st_uid,)
    for end, start in _NEIGHBOURS.items():
        # Another process that works with the database may delete its files at any time.
        with contextlib.suppress(FileNotFoundError):
            _check_neighbour(Path(f"{target}{end}"), start, owners)


def _check_neighbour(path: Path, start: bytes, owners: tuple[int, ...]) -> None:
    status = status_of(path, follow=False)
    if status is None:
        return
    try:
        check_regular(status)
        check_owner(status, *owners)
        if status.st_nlink > 1:  # 0: it was deleted just now
            raise refusal("it has several names")
    except OSError as error:
        raise refusal(f"{path.name} is in the way: {error.strerror}") from None
    if start:  # none for -shm: closing that file would give up this process's locks on it
        with path.open("rb") as file:
            head = file.read(len(start))
        if head.strip(b"\0") and head != start:
            raise refusal(f"{path.name} is in the way: it is not a file of SQLite")


def _is_ours(target: Path, application: int) -> bool:
    """Return whether a database is marked as ours, or has no tables yet.

    SQLite reads the file here, because closing it ourselves would give up the locks of a connection in this process.
    `immutable` makes it look at this one file only, and change nothing.
    """
    with closing(sqlite3.connect(f"{target.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            (found,) = connection.execute("PRAGMA application_id").fetchone()
            if found == application:
                return True
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError:
            # Perhaps without its log only: a full disk, or a kill, may have ended a checkpoint whose first page says how
            # large the file is to be.  That page is in the log then.
            return _application_in_log(target) == application
    in_log = _application_in_log(target)
    return in_log == application or (not tables and in_log is None)


def _application_in_log(target: Path) -> int | None:
    """Return the `application_id` in the write-ahead log, None if the log does not have the database's first page.

    A young database may have nearly everything there after its process was killed.
    """
    with contextlib.suppress(FileNotFoundError), open(f"{target}-wal", "rb") as file:
        return _last_application(file)
    return None


def _last_application(log: IO[bytes]) -> int | None:
    header, found = log.read(_WAL_HEADER), None
    page_size, salts = int.from_bytes(header[8:12]), header[16:24]
    while len(frame := log.read(_FRAME_HEADER)) == _FRAME_HEADER:
        page = log.read(page_size)
        if int.from_bytes(frame[:4]) == 1 and frame[8:16] == salts:
            found = int.from_bytes(page[_APPLICATION_AT : _APPLICATION_AT + 4])
    return found
