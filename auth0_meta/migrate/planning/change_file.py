"""A change file: which user is to get which change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.changes.jsonvalue import BAGS, Bag
from auth0_meta.changes.rules import check_size, inexact, parse_path
from auth0_meta.checks.sizes import json_size
from auth0_meta.errors import InputError, MetadataError
from auth0_meta.migrate.planning.addresses import ByEmail
from auth0_meta.migrate.planning.csv_rows import USER_COLUMNS, is_spoiled, shown
from auth0_meta.migrate.planning.files import BadLine, Head, Line, Lines
from auth0_meta.redact import discreet
from auth0_meta.warn import notice

UserChange = tuple[str | ByEmail, Change]
"""Whom a row is about, by id or by e-mail address, and what it changes."""
Column = tuple[Bag, tuple[str, ...], bool]
"""What a cell changes: a bag and the path in it; and whether the cell is JSON."""
_JSON_MARK = ":="
_MOST_NAMED = 20
_PROFILE = {
    *("blocked", "created_at", "email", "email_verified", "family_name", "given_name", "identities"),
    *("last_ip", "last_login", "last_password_reset", "logins_count", "multifactor"),
    *("multifactor_last_modified", "name", "nickname", "phone_number", "phone_verified", "picture"),
    *("updated_at", "username"),
}
"""The fields of a profile that an export can have as columns; source: Auth0's response to GET /users/{id}."""


@discreet
class ChangeFile:
    """Iterate over the (user, change) pairs of a CSV or NDJSON file; a row that can't be read is a `BadLine`.

    CSV: a column `user_id` or `email`, and columns such as `app_metadata.billing.plan`; a cell is text, and an empty one
    changes nothing.  Under a name that ends in `:=` (`app_metadata.seats:=`) cells are JSON, and `null` deletes.  A list
    is set as a whole, so a column such as `app_metadata.roles[0]` is refused.  NDJSON: objects with `user_id` or `email`,
    `user_metadata` and `app_metadata`, which are merged deeply (RFC 7396): null deletes at any depth.  A user who is
    named by id comes as the id, else as an object with the address.  Other columns of Auth0's CSV exports, such as
    `name`, are ignored with a `MetadataWarning`.  Raises `InputError` for a file that does not exist or can't be read.

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

    @property
    def part(self) -> float | None:
        """Return the part of the file that has been read, from 0 to 1, None if that can't be known."""
        return self._lines.part

    def __iter__(self) -> Iterator[UserChange | BadLine]:
        columns: dict[str, Column] = {}
        warned = both = False
        for line in self._lines:
            if isinstance(line, BadLine):
                yield line
                continue
            if isinstance(line, Head):
                if line.kind == "list":
                    what = "write NDJSON, or CSV with user_id or email in its first line"
                    raise InputError(f"{self.name} is a list, which says nothing of changes: {what}")
                columns = _columns(line.columns, self.name) if line.kind == "csv" else {}
                continue
            if line.kind == "ndjson" and not both and isinstance(line.whom, str) and "email" in line.values:
                both = True
                notice(f"{self.name}: the email of a row that has a user_id is ignored")
            try:
                change = _from_csv(line, columns) if line.kind == "csv" else _from_json(line.values)
            except InputError as error:
                yield BadLine(line.where, str(error))
                continue
            if not warned and (reason := _inexact(change)) is not None:
                warned = True  # once in a file, which may have as many of them as rows
                notice(f"{line.where}: {reason}")
            yield line.whom, change


def _inexact(change: Change) -> str | None:
    """Return what is wrong with an integer that Auth0 may not keep, None without one."""
    for bag in BAGS:
        for op in (op for ops in change.bag(bag).keys.values() for op in ops):
            if (reason := inexact(op.value, op.path)) is not None:
                return f"{bag} {reason}"
    return None


def auth0_cell(cell: str) -> Any:
    """Return what a cell of a CSV export of Auth0's means: without a leading `'` it is a number, a boolean or null.

    Source: Auth0's bulk user exports.

    >>> auth0_cell("'42"), auth0_cell("42")
    ('42', 42)
    """
    if cell.startswith("'"):
        return cell[1:]
    try:
        return read_json(cell.encode())
    except NotReadable:
        return cell


