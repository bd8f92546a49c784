"""The jobs endpoints of the Management API: imports, exports, and their outcome."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, cast
from urllib.parse import quote, urlsplit

from auth0_meta.changes.jsonvalue import JSONObject
from auth0_meta.clock import Clock
from auth0_meta.errors import ApiError, InputError, JobError, TransportError
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.expected import believed, job_errors, new_job, the_job
from auth0_meta.http.request import API, Request, encode_body
from auth0_meta.http.transport import Transport, base_url, encode_form
from auth0_meta.models import Job
from auth0_meta.ratelimit.plans import route_group
from auth0_meta.redact import discreet, printable

_IMPORTS = "jobs/users-imports"
_MAX_IMPORT = 500_000
MAX_DOWNLOAD = 16 * 1024**3
_FIRST_POLL, _SLOWEST_POLL, _POLL_GROWTH = 1.0, 15.0, 1.5
_LINK_TRIES = 5
_ENDED = ("completed", "failed")


@discreet
class Jobs:
    """Start, watch and fetch import and export jobs, as `client.jobs`.

    Auth0 keeps a job's data for 24 hours; the link to an export is valid for 60 seconds (`download` gets a new one).
    """

    def __init__(self, client: HasChannel) -> None:
        self._channel = client._channel

    def export_users(
        self,
        *,
        format: str = "json",
        fields: Iterable[str | Mapping[str, str]] | None = None,
        connection_id: str | None = None,
        limit: int | None = None,
    ) -> Job:
        """Start an export: `POST /jobs/users-exports`, scope `read:users`.

        `format`: "json" (one object per line) or "csv" (30 fields at most, metadata leaf by leaf).  `fields`:
        names such as "user_id", or {"name", "export_as"}; None leaves the choice to Auth0.  `connection_id`: None
        means every connection.  `limit`: how many users at most, None for all.  Sent once; a lost response raises
        `OutcomeUnknown`, and starting a second export does no harm.
        """
        if format not in ("json", "csv"):
            raise InputError(f"format must be 'json' or 'csv', not {format!r} (nothing was sent)")
        body: dict[str, Any] = {"format": format}
        if fields is not None:
            body["fields"] = [{"name": f} if isinstance(f, str) else dict(f) for f in fields]
        if connection_id is not None:
            body["connection_id"] = connection_id
        if limit is not None:
            body["limit"] = limit
        expected = new_job("users_export", connection_id)
        return _job(self._channel.call("POST", f"{API}jobs/users-exports", json=body, expected=expected))

    def import_users(
        self,
        users: Iterable[JSONObject],
        *,
        connection_id: str,
        upsert: bool = False,
        external_id: str | None = None,
        send_completion_email: bool = False,
    ) -> Job:
        """Start an import: `POST /jobs/users-imports`, scope `create:users`.

        `users`: profiles of Auth0's import schema, 500,000 bytes of JSON at most; nothing is split.  **With
        `upsert` the metadata of an existing user is replaced, not merged.**  `send_completion_email`:
        Auth0's own default would send an email to the tenant's owners.  At most two imports run at a time: a
        third is refused with `RateLimitError` at once, because waiting until Reset does not help.
        """
        if not isinstance(connection_id, str) or not re.fullmatch(r"con_[A-Za-z0-9]{16}", connection_id):
            raise InputError("connection_id must be con_ and 16 letters or digits (nothing was sent)")
        if external_id is not None and not (isinstance(external_id, str) and external_id.isprintable()):
            raise InputError("external_id must be a string on one line (nothing was sent)")
        try:
            rows = [dict(cast("Mapping[str, Any]", user)) for user in users]
        except (TypeError, ValueError) as error:
            msg = f"users must be profiles as dicts: {type(error).__name__} (nothing was sent)"
            raise InputError(msg) from None
        data = encode_body(rows, "what is to be imported")
        if len(data) > _MAX_IMPORT or data == b"[]":
            msg = f"an import takes at least 1 user and at most {_MAX_IMPORT} B of JSON, not {len(data)} B (nothing was sent): split it"
            raise InputError(msg)
        form: dict[str, Any] = {
            "connection_id": connection_id,
            "upsert": "true" if upsert else "false",
            "send_completion_email": "true" if send_completion_email else "false",
            **({} if external_id is None else {"external_id": external_id}),
            "users": ("users.json", data, "application/json"),
        }
        body, content_type = encode_form(form)
        request = Request(
            "POST",
            API + _IMPORTS,
            group=route_group("POST", _IMPORTS),
            repeat=False,
            body=body,
            sent=(rows, external_id),
            content_type=content_type,
        )
        budget = self._channel.budget()
        response = self._channel.send(request, budget)
        job = _job(believed(response, request, new_job("users_import", connection_id)))
        budget.raise_objection()
        return job

    def get(self, job_id: str, /) -> Job:
        """Read a job: `GET /jobs/{id}`, scope `read:users` or `create:users`, depending on its type."""
        return _job(self._channel.call("GET", f"{API}jobs/{_id(job_id)}", expected=the_job(job_id)))

    def errors(self, job_id: str, /) -> list[dict[str, Any]]:
        """Return what was wrong with an import's rows: `GET /jobs/{id}/errors`, scopes as in `get`.

        Each is {"user", "errors": [{"code", "message", "path"}]}; it contains the rows, so don't log it.  [] means that
        nothing was wrong.
        """
        found = self._channel.call("GET", f"{API}jobs/{_id(job_id)}/errors", expected=job_errors(job_id))
        return [found] if isinstance(found, dict) else list(found or ())

    def wait(
        self,
        job: Job | str,
        /,
        *,
        timeout: float | None = 7200.0,
        on_progress: Callable[[Job], object] | None = None,
    ) -> Job:
        """Read a job until it has ended, and return it: `GET /jobs/{id}`, scopes as in `get`.

        `timeout`: seconds (Auth0 ends an import after two hours; None: no limit).  `on_progress` is called with
        the job after each reading.  Raises `JobError` if it failed or is not done in time.
        """
        polling = Polling(self._channel.clock, job, timeout, on_progress)
        while (pause := polling.look(self.get(polling.job_id))) is not None:
            self._channel.pause(pause)
        return polling.job

    def download(self, job: Job | str, to: IO[bytes], /, *, max_bytes: int = MAX_DOWNLOAD) -> int:
        """Write a finished export's file to `to`, gzipped as Auth0 made it, and return the number of bytes.

        `to` must be seekable.  The link is read from the job, because each is valid for only 60 s; an interrupted
        download starts again at the original position of `to`.  No token is sent; https only (http where the client
        takes it).  Raises `JobError` for more than `max_bytes`, and if the job has no file.
        """
        job_id = job if isinstance(job, str) else job.id
        start = to.tell()
        for left in reversed(range(_LINK_TRIES)):
            link = self._link(job_id)
            to.seek(start)
            to.truncate()
            try:
                return self._fetch(link, to, max_bytes, job_id)
            except (TransportError, ApiError):
                if not left:
                    raise
                self._channel.pause(_FIRST_POLL * (_LINK_TRIES - left))
        raise AssertionError  # pragma: no cover  # the loop returns or raises

    def _link(self, job_id: str) -> str:
        found = self.get(job_id)
        link = found.raw.get("location")
        if not isinstance(link, str) or not link:
            msg = f"job {job_id} is {found.status} and has no file: wait for it first"
            raise _job_error(msg, job_id=job_id, job=found)
        return link if "://" in link else f"https://{link}"  # the link in Auth0's own sample has no scheme

    def _fetch(self, link: str, to: IO[bytes], most: int, job_id: str) -> int:
        try:
            parts = urlsplit(link)
        except ValueError:  # a broken IPv6 address
            raise _job_error(f"job {job_id} has a link that is not a URL", job_id=job_id) from None
        if parts.scheme != "https" and self._channel.transport.base.startswith("https"):
            what = f"job {job_id} has a link without https, which only a local tenant's may have: it is not followed"
            raise _job_error(what, job_id=job_id)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        transport = Transport(base_url(f"{parts.scheme}://{parts.netloc}"), timeout=self._channel.timeout)
        with contextlib.closing(transport):
            size = 0
            for block in transport.stream(target):
                size += len(block)
                if size > most:
                    raise _job_error(
                        f"the file of job {job_id} is larger than max_bytes={most}", job_id=job_id
                    )
                to.write(block)
                self._channel.pause(0.0)  # raises if the task that awaits the job was cancelled
        return size


class Polling:
    """Decide, after each reading of a job, whether it has ended and how long to wait before the next one."""

    def __init__(
        self,
        clock: Clock,
        job: Job | str,
        timeout: float | None,
        on_progress: Callable[[Job], object] | None,
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._on_progress = on_progress
        self._started = clock.monotonic()
        self._pause = _FIRST_POLL
        self.job_id = job if isinstance(job, str) else job.id
        self.job: Job
        """The job as it was read last."""

    def look(self, found: Job) -> float | None:
        """Return the seconds until the next reading, None if the job is done; raise `JobError` if it failed or is late."""
        self.job, job_id = found, self.job_id
        if self._on_progress is not None:
            self._on_progress(found)
        if found.status == "failed":
            raise _job_error(_failure(found), job_id=job_id, job=found)
        if found.status in _ENDED:
            return None
        pause, spent = self._pause, self._clock.monotonic() - self._started
        if self._timeout is not None and spent + pause > self._timeout:
            msg = f"job {job_id} is {found.status} after {spent:.0f} s: the job continues, so call wait again"
            raise _job_error(msg, job_id=job_id, job=found)
        self._pause = min(pause * _POLL_GROWTH, _SLOWEST_POLL)
        return pause


def _id(job_id: object) -> str:
    if not isinstance(job_id, str) or not job_id.strip():
        raise InputError("the job id must be a non-empty string (nothing was sent)")
    return quote(job_id, safe="")


def _job(raw: Mapping[str, Any]) -> Job:
    return Job(id=raw["id"], type=raw.get("type", ""), status=raw["status"], raw=raw)


def _job_error(message: str, **facts: Any) -> JobError:
    """Return an error about a job; its id, status and details are what the server has sent."""
    return JobError(printable(message), **facts)


def _failure(job: Job) -> str:
    details = job.raw.get("status_details")
    return f"job {job.id} failed{f': {details}' if isinstance(details, str) else ''}. See client.jobs.errors({job.id!r})"
