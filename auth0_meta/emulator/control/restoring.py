"""Restore a snapshot of any size: it arrives in pieces, waits in a temporary file, and is read from there line by line."""

from __future__ import annotations

import json
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import IO

from auth0_meta.emulator.control.seed_files import MOST, Roster, as_roster, streamed
from auth0_meta.emulator.http.message import to_json
from auth0_meta.emulator.tenant_users import Users
from auth0_meta.errors import InputError

_log = logging.getLogger("auth0_meta.emulator")
_MOST = 16 * 1024**3
_INTERVAL = 1.0
_AGAIN = "another upload has begun meanwhile, or a piece is missing: begin again (no user was changed)"


class Restoring:
    """The snapshot that is being uploaded, one at a time; a piece at 0 begins another one."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._close = weakref.finalize(self, lambda: None)
        """Closes the file, at the latest with the tenant."""

    def add(self, piece: bytes, *, at: int) -> int:
        """Add a piece at this position, and return how many bytes there are now; raises `InputError` if one is missing."""
        with self._lock:
            if at == 0:
                import tempfile  # noqa: PLC0415  # loads on use

                self._close()
                file = self._file = tempfile.TemporaryFile()  # nobody else can open it  # noqa: SIM115
                self._close = weakref.finalize(self, file.close)
            if self._file is None or self._file.tell() != at:
                raise InputError(_AGAIN)
            if at + len(piece) > _MOST:
                raise InputError(f"a snapshot may have {_MOST:,} bytes")
            self._file.write(piece)
            return self._file.tell()

    def begin(self, size: int) -> Callable[[], Iterator[bytes]]:
        """Return a feed that restores the `size` bytes that were uploaded, and yields lines of JSON about it.

        `{"read": n}` says how many users have been read; the last line is `{"users": n}`, or `{"message": why}` if
        nothing was changed.
        """
        with self._lock:
            file, self._file = self._file, None
            if file is None or file.tell() != size:
                self._close()
                raise InputError(_AGAIN)
            self._close.detach()
        return lambda: self._feed(file)

    def _feed(self, file: IO[bytes]) -> Iterator[bytes]:
        done, read, last = threading.Event(), [0], dict[str, object]()

        def count(roster: Roster) -> Iterator[dict[str, object]]:
            for user in roster.users:
                read[0] += 1
                yield user

        def work() -> None:
            try:
                with file:
                    file.seek(0)
                    roster = streamed(file) or as_roster(_whole(file))
                    self._users.replace(count(roster), verbatim=roster.verbatim, rows=roster.rows)
                last["users"] = len(self._users)
            except InputError as error:
                last["message"] = str(error)
            except Exception:  # noqa: BLE001  # a bug here must be an answer, or the client would wait in vain
                _log.exception("the local tenant failed to restore a snapshot")
                last["message"] = "the local tenant failed: see its log"
            finally:
                done.set()

        # A client that goes away stops nothing halfway.
        threading.Thread(target=work, name="auth0-meta-restore", daemon=True).start()
        while not done.wait(_INTERVAL):
            yield to_json({"read": read[0]}) + b"\n"
        yield to_json(last) + b"\n"


def _whole(file: IO[bytes]) -> object:
    """Return a file that was not written by `snapshot save`, all of it."""
    file.seek(0)
    data = file.read(MOST + 1)
    try:
        if len(data) <= MOST:
            return json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("it is not valid JSON") from None
    raise InputError(f"it has more than {MOST:,} bytes")
