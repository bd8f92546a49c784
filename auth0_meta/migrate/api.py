"""The steps of a migration: plan, apply, undo, status, purge."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import cast

import attrs

from auth0_meta.arguments import number
from auth0_meta.client import ManagementClient
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import InputError
from auth0_meta.external.store import ExternalStore
from auth0_meta.http.channel import HasChannel
from auth0_meta.migrate.applying.run_result import RunResult
from auth0_meta.migrate.applying.runner import Runner
from auth0_meta.migrate.applying.settings import Settings
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import STEPS, Kind
from auth0_meta.migrate.ledger.sqlite import explain_damage, refusal
from auth0_meta.migrate.offloading.job import KIND, store_in, working
from auth0_meta.migrate.plan_file import (
    JobFile,
    Listener,
    checked_plan,
    closing_evaluator,
    file_path,
    plan_into,
)
from auth0_meta.migrate.planning.change_file import ChangeFile
from auth0_meta.migrate.planning.evaluate import Function
from auth0_meta.migrate.planning.replan import POLICIES, DriftPolicy
from auth0_meta.migrate.planning.sandbox import Evaluator, InProcess, Sandbox, Sandboxes
from auth0_meta.migrate.planning.sources import Source, source
from auth0_meta.migrate.planning.summary import PlanSummary
from auth0_meta.migrate.report_types import RunReport, StatusReport
from auth0_meta.redact import discreet
from auth0_meta.telemetry import log

Migration = str | os.PathLike[str] | Function


@discreet
def plan(
    migration: Migration,
    /,
    *,
    to: JobFile,
    client: ManagementClient | None = None,
    users: Source | str | None = None,
    limit: int | None = None,
    timeout: float = 10.0,
    allow_unstable: bool = False,
    share: float = 0.5,
    on_event: Listener | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> PlanSummary:
    """Compute what a migration changes and write it to the job file `to`; the tenant is only read.

    `migration`: a `.py` file with `def migrate(user, tx)`, which runs in a process of its own, for many users
    in up to three; a change file (CSV or NDJSON; "-" is standard input); or a function, which runs in this process without a time limit.
    `users`: where they come from: a source, or "export", "search:QUERY" or the name of a file.  None stands for the
    export if the migration is a function; for a change file it stands for the users named there, each read by id or,
    in a row without a `user_id`, looked up by `email`.
    `limit`: plan for that many users only.  `timeout`: seconds that the function may take for one user.
    `allow_unstable`: let `apply` use the job although the function, called again for up to 32 users, staged something
    else (a time, a random number); otherwise it refuses such a job, which is there to be looked at.  `share`:
    see `apply`.  `client` may be None if no user has to be read from the tenant.  `on_event` is called with a
    `PlanProgress` a few times a second, and at the end, and with `Waiting` for waits.

    Endpoints: `POST /jobs/users-exports` and `GET /jobs/{id}`, `GET /users`, `GET /users/{id}` or
    `GET /users-by-email`, by source; scope `read:users`.

    A user who can't be planned is noted in the file and counted as invalid.  Raises `LedgerError` if `to` exists or
    can't be written, and `InputError` if the migration or the source can't be used; no file is left then.

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
    number("timeout", timeout, above=0)
    to, chosen = checked_plan(to, users, limit=limit, share=share, on_event=on_event)
    changes = None
    if not callable(migration) and file_path("the migration", migration).suffix.lower() != ".py":
        changes = ChangeFile(migration)
    evaluator: Evaluator | None = None
    if changes is None:
        chosen = source("export") if chosen is None else chosen
        evaluator = InProcess(migration) if callable(migration) else Sandboxes(migration, timeout=timeout)

    facts = {
        "kind": "function" if changes is None else "changes",
        "migration": getattr(migration, "__name__", None) if callable(migration) else Path(migration).name,
    }
    return plan_into(
        to,
        facts,
        client,
        source=chosen,
        evaluator=evaluator,
        changes=changes,
        limit=limit,
        allow_unstable=allow_unstable,
        share=share,
        on_event=on_event,
        clock=clock,
    )


