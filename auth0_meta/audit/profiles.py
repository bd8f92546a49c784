"""Where the profiles of an audit come from; always a stream of JSON texts, one for each user.

A source is iterated over once.  It yields pairs of a number and the profile's JSON, or a `BadLine`; `place(number)` says
where a profile was.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol, cast

from auth0_meta.audit.json_stream import JsonStream, Readable
from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.errors import InputError
from auth0_meta.files.paths import is_same
from auth0_meta.migrate.planning.addresses import ByEmail
from auth0_meta.migrate.planning.csv_rows import separator_of
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.sources import Connect, ExportSource, FileSource, SearchSource, Source
from auth0_meta.migrate.planning.text_file import MOST_LINE, STDIN, Extent, bounded, is_utf_16, open_bytes
from auth0_meta.models import User

EXPORTED: Final = (
    *("email", "email_verified", "name", "given_name", "family_name", "nickname", "picture", "username"),
    *("phone_number", "phone_verified", "blocked", "created_at", "updated_at", "identities", "multifactor"),
    *("last_ip", "last_login", "last_password_reset", "logins_count"),
)
"""What an audit asks an export for, besides the id and metadata: what Auth0's user profile structure lists as exportable."""

_BLANK: Final = codecs.BOM_UTF8 + b" \t\r\n"
_TOO_LONG: Final = f"longer than {MOST_LINE:,} bytes"
_NOT_AN_OBJECT: Final = "not a JSON object; what follows it in the same line was skipped"
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class Profiles(Protocol):
    """A stream of profiles."""

    name: str

    @property
    def part(self) -> float | None:
        """Return the part that has been read, from 0 to 1; None if that can't be known."""

    def __iter__(self) -> Iterator[tuple[int, bytes | BadLine]]: ...

    def place(self, number: int) -> str:
        """Return where the profile with a number was."""


class FileProfiles:
    """Profiles in a file, or from standard input: NDJSON, an array, indented objects, pages of `GET /users`; packed or not."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if str(path) != STDIN and not Path(path).exists():
            raise InputError(f"{path} does not exist")
        self._path, self._extent = path, Extent()
        self._file = "standard input" if str(path) == STDIN else Path(path).name
        self._unit = "line"
        self.name = f"file {self._file}"

    def reads(self, path: str | os.PathLike[str]) -> bool:
        """Return whether the profiles are in the file at this path."""
        return str(self._path) != STDIN and is_same(self._path, path)

    @property
    def part(self) -> float | None:
        """Return the part of the file that has been read."""
        return self._extent.part

    def place(self, number: int) -> str:
        """Return the file's name and the line, or which object it is if objects have no line of their own."""
        return f"{self._file} {self._unit} {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes | BadLine]]:
        with open_bytes(self._path, self._extent) as file:
            plain = cast("Any", codecs.EncodedFile(file, "utf-8", "utf-16") if is_utf_16(file) else file)
            lines = bounded(plain)
            filled = ((n, line) for n, line in lines if line is None or line.strip(_BLANK))
            number, first = next(filled, (0, b""))
            if not number:
                raise InputError(f"{self._file} is empty: it has no profile")
            first = None if first is None else first.removeprefix(codecs.BOM_UTF8)
            if first is not None and self._is_stream(first):
                yield from self._objects(plain, first)
            else:
                for n, line in chain([(number, first)], lines):
                    self._extent.note_line()
                    if line is None:
                        yield n, BadLine(self.place(n), _TOO_LONG)
                    elif not line.isspace():
                        yield n, line
        self._extent.end()

    def _is_stream(self, first: bytes) -> bool:
        """Return whether objects have no line for each; refuse what is not JSON at all."""
        text = first.strip()
        if text.startswith(b"["):
            return True
        if not text.startswith(b"{"):
            if separator_of(text.decode("utf-8", "replace")) is not None or str(self._path).lower().endswith(
                (".csv", ".csv.gz")
            ):
                what = "is CSV, which can't hold whole profiles: export the users as JSON"
                raise InputError(f"{self._file} {what}")
            return False
        try:
            row = read_json(text, repeated_keys=True)
        except NotReadable:
            return not text.endswith(b"}")
        return _users_of(row) is not None

    def _objects(self, file: Readable, start: bytes) -> Iterator[tuple[int, bytes | BadLine]]:
        self._unit = "object"
        n = 0
        for text in JsonStream(file, start):
            n += 1
            if text is None:
                yield n, BadLine(self.place(n), _NOT_AN_OBJECT)
                continue
            users = _users_of(read_json(text, repeated_keys=True)) if b'"users"' in text else None
            if users is None:
                yield n, text
            for user in users or ():
                yield n, _encode(user).encode()
                n += 1


