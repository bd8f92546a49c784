"""Read NDJSON, CSV and lists of ids line by line, gzipped or not, with the quirks of Auth0's CSV exports."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import attrs

from auth0_meta.errors import InputError
from auth0_meta.http.json_reader import NotReadable, read_json
from auth0_meta.http.request import user_path

GZIP = b"\x1f\x8b"
"""How a gzip file begins."""
_MOST_LINE = 64 * 1024 * 1024
_STDIN = "-"


@attrs.frozen
class Line:
    """One record: `where` it was, whom it is about, and its fields; CSV cells are text.

    `quoted`: it is a row of a CSV export of Auth0's, where text has a leading `'`.
    """

    where: str
    user_id: str
    values: Mapping[str, Any] = attrs.field(repr=False)
    csv: bool = False
    quoted: bool = False


@attrs.frozen
class BadLine:
    """What is wrong with one record, without its values."""

    where: str
    problem: str


@contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a file, or standard input for "-", as text; gzip is recognized by its first bytes.

    Raises `InputError` if it can't be read.
    """
    name = "standard input" if str(path) == _STDIN else str(path)
    try:
        raw: BinaryIO = sys.stdin.buffer if str(path) == _STDIN else open(path, "rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}") from error
    try:
        # A replacement for stdin may be unbuffered; a second buffer on a buffered one would wait until it is full.
        buffered = cast("io.BufferedReader", raw if hasattr(raw, "peek") else io.BufferedReader(raw))
        packed = buffered.peek(2)[:2] == GZIP
        plain = gzip.GzipFile(fileobj=buffered) if packed else buffered
        yield io.TextIOWrapper(cast("BinaryIO", plain), encoding="utf-8-sig", newline="")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} is cut short or is not a gzip file") from error
    except csv.Error as error:
        raise InputError(f"{name} is not valid CSV: {error}") from error
    finally:
        if str(path) != _STDIN:
            raw.close()


class Lines:
    """Iterate over the records of a file: NDJSON, CSV with a header, or one id per line.

    The name decides (`.csv`, with or without `.gz`), else the first line: `{` begins NDJSON, a header with `user_id`
    begins CSV, and anything else is a list of ids.  A record that can't be read, or has no valid user id, is
    a `BadLine`; a file that can't be read raises `InputError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.name = "standard input" if str(path) == _STDIN else Path(path).name
        if str(path) != _STDIN and not Path(path).exists():
            raise InputError(f"{path} does not exist")

    def __iter__(self) -> Iterator[Line | BadLine]:
        with open_text(self.path) as text:
            lines = _numbered(text)
            first = next(((n, line) for n, line in lines if line.strip()), None)
            if first is None:
                return
            start = first[1].lstrip()
            if start.startswith("["):
                raise InputError(f"{self.name} is a JSON array: write one object per line (jq -c '.[]' does)")
            named_csv = ".csv" in (suffix.lower() for suffix in Path(str(self.path)).suffixes)
            if start.startswith("{") and not named_csv:
                yield from self._ndjson(chain([first], lines))
            elif named_csv or "user_id" in map(str.strip, _cells(start)):
                yield from self._csv(start, text)
            else:
                yield from self._ids(chain([first], lines))

    def _ids(self, lines: Iterable[tuple[int, str]]) -> Iterator[Line | BadLine]:
        for n, line in lines:
            if user_id := line.strip():
                yield self._line(n, {"user_id": user_id.strip('"')})

    def _line(self, n: int, values: Mapping[str, Any], *, csv: bool = False) -> Line | BadLine:
        where, user_id = f"{self.name} line {n}", values.get("user_id")
        quoted = csv and str(user_id).startswith("'")
        user_id = str(user_id)[1:] if quoted else user_id
        try:
            user_path(user_id)  # type: ignore[arg-type]  # it refuses anything but a string
        except InputError as error:
            return BadLine(where, str(error))
        return Line(where, str(user_id), values, csv, quoted)

    def _ndjson(self, lines: Iterable[tuple[int, str]]) -> Iterator[Line | BadLine]:
        for n, line in lines:
            if not line.strip():
                continue
            try:
                row = read_json(line.encode())
            except NotReadable as error:
                yield BadLine(f"{self.name} line {n}", str(error))
                continue
            if isinstance(row, dict):
                yield self._line(n, row)
            else:
                yield BadLine(f"{self.name} line {n}", "not a JSON object")

    def _csv(self, first: str, rest: IO[str]) -> Iterator[Line | BadLine]:
        names = [name.strip() for name in _cells(first)]
        repeated = {name for name in names if names.count(name) > 1}
        wrong = "a column without a name" if not all(names) else "no column user_id"
        wrong = f"the column {min(repeated)!r} twice" if repeated else wrong
        if "user_id" not in names or repeated or not all(names):
            raise InputError(f"{self.name} has {wrong} in its first line")
        reader = csv.reader(rest, strict=True)
        for cells in reader:
            n = reader.line_num + 1
            if len(cells) == len(names):
                yield self._line(n, dict(zip(names, cells, strict=True)), csv=True)
            elif cells:
                yield BadLine(f"{self.name} line {n}", f"{len(cells)} cells under {len(names)} names")


def auth0_cell(cell: str) -> Any:
    """Return what a cell of a CSV export of Auth0's means: without a leading `'` it is a number, a boolean or null.

    Source: Auth0's bulk user exports.

    >>> auth0_cell("'42"), auth0_cell("42")
    ('42', 42)
    """
    if cell.startswith("'"):
        return cell[1:]
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _cells(line: str) -> list[str]:
    # The csv module's limit for a cell is 131,072 characters; here it is that for a line.
    csv.field_size_limit(max(csv.field_size_limit(), _MOST_LINE))
    return next(csv.reader([line]), [])


def _numbered(text: IO[str]) -> Iterator[tuple[int, str]]:
    """Yield (line number, line); refuse a line that is too long for memory."""
    for n, line in enumerate(iter(lambda: text.readline(_MOST_LINE), ""), 1):
        if len(line) >= _MOST_LINE:
            raise InputError(f"line {n} is longer than {_MOST_LINE} characters: is it one object per line?")
        yield n, line
