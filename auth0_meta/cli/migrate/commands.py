"""The commands of `auth0-meta migrate`."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from auth0_meta import migrate as steps
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import bulk_client, bulk_options, dump, flag, patience
from auth0_meta.cli.groups import Group, json_option
from auth0_meta.cli.migrate.show import Form, show_job
from auth0_meta.cli.migrate.view import (
    hides_values,
    in_words,
    show_result,
    show_samples,
    show_status,
    show_summary,
)
from auth0_meta.cli.progress_bar import Bar
from auth0_meta.files.paths import replacing
from auth0_meta.migrate.events import MigrationEvent
from auth0_meta.migrate.html_report import render
from auth0_meta.migrate.offloading.job import VARIABLE
from auth0_meta.migrate.planning.replan import POLICIES
from auth0_meta.migrate.planning.sources import ROOT_FIELDS, ExportSource, FileSource, source
from auth0_meta.redact import printable
from auth0_meta.threads.daemons import StopFlag

_INTERRUPTED = 130
_PENDING = 3

_job = click.argument("job", metavar="JOB.db", type=click.Path(dir_okay=False))
_json = json_option("Print the outcome as JSON, which contains no metadata values.")
_yes = flag("--yes", "Don't ask.")
_values = click.option(
    "--show-values/--redact",
    "values",
    default=None,
    help="Show values in the diff, or only names and sizes. Without either, values are shown on a terminal only.",
)

_workers = click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1),
    help="How many users to work on at once; by default, it adapts to rate and latency.",
)

migrate = Group("migrate", COMMANDS["migrate"])


@migrate.command(
    epilog="""\b
auth0-meta migrate plan move_plan.py -o job.db
auth0-meta migrate plan changes.csv -o job.db
auth0-meta migrate plan move_plan.py -o job.db --source 'search:email:*@x.com'"""
)
@click.argument("migration", metavar="MIGRATION.py|CHANGES.csv|.ndjson|-")
@click.option(
    "--source", "where", metavar="export|search:QUERY|FILE",
    help="Where the users come from: a users-export job (the default for a .py file), a search (at most 1000 users), "
    "or a file of profiles, ids or e-mail addresses.",
)  # fmt: skip
@click.option("-o", "--output", "job", required=True, metavar="JOB.db", help="The job file to write.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Plan only this many users.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    help="Seconds that migrate() may take for one user.",
)
@flag(
    "--allow-unstable",
    "Let the job be applied although migrate() stages something else when it is called again.",
)
@click.option("--connection", metavar="con_...", help="Export only the users of this connection.")
@click.option(
    "--fields",
    metavar="NAME,NAME",
    help="Profile fields to export besides metadata and those that identify a user: what migrate() reads.",
)
@flag("--whole-rows", "Rows of a source file are whole profiles: metadata that is absent there is empty.")
@click.option(
    "--samples", metavar="N", type=click.IntRange(0), default=3, help="How many users to show a diff for."
)
@_values
@flag(
    "--exit-code",
    "Exit with 3 if something would change, but still with 1 if some users can't be planned.",
)
@_json
@bulk_options
def plan(
    *,
    migration: str,
    where: str | None,
    job: str,
    connection: str | None,
    fields: str | None,
    whole_rows: bool,
    samples: int,
    values: bool | None,
    exit_code: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Compute what a migration changes and write it to a job file; the tenant is only read.

    MIGRATION.py has `def migrate(user, tx)`. A change file has a row per user: CSV with a column user_id or email and
    columns such as app_metadata.billing.plan, or NDJSON with user_id or email and the user_metadata and app_metadata to
    merge.
    """
    if where is None and migration.endswith(".py"):
        where = "export"
    kind = (where or "").partition(":")[0]
    if fields is not None and kind != "export":
        raise click.UsageError("--fields is for an export; this source has whole profiles")
    reads_tenant = kind in ("export", "search")
    with bulk_client(settings, optional=not reads_tenant) as client, Bar("planning") as bar:
        users = None if where is None else source(where)
        if where == "export":
            more = filter(None, map(str.strip, (fields or "").split(",")))
            which = {"connection_id": connection, "limit": settings["limit"]}
            users = ExportSource(fields=(*ROOT_FIELDS, *more), on_progress=bar.show_export, **which)
        elif where is not None and whole_rows and isinstance(users, FileSource):
            users = FileSource(where, whole=True)
        try:
            summary = steps.plan(migration, to=job, client=client, users=users, on_event=bar.show, **settings)
        except KeyboardInterrupt:
            if not Path(job).exists():
                bar.say(
                    f"{job} was not written: a plan is made as a whole. Nothing in the tenant was changed"
                )
            raise
    if as_json:
        click.echo(dump({"job": job, **summary.to_json()}))
    else:
        show_summary(job, summary)
        show_samples(job, samples, redact=hides_values(values=values), whole=bool(values))
    unstable = bool(summary.unsteady) and not settings["allow_unstable"]
    if unstable:
        how = "let migrate() depend on the user alone, or plan with --allow-unstable"
        click.echo(
            f"apply will refuse this job, because migrate() stages something else each time: {how}", err=True
        )
    return 1 if summary.invalid or unstable else _PENDING if summary.changing and exit_code else 0


