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
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import attrs

from auth0_meta.errors import InputError

_MOST_LINE = 64 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_STDIN = "-"
_CSV = (".csv",)


@attrs.frozen
class Line:
    """One record: `where` it was, and its members; CSV cells are text."""

    where: str
    values: Mapping[str, Any] = attrs.field(repr=False)
    csv: bool = False


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
        msg = f"{name} can't be read: {error.strerror}"
        raise InputError(msg) from error
    try:
        buffered = raw if hasattr(raw, "peek") else io.BufferedReader(raw)  # type: ignore[type-var]  # a stand-in for stdin
        packed = cast("io.BufferedReader", buffered).peek(2)[:2] == _GZIP
        plain = cast("BinaryIO", gzip.GzipFile(fileobj=buffered)) if packed else buffered
        yield io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError:
        msg = f"{name} is not UTF-8 text"
        raise InputError(msg) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{name} is cut short or is not a gzip file"
        raise InputError(msg) from error
    except csv.Error as error:
        msg = f"{name} is not valid CSV: {error}"
        raise InputError(msg) from error
    finally:
        if str(path) != _STDIN:
            raw.close()


class Lines:
    """Iterate over the records of a file: NDJSON, CSV with a header, or one id per line.

    The name decides (`.csv`, with or without `.gz`), else the first line: `{` begins NDJSON, a header
    with `user_id` begins CSV, and anything else is a list of ids.  A record that can't be read is a `BadLine`; a
    file that can't be read raises `InputError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.name = "standard input" if str(path) == _STDIN else Path(path).name
        if str(path) != _STDIN and not Path(path).exists():
            msg = f"{path} does not exist"
            raise InputError(msg)

    def __iter__(self) -> Iterator[Line | BadLine]:
        with open_text(self.path) as text:
            lines = _numbered(text)
            first = next(((n, line) for n, line in lines if line.strip()), None)
            if first is None:
                return
            if first[1].lstrip().startswith("["):
                msg = f"{self.name} is a JSON array: write one object per line (jq -c '.[]' does)"
                raise InputError(msg)
            suffixes = [suffix.lower() for suffix in Path(str(self.path)).suffixes]
            if any(suffix in _CSV for suffix in suffixes):
                yield from self._csv(first[1], text)
            elif first[1].lstrip().startswith("{"):
                yield from self._ndjson(_with_first(first, lines))
            elif "user_id" in [name.strip() for name in _cells(first[1])]:
                yield from self._csv(first[1], text)
            else:
                yield from self._ids(_with_first(first, lines))

    def _where(self, n: int) -> str:
        return f"{self.name} line {n}"

    def _ndjson(self, lines: Iterable[tuple[int, str]]) -> Iterator[Line | BadLine]:
        for n, line in lines:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                at = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
                yield BadLine(self._where(n), f"not valid JSON{at}")
                continue
            if isinstance(row, dict):
                yield Line(self._where(n), row)
            else:
                yield BadLine(self._where(n), "not a JSON object")

    def _ids(self, lines: Iterable[tuple[int, str]]) -> Iterator[Line | BadLine]:
        for n, line in lines:
            if text := line.strip():
                yield Line(self._where(n), {"user_id": text.strip('"')})

    def _csv(self, first: str, rest: IO[str]) -> Iterator[Line | BadLine]:
        names = [name.strip() for name in _cells(first)]
        repeated = {name for name in names if names.count(name) > 1}
        if "user_id" not in names or repeated or not all(names):
            what = (
                f"the column {min(repeated)!r} twice"
                if repeated
                else "no column user_id"
                if all(names)
                else "a column without a name"
            )
            msg = f"{self.name} has {what} in its first line"
            raise InputError(msg)
        _allow_long_cells()
        reader = csv.reader(rest, strict=True)
        for cells in reader:
            where = self._where(reader.line_num + 1)
            if len(cells) == len(names):
                yield Line(where, dict(zip(names, cells, strict=True)), csv=True)
            elif cells:
                yield BadLine(where, f"{len(cells)} cells under {len(names)} names")


def auth0_cell(cell: str, *, quoted: bool) -> Any:
    """Return what a CSV cell means; `quoted`: the row is from an export of Auth0's, where text has a leading `'`.

    In such a row, a cell without `'` is a number, a boolean or null.  Source: Auth0's bulk user exports.

    >>> auth0_cell("'42", quoted=True), auth0_cell("42", quoted=True), auth0_cell("42", quoted=False)
    ('42', 42, '42')
    """
    if not quoted:
        return cell
    if cell.startswith("'"):
        return cell[1:]
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _cells(line: str) -> list[str]:
    _allow_long_cells()
    return next(csv.reader([line]), [])


def _allow_long_cells() -> None:
    """Raise the csv module's limit for a cell, 131,072 characters, to that for a line."""
    if csv.field_size_limit() < _MOST_LINE:
        csv.field_size_limit(_MOST_LINE)


def _numbered(text: IO[str]) -> Iterator[tuple[int, str]]:
    """Yield (line number, line); refuse a line that is too long for memory."""
    n = 0
    while line := text.readline(_MOST_LINE):
        n += 1
        if len(line) >= _MOST_LINE:
            msg = f"line {n} is longer than {_MOST_LINE} characters: is it one object per line?"
            raise InputError(msg)
        yield n, line


def _with_first(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest
