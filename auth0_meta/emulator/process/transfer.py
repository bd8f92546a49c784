"""Save a snapshot of a tenant that another process serves, and load one into it, whatever its size."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from auth0_meta.emulator.control.seed_files import open_users
from auth0_meta.emulator.control.snapshots import HEAD, write_snapshot
from auth0_meta.emulator.process.announced import Foreign, not_responding, session
from auth0_meta.errors import InputError
from auth0_meta.files.paths import opening
from auth0_meta.redact import printable

_PIECE, _CHUNK = 8 * 1024 * 1024, 65_536
_OCTETS = {"Content-Type": "application/octet-stream"}


def save(path: str | os.PathLike[str], port: int) -> int:
    """Write a snapshot of the tenant on `port` to a file; returns how many users it has."""
    with snapshot(port) as lines:
        return write_snapshot(path, lines)


@contextmanager
def snapshot(port: int) -> Iterator[Iterator[str]]:
    """Yield the lines of a snapshot of the tenant on `port`, as they arrive."""
    with session(port) as send:
        lines = _lines(send("GET", "snapshot"), port)
        if next(lines, None) != HEAD:
            raise Foreign
        yield chain((HEAD,), lines)


def _lines(response: Any, port: int) -> Iterator[str]:
    try:
        for line in response.iter_lines(_CHUNK):
            yield f"{line.decode()}\n"
    except OSError:  # here, or it would look like one of the file that is written
        raise not_responding(port) from None


def load(
    path: str | os.PathLike[str], port: int, *, on_progress: Callable[[int], object] = lambda users: None
) -> int:
    """Replace what the tenant on `port` keeps with what is in a file, as `LocalTenant.load` does; returns how many users it has.

    `on_progress` is called now and then with the number of users that have been read.
    """
    shown = Path(path)
    with session(port) as send:
        size: Any = 0
        told: dict[str, Any] = {}
        for piece in _pieces(shown):
            response = send("POST", f"snapshot?at={size}", data=piece, headers=_OCTETS)
            size = _object(response.content).get("bytes")
        for line in send("PUT", f"snapshot?uploaded={size}").iter_lines():
            told = _object(line)
            if "read" in told:
                on_progress(told["read"])
        if isinstance(told.get("users"), int):
            return int(told["users"])
        raise InputError(
            f"{shown}: {printable(str(told.get('message', 'the tenant stopped before it was loaded')))}"
        )


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise Foreign
    return value


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a snapshot as it is, in pieces, and any other file as one piece, after it has been checked."""
    with open_users(path) as roster:
        if isinstance(roster.users, list):
            yield json.dumps(roster.document()).encode()
            return
    with opening(path) as file:
        while piece := file.read(_PIECE):
            yield piece