@migrate.command(epilog="\b\nauth0-meta migrate apply job.db")
@_job
@_yes
@flag("--trust-plan", "Skip the reads: half as many requests, but newer writes are overwritten unseen.")
@click.option(
    "--drift",
    type=click.Choice(POLICIES),
    default="replan",
    help="What to do if a touched key has changed since the plan.",
)
@click.option(
    "--migration",
    metavar="FILE.py",
    help="The planned file, to replan users who have changed since; its code is run.",
)
@click.option(
    "--store",
    metavar="URL",
    help="Where an offload moves values to, if the job file's URL lacks a password or the store has been moved; by "
    f"default {VARIABLE}, or the job file's URL.",
)
@_workers
@_json
@bulk_options
def apply(**settings: Any) -> int:
    """Write what a job file plans; run it again to resume.

    For each user: a read, a comparison, and at most one PATCH. Ctrl-C finishes what is under way and exits with 130.
    """
    return _run("apply", steps.apply, **settings)


@migrate.command(epilog="\b\nauth0-meta migrate undo job.db")
@_job
@_yes
@_workers
@_json
@bulk_options
def undo(**settings: Any) -> int:
    """Restore what a job has written if it is still stored as written; leave and name the rest."""
    return _run("undo", steps.undo, **settings)


def _run(
    step: str, run: Callable[..., steps.RunResult], *, job: str, yes: bool, as_json: bool, **settings: Any
) -> int:
    """Apply or undo a job; the other options, in `settings`, have the names of the step's arguments."""
    with bulk_client(settings) as client:
        _confirm(step, job, yes=yes, trust=settings.get("trust_plan", False))
        with _stoppable() as cancel, Bar(f"{step}ing") as bar:

            def show(event: MigrationEvent) -> None:
                cancel.tell(bar.say)
                bar.show(event)

            result = run(job, client, cancel=cancel, on_event=show, **settings)
    show_result(job, result, as_json=as_json)
    return _INTERRUPTED if result.interrupted else int(result.failed + result.remain > 0)


@migrate.command()
@_job
@_json
def status(*, job: str, as_json: bool) -> None:
    """Show how far a job has got; it may still be running."""
    with patience(f"reading {job} ..."):
        found = steps.status(job)
    if as_json:
        click.echo(dump(found.to_json()))
    else:
        show_status(job, found)


