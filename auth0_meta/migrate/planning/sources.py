"""Where the users of a migration come from: a file, a search, an export job; always a stream."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol, cast

import attrs

from auth0_meta.changes.json_reader import read_json
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.client import ManagementClient
from auth0_meta.errors import InputError, JobError
from auth0_meta.http.request import user_path
from auth0_meta.migrate.planning.addresses import ByEmail
from auth0_meta.migrate.planning.files import BadLine, Head, Lines
from auth0_meta.migrate.planning.text_file import GZIP, Extent, numbered
from auth0_meta.models import Job
from auth0_meta.redact import discreet, printable

Connect = Callable[[], ManagementClient]
ROOT_FIELDS = ("user_id", "email", "email_verified", "name", "created_at", "updated_at", "identities")
"""The fields that an export asks for besides user_metadata and app_metadata, unless it is given others."""


@attrs.frozen
class Found:
    """A user, with the profile if the source has it; with None it is read by id."""

    user_id: str
    profile: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


class Source(Protocol):
    """What a migration reads its users from.

    A source whose profiles have only some fields should list them in an attribute `fields`: a function that reads
    another one is then stopped, instead of finding it absent.  A source that knows how much it has yielded so far may
    have an attribute `part`, from 0 to 1, or None: then a plan can say how long it will take.
    """

    name: str

    def users(self, connect: Connect) -> Iterator[Found | ByEmail | BadLine]:
        """Yield the users; `connect()` returns a client, for sources that need one."""
        ...


@discreet
class FileSource:
    """Take users from a file: NDJSON rows, CSV or a list; gzipped or not.  "-" is standard input.

    Each names a user by id or e-mail address.  A row with a `user_id` and with `user_metadata` or `app_metadata` is a
    profile, and if one of them is absent, it is empty.  A row with neither names a user to read from the tenant, unless
    `whole` says that rows are whole profiles; so does every row of CSV, which can't hold metadata.  Raises `InputError`
    for a file that does not exist, is empty or can't be read.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ids.txt"
    ...     _ = path.write_text("auth0|1")
    ...     list(FileSource(path).users(tenant.client))
    [Found(user_id='auth0|1')]
    """

    def __init__(self, path: str | os.PathLike[str], /, *, whole: bool = False) -> None:
        self._lines = Lines(path)
        self._whole = whole
        self.path = path
        self.name = f"file {self._lines.name}"

    @property
    def part(self) -> float | None:
        """The part of the file that has been read, from 0 to 1; None if that can't be known."""
        return self._lines.part

    def users(self, connect: Connect) -> Iterator[Found | ByEmail | BadLine]:
        """Yield the users of the file."""
        for line in self._lines:
            if isinstance(line, Head):
                continue
            if isinstance(line, BadLine):
                yield line
            elif isinstance(line.whom, ByEmail):
                yield line.whom
            else:
                profile = line.kind == "ndjson" and (self._whole or any(bag in line.values for bag in BAGS))
                yield Found(line.whom, line.values if profile else None)


@discreet
class SearchSource:
    """Take the users that a search finds: `GET /users`, scope `read:users`; Lucene syntax, at most 1000 (Auth0's limit).

    If there are more, it raises `PagingError` after the first 1000: use an export.  The search index lags behind
    writes.  Raises `InputError` for an empty query.

    >>> _ = tenant.users.add(user_id="auth0|1")
    >>> [found.user_id for found in SearchSource("user_id:*").users(tenant.client)]
    ['auth0|1']
    """

    def __init__(self, query: str, /) -> None:
        if not query.strip():
            raise InputError("the search is empty: write search:QUERY, or use the export for every user")
        self._query = query
        # The query often holds a metadata value, and job files, status and reports name their source.
        self.name = f"search ({len(query)} characters)"

    def users(self, connect: Connect) -> Iterator[Found | BadLine]:
        """Yield the users that match."""
        for n, user in enumerate(connect().users.search(q=self._query, sort="user_id:1"), 1):
            try:
                user_path(user.user_id)
            except InputError as error:
                yield BadLine(f"search result {n}", str(error))
            else:
                yield Found(user.user_id, user.raw)


