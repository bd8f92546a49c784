"""The rows of a CSV file, as spreadsheets, pandas and Auth0 write it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

from auth0_meta.errors import InputError
from auth0_meta.migrate.planning import text_file
from auth0_meta.redact import count
from auth0_meta.warn import notice

USER_COLUMNS = ("user_id", "email")
"""The columns that say whom a row is about."""
_MEANT = dict.fromkeys(("userid", "id", "uid", "sub"), "user_id") | dict.fromkeys(
    ("email", "mail", "emailaddress"), "email"
)
"""What spreadsheets call these columns, as letters alone -> what to write."""
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r'"?sep=(.?)"?', re.IGNORECASE)
# What a lookup that fails leaves in a cell, in any language (#N/A, #SPILL!, #WERT!, #NV), or a column that is too narrow
# (####), and how some tools keep the zeros at the start of a number.
_SPOILED = re.compile(
    r'#(N/[AD]|NV|[¡¿]?[^\W\d_a-z][^\sa-z]*[!?]|GETTING_DATA|##+)|Err:\d{3}|=".*"', re.DOTALL
)
_SHOWN = 60
_MOST_COLUMNS = 1000


def separator_of(line: str) -> str | None:
    """Return what separates the cells of a header, None if this is none: a header names `user_id` or `email`.

    Excel may say it in a line of its own: `sep=;`.

    >>> separator_of("user_id;app_metadata.plan"), separator_of("sep=;"), separator_of("auth0|1")
    (';', ';', None)
    """
    if declared := _SEP_LINE.fullmatch(line.rstrip("\r\n")):
        return declared[1]
    found = (char for char in _SEPARATORS if not set(USER_COLUMNS).isdisjoint(_names(line, char)))
    # In a list of ids, email|5f7c8ec7c33c6c004bbafe82 is a passwordless user, and not a header with two columns.
    return next((char for char in found if char != "|" or "user_id" in _names(line, char)), None)


def is_spoiled(cell: str) -> bool:
    """Return whether a spreadsheet has left an error or a formula in place of a value.

    >>> is_spoiled("#N/A"), is_spoiled("#SPILL!"), is_spoiled('="00501"'), is_spoiled("00501")
    (True, True, True, False)
    """
    return _SPOILED.fullmatch(cell) is not None


def shown(name: str) -> str:
    """Return the name of a column as messages show it."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


class CsvRows:
    """Iterate over (line number, cells by name) below the header, or (line number, what is wrong with the row).

    The header decides on the separator: a comma, semicolon, tab or `|`.  Raises `InputError` for a header that names no
    user, and for what is not CSV.
    """

    def __init__(self, lines: Iterator[tuple[int, str]], name: str) -> None:
        n, header = next(lines)
        separator = separator_of(header)
        if separator is not None and _SEP_LINE.fullmatch(header.rstrip("\r\n")):
            n, header = next(((n, line) for n, line in lines if line.strip()), (n, ""))
        if separator is not None and separator not in _SEPARATORS:
            raise InputError(f"{name}: write sep=, or sep=; in the first line, or leave that line out")
        self._name, self._separator = name, separator or ","
        csv.field_size_limit(max(csv.field_size_limit(), text_file.MOST_LINE))
        self._rows = _Rows(chain([(n, header)], lines), name, self._separator)
        names = [cell.strip() for cell in next(self._rows, (n, []))[1]]
        while names and not names[-1]:
            names.pop()
        if len(names) > _MOST_COLUMNS:
            raise InputError(f"{name} has {len(names)} columns; {_MOST_COLUMNS} are the most")
        repeated = [column for column, times in Counter(filter(None, names)).items() if times > 1]
        if repeated:
            raise InputError(f"{name} has the column {shown(repeated[0])} twice in its first line")
        if set(USER_COLUMNS).isdisjoint(names):
            raise InputError(f"{name} has no column user_id or email in its first line{_hint(names)}")
        if not names[0]:
            notice(f"{name}: the first column has no name and is ignored; pandas writes its index there")
        self._names = names
        self.names = tuple(filter(None, names))

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, str] | str]]:
        for n, cells in self._rows:
            if any(map(str.strip, cells)):
                yield (
                    n,
                    self._problem(cells)
                    or {name: cell for name, cell in zip(self._names, cells, strict=False) if name},
                )

    def _problem(self, cells: list[str]) -> str | None:
        """Return what is wrong with a row; cells that are empty need no name."""
        names, separators = self._names, _SEPARATORS[self._separator]
        what = f"{count(len(cells), 'cell')} under {count(len(names), 'name')}"
        if len(cells) < len(names):
            return f"{what}: {separators} must separate empty cells too"
        if any(map(str.strip, cells[len(names) :])):
            return f"{what}: a cell that contains {separators} must be in double quotes"
        unnamed = (n for n, name in enumerate(names[1:], 1) if not name and cells[n].strip())
        return next((f"column {n + 1} has text and no name in the first line" for n in unnamed), None)


class _Rows:
    """Iterate over (line number, cells); bounds a row, which may have many lines if it is quoted."""

    def __init__(self, lines: Iterator[tuple[int, str]], name: str, separator: str) -> None:
        self._lines, self._name = lines, name
        self._first = self._size = 0
        self._reader = csv.reader(self._row(), delimiter=separator, strict=True, skipinitialspace=True)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        self._first = self._size = 0
        try:
            cells = next(self._reader)
        except csv.Error as error:
            row = f"{self._name}: the row that begins on line {self._first} is not valid CSV ({error})"
            raise InputError(f"{row}: is a quotation mark never closed, or not doubled?") from None
        return self._first, cells

    def _row(self) -> Iterator[str]:
        """Yield the lines of the file; refuse a row that goes on and on."""
        for n, line in self._lines:
            self._first = self._first or n
            self._size += len(line)
            if self._size > text_file.MOST_LINE:
                row = f"{self._name}: the row that begins on line {self._first}"
                what = f"is longer than {text_file.MOST_LINE} characters: is a quotation mark never closed?"
                raise InputError(f"{row} {what}")
            yield line


def _hint(names: list[str]) -> str:
    """Return what may be meant by a header that names no user."""
    for name in names:
        if (meant := _MEANT.get(re.sub(r"[\W_]", "", name).lower())) is not None:
            return f": is {shown(name)} meant? Write {meant}"
    return "" if len(names) > 1 else "; separate its cells with commas, semicolons or tabs"


def _names(line: str, separator: str) -> list[str]:
    csv.field_size_limit(max(csv.field_size_limit(), text_file.MOST_LINE))
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]
