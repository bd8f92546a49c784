"""A change file: which user is to get which change."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import BAGS, Bag
from auth0_meta.changes.rules import parse_path
from auth0_meta.errors import InputError, MetadataError
from auth0_meta.http.request import user_path
from auth0_meta.migrate.planning.files import BadLine, Line, Lines, auth0_cell
from auth0_meta.warn import notice

UserChange = tuple[str, Change]
_JSON_MARK = ":="
_PROFILE = {
    *("blocked", "created_at", "email", "email_verified", "family_name", "given_name", "identities"),
    *("last_ip", "last_login", "last_password_reset", "logins_count", "multifactor"),
    *("multifactor_last_modified", "name", "nickname", "phone_number", "phone_verified", "picture"),
    *("updated_at", "username"),
}
"""The fields of a profile that an export can have as columns; source: Auth0's response to GET /users/{id}."""


class ChangeFile:
    """Iterate over the (user id, change) pairs of a CSV or NDJSON file; a row that can't be read is a `BadLine`.

    CSV: a column `user_id`, and columns such as `app_metadata.billing.plan`; a cell is text, and an empty one changes
    nothing.  Under a name that ends in `:=` (`app_metadata.seats:=`) cells are JSON, and `null`
    deletes.  NDJSON: objects with `user_id`, `user_metadata` and `app_metadata`, which are merged deeply (RFC 7396):
    null deletes at any depth.  Other columns of Auth0's CSV exports, such as `email`, are ignored with a
    `MetadataWarning`.
    """

    def __init__(self, path: str | os.PathLike[str], /) -> None:
        self._lines = Lines(path)
        self.name = self._lines.name

    def __iter__(self) -> Iterator[UserChange | BadLine]:
        columns: dict[str, tuple[Bag, tuple[str, ...], bool]] | None = None
        for line in self._lines:
            if isinstance(line, BadLine):
                yield line
                continue
            if line.csv and columns is None:
                columns = _columns(line.values, self.name)
            try:
                user_id, change = _from_csv(line, columns or {}) if line.csv else _from_json(line.values)
                user_path(user_id)
            except InputError as error:
                yield BadLine(line.where, str(error))
                continue
            yield user_id, change


def _columns(row: Mapping[str, Any], name: str) -> dict[str, tuple[Bag, tuple[str, ...], bool]]:
    """Return what each column of a CSV file changes."""
    found: dict[str, tuple[Bag, tuple[str, ...], bool]] = {}
    left = []
    for column in row:
        bag, _, path = column.removesuffix(_JSON_MARK).partition(".")
        if column == "user_id":
            continue
        if column.partition("[")[0] in _PROFILE:
            left.append(column)
            continue
        if bag not in BAGS or not path:
            msg = f"{name}: the column {column!r} is neither user_id nor a path such as app_metadata.plan"
            raise InputError(msg)
        known: Bag = "user_metadata" if bag == "user_metadata" else "app_metadata"
        found[column] = (known, parse_path(path, bag=known), column.endswith(_JSON_MARK))
    if not found:
        msg = f"{name} has no column that changes anything: add one such as app_metadata.plan"
        raise InputError(msg)
    if left:
        notice(f"{name}: these columns are not metadata and are ignored: {', '.join(left)}")
    return found


def _from_csv(line: Line, columns: Mapping[str, tuple[Bag, tuple[str, ...], bool]]) -> UserChange:
    quoted = line.values["user_id"].startswith("'")
    change = Change()
    for column, (bag, path, typed) in columns.items():
        cell = line.values[column]
        if not cell:
            continue
        if typed:
            try:
                value = json.loads(cell[1:] if quoted and cell.startswith("'") else cell)
            except (ValueError, RecursionError):
                msg = f"the cell under {column!r} is not valid JSON; text in JSON has double quotes"
                raise InputError(msg) from None
        else:
            value = auth0_cell(cell, quoted=quoted)
        change = change.with_bag(bag, change.bag(bag).set(path, value))
    return line.values["user_id"].removeprefix("'"), change


def _from_json(row: Mapping[str, Any]) -> UserChange:
    unknown = sorted(set(row) - {"user_id", *BAGS})
    if unknown:
        msg = f"a row can have user_id, user_metadata and app_metadata, but not {unknown[0]!r}"
        raise InputError(msg)
    if not isinstance(row.get("user_id"), str):
        msg = "a row needs a user_id that is a string"
        raise InputError(msg)
    change = Change()
    for bag in BAGS:
        if bag not in row:
            continue
        if not isinstance(row[bag], dict):
            msg = f"{bag} must be an object; it is merged into what is stored"
            raise MetadataError(msg, bag=bag)
        change = change.with_bag(bag, change.bag(bag).merge(row[bag]))
    return row["user_id"], change


class ChangeIndex:
    """The changes of a file by user id, in a temporary file until it is closed: they may not fit into memory.

    Changes to the same user are combined in the file's order.
    """

    def __init__(self, changes: ChangeFile) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite keeps it in a temporary file
        self._db.execute(
            "CREATE TABLE changes (user_id TEXT PRIMARY KEY, ops TEXT, seen INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        self.bad: list[BadLine] = []
        self._db.execute("BEGIN")
        for found in changes:
            if isinstance(found, BadLine):
                self.bad.append(found)
                continue
            user_id, change = found
            earlier = self.take(user_id)
            if earlier is not None:
                change = earlier.then(change)
            self._db.execute(
                "INSERT OR REPLACE INTO changes (user_id, ops) VALUES (?, ?)",
                (user_id, json.dumps(change.to_json())),
            )
        self._db.execute("COMMIT")

    def take(self, user_id: str) -> Change | None:
        """Return the change for a user, None without one, and note that it was taken."""
        row = self._db.execute("SELECT ops FROM changes WHERE user_id = ?", (user_id,)).fetchone()
        if row is None:
            return None
        self._db.execute("UPDATE changes SET seen = 1 WHERE user_id = ?", (user_id,))
        return Change.from_json(json.loads(row[0]))

    def not_taken(self) -> Iterator[str]:
        """Yield the users whose change was never taken."""
        for (user_id,) in self._db.execute("SELECT user_id FROM changes WHERE seen = 0"):
            yield user_id

    def close(self) -> None:
        """Delete the temporary file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def is_change_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a name is that of a change file: a `.py` file holds a function, any other one changes."""
    return Path(str(path)).suffix.lower() != ".py"
