"""A change file: which user is to get which change."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import BAGS, Bag
from auth0_meta.changes.rules import inexact, parse_path
from auth0_meta.errors import InputError, MetadataError
from auth0_meta.migrate.planning.files import BadLine, Line, Lines, auth0_cell
from auth0_meta.warn import notice

UserChange = tuple[str, Change]
Column = tuple[Bag, tuple[str, ...], bool]
"""What a cell changes: a bag and the path in it; and whether the cell is JSON."""
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
    `MetadataWarning`.  Raises `InputError` for a file that does not exist or can't be read.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "changes.ndjson"
    ...     _ = path.write_text('{"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}')
    ...     list(ChangeFile(path))
    [('auth0|1', <Change app_metadata(plan 5 B)>)]
    """

    def __init__(self, path: str | os.PathLike[str], /) -> None:
        self._lines = Lines(path)
        self.name = self._lines.name

    def __iter__(self) -> Iterator[UserChange | BadLine]:
        columns: dict[str, Column] = {}
        warned = False
        for line in self._lines:
            if isinstance(line, BadLine):
                yield line
                continue
            if line.csv and not columns:
                columns = _columns(line.values, self.name)
            try:
                change = _from_csv(line, columns) if line.csv else _from_json(line.values)
            except InputError as error:
                yield BadLine(line.where, str(error))
                continue
            if not warned and (reason := _inexact(change)) is not None:
                warned = True  # once in a file, which may have as many of them as rows
                notice(f"{line.where}: {reason}")
            yield line.user_id, change


def _inexact(change: Change) -> str | None:
    """Return what is wrong with an integer that Auth0 may not keep, None without one."""
    for bag in BAGS:
        for op in (op for ops in change.bag(bag).keys.values() for op in ops):
            if (reason := inexact(op.value, op.path)) is not None:
                return f"{bag} {reason}"
    return None


def _columns(row: Mapping[str, Any], name: str) -> dict[str, Column]:
    """Return what each column of a CSV file changes."""
    found: dict[str, Column] = {}
    left = [column for column in row if column.partition("[")[0] in _PROFILE]
    for column in (column for column in row if column not in ("user_id", *left)):
        which, _, path = column.removesuffix(_JSON_MARK).partition(".")
        bag = next((bag for bag in BAGS if bag == which), None)
        if bag is None or not path:
            what = f"the column {column!r} is neither user_id nor a path such as app_metadata.plan"
            raise InputError(f"{name}: {what}")
        found[column] = (bag, parse_path(path, bag=bag), column.endswith(_JSON_MARK))
    if not found:
        raise InputError(f"{name} has no column that changes anything: add one such as app_metadata.plan")
    if left:
        notice(f"{name}: these columns are not metadata and are ignored: {', '.join(left)}")
    return found


def _from_csv(line: Line, columns: Mapping[str, Column]) -> Change:
    change = Change()
    for column, (bag, path, typed) in columns.items():
        cell = line.values[column]
        if not cell:
            continue
        value = auth0_cell(cell) if line.quoted and not typed else cell
        if typed:
            try:
                value = json.loads(cell.removeprefix("'") if line.quoted else cell)
            except (ValueError, RecursionError):
                what = f"the cell under {column!r} is not valid JSON; text in JSON has double quotes"
                raise InputError(what) from None
        change = change.with_bag(bag, change.bag(bag).set(path, value))
    return change


def _from_json(row: Mapping[str, Any]) -> Change:
    unknown = sorted(set(row) - {"user_id", *BAGS})
    if unknown:
        raise InputError(f"a row can have user_id, user_metadata and app_metadata, but not {unknown[0]!r}")
    change = Change()
    for bag in BAGS:
        if bag in row:
            if not isinstance(row[bag], dict):
                raise MetadataError(f"{bag} must be an object; it is merged into what is stored", bag=bag)
            change = change.with_bag(bag, change.bag(bag).merge(row[bag]))
    return change


class ChangeIndex:
    """The changes to each user, combined in their order; on disk until it is closed: there may be many."""

    def __init__(self, changes: Iterable[UserChange]) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite keeps it in a temporary file
        self._db.execute(
            "CREATE TABLE changes (user_id TEXT PRIMARY KEY, ops TEXT, seen INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")
        for user_id, change in changes:
            earlier = self.take(user_id)
            combined = change if earlier is None else earlier.then(change)
            row = (user_id, json.dumps(combined.to_json()))
            self._db.execute("INSERT OR REPLACE INTO changes (user_id, ops) VALUES (?, ?)", row)
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
