"""Offer the steps of a migration: plan, apply, undo, status, purge."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from auth0_meta.client import ManagementClient
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import ConfigError, InputError, LedgerError
from auth0_meta.migrate.applying.runner import Runner, RunResult
from auth0_meta.migrate.events import Event
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import WRITTEN, State
from auth0_meta.migrate.ledger.sqlite import sound
from auth0_meta.migrate.planning.change_file import ChangeFile, is_change_file
from auth0_meta.migrate.planning.evaluate import Function
from auth0_meta.migrate.planning.planner import Planner, rates_of
from auth0_meta.migrate.planning.replan import Drift, check_drift
from auth0_meta.migrate.planning.sandbox import Evaluator, Host, InProcess
from auth0_meta.migrate.planning.sources import Source, source
from auth0_meta.migrate.planning.summary import PlanSummary

JobFile = str | os.PathLike[str]
Migration = str | os.PathLike[str] | Function
Listener = Callable[[Event], object]


def plan(
    migration: Migration,
    /,
    *,
    to: JobFile,
    client: ManagementClient | None = None,
    users: Source | str | None = None,
    limit: int | None = None,
    timeout: float = 10.0,
    share: float = 0.5,
    on_event: Listener | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> PlanSummary:
    """Compute what a migration changes and write it to the job file `to`; the tenant is only read.

    `migration`: a `.py` file with `def migrate(user, tx)`, run in a process of its own; a change file
    (CSV, NDJSON; "-" is standard input); or a function, run in this process without a time limit.  `users`: where
    they come from: a source, or "export", "search:QUERY", a file's name; None is the export for a function,
    and for a change file the users that it names, each read by id.  `limit`: plan for the first so many.
    `timeout`: seconds that the function may take for one user.  `share`: see `apply`.

    A user who can't be planned is noted in the file and counted as invalid.  Raises `LedgerError` where
    `to` exists or can't be written, `InputError` for a migration or source that can't be used; then no file stays.

    >>> from auth0_meta.migrate import plan, apply
    >>> def migrate(user, tx):
    ...     tx.app_metadata.set("billing.plan", user.app_metadata.get("plan", "free"))
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "job.db"
    >>> with tenant.client() as client:
    ...     _ = tenant.users.add(user_id="auth0|1", app_metadata={"plan": "pro"})
    ...     summary = plan(migrate, to=path, client=client, users="search:user_id:*")
    ...     result = apply(path, client)
    >>> summary.changing, dict(result.counts), tenant.users["auth0|1"].app_metadata["billing"]
    (1, {'done': 1}, {'plan': 'pro'})
    >>> folder.cleanup()
    """
    _check_share(share)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        msg = "limit is a whole number above 0, or None for everyone"
        raise InputError(msg)
    changes = None if callable(migration) or not is_change_file(migration) else ChangeFile(migration)
    chosen = source(users) if isinstance(users, str) else users
    if chosen is None and changes is None:
        chosen = source("export")
    evaluator = None if changes is not None else _evaluator(migration, timeout)
    second = None
    if evaluator is not None and not callable(migration):
        second = partial(Host, migration, timeout=timeout, hash_seed=1)

    def connect() -> ManagementClient:
        if client is None:
            msg = "this plan has to read users from the tenant: pass a client"
            raise ConfigError(msg)
        return client

    facts = {
        "created": round(clock.time(), 3),
        "tenant": None if client is None else tenant_of(client),
        "kind": "function" if changes is None else "changes",
        "migration": getattr(migration, "__name__", None) if callable(migration) else Path(migration).name,
        "migration_digest": None if evaluator is None else evaluator.digest,
        "source": "the users of the change file" if chosen is None else chosen.name,
    }
    try:
        ledger = Ledger.create(to, facts)
        try:
            planner = Planner(
                ledger,
                connect,
                source=chosen,
                evaluator=evaluator,
                second=second,
                changes=changes,
                limit=limit,
                share=share,
                on_event=on_event,
                now=clock.monotonic,
            )
            summary = planner.run()
            if client is not None:
                summary.rates = rates_of(client)
            ledger.complete(summary=summary.to_json())
        except BaseException:
            ledger.discard()
            raise
        ledger.close()
    finally:
        if evaluator is not None:
            evaluator.close()
    return summary


def apply(
    job: JobFile,
    client: ManagementClient,
    /,
    *,
    share: float = 0.5,
    concurrency: int | None = None,
    trust_plan: bool = False,
    drift: Drift = "replan",
    migration: Migration | None = None,
    executor: Executor | None = None,
    cancel: threading.Event | None = None,
    on_event: Listener | None = None,
) -> RunResult:
    """Write what a job file plans: per user a read, a comparison, and at most one PATCH.

    Run it again after an interruption, a crash or a failure: it resumes; users who failed or had drifted are tried
    once more.  `share`: the part of the rate limit that it may draw down; the rest is kept for live applications.
    `concurrency`: users under way at once; None finds out.  `trust_plan` leaves the read out, half of the requests:
    what was written to a touched key since the plan is then overwritten unseen, and `undo` can't
    bring it back.  `drift`: what to do where a touched key has changed since the plan: "replan" it
    (a change file's operations mean the same on any profile; a function's only where each place they set or it
    looked at is as it was, else `migration` has to name the function), "skip" it, or "overwrite" it as planned.
    `migration`: the function or its file, which must be the planned one and the caller's own; a job file alone never
    makes anything run.  `executor`: runs the workers, None for threads here; it must reach this process's memory.
    `cancel`: once set, what is under way is finished, and the rest stays for the next run.

    Raises what makes going on pointless (`AuthError`, `ScopeError`, `TransportError`, ...) once that is on disk, and
    `LedgerError`.  A KeyboardInterrupt is raised again after what was under way is finished.
    """
    check_drift(drift)
    _check_share(share)
    _check_concurrency(concurrency)
    with Ledger.open(job, write=True) as ledger:
        _check_usable(ledger, client)
        if ledger.facts.get("undo"):
            msg = f"{job} has been undone, at least in part: make a new plan"
            raise LedgerError(msg, path=str(job))
        evaluator = _named_again(ledger, migration)
        try:
            runner = Runner(
                ledger,
                client,
                kind="apply",
                share=share,
                concurrency=concurrency,
                trust=trust_plan,
                drift=drift,
                evaluator=evaluator,
                executor=executor,
                cancel=cancel,
                on_event=on_event,
            )
            return runner.run()
        finally:
            if evaluator is not None:
                evaluator.close()


def undo(
    job: JobFile,
    client: ManagementClient,
    /,
    *,
    share: float = 0.5,
    concurrency: int | None = None,
    executor: Executor | None = None,
    cancel: threading.Event | None = None,
    on_event: Listener | None = None,
) -> RunResult:
    """Restore the keys that a job has written, where they still hold what it wrote; the rest is left and reported.

    Users whose every key could be restored end as "undone", others as "kept".  Arguments, resuming and errors as
    for `apply`, which refuses the job afterwards.  A job that has written nothing is left as it is.
    """
    _check_share(share)
    _check_concurrency(concurrency)
    with Ledger.open(job, write=True) as ledger:
        _check_usable(ledger, client)
        counts = ledger.counts()
        if not any(counts[state] for state in WRITTEN):
            return RunResult.of_nothing("undo")
        runner = Runner(
            ledger,
            client,
            kind="undo",
            share=share,
            concurrency=concurrency,
            executor=executor,
            cancel=cancel,
            on_event=on_event,
        )
        return runner.run()


def purge(job: JobFile, /) -> None:
    """Drop every value from a job file: before-images, documents, operations; undo and apply are over then.

    Counts, ids, notes and runs stay, for `status` and reports.
    """
    with Ledger.open(job, write=True) as ledger:
        ledger.purge()


@attrs.frozen(kw_only=True)
class Status:
    """Tell how a job stands: `counts` by state, the `runs` so far, the plan's `summary`.

    `stage`: "planned", "unfinished", "applied", "undoing", "undone" or "purged".
    """

    stage: str
    tenant: str | None
    migration: str | None
    source: str
    digest: str
    created: float
    counts: Mapping[str, int]
    summary: PlanSummary
    runs: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON; it holds ids and key names, no value."""
        own = attrs.asdict(self, recurse=False)
        return {**own, "summary": self.summary.to_json(), "runs": [dict(run) for run in self.runs]}


