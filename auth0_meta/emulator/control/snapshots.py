"""Snapshots: all that a tenant keeps, as JSON whose lines are written and read one by one, however many there are.

The first line begins the object and its array `users`, each line after it is a profile, one line ends that array and begins
`rows`, each line after it is a row of a table, and the last line ends everything.  Read as a whole it is JSON too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

from auth0_meta.emulator.http.message import from_json, to_ascii_json
from auth0_meta.emulator.state.links import KINDS
from auth0_meta.emulator.state.resources import PASSWORDS
from auth0_meta.emulator.state.tables import Row, tuples
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.errors import InputError
from auth0_meta.files.paths import own_file, replacing

FORMAT = "auth0_meta_snapshot"
VERSION = 2
"""Raise it if an earlier version would misread the file; format 1, of 0.1.0, holds users only."""
HEAD = f'{{"{FORMAT}": {VERSION}, "users": [\n'
_MIDDLE, _END = '], "rows": [\n', "]}\n"
_LONGEST = 64 * 1024 * 1024
_BLOCK = 65_536
_CUT_SHORT = "the snapshot ends too early: it was not written completely"


def snapshot_lines(state: TenantState) -> Iterator[str]:
    """Return the lines of a snapshot; a tenant in memory is as of now, users in a file as they are when they are read."""
    with state.users.lock:
        users, rows = state.users.all(), state.resources.rows()
    return _lines(users, rows)


def _lines(users: Iterable[Any], rows: Iterable[Row]) -> Iterator[str]:
    yield HEAD
    comma = ""
    for profile in users:
        yield f"{comma}{_line(profile.document(), profile.user_id)}\n"
        comma = ","
    yield _MIDDLE
    comma = ""
    for row in rows:
        yield f"{comma}{_line(row, row[1])}\n"
        comma = ","
    yield _END


def _line(value: Any, key: Any) -> str:
    try:
        return to_ascii_json(value)
    except (ValueError, RecursionError):
        raise InputError(f"{key!r} has a value that JSON can't represent, or is nested too deeply") from None


def blocks(lines: Iterable[str]) -> Iterator[bytes]:
    """Join lines to pieces that are worth sending."""
    parts, size = list[str](), 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield "".join(parts).encode()
            parts, size = [], 0
    yield "".join(parts).encode()


def write_snapshot(path: str | os.PathLike[str], lines: Iterable[str]) -> int:
    """Write a snapshot, mode 0600, or leave the file as it was; returns the number of users.

    Raises `InputError` if it can't be written, or if the last line is missing.  Only a regular file of this user is
    replaced.
    """
    count, line, in_users = 0, "", True
    try:
        with replacing(path) as file:
            for line in lines:
                in_users = in_users and line != _MIDDLE
                count += in_users
                file.write(line)
            if line != _END:
                raise InputError(f"{_CUT_SHORT}; {path} was left as it was")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror or error}") from None
    return count - 1  # the first line


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` if `write_snapshot` could not write there, as far as can be known beforehand."""
    try:
        folder = own_file(path)[0].parent
    except OSError as error:
        why = error.strerror
    else:
        if not folder.is_dir():
            why = f"the directory {folder} doesn't exist"
        elif not os.access(folder, os.W_OK | os.X_OK):
            why = f"you may not write to the directory {folder}"
        else:
            return
    raise InputError(f"can't write {path}: {why} (nothing was started)")


def user_lines(file: IO[bytes]) -> Iterator[Any]:
    """Yield the profiles of a snapshot whose first line has been read."""
    return _values(file, _MIDDLE, "user")


def row_lines(file: IO[bytes]) -> Iterator[Row]:
    """Yield the rows of a snapshot whose profiles have been read."""
    return checked_rows(_values(file, _END, "row"))


def _values(file: IO[bytes], end: str, what: str) -> Iterator[Any]:
    last, number = end.rstrip().encode(), 0
    while (line := file.readline(_LONGEST)).rstrip() != last:
        number += 1
        if not line.endswith(b"\n"):
            raise InputError(_CUT_SHORT if len(line) < _LONGEST else f"{what} {number} is too long")
        try:
            yield from_json(line.removeprefix(b","))
        except RecursionError:
            raise InputError(f"{what} {number} is nested too deeply") from None
        except ValueError:
            raise InputError(f"{what} {number} is not valid JSON") from None


def checked_rows(rows: Iterable[Any]) -> Iterator[Row]:
    """Yield rows as the tables know them; raises `InputError` for one that no tenant has written."""
    for number, row in enumerate(rows, 1):
        match row:
            case [str(kind), str(key), str(value)] if kind == PASSWORDS:
                yield kind, key, value
            case [str(kind), [str() | list(), str() | list()] as link, None] if kind in KINDS:
                yield kind, tuples(link), None
            case [str(kind), str(key), dict(value)] if kind != PASSWORDS and kind not in KINDS:
                yield kind, key, value
            case _:
                raise InputError(f"row {number} is not a row of a snapshot")
