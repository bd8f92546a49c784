"""Read whom a file names, and what it says of them: NDJSON, CSV, or a list of ids and e-mail addresses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import attrs

from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.errors import InputError
from auth0_meta.http.request import user_path
from auth0_meta.migrate.planning.addresses import ByEmail, is_address
from auth0_meta.migrate.planning.csv_rows import USER_COLUMNS, CsvRows, is_spoiled, separator_of
from auth0_meta.migrate.planning.text_file import STDIN, Extent, numbered, open_text
from auth0_meta.warn import notice

Kind = Literal["ndjson", "csv", "list"]
_LONGEST_ID = 1000  # Auth0 documents no limit; messages name ids in full


@attrs.frozen
class Head:
    """What a file is, before its records: `columns` are the names in the header of CSV."""

    kind: Kind
    columns: tuple[str, ...] = ()


@attrs.define
class Line:
    """One record: `where` it was, `whom` it is about (an id or an address), and its fields; CSV cells are text.

    `quoted`: it is a row of a CSV export of Auth0's, where text has a leading `'`.
    """

    where: str
    whom: str | ByEmail
    values: Mapping[str, Any] = attrs.field(repr=False)
    kind: Kind
    quoted: bool = False


@attrs.frozen
class BadLine:
    """What is wrong with one record, without its values."""

    where: str
    problem: str


class Lines:
    """Iterate over the records of a file, after its `Head`: NDJSON, CSV with a header, or one id or address per line.

    The name decides (`.csv`, with or without `.gz`), else the first line: `{` begins NDJSON, a header with `user_id`
    or `email` begins CSV, and anything else is a list.  A record that can't be read, or names no user, is a `BadLine`;
    a file that can't be read, or is empty, raises `InputError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._extent = Extent()
        self.name = "standard input" if str(path) == STDIN else Path(path).name
        if str(path) != STDIN and not Path(path).exists():
            raise InputError(f"{path} does not exist")

    def __iter__(self) -> Iterator[Head | Line | BadLine]:
        with open_text(self.path, self._extent) as text:
            yield from self._records(self._measured(numbered(text, self.name)))
        self._extent.end()

    @property
    def part(self) -> float | None:
        """Return the part of the file that has been read, from 0 to 1, None if that can't be known."""
        return self._extent.part

    def _measured(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        for line in lines:
            self._extent.note_line()
            yield line

    def _records(self, lines: Iterator[tuple[int, str]]) -> Iterator[Head | Line | BadLine]:
        first = next(((n, line.lstrip("\ufeff")) for n, line in lines if line.strip()), None)
        if first is None:
            raise InputError(f"{self.name} is empty: it names no user")
        start, lines = first[1].lstrip(), chain([first], lines)
        if "\0" in start:
            what = "has NUL characters, as UTF-16 without a byte order mark does"
            raise InputError(f"{self.name} {what}: save it as UTF-8 (in Excel, as 'CSV UTF-8')")
        if start.startswith("["):
            raise InputError(f"{self.name} is a JSON array: write one object per line (jq -c '.[]' does)")
        named_csv = ".csv" in (suffix.lower() for suffix in Path(str(self.path)).suffixes)
        if start.startswith("{") and not named_csv:
            yield Head("ndjson")
            yield from self._ndjson(lines)
        elif named_csv or separator_of(first[1]) is not None:
            yield from self._csv(CsvRows(lines, self.name))
        else:
            yield Head("list")
            for n, line in lines:
                if text := line.strip().strip('"'):
                    field = "email" if "@" in text and "|" not in text else "user_id"
                    yield self._line(n, {field: text}, "list")

    def _ndjson(self, lines: Iterator[tuple[int, str]]) -> Iterator[Line | BadLine]:
        for n, line in lines:
            if not line.strip():
                continue
            try:
                row = read_json(line.encode())
            except NotReadable as error:
                yield BadLine(f"{self.name} line {n}", str(error))
                continue
            if isinstance(row, dict):
                yield self._line(n, row, "ndjson")
            else:
                yield BadLine(f"{self.name} line {n}", "not a JSON object")

    def _csv(self, rows: CsvRows) -> Iterator[Head | Line | BadLine]:
        yield Head("csv", rows.names)
        n = 0
        for n, cells in rows:
            if isinstance(cells, str):
                yield BadLine(f"{self.name} line {n}", cells)
                continue
            # An empty cell names nobody, so that the other column may.
            named = {name: cells[name].strip() or None for name in USER_COLUMNS if name in cells}
            quoted = any(str(cell).startswith("'") for cell in named.values())
            if quoted:
                named = {name: cell and cell.removeprefix("'") for name, cell in named.items()}
            # What follows the quote of an export is stored so; anywhere else, white space around a cell is not data.
            values = {
                name: cell if quoted and cell[:1] == "'" else cell.strip() for name, cell in cells.items()
            }
            yield self._line(n, {**values, **named}, "csv", quoted=quoted)
        if not n:
            notice(f"{self.name} has a header and no rows, so it names no user")

    def _line(self, n: int, values: Mapping[str, Any], kind: Kind, *, quoted: bool = False) -> Line | BadLine:
        where = f"{self.name} line {n}"
        user_id, email = values.get("user_id"), values.get("email")
        try:
            if user_id is None and email is not None:
                return Line(where, _by_email(where, email), values, kind, quoted)
            return Line(where, _by_id(user_id), values, kind, quoted)
        except InputError as error:
            return BadLine(where, str(error))


def _by_id(user_id: object) -> str:
    """Return a user id; refuse what can't be one, without showing it: it may be from another column."""
    if user_id is None:
        raise InputError("the row names no user: it needs a user_id or an email")
    if not isinstance(user_id, str):
        raise InputError(f"the user_id must be a string, not {type(user_id).__name__}")
    if is_spoiled(user_id):
        raise InputError("the user_id is a formula or an error of a spreadsheet")
    if is_address(user_id):
        raise InputError("the user_id is an e-mail address: put it under email")
    if len(user_id) > _LONGEST_ID:
        raise InputError(f"the user_id has {len(user_id)} characters, so it is not an id")
    try:
        user_path(user_id)
    except InputError:
        what = "the user_id is empty, or contains white space or characters that can't be seen"
        raise InputError(what) from None
    return user_id


def _by_email(where: str, email: object) -> ByEmail:
    text = email.strip() if isinstance(email, str) else ""
    if not is_address(text):
        raise InputError("the email is not an e-mail address")
    return ByEmail(where, text)