@discreet
def apply(
    job: JobFile,
    client: HasChannel,
    /,
    *,
    share: float = 0.5,
    concurrency: int | None = None,
    trust_plan: bool = False,
    drift: DriftPolicy = "replan",
    migration: Migration | None = None,
    store: ExternalStore | str | None = None,
    executor: Executor | None = None,
    cancel: threading.Event | None = None,
    on_event: Listener | None = None,
) -> RunResult:
    """Write what a job file plans: for each user a read, a comparison, and at most one PATCH.

    After an interruption, a crash or a failure, call it again: it resumes, and tries users who failed or had drifted
    once more.  `share`: the part of the rate limit that it may draw down; the rest is left to live applications.
    `concurrency`: how many users to work on at once; None adapts.  `trust_plan`: leave out the read, which is half
    of the requests; whatever was written to a touched key since the plan is then overwritten unseen, and `undo`
    can't bring it back.

    `drift`: what to do if a touched key has changed since the plan: "replan", "skip" the user, or "overwrite" the key
    as planned.  To replan, the operations of a change file are applied to what is stored now.  Those of a function
    are used again only if everything that they set and that the function looked at is unchanged; otherwise the
    function itself is needed: `migration`, the function or its file.  It must be the planned one, and a file must
    be the caller's own.  A job file alone never runs any code.

    `store`: where an `offload` moves values to: a store, or its URL, for one that has a password or has been moved since
    the plan.  None stands for the URL in AUTH0_META_STORE, or else the one in the job file.  A value is in the store, and
    was read back, before the PATCH with its pointer is sent.  A drifted user's values are moved as they are now, with
    "overwrite" too, because an offload has no values of its own to overwrite others with.

    `executor`: runs the workers, None for threads of this process; it must share this process's memory.  `cancel`:
    once it is set, what is under way is finished, and the rest is left for the next run.  `on_event` is called with a
    `MigrationEvent` for each user, for waits, and several times a second.

    Endpoints: `GET` and `PATCH /users/{id}`, scopes `read:users` and `update:users`.

    Raises the error that makes going on pointless (`AuthError`, `ScopeError`, `TransportError`, `ExternalError`, ...) once the job
    file is up to date, and `LedgerError`.  On Ctrl-C it finishes what is under way, then raises KeyboardInterrupt; a second
    Ctrl-C ends it at once, and leaves the users under way in doubt for the next run.
    """
    if drift not in POLICIES:
        raise InputError(f"drift must be one of {', '.join(POLICIES)} (nothing was sent)")
    if not isinstance(trust_plan, bool):  # "no" is true
        raise InputError(
            f"trust_plan must be True or False, not {type(trust_plan).__name__} (nothing was sent)"
        )
    settings = Settings(share, concurrency, executor, cancel, on_event)
    with Ledger.open(file_path("job", job), write=True) as ledger:
        _check_usable(ledger, client)
        if ledger.facts.get("undo"):
            raise refusal(ledger.path, "has been undone, at least in part: make a new plan")
        _check_steady(ledger)
        evaluator = _evaluator_again(ledger, migration)
        with closing_evaluator(evaluator), working(ledger, store) as offload:
            runner = Runner(
                ledger,
                client,
                settings,
                kind="apply",
                trust=trust_plan,
                drift=drift,
                evaluator=evaluator if offload is None else offload.evaluator,
                keeper=None if offload is None else offload.keeper,
            )
            return _logged(runner, "apply", ledger)


@discreet
def undo(
    job: JobFile,
    client: HasChannel,
    /,
    *,
    share: float = 0.5,
    concurrency: int | None = None,
    executor: Executor | None = None,
    cancel: threading.Event | None = None,
    on_event: Listener | None = None,
) -> RunResult:
    """Restore the keys that a job has written if they still hold what it wrote; leave and report the others.

    Users whose keys could all be restored end as "undone", others as "kept".  Arguments, resuming, endpoints and
    errors are those of `apply`, which refuses the job afterwards.  A job that has written nothing is left as it is.

    >>> import tempfile, pathlib
    >>> from auth0_meta.migrate import apply, plan, status, undo
    >>> def migrate(user, tx):
    ...     tx.app_metadata["plan"] = "free"
    >>> with tempfile.TemporaryDirectory() as folder, tenant.client() as client:
    ...     _ = tenant.users.add(user_id="auth0|1", app_metadata={"plan": "pro"})
    ...     job = pathlib.Path(folder) / "job.db"
    ...     _ = plan(migrate, to=job, client=client, users="search:user_id:*")
    ...     _ = apply(job, client)
    ...     dict(undo(job, client).counts), status(job).stage
    ({'undone': 1}, 'undone')
    """
    settings = Settings(share, concurrency, executor, cancel, on_event)
    with Ledger.open(file_path("job", job), write=True) as ledger:
        _check_usable(ledger, client)
        counts, step = ledger.counts(), STEPS["undo"]
        if not any(counts[state] for state in (step.start, *step.doubts)):
            return RunResult(kind="undo")
        return _logged(Runner(ledger, client, settings, kind="undo"), "undo", ledger)


def _logged(runner: Runner, kind: Kind, ledger: Ledger) -> RunResult:
    """Carry out a run, and log how it begins and ends."""
    with log.logged_run(kind, ledger.path) as ended:
        result = runner.run()
        ended(
            result.counts,
            seconds=result.seconds,
            requests=result.requests,
            waited=result.waited,
            remaining=result.remain,
        )
    return result


@discreet
def purge(job: JobFile, /) -> None:
    """Delete every value from a job file: before-images, documents, operations.  It can't be applied or undone then.

    Counts, ids, notes and runs stay, for `status` and reports.  Raises `LedgerError` if the file can't be written, or
    another process works with it.
    """
    with Ledger.open(file_path("job", job), write=True) as ledger:
        ledger.purge()


