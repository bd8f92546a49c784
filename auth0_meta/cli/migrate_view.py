"""What migrations print: progress, summaries, diffs, results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial

import attrs
import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from auth0_meta.changes.jsonvalue import ABSENT
from auth0_meta.cli.common import console, dump, print_line
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.migrate import RunResult, Status, events
from auth0_meta.migrate.html_report import when
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.path_diff import PathChange, path_changes
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES, Record
from auth0_meta.migrate.planning.summary import Cost, PlanSummary
from auth0_meta.models import Job
from auth0_meta.redact import count, printable, size

_QUIET_EVERY = 30.0
_QUIET_FIRST = 2.0
"""Seconds after which there is a first line where lines don't change; a wait that long is announced there."""
_WIDTH = 24
_MAX_NAMED = 10
_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "deleted": ("-", "red")}


def duration(seconds: float) -> str:
    """Return a duration as people write it.

    >>> duration(75), duration(7300), duration(200000), duration(0.4)
    ('1 min 15 s', '2 h 1 min', '2 d 7 h', 'under 1 s')
    """
    whole = round(seconds)
    for unit, name, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s" if whole else "under 1 s"


class Bar:
    """Progress on stderr: one line that changes on a terminal; elsewhere a line after 2 s, then every 30 s, and for waits."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._out = console(stderr=True)
        self._live = self._out.is_terminal
        self._line = ""
        self._picture = Live(get_renderable=self._render, console=self._out, refresh_per_second=5)
        self._next_line = SYSTEM_CLOCK.monotonic() + _QUIET_FIRST
        self._said = ""

    def __enter__(self) -> Bar:
        if self._live:
            self._picture.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._picture.stop()

    def _render(self) -> Text:
        return Text(printable(self._line))

    def show(self, event: events.MigrationEvent) -> None:
        """Show one event; a user who is not as planned gets a permanent line."""
        if isinstance(event, events.UserDone):
            if event.outcome in BAD_OUTCOMES:
                print_line(self._out, f"{event.user_id} {event.outcome}: {event.note}")
            return
        if isinstance(event, events.Waiting):
            self._line = f"{self._word}: waiting ({event.reason}, {event.seconds:.0f} s)"
            if event.seconds >= _QUIET_FIRST and event.reason != self._said:
                self._said, self._next_line = event.reason, 0.0
        elif isinstance(event, events.ExportProgress):
            percent = "" if event.percent is None else f", {event.percent:.0f} %"
            self._line = f"export {event.status}{percent}"
        elif isinstance(event, events.PlanProgress):
            read = count(event.read, "user")
            waits = f", waiting ({event.waiting})" if event.waiting else ""
            self._line = f"{read} read, {event.changing} to change, {event.invalid} invalid{waits}"
        else:
            self._line = self._progress(event)
        now = SYSTEM_CLOCK.monotonic()
        if not self._live and now >= self._next_line:
            self._next_line = now + _QUIET_EVERY
            print_line(self._out, self._line)

    def show_export(self, job: Job) -> None:
        """Show how far an export is."""
        percent = job.raw.get("percentage_done")
        known = percent if isinstance(percent, int | float) else None
        self.show(events.ExportProgress(status=job.status, percent=known))

    def _progress(self, event: events.ApplyProgress) -> str:
        part = event.done / event.total if event.total else 1.0
        bar = "#" * round(part * _WIDTH)
        left = "" if event.eta is None else f", {duration(event.eta)} left"
        bad = sum(n for outcome, n in event.counts.items() if outcome in BAD_OUTCOMES)
        wrong = f", {bad} not as planned" if bad else ""
        waits = f", waiting ({event.waiting})" if event.waiting else ""
        return f"[{bar:<{_WIDTH}}] {event.done}/{event.total} users, {event.per_second:.1f} requests/s{left}{wrong}{waits}"


def in_words(counts: Mapping[str, int], nothing: str) -> str:
    """Return counts as people write them; `nothing`: what to say if there are none."""
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or nothing


def show_summary(job: str, summary: PlanSummary) -> None:
    """Print the summary of a plan."""
    line = partial(print_line, console())
    with Ledger.open(job) as ledger:
        show_contents(summary, ledger.problems(_MAX_NAMED))
    if summary.changing:
        for name, cost in summary.costs().items():
            line(f"{name.replace('_', ' ')}: {_cost(cost)}")
    line(f"wrote {job}; nothing in the tenant was changed")


def show_contents(summary: PlanSummary, problems: Iterable[tuple[str, str, str]]) -> None:
    """Print how many users a plan changes, which keys, what is odd, and what could not be planned."""
    line, unsteady = partial(print_line, console()), summary.unsteady
    found = f"{summary.changing} to change, {summary.unchanged} unchanged, {summary.invalid} invalid"
    line(f"{count(summary.read, 'user')} read: {found}", style="bold")
    for name, users in sorted(summary.keys.items(), key=lambda item: -item[1]):
        line(f"  {name}  {users}")
    for text, users, named in (
        ("would have a profile larger than 10 KB", summary.oversize, summary.oversize_users),
        ("would get a value that does not belong in metadata", summary.advised, summary.advice),
        ("got two different changes from migrate(): it is not deterministic", len(unsteady), unsteady),
    ):
        if users:
            line(f"{count(users, 'user')} {text}", style="yellow")
            for one in named[:_MAX_NAMED]:
                line(f"  {one}")
    if unsteady:
        line(f"  the two differ at {', '.join(summary.unsteady_paths)}")
    if summary.repeated:
        line(f"{count(summary.repeated, 'row')} for users who already had one")
    for user_id, kind, note in problems:
        line(f"  {user_id}: {kind}: {note}", style="red")


def _cost(cost: Cost) -> str:
    total = cost.reads + cost.writes
    took = f"{duration(total / 16)} at 16 per second (Enterprise), {duration(total / 2)} at 2 (Free)"
    if cost.seconds is not None:
        took = f"{duration(cost.seconds)} at this tenant's rate"
    return f"{count(total, 'request')}, {took}"


def show_samples(job: str, number: int, *, redact: bool) -> None:
    """Print how some users change: first, one user for each set of keys."""
    out = console()
    with Ledger.open(job) as ledger:
        users = ledger.records(limit=200)
    kinds: dict[tuple[str, ...], Record] = {}
    for user in users:
        kinds.setdefault(tuple(user.plan.keys), user)
    chosen = [*kinds.values(), *(user for user in users if user not in kinds.values())][:number]
    for user in chosen:
        out.print()
        print_line(out, user.user_id, style="bold")
        print_changes(out, path_changes(user.plan), redact=redact)


def hides_values(*, values: bool | None) -> bool:
    """Return whether a diff shows names and sizes only: by default, unless it is printed on a terminal."""
    return not (sys.stdout.isatty() if values is None else values)


def shown(value: object, *, redact: bool) -> str:
    """Return a value as JSON, or its size."""
    return f"{size(value)} B" if redact else json.dumps(value, ensure_ascii=False)


def print_changes(out: Console, changes: Iterable[PathChange], *, redact: bool) -> None:
    """Print a line for each path that differs."""
    for change in changes:
        sign, style = _SIGNS[change.kind]
        both = (value for value in (change.before, change.after) if value is not ABSENT)
        values = " -> ".join(shown(value, redact=redact) for value in both)
        print_line(out, f"  {sign} {change.path}: {values}", style=style)


def show_result(job: str, result: RunResult, *, as_json: bool) -> None:
    """Print how a run ended."""
    if as_json:
        click.echo(dump({"job": job, "failed": result.failed, **attrs.asdict(result)}))
        return
    click.echo(in_words(dict(sorted(result.counts.items())), f"nothing to {result.kind}"))
    cost = (
        f"{count(result.requests, 'request')} in {duration(result.seconds)}, {result.refusals} refused (429)"
    )
    left = (
        f"; {count(result.remain, 'user')} still to do: run the same command again" if result.remain else ""
    )
    click.echo(cost + left, err=True)


def show_status(job: str, status: Status) -> None:
    """Print where a job stands."""
    line = partial(print_line, console())
    line(f"{job}: {status.stage}", style="bold")
    facts: dict[str, object] = {
        "migration": status.migration,
        "tenant": status.tenant or "not known yet",
        "source": status.source,
        "plan": status.digest[:12],
        "made": f"{when(status.created)}, by auth0-meta {status.version}",
        **status.counts,
    }
    for name, value in facts.items():
        line(f"  {name:10} {value}")
    for run in status.runs:
        cost = f"{count(run['requests'], 'request')} in {duration(run['seconds'])}"
        line(
            f"  run {run['run']}: {run['kind']} {run['ended']}, {in_words(run['counts'], 'no users')}, {cost}"
        )
    if status.runs and status.stage not in ("undone", "purged"):
        with Ledger.open(job) as ledger:
            for user_id, state, note in ledger.to_look_at(_MAX_NAMED):
                line(f"  {user_id} {state}: {note}", style="red")