def status(job: JobFile, /) -> Status:
    """Read how a job stands; it can be asked while another process applies it."""
    with Ledger.open(job) as ledger:
        return status_of(ledger)


def status_of(ledger: Ledger) -> Status:
    """Return how an open ledger's job stands."""
    with sound(ledger.path):
        return _status_of(ledger)


def _status_of(ledger: Ledger) -> Status:
    counts, facts = ledger.counts(), ledger.facts
    unfinished = sum(counts[state] for state in (State.PLANNED, State.SENT))
    ends: tuple[tuple[bool, str], ...] = (
        (bool(facts.get("purged")), "purged"),
        (bool(facts.get("undo")) and bool(counts[State.DONE] + counts[State.UNDOING]), "undoing"),
        (bool(facts.get("undo")), "undone"),
        (not unfinished and bool(ledger.runs()), "applied"),
        (bool(ledger.runs()), "unfinished"),
    )
    return Status(
        stage=next((name for true, name in ends if true), "planned"),
        tenant=facts["tenant"],
        migration=facts["migration"],
        source=facts["source"],
        digest=facts["digest"],
        created=facts["created"],
        counts={state.name.lower(): n for state, n in counts.items() if n},
        summary=PlanSummary.from_json(facts["summary"]),
        runs=tuple(ledger.runs()),
    )


