"""Open the text files that a migration reads, packed or not, and bound what their lines may take."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, AnyStr, BinaryIO, cast

from auth0_meta.errors import InputError

GZIP = b"\x1f\x8b"
"""How a gzip file begins."""
MOST_LINE = 16 * 1024 * 1024
"""How long a line or a row of CSV may be.  A request may have 1 MB, but older profiles are larger than that."""
STDIN = "-"
_SMALL = 4 << 20
_WORKBOOKS = (b"PK", b"\xd0\xcf")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Extent:
    """How much of a file has been read; a small file is measured in lines, because it is read in one piece."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._size = 0
        self._lines = self._all_lines = 0
        self._ended = False

    def begin(self, file: BinaryIO) -> None:
        """Measure a file that is about to be read from its start; a pipe has no size."""
        self._file, self._ended = file, False
        self._lines = self._all_lines = self._size = 0
        with contextlib.suppress(OSError):
            self._size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if self._size <= _SMALL and file.read(2) != GZIP:
                file.seek(0)
                self._all_lines = file.read(_SMALL).count(b"\n") + 1
            file.seek(0)

    def note_line(self) -> None:
        """Note that another line has been read."""
        self._lines += 1

    def end(self) -> None:
        """Note that everything has been read."""
        self._ended = True

    @property
    def part(self) -> float | None:
        """Return the part that has been read, from 0 to 1, None if that can't be known."""
        if self._ended:
            return 1.0
        if self._all_lines:
            return min(1.0, self._lines / self._all_lines)
        if self._file is None or not self._size:
            return None
        return 1.0 if self._file.closed else min(1.0, self._file.tell() / self._size)


@contextmanager
def open_bytes(path: str | os.PathLike[str], extent: Extent | None = None) -> Iterator[io.BufferedReader]:
    """Open a file, or standard input for "-", and unpack it if its first bytes are those of gzip.

    `extent` begins to measure the file; standard input is not measured.  Raises `InputError` if it can't be read.
    """
    name = _name(path)
    try:
        raw: BinaryIO = sys.stdin.buffer if str(path) == STDIN else open(path, "rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}") from None
    try:
        if extent is not None and str(path) != STDIN:
            extent.begin(raw)
        # A replacement for stdin may be unbuffered; a second buffer on a buffered one would wait until it is full.
        buffered = cast("io.BufferedReader", raw if hasattr(raw, "peek") else io.BufferedReader(raw))
        plain = (
            cast("io.BufferedReader", gzip.GzipFile(fileobj=buffered))
            if _start(buffered) == GZIP
            else buffered
        )
        if _start(plain) in _WORKBOOKS:
            raise InputError(
                f"{name} is a workbook or a zip archive, not text: save the sheet as 'CSV UTF-8'"
            )
        yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name} is cut short or is not a gzip file") from None
    finally:
        if str(path) != STDIN:
            raw.close()


@contextmanager
def open_text(path: str | os.PathLike[str], extent: Extent | None = None) -> Iterator[IO[str]]:
    """Open a file as text as `open_bytes` does; UTF-16 is recognized by its first bytes."""
    with open_bytes(path, extent) as plain:
        try:
            encoding = "utf-16" if is_utf_16(plain) else "utf-8-sig"
            yield io.TextIOWrapper(plain, encoding=encoding, newline="")
        except UnicodeDecodeError:
            what = "is not UTF-8 text: save it as UTF-8 (in Excel, as 'CSV UTF-8')"
            raise InputError(f"{_name(path)} {what}") from None


def is_utf_16(file: io.BufferedReader) -> bool:
    """Return whether a file begins with a byte order mark of UTF-16."""
    return _start(file) in _UTF_16


def numbered(file: IO[AnyStr], name: str) -> Iterator[tuple[int, AnyStr]]:
    """Yield (line number, line); raise `InputError` before a line takes more memory than `MOST_LINE` allows."""
    for n, line in bounded(file):
        if line is None:
            what = f"{name} line {n} is longer than {MOST_LINE} characters: is there one object, row or id per line?"
            raise InputError(what)
        yield n, line


def bounded(file: IO[AnyStr]) -> Iterator[tuple[int, AnyStr | None]]:
    """Yield (line number, line), with None for a line that is longer than `MOST_LINE` allows."""
    n = 0
    while line := file.readline(MOST_LINE + 1):
        n += 1
        if len(line) <= MOST_LINE:
            yield n, line
            continue
        yield n, None
        while len(line) > MOST_LINE:
            line = file.readline(MOST_LINE + 1)


def _name(path: str | os.PathLike[str]) -> str:
    return "standard input" if str(path) == STDIN else str(path)


def _start(file: io.BufferedReader) -> bytes:
    return file.peek(2)[:2]