def _columns(names: tuple[str, ...], file: str) -> dict[str, Column]:
    """Return what each column of a CSV file changes."""
    found: dict[str, Column] = {}
    left = [name for name in names if name.partition("[")[0] in _PROFILE]
    if "user_id" not in names:
        left.remove("email")
    for name in (name for name in names if name not in {*USER_COLUMNS, *left}):
        column = _column(name, file)
        if column[:2] in (other[:2] for other in found.values()):
            raise InputError(f"{file}: the column {shown(name)} is there twice, once with {_JSON_MARK}")
        found[name] = column
    if not found:
        raise InputError(f"{file} has no column that changes anything: add one such as app_metadata.plan")
    if left:
        left = ["email (but not where user_id is empty)" if name == "email" else name for name in left]
        which = ", ".join(left[:_MOST_NAMED]) + (", ..." if len(left) > _MOST_NAMED else "")
        notice(f"{file}: these columns are not metadata and are ignored: {which}")
    return found


def _column(name: str, file: str) -> Column:
    path = name.removesuffix(_JSON_MARK).rstrip()
    which, _, keys = path.partition(".")
    bag = next((bag for bag in BAGS if bag == which), None)
    if "[" in path or "]" in path:
        whole = path.partition("[")[0].partition("]")[0].rstrip(". ") + _JSON_MARK
        what = f"the column {shown(name)} is one item of a list, and a list is only set as a whole"
        raise InputError(f"{file}: {what}: write it as JSON under {shown(whole)}, or leave the column out")
    if bag is None or not keys:
        what = f"the column {shown(name)} is neither user_id, email, nor a path such as app_metadata.plan"
        raise InputError(f"{file}: {what}")
    try:
        parsed = parse_path(keys, bag=bag)
    except InputError as error:
        raise InputError(f"{file}: the column {shown(name)} can't be used: {error}") from None
    if any(key != key.strip() for key in parsed):
        raise InputError(f"{file}: the column {shown(name)} has white space beside a dot")
    return bag, parsed, name.endswith(_JSON_MARK)


def _from_csv(line: Line, columns: Mapping[str, Column]) -> Change:
    change = Change()
    for column, (bag, path, typed) in columns.items():
        cell = line.values[column]
        if not cell:
            continue
        value = auth0_cell(cell) if line.quoted and not typed else cell
        if typed:
            try:
                value = read_json((cell.removeprefix("'") if line.quoted else cell).encode())
            except NotReadable as error:
                what = "text in JSON has double quotes; true, false and null are in lower case"
                raise InputError(f"the cell under {shown(column)} is {error}; {what}") from None
            _check_size(value, bag)
        elif is_spoiled(cell):
            what = f"the cell under {shown(column)} has a spreadsheet's error or formula in place of a value"
            as_json = f"this text as JSON under {shown(column + _JSON_MARK)}"
            raise InputError(f"{what}: write the value, or {as_json}")
        change = change.with_bag(bag, change.bag(bag).set(path, value))
    return change


def _from_json(row: Mapping[str, Any]) -> Change:
    unknown = sorted(set(row) - {*USER_COLUMNS, *BAGS})
    if unknown:
        what = "a row can have user_id or email, user_metadata and app_metadata"
        raise InputError(f"{what}, but not {shown(unknown[0])}")
    change = Change()
    for bag in BAGS:
        if bag in row:
            if not isinstance(row[bag], dict):
                raise MetadataError(f"{bag} must be an object; it is merged into what is stored", bag=bag)
            _check_size(row[bag], bag)
            change = change.with_bag(bag, change.bag(bag).merge(row[bag]))
    return change


def _check_size(value: object, bag: Bag) -> None:
    """Refuse what is larger than a request at once: to stage millions of values takes a minute."""
    size = 0
    with contextlib.suppress(RecursionError):  # staging says what is wrong with it
        size = json_size(value)
    check_size(size, bag=bag)