def tenant_of(client: ManagementClient) -> str:
    """Return the base URL of a client's tenant."""
    return client.sender.transport.base


def _check_share(share: object) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        msg = "share is above 0 and at most 1.0 (nothing was sent)"
        raise InputError(msg)


def _check_concurrency(number: object) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        msg = "concurrency is a whole number above 0, or None (nothing was sent)"
        raise InputError(msg)


def _evaluator(migration: Migration, timeout: float) -> Evaluator:
    return InProcess(migration) if callable(migration) else Host(migration, timeout=timeout)


def _check_usable(ledger: Ledger, client: ManagementClient) -> None:
    """Refuse another tenant's job, an altered one and one without values; bind one planned without a tenant."""
    if ledger.facts.get("purged"):
        msg = f"{ledger.path} was purged: its values are gone, so it can be neither applied nor undone"
        raise LedgerError(msg, path=str(ledger.path))
    ledger.check_plan()
    planned, ours = ledger.facts.get("tenant"), tenant_of(client)
    if planned is None:
        with ledger.group():
            ledger.tell(tenant=ours)
    elif planned != ours:
        msg = f"{ledger.path} was planned for {planned}, and this is {ours}. Nothing was sent: check AUTH0_DOMAIN"
        raise LedgerError(msg, path=str(ledger.path))


def _named_again(ledger: Ledger, migration: Migration | None) -> Evaluator | None:
    """Return what plans afresh, if the caller names the very migration that was planned."""
    if migration is None:
        return None
    if ledger.facts.get("kind") != "function":
        msg = f"{ledger.path} was planned from a change file: leave the migration out (nothing was sent)"
        raise InputError(msg)
    if callable(migration):
        return InProcess(migration)
    _check_owner(Path(migration))
    host = Host(migration)
    if host.digest != ledger.facts.get("migration_digest"):
        host.close()
        msg = f"{migration} is not the file that {ledger.path} was planned with. Nothing was sent: plan again, or leave it out"
        raise InputError(msg)
    return host


def _check_owner(path: Path) -> None:
    """Refuse to run a file that somebody else may have written."""
    if not hasattr(os, "geteuid"):  # pragma: no cover  # Windows has no owner to ask for
        return
    try:
        owner = path.stat().st_uid
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror} (nothing was sent)"
        raise InputError(msg) from error
    if owner not in (os.geteuid(), 0):
        msg = f"{path} belongs to somebody else, and would be run: copy it first (nothing was sent)"
        raise InputError(msg)