class ExportProfiles:
    """Profiles in the file of an export."""

    def __init__(self, source: ExportSource, connect: Connect) -> None:
        self._source, self._connect = source, connect
        self.name = source.name

    @property
    def part(self) -> float | None:
        """Return the part of the download that has been read."""
        return self._source.part

    def place(self, number: int) -> str:
        """Return the line of the export."""
        return f"export line {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes | BadLine]]:
        return self._source.lines(self._connect)


class SourceProfiles:
    """Profiles that any other source yields."""

    def __init__(self, source: Source, connect: Connect) -> None:
        self._source, self._connect = source, connect
        self.name = source.name

    @property
    def part(self) -> float | None:
        """Return what the source says."""
        part: float | None = getattr(self._source, "part", None)
        return part

    def place(self, number: int) -> str:
        """Return which one it was."""
        return f"record {number} of {self.name}"

    def __iter__(self) -> Iterator[tuple[int, bytes | BadLine]]:
        for n, found in enumerate(self._source.users(self._connect), 1):
            if isinstance(found, BadLine):
                yield n, found
            elif isinstance(found, ByEmail) or found.profile is None:
                yield n, BadLine(self.place(n), "names a user, but does not have the profile")
            else:
                yield n, _text_of({"user_id": found.user_id, **found.profile}, self.place(n))


class GivenProfiles:
    """Profiles that a program passes."""

    part = None
    name = "profiles"

    def __init__(self, profiles: Iterable[Mapping[str, Any]]) -> None:
        self._profiles = profiles

    def place(self, number: int) -> str:
        """Return which one it was."""
        return f"profile {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes | BadLine]]:
        for n, profile in enumerate(self._profiles, 1):
            yield n, _text_of(profile, self.place(n))


def _text_of(profile: object, place: str) -> bytes | BadLine:
    if not isinstance(profile, Mapping):
        return BadLine(place, f"not a profile, but {type(profile).__name__}")
    try:
        return _encode(profile.raw if isinstance(profile, User) else dict(profile)).encode()
    except (TypeError, ValueError, RecursionError):
        return BadLine(place, "a profile that JSON can't represent")


def _users_of(value: object) -> list[Any] | None:
    """Return the users of a page as `GET /users?include_totals=true` returns it, None if it is anything else."""
    if isinstance(value, dict) and "user_id" not in value and isinstance(value.get("users"), list):
        users: list[Any] = value["users"]
        return users
    return None


def profiles(source: object, connect: Connect, export: ExportSource | None = None) -> Profiles:
    """Return the profiles that `audit` was asked to read; `export`: what "export" stands for."""
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if text == "export":
            source = export or ExportSource(fields=EXPORTED)
        elif isinstance(text, str) and text.startswith("search:"):
            source = SearchSource(text.removeprefix("search:"))
        else:
            return FileProfiles(cast("str", source))
    if isinstance(source, FileSource):
        return FileProfiles(source.path)
    if isinstance(source, ExportSource):
        return ExportProfiles(source, connect)
    if callable(getattr(source, "users", None)) and isinstance(getattr(source, "name", None), str):
        return SourceProfiles(cast("Source", source), connect)
    if isinstance(source, Iterable) and not isinstance(source, bytes | Mapping):
        return GivenProfiles(source)
    what = 'a source, text that names one ("export", "search:QUERY", a file), or profiles'
    raise InputError(f"source must be {what}, not {type(source).__name__}")