@discreet
class ExportSource:
    """Take every user from a users-export job: the source for whole tenants.

    Endpoints: `POST /jobs/users-exports` and `GET /jobs/{id}`, scope `read:users`.
    `fields`: what the migration needs besides user_metadata and app_metadata; None stands for the fields that identify
    a user.  A function that reads another field is stopped.  `connection_id` limits the export to one connection.
    `on_progress` is called with the `Job` while Auth0 works on it.

    The download holds personal data, so it goes to a temporary file without a name, which nobody else can open.  Raises
    `JobError` if the export fails, does not end within `timeout` seconds (None: no limit), or gives a damaged file.
    """

    def __init__(
        self,
        *,
        fields: tuple[str, ...] | None = None,
        connection_id: str | None = None,
        limit: int | None = None,
        on_progress: Callable[[Job], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        chosen = ROOT_FIELDS if fields is None else ("user_id", *fields)
        self.fields = tuple(dict.fromkeys((*chosen, *BAGS)))
        self._which: dict[str, Any] = {"connection_id": connection_id, "limit": limit}
        self._wait: dict[str, Any] = {"timeout": timeout, "on_progress": on_progress}
        self.name = "export"
        self._extent = Extent()

    @property
    def part(self) -> float | None:
        """The part of the downloaded export that has been read, from 0 to 1; None before that."""
        return self._extent.part

    def users(self, connect: Connect) -> Iterator[Found | BadLine]:
        """Start the export, wait for it, download it, and yield its users."""
        for n, line in self.lines(connect):
            yield _exported(line, n)

    def lines(self, connect: Connect) -> Iterator[tuple[int, bytes]]:
        """Start the export, wait for it, download it, and yield (number, line) for each line that is not empty."""
        client = connect()
        job = client.jobs.export_users(format="json", fields=self.fields, **self._which)
        job = client.jobs.wait(job, **self._wait)
        with tempfile.TemporaryFile() as file:
            client.jobs.download(job, file)
            file.seek(0)
            start = file.read(2)
            packed = start == GZIP
            if not packed and start[:1] != b"{":  # even an export of nobody is a gzip file
                what = f"the file of export {job.id} is not an export; a proxy may have answered instead: try again"
                raise JobError(printable(what), job_id=job.id, job=job)
            self._extent.begin(cast("BinaryIO", file))
            plain = cast("BinaryIO", gzip.GzipFile(fileobj=file) if packed else file)
            try:
                for n, line in numbered(plain, f"the file of export {job.id}"):
                    self._extent.note_line()
                    if line.strip():
                        yield n, line
                self._extent.end()
            except InputError as error:
                raise JobError(f"{error}", job_id=job.id, job=job) from None
            except (EOFError, zlib.error, gzip.BadGzipFile):
                what = f"the file of export {job.id} is cut short: try again"
                raise JobError(printable(what), job_id=job.id, job=job) from None


def _exported(line: bytes, n: int) -> Found | BadLine:
    try:
        row = read_json(line)
        user_path(row["user_id"])
    except (ValueError, TypeError, KeyError):
        return BadLine(f"export line {n}", "not a JSON object with a user_id")
    # Auth0 writes null, or nothing, for a field that a user does not have.
    return Found(row["user_id"], {name: value for name, value in row.items() if value is not None})


def source(text: str, /) -> Source:
    """Return the source that a text names: `export`, `search:QUERY`, or a file.

    >>> source("search:app_metadata.plan:free").name
    'search (22 characters)'
    """
    if text == "export":
        return ExportSource()
    kind, colon, rest = text.partition(":")
    return SearchSource(rest) if colon and kind == "search" else FileSource(text)
