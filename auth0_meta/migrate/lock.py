"""Keep a second coordinator away from a job file: a lock that the system drops with its process."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from auth0_meta.errors import LedgerError

__all__ = ["FileLock"]


class FileLock:
    """Hold `PATH-lock` from the constructor until `close`, which removes it.

    Raises `LedgerError` where another process (or another ledger of this one) holds it, and where it
    can't be made.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.with_name(path.name + "-lock")
        while True:
            self._file = self._taken(path)
            try:
                if os.path.samestat(os.fstat(self._file), os.stat(self._name)):
                    break
            except FileNotFoundError:  # its last holder removed it after we had opened it
                pass
            os.close(self._file)
        os.truncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def _taken(self, path: Path) -> int:
        try:
            file = os.open(self._name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            msg = f"{self._name} can't be made ({error.strerror}): the ledger's directory must be writable. Nothing was sent"
            raise LedgerError(msg, path=str(path)) from error
        try:
            _lock(file)
        except OSError as error:
            holder = os.read(file, 32).decode("ascii", "replace").strip()
            os.close(file)
            who = f"process {holder}" if holder.isdigit() else "another process"
            msg = f"{who} is working with {path}: wait for it, or end it. Nothing was sent by this one"
            raise LedgerError(msg, path=str(path)) from error
        return file

    def close(self) -> None:
        """Let go; closing twice is harmless."""
        if self._file >= 0:
            with contextlib.suppress(OSError):  # Windows removes no open file: then it stays
                self._name.unlink()
            os.close(self._file)
            self._file = -1


if sys.platform == "win32":  # pragma: no cover  # no Windows here
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # past what is written, which others may read
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