@migrate.command(
    epilog="""\b
auth0-meta migrate show job.db
auth0-meta migrate show job.db --user 'auth0|123'
auth0-meta migrate show job.db --csv --show-values > plan.csv"""
)
@_job
@click.option(
    "--user",
    "user_id",
    metavar="ID",
    help="Show this user only; exit with 1 if the job has nothing about it.",
)
@flag("--all", "Show every user, not the first 20 only.", "everyone")
@flag("--csv", "Write a row for each path of every user: user_id, state, path, before, after.", "as_csv")
@_values
@json_option("Print the first 20 users, or one, as JSON, which contains no metadata values.")
def show(
    *, job: str, user_id: str | None, everyone: bool, as_csv: bool, values: bool | None, as_json: bool
) -> None:
    """Show which users a job changes, the changes planned for each, and what became of them.

    It needs the job file only, and no tenant. Nothing is written, and a run may be under way.
    """
    if as_json and (everyone or as_csv):
        raise click.UsageError("--json shows the first users or one; for everyone, use --csv")
    if user_id is not None and everyone:
        raise click.UsageError("--user and --all exclude each other")
    form: Form = "csv" if as_csv else "json" if as_json else "text"
    redact, whole = hides_values(values=values), bool(values)
    show_job(job, user_id=user_id, everyone=everyone, form=form, redact=redact, whole=whole)


@migrate.command(epilog="\b\nauth0-meta migrate report job.db -o report.html")
@_job
@click.option(
    "-o", "--output", metavar="FILE.html", help="Where to write the page; by default, to standard output."
)
@json_option("Write the same facts as JSON.")
def report(*, job: str, output: str | None, as_json: bool) -> None:
    """Write a page about a job: rate over time, refusals, outcomes, slowest users; it contains no metadata values."""
    with patience(f"reading {job} ..."):
        page = render(job, as_json=as_json)
    if output is None:
        click.echo(page, nl=False)
        return
    try:
        with replacing(output) as file:
            file.write(page)
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from error
    click.echo(f"wrote {output}", err=True)


@migrate.command()
@_job
@_yes
@_json
def purge(*, job: str, yes: bool, as_json: bool) -> None:
    """Delete all values from a job file; afterwards, it can't be applied or undone."""
    _confirm("purge", job, yes=yes)
    with patience(f"removing the values from {job} ..."):
        steps.purge(job)
    if as_json:
        click.echo(dump({"job": job, "stage": steps.status(job).stage}))
    click.echo(f"{job} no longer contains any values", err=True)


def _confirm(step: str, job: str, *, yes: bool, trust: bool = False) -> None:
    """Print what is about to happen, and ask on a terminal."""
    with patience(f"reading {job} ..."):
        found = steps.status(job)
    place, counts = found.tenant or "a tenant that is not known yet", in_words(found.counts, "no users")
    moved = f" to {found.store}" if found.store and step == "apply" else ""
    click.echo(printable(f"{step} {job}: {found.migration}{moved} on {place} ({counts})"), err=True)
    if step == "apply" and found.summary.invalid:
        number = found.summary.invalid
        left = f"{number} of the users or rows could not be planned and {'is' if number == 1 else 'are'} left out"
        click.echo(f"{left}: see auth0-meta migrate show {job}", err=True)
    if trust:
        unseen = "anything written to these keys since the plan is overwritten unseen"
        click.echo(f"--trust-plan: {unseen}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{step} asks for confirmation, and there is no terminal to ask on: pass --yes"
        )
    if not click.confirm(f"{step} {job}?", err=True):
        done = {"apply": "applied", "undo": "undone", "purge": "purged"}[step]
        raise click.ClickException(f"not {done}: nothing was sent, and {job} is unchanged")


class _Stop(StopFlag):
    """What the first signal sets.  The handler prints nothing: the line that it interrupts may be printing itself."""

    told = False

    def tell(self, say: Callable[[str], object]) -> None:
        """Print a line when the signal is first received."""
        if self.is_set() and not self.told:
            self.told = True
            say("finishing what is under way; press Ctrl-C again to stop at once")


@contextlib.contextmanager
def _stoppable() -> Iterator[_Stop]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    cancel = _Stop()

    def stop(number: int, frame: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    with contextlib.ExitStack() as before:
        for number in (signal.SIGINT, signal.SIGTERM):
            before.callback(signal.signal, number, signal.signal(number, stop))
        yield cancel
