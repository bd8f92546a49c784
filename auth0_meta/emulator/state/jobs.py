"""Jobs: what is pending, when it is carried out, and when it is deleted."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import attrs

from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.errors import ConfigError, InputError

ACTIVE_IMPORTS = 2
"""How many import jobs may be active at once (documented)."""
# Documented: a job that takes more than two hours fails, and a job is deleted after a day.
_TIMEOUT = 2 * 3600
_MOST, _MOST_BYTES = 1000, 256 * 1024 * 1024
_LIFETIME = 24 * 3600


class JobFailed(Exception):
    """A job failed as a whole; `shown` are fields to add to it."""

    def __init__(self, **shown: Any) -> None:
        super().__init__("the job failed")
        self.shown = shown


@attrs.frozen
class Pace:
    """When a job is carried out: "immediate", "manual", or after `number` "polls" or "seconds"."""

    kind: str
    number: float = 0


def parse_pace(text: str) -> Pace:
    """Parse "immediate", "manual", "3 polls" or "1.5 seconds"; raises `ConfigError` for anything else.

    >>> parse_pace("2 polls")
    Pace(kind='polls', number=2.0)
    """
    words = r"immediate|manual|(\d+(?:\.\d+)?) *(poll|second)s?"
    match = re.fullmatch(words, text) if isinstance(text, str) else None
    if match is None:
        msg = f"the pace of jobs {text!r} is unknown: use immediate, manual, 'N polls' or 'N seconds'"
        raise ConfigError(msg)
    number, unit = match.groups()
    return Pace(f"{unit}s", float(number)) if unit else Pace(text)


@attrs.define(eq=False)
class Job:
    """One job.

    `shown` are the fields between `status` and `created_at`.  When `pace` says so, `work(job, now)` carries it
    out, which may add to `shown` or raise `JobFailed`.  `errors` lists the users that an import refused;
    `file` and `file_name` are what an export produced.
    """

    id: str
    type: str
    created: float
    work: Callable[[Job, float], None] = attrs.field(repr=False)
    shown: dict[str, Any] = attrs.field(factory=dict, repr=False)
    status: Literal["pending", "completed", "failed"] = "pending"
    pace: Pace = Pace("manual")
    polls: int = 0
    errors: list[dict[str, Any]] = attrs.field(factory=list, repr=False)
    file: bytes | None = attrs.field(default=None, repr=False)
    file_name: str = ""
    running: threading.Lock = attrs.field(factory=threading.Lock, repr=False)
    """Held while it is carried out, which may take long: nothing else waits for that."""

    def document(self) -> dict[str, Any]:
        """Return the job as the API shows it."""
        head = {"type": self.type, "status": self.status}
        return {**head, **self.shown, "created_at": iso(int(self.created * 1000)), "id": self.id}


class Jobs:
    """The tenant's jobs: `jobs[id]`, iteration, `len`; thread-safe.

    `pace` decides when jobs created from now on are carried out: "immediate" (while the response that
    creates the job still says pending, as recorded), "3 polls" (on the fourth GET of the job),
    "1.5 seconds" of the tenant's clock, or "manual" (`finish` and `fail`).

    >>> from auth0_meta.emulator import LocalTenant
    >>> tenant = LocalTenant(serve=False)
    >>> tenant.jobs.pace = "manual"
    >>> len(tenant.jobs), tenant.jobs.pace
    (0, 'manual')
    """

    def __init__(self, now: Callable[[], float], pace: str = "immediate") -> None:
        self._now = now
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self.pace = pace
        self._first = pace

    @property
    def pace(self) -> str:
        """Return the pace of future jobs."""
        return self._text

    @pace.setter
    def pace(self, text: str) -> None:
        self._pace, self._text = parse_pace(text), text

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def __getitem__(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def __repr__(self) -> str:
        return f"<Jobs: {len(self)}, {self.pace}>"

    def add(self, job: Job) -> bool:
        """Add a job, and carry it out if the pace is immediate; returns False if too many imports are active."""
        with self._lock:
            active = sum(other.type == "users_import" and other.status == "pending" for other in self)
            if job.type == "users_import" and active >= ACTIVE_IMPORTS:
                return False
            self._jobs[job.id], job.pace = job, self._pace
        if job.pace.kind == "immediate":
            self._run(job, self._now())
        with self._lock:
            self._make_room()
        return True

    def _make_room(self) -> None:
        """Delete the oldest jobs that have ended if there are too many, or their files are too large together."""
        ended = [job for job in self._jobs.values() if job.status != "pending"]
        size = sum(len(job.file or b"") for job in ended)
        for job in ended[:-1]:  # the newest can still be asked for
            if len(self._jobs) <= _MOST and size <= _MOST_BYTES:
                break
            del self._jobs[job.id]
            size -= len(job.file or b"")

    def finish(self, job_id: str | None = None) -> None:
        """Carry out a pending job now (None: all of them); raises `InputError` for one that isn't pending.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).jobs.finish()
        """
        for job in self._pending(job_id):
            self._run(job, self._now(), wait=True)

    def fail(self, job_id: str | None = None, **shown: Any) -> None:
        """Fail a pending job as a whole (None: all of them); `shown` are further fields of the job."""
        for job in self._pending(job_id):
            with job.running:
                if job.status == "pending":
                    job.status = "failed"
                    job.shown.update(shown)

    def poll(self, job_id: str) -> Job | None:
        """Count one poll of a job and return the job, None if it does not exist."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.status != "pending":
                return job
            due = job.pace.kind == "polls" and job.polls >= job.pace.number
            job.polls += 1
        if due:
            self._run(job, self._now())
        return job

    def settle(self) -> None:
        """Carry out jobs that are due by the clock, fail those that take too long, and delete old ones."""
        if not self._jobs:
            return
        now = self._now()
        for job in self:
            wait = job.pace.number if job.pace.kind == "seconds" else _TIMEOUT
            if job.status == "pending" and now >= job.created + min(wait, _TIMEOUT):
                if wait < _TIMEOUT:
                    self._run(job, job.created + wait)
                elif job.running.acquire(blocking=False):
                    job.status = "failed"
                    job.running.release()
            if now >= job.created + _LIFETIME:
                with self._lock:
                    self._jobs.pop(job.id, None)

    def reset(self) -> None:
        """Delete every job, and restore the initial pace."""
        with self._lock:
            self._jobs.clear()
            self.pace = self._first

    def _run(self, job: Job, at: float, *, wait: bool = False) -> None:
        """Carry out a job that is pending still; if another thread does so just now, leave it to that one, or `wait` for it."""
        if not job.running.acquire(blocking=wait):
            return
        try:
            if job.status == "pending":
                job.work(job, at)
                job.status = "completed"
        except JobFailed as failure:
            # First what it shows: whoever sees the status sees all of it.
            job.shown.update(failure.shown)
            job.status = "failed"
        finally:
            job.running.release()

    def _pending(self, job_id: str | None) -> list[Job]:
        pending = [job for job in self if job.status == "pending" and job_id in (None, job.id)]
        if job_id is not None and not pending:
            raise InputError(f"job {job_id!r} is not pending")
        return pending