@attrs.frozen(kw_only=True)
class Status:
    """Where a job stands: `counts` by state, the `runs` so far, the plan's `summary`.

    `created`: when it was planned, in seconds since the epoch, by auth0_meta `version`.  `digest` is that of the plan,
    `migration_digest` that of the function's file, None for a change file.

    `store`: where an offload moves values to, without a password; None for any other migration.
    `stage`: "planned", "unfinished", "applied", "undoing", "undone" or "purged".
    """

    stage: str
    tenant: str | None
    migration: str | None
    migration_digest: str | None
    source: str
    store: str | None
    digest: str
    created: float
    version: str
    counts: Mapping[str, int]
    summary: PlanSummary
    runs: tuple[RunReport, ...]

    def to_json(self) -> StatusReport:
        """Return everything as JSON; it holds ids and key names, no value."""
        own = attrs.asdict(self, recurse=False)
        runs = [run.copy() for run in self.runs]
        return cast("StatusReport", {**own, "summary": self.summary.to_json(), "runs": runs})


_YEAR_5138 = 1e11


@discreet
def status(job: JobFile, /) -> Status:
    """Return where a job stands, even while another process applies it.  Raises `LedgerError` for any other file."""
    with Ledger.open(file_path("job", job)) as ledger, explain_damage(ledger.path):
        return status_of(ledger)


def status_of(ledger: Ledger) -> Status:
    """Return where the job of an open ledger stands; call it within `explain_damage`."""
    counts, facts, runs = ledger.counts(), ledger.facts, ledger.runs()
    if not 0 <= facts["created"] < _YEAR_5138:
        raise ValueError("the time of the plan is not one")
    to_apply, to_undo = (sum(counts[state] for state in STEPS[kind].remaining) for kind in STEPS)
    if facts.get("purged"):
        stage = "purged"
    elif facts.get("undo"):
        stage = "undoing" if to_undo else "undone"
    else:
        stage = ("unfinished" if to_apply else "applied") if runs else "planned"
    return Status(
        stage=stage,
        **{name: facts[name] for name in ("tenant", "migration", "source", "digest", "created", "version")},
        migration_digest=facts.get("migration_digest"),
        store=store_in(facts),
        counts={state.word: n for state, n in counts.items() if n},
        summary=PlanSummary.from_json(facts["summary"]),
        runs=tuple(runs),
    )


def _check_usable(ledger: Ledger, client: HasChannel) -> None:
    """Refuse a job of another tenant, an altered one and a purged one; bind a job that was planned without a tenant."""
    if ledger.facts.get("purged"):
        raise refusal(ledger.path, "was purged: its values are gone, so it can be neither applied nor undone")
    ledger.check_plan()
    planned, ours = ledger.facts.get("tenant"), client._channel.transport.base
    if planned is None:
        with ledger.group():
            ledger.store_facts(tenant=ours)
    elif planned != ours:
        what = f"was planned for {planned}, and this is {ours}. Nothing was sent: check AUTH0_DOMAIN"
        raise refusal(ledger.path, what)


def _check_steady(ledger: Ledger) -> None:
    """Refuse a job whose function computes something else each time, unless its plan allowed that."""
    summary = PlanSummary.from_json(ledger.facts["summary"])
    if not summary.unsteady or ledger.facts.get("allow_unstable", True):  # earlier versions did not ask
        return
    some = ", ".join(summary.unsteady_paths)
    what = f"was planned with a function that stages something else each time ({some}), so what was reviewed means little"
    raise refusal(
        ledger.path,
        f"{what}. Nothing was sent: let it depend on the user alone and plan again, or plan with --allow-unstable "
        "(allow_unstable=True)",
    )


def _evaluator_again(ledger: Ledger, migration: Migration | None) -> Evaluator | None:
    """Return an evaluator for replanning, None without a migration; refuse any but the one that was planned."""
    if migration is None:
        return None
    path = ledger.path
    if ledger.facts.get("kind") != "function":
        kind = "is an offload" if ledger.facts.get("kind") == KIND else "was planned from a change file"
        raise InputError(f"{path} {kind}: leave the migration out (nothing was sent)")
    if callable(migration):
        return InProcess(migration)
    file_path("migration", migration)
    try:
        found = Path(migration).stat()
    except OSError as error:
        raise InputError(f"{migration} can't be read: {error.strerror} (nothing was sent)") from None
    # A shared directory may hold a trap.  Windows has no user ids.
    if hasattr(os, "geteuid") and (found.st_uid not in (os.geteuid(), 0) or found.st_mode & stat.S_IWOTH):
        whose = "belongs to somebody else" if found.st_uid != os.geteuid() else "can be changed by everybody"
        what = f"{migration} {whose}, and its code would be run"
        raise InputError(f"{what}: make a copy of your own first (nothing was sent)")
    digest = ledger.facts.get("migration_digest")
    if not isinstance(digest, str) or not digest:
        raise InputError(f"{path} was planned with a function of a program: pass that (nothing was sent)")
    return Sandbox(migration, digest=digest)
