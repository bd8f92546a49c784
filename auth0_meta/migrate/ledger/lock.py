"""A lock that keeps a second writer away from a job file; the system drops it with its process."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from pathlib import Path

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.errors import LedgerError
from auth0_meta.files.paths import check_owner, check_regular, own_file
from auth0_meta.migrate.ledger.sqlite import refusal

_TRIES = 5
_PAUSE = 0.02
# What the system says if somebody else has the lock; the last two are those of Windows.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
# Whatever has been planted under the lock's name is neither followed nor waited for.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MOST_SIZE = 32
"""A lock file holds a process number and a line break."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class FileLock:
    """Lock `PATH-lock`, beside the file that PATH leads to, from `take` until `close`, which removes it.

    Raises `LedgerError` if another process (or another ledger of this one) holds it, if it can't be made, and if the
    job file is not a regular file of this user's, can be changed by others, or has a second name (a hard link), under which
    others would find another lock.
    """

    def __init__(self, path: Path) -> None:
        try:
            status = own_file(path)[1]
        except OSError as error:
            raise refusal(path, f"can't be used: {error.strerror}. Nothing was sent") from None
        if (
            status is not None and status.st_nlink > 1
        ):  # SQLite's companion files and this lock are found by name
            what = f"has {status.st_nlink} names (hard links), and another process could be working with it under a different one"
            raise refusal(path, f"{what}: remove the others, or use a copy. Nothing was sent")
        if status is not None and os.name == "posix" and status.st_mode & _OTHERS_WRITE:
            what = "can be changed by other users, and may not hold what was planned: restore a copy, or make sure and chmod 600 it"
            raise refusal(path, f"{what}. Nothing was sent")
        self._path, self._name = path, _name(path)
        self._file: io.FileIO | None = None
        self._mine = False

    def take(self) -> None:
        """Take it; whoever calls this has made sure before that `close` is called."""
        while True:
            self._file = self._open_file()
            self._lock_file(self._file)
            # Its last holder may have removed it between our open and our lock: then start over.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._name)):
                    break
            self._file.close()
        self._mine = True
        with contextlib.suppress(OSError):  # a full disk; the number only helps whoever meets the lock
            os.truncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), f"{os.getpid()}\n".encode())

    def _open_file(self) -> io.FileIO:
        try:
            return io.FileIO(self._name, "r+", opener=_open)
        except OSError as error:
            msg = f"{self._name} can't be made ({error.strerror}): the job file's directory must be writable. Nothing was sent"
            raise LedgerError(msg, path=str(self._path)) from None

    def _lock_file(self, file: io.FileIO) -> None:
        path = self._path
        try:
            _lock_soon(file.fileno())
        except OSError as error:
            holder = (file.read(32) or b"").decode("ascii", "replace").strip()
            file.close()
            if error.errno not in _HELD:  # such as ENOLCK of NFS without a lock daemon
                msg = (
                    f"{self._name} can't be locked ({error.strerror}): does this file system support locks? "
                    "Put the job file on a local disk. Nothing was sent"
                )
                raise LedgerError(msg, path=str(path)) from None
            who = f"process {holder}" if holder.isdigit() else "another process"
            msg = f"{who} is working with {path}: wait for it, or end it. This one has sent nothing"
            raise LedgerError(msg, path=str(path)) from None

    def close(self) -> None:
        """Release the lock, if it is taken; closing twice is harmless."""
        if self._file is not None and not self._file.closed:
            if self._mine:  # else somebody else may have it locked
                # Windows can't remove an open file: then it stays, and does no harm.
                with contextlib.suppress(OSError):
                    self._name.unlink()
            self._file.close()


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of a job file now."""
    try:
        file = os.open(_name(path), os.O_RDONLY | _CAREFUL)
    except OSError:
        return False
    try:
        _lock(file)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(file)
    return False


def _name(path: Path) -> Path:
    return Path(os.path.realpath(path) + "-lock")


def _open(name: str, flags: int) -> int:
    """Open the lock file, or make it; refuse whatever else has its name."""
    file = os.open(name, flags | os.O_CREAT | _CAREFUL, 0o600)
    try:
        _check(os.fstat(file))
    except BaseException:
        os.close(file)
        raise
    return file


def _check(status: os.stat_result) -> None:
    # Its content will be replaced, so it must not be another file under a planted name.
    check_regular(status)
    check_owner(status)
    if status.st_nlink > 1 or status.st_size > _MOST_SIZE:
        raise OSError(errno.EEXIST, "another file has this name")


def _lock_soon(file: int) -> None:
    """Lock it, trying a few times: `is_held` of another process takes the lock for a moment."""
    for _ in range(_TRIES):
        try:
            return _lock(file)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        SYSTEM_CLOCK.sleep(_PAUSE)
    _lock(file)


if sys.platform == "win32":  # pragma: no cover  # no Windows here
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # past the process number, which others may read
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
