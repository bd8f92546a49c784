"""The audit itself: read a stream of profiles, examine each, and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Final

from auth0_meta.arguments import callback
from auth0_meta.audit.examine import Examiner, Row
from auth0_meta.audit.measure import measured
from auth0_meta.audit.profiles import EXPORTED, FileProfiles, Profiles, profiles
from auth0_meta.audit.progress import AuditProgress
from auth0_meta.audit.report import AuditReport, Problems
from auth0_meta.audit.report_types import Checks
from auth0_meta.audit.user_rows import writing
from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.changes.jsonvalue import too_deep
from auth0_meta.changes.profile import MAX_STORED_DEPTH
from auth0_meta.checks.sizes import json_size
from auth0_meta.client import ManagementClient
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import ConfigError, InputError
from auth0_meta.migrate.estimate import Estimate
from auth0_meta.migrate.events import ExportProgress
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.sources import ExportSource, Source
from auth0_meta.migrate.waits import Waits
from auth0_meta.models import Job, User
from auth0_meta.redact import discreet, printable

OnAuditProgress = Callable[[AuditProgress | ExportProgress], object]

_MOST_PROBLEMS: Final = 20
_LONGEST_ID: Final = 1_000
_PROGRESS_EVERY: Final = 0.25
_LOOK_AT_THE_CLOCK: Final = 64
"""Users between two looks."""


@discreet
def audit(
    source: str | os.PathLike[str] | Source | Iterable[Mapping[str, Any] | User] = "export",
    /,
    *,
    client: ManagementClient | None = None,
    checks: Checks = "all",
    csv: str | os.PathLike[str] | None = None,
    on_progress: OnAuditProgress | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> AuditReport:
    """Find oversized profiles, and what else in user metadata will cause trouble; the tenant is only read.

    `source`: "export", "search:QUERY", the name or path of a file (NDJSON, a JSON array or pages of `GET /users`, gzipped
    or not; "-" is standard input), a source of `auth0_meta.migrate`, or profiles.  `client` may be None if nothing has to
    be read from the tenant.  `checks`: "sizes" looks only at how large profiles are, which takes a third of the time.
    `csv`: a file to write, mode 0600, with a row for each user for whom something was found; it takes the place of an
    earlier file once the audit has ended.  `on_progress` is called with an `AuditProgress` a few times a second and
    at the end, and during an export with `migrate.ExportProgress`.

    Memory is bounded, for millions of users as well.  A record that can't be read is counted in the report's `problems`.
    The report has paths, counts, sizes and user ids, and never a metadata value.

    Endpoints: `POST /jobs/users-exports` and `GET /jobs/{id}`, or `GET /users`; scope `read:users`.  Raises `InputError`
    for an unknown source and for a file that can't be read or written, before the first request, and `JobError` if
    the export fails.

    >>> from auth0_meta.audit import audit
    >>> _ = tenant.users.add(user_id="auth0|1", user_metadata={"roles": ["admin"]}, app_metadata={"log": ["x" * 99] * 120})
    >>> with tenant.client() as client:
    ...     report = audit("search:user_id:*", client=client)
    >>> [(one.kind, one.path, one.users) for one in report.findings][:2]
    [('oversized', '', 1), ('authorization_in_user_metadata', 'user_metadata.roles', 1)]
    >>> report.weights[0].path
    'app_metadata.log'
    """
    if checks not in ("all", "sizes"):
        raise InputError('checks must be "all" or "sizes" (nothing was read)')
    callback("on_progress", on_progress)

    def connect() -> ManagementClient:
        if client is None:
            raise ConfigError("this audit needs to read users from the tenant: pass a client")
        return client

    export = ExportSource(fields=EXPORTED, on_progress=_shown(on_progress))
    chosen = profiles(source, connect, export)
    if csv is not None and isinstance(chosen, FileProfiles) and chosen.reads(csv):
        raise InputError(
            f"{csv} is the file of profiles: name another one for the CSV (nothing was read or written)"
        )
    run = _Run(chosen, Examiner(everything=checks == "all", rows=csv is not None), on_progress, clock)
    with (
        nullcontext() if csv is None else writing(csv) as write,
        nullcontext() if client is None else client._channel.listening(run.waits.note),
    ):
        run.read(write)
    return run.report(checks)


class _Run:
    """One pass over a stream of profiles."""

    def __init__(
        self, chosen: Profiles, examiner: Examiner, on_progress: OnAuditProgress | None, clock: Clock
    ) -> None:
        self._profiles, self._examiner = chosen, examiner
        self._on_progress, self._clock = on_progress, clock
        self._at = clock.time()
        self._began = self._announced = clock.monotonic()
        self._estimate = Estimate()
        self._problems = 0
        self._first_problems: list[str] = []
        self.waits = Waits(clock.monotonic, None)

    def read(self, write: Callable[[Row], None] | None) -> None:
        """Examine every profile."""
        examine = self._examiner.add
        seen = 0
        for number, found in self._profiles:
            seen += 1
            if seen % _LOOK_AT_THE_CLOCK == 0:
                self._announce(every=_PROGRESS_EVERY)
            if isinstance(found, BadLine):
                self._note(found.where, found.problem)
                continue
            try:
                user_id, profile, size = _parsed(found)
                row = examine(user_id, profile, size)
            except NotReadable as problem:
                self._note(self._profiles.place(number), str(problem))
            else:
                if row is not None and write is not None:
                    write(row)
        self._announce()

    def report(self, checks: Checks) -> AuditReport:
        """Return what was found."""
        examiner = self._examiner
        findings = examiner.findings()
        return AuditReport(
            generated_at=datetime.fromtimestamp(self._at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=self._profiles.name,
            users=examiner.users,
            findings=findings,
            oversized=examiner.oversized(),
            sizes=examiner.sizes.sizes(),
            weights=examiner.weights(),
            problems=Problems(count=self._problems, examples=tuple(self._first_problems)),
            notes=examiner.notes(),
            checks=checks,
            seconds=round(self._clock.monotonic() - self._began, 3),
        )

    def _note(self, where: str, problem: str) -> None:
        self._problems += 1
        if len(self._first_problems) < _MOST_PROBLEMS:
            self._first_problems.append(printable(f"{where}: {problem}"))

    def _announce(self, *, every: float = 0.0) -> None:
        now = self._clock.monotonic()
        if self._on_progress is None or now - self._announced < every:
            return
        self._announced = now
        seconds, part = now - self._began, self._profiles.part
        self._on_progress(
            AuditProgress(
                users=self._examiner.users,
                seconds=seconds,
                part=part,
                eta=self._estimate.seconds_left(seconds, part),
                waiting=self.waits.in_words(),
            )
        )


def _parsed(text: bytes) -> tuple[str, dict[str, Any], int]:
    """Return the id, the profile and its size; raise `NotReadable` for what is not a profile."""
    text = text.strip()
    profile = read_json(text, repeated_keys=True)
    user_id = profile.get("user_id") if type(profile) is dict else None
    if type(user_id) is not str or not 0 < len(user_id) <= _LONGEST_ID:
        raise NotReadable("not a JSON object with a user_id")
    size, brackets = measured(text)
    if brackets > MAX_STORED_DEPTH and too_deep(profile, MAX_STORED_DEPTH):
        raise NotReadable(f"JSON nested more than {MAX_STORED_DEPTH} levels deep")
    return user_id, profile, json_size(profile) if size is None else size


def _shown(on_progress: OnAuditProgress | None) -> Callable[[Job], object] | None:
    """Return what an export job is announced to."""
    if on_progress is None:
        return None

    def show(job: Job) -> None:
        percent = job.raw.get("percentage_done")
        known = percent if isinstance(percent, int | float) else None
        on_progress(ExportProgress(status=job.status, percent=known))

    return show
