"""What migrations print: progress, summaries, diffs, results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import attrs
import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from auth0_meta.cli.common import console, dump
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.migrate import RunResult, Status
from auth0_meta.migrate.events import (
    ApplyProgress,
    ExportProgress,
    MigrationEvent,
    PlanProgress,
    UserDone,
    Waiting,
)
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES, TO_LOOK_AT, Plan, Record
from auth0_meta.migrate.planning.summary import Cost, PlanSummary
from auth0_meta.redact import count, printable, size

_QUIET_EVERY = 30.0
_WIDTH = 24
_MOST_NAMED = 10


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
    """Progress on stderr: one line that changes on a terminal, a new line every 30 s elsewhere."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._out = console(stderr=True)
        self._live: Live | None = None
        self._line = ""
        self._last_line = SYSTEM_CLOCK.monotonic()

    def __enter__(self) -> Bar:
        if self._out.is_terminal:
            self._live = Live(
                get_renderable=lambda: Text(self._line), console=self._out, refresh_per_second=5
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: MigrationEvent) -> None:
        """Show one event; a user who is not as planned gets a line that stays."""
        if isinstance(event, UserDone):
            if event.outcome in BAD_OUTCOMES:
                self._print(printable(f"{event.user_id} {event.outcome}: {event.note}"))
            return
        if isinstance(event, Waiting):
            self._line = f"{self._word}: waiting {event.seconds:.0f} s ({event.reason})"
        elif isinstance(event, ExportProgress):
            percent = "" if event.percent is None else f", {event.percent:.0f} %"
            self._line = f"export {printable(event.status)}{percent}"
        elif isinstance(event, PlanProgress):
            self._line = (
                f"{count(event.read, 'user')} read, {event.changing} to change, {event.invalid} invalid"
            )
        else:
            self._line = self._progress(event)
        now = SYSTEM_CLOCK.monotonic()
        if self._live is None and now - self._last_line >= _QUIET_EVERY:
            self._last_line = now
            self._print(self._line)

    def _progress(self, event: ApplyProgress) -> str:
        part = event.done / event.total if event.total else 1.0
        bar = "#" * round(part * _WIDTH)
        left = "" if event.eta is None else f", {duration(event.eta)} left"
        bad = sum(n for outcome, n in event.counts.items() if outcome in BAD_OUTCOMES)
        wrong = f", {bad} not as planned" if bad else ""
        waits = f", waiting ({event.waiting})" if event.waiting else ""
        return f"[{bar:<{_WIDTH}}] {event.done}/{event.total} users, {event.per_second:.1f} requests/s{left}{wrong}{waits}"

    def _print(self, line: str) -> None:
        self._out.print(line, markup=False, soft_wrap=True)


def _line(out: Console, text: str, *, style: str | None = None) -> None:
    """Print one line, however long it is: a program that reads it must not meet a break inside an id."""
    out.print(text, style=style, markup=False, soft_wrap=True)


def show_summary(job: str, summary: PlanSummary) -> None:
    """Print the summary of a plan."""
    out = console()
    _line(
        out,
        f"{count(summary.read, 'user')} read: {summary.changing} to change, {summary.unchanged} unchanged, {summary.invalid} invalid",
        style="bold",
    )
    for name, users in sorted(summary.keys.items(), key=lambda item: -item[1]):
        _line(out, f"  {printable(name)}  {users}")
    for text, users, named in (
        ("would have a profile larger than 10 KB", summary.oversize, summary.oversize_users),
        ("get a value that does not belong in metadata", summary.advised, summary.advice),
        (
            "got two different changes from migrate(): it is not deterministic",
            len(summary.unsteady),
            summary.unsteady,
        ),
    ):
        if users:
            _line(out, f"{users} {text}", style="yellow")
            for one in named[:_MOST_NAMED]:
                _line(out, f"  {printable(one)}")
    if summary.repeated:
        _line(out, f"{count(summary.repeated, 'row')} for a user who had come up before")
    if summary.invalid:
        with Ledger.open(job) as ledger:
            for user_id, kind, note in ledger.problems(_MOST_NAMED):
                _line(out, printable(f"  {user_id}: {kind}: {note}"), style="red")
    if summary.changing:
        for name, cost in summary.costs().items():
            _line(out, f"{name.replace('_', ' ')}: {_cost(cost)}")
    _line(out, f"wrote {job}; nothing in the tenant was changed")


def _cost(cost: Cost) -> str:
    requests = count(cost.reads + cost.writes, "request")
    if cost.seconds is not None:
        return f"{requests}, {duration(cost.seconds)} at this tenant's rate"
    total = cost.reads + cost.writes
    return (
        f"{requests}, {duration(total / 16)} at 16 a second (Enterprise), {duration(total / 2)} at 2 (Free)"
    )


def show_samples(job: str, number: int, *, redact: bool) -> None:
    """Print how some users change: first one of each set of keys."""
    out = console()
    with Ledger.open(job) as ledger:
        users = ledger.records(limit=200)
    kinds: dict[tuple[str, ...], Record] = {}
    for user in users:
        kinds.setdefault(tuple(user.plan.keys), user)
    chosen = [*kinds.values(), *(user for user in users if user not in kinds.values())][:number]
    for user in chosen:
        _line(out, f"\n{printable(user.user_id)}", style="bold")
        _show_diff(out, user.plan, redact=redact)


def _show_diff(out: Console, plan: Plan, *, redact: bool) -> None:
    """Print what the touched keys hold before and after."""
    for bag, keys in plan.document.items():
        before = plan.before.get(bag, {})
        for key in keys or before:
            if key in before:
                _line(out, printable(f"  - {bag}.{key}: {_shown(before[key], redact=redact)}"), style="red")
            if keys.get(key) is not None:
                _line(out, printable(f"  + {bag}.{key}: {_shown(keys[key], redact=redact)}"), style="green")


def _shown(value: Any, *, redact: bool) -> str:
    return f"{size(value)} B" if redact else json.dumps(value, ensure_ascii=False)


def show_result(job: str, result: RunResult, *, as_json: bool) -> None:
    """Print how a run ended."""
    if as_json:
        click.echo(dump({"job": job, "failed": result.failed, **attrs.asdict(result)}))
        return
    outcomes = (
        ", ".join(f"{n} {name}" for name, n in sorted(result.counts.items())) or f"nothing to {result.kind}"
    )
    click.echo(outcomes)
    click.echo(
        f"{count(result.requests, 'request')} in {duration(result.seconds)}, {result.refusals} refused (429)"
        + (
            f"; {count(result.remain, 'user')} still to do: run the same command again"
            if result.remain
            else ""
        ),
        err=True,
    )


def show_status(job: str, status: Status) -> None:
    """Print where a job stands."""
    out = console()
    _line(out, f"{job}: {status.stage}", style="bold")
    facts: Mapping[str, Any] = {
        "migration": status.migration,
        "tenant": status.tenant or "not known yet",
        "source": status.source,
        "plan": status.digest[:12],
        **status.counts,
    }
    for name, value in facts.items():
        _line(out, printable(f"  {name:10} {value}"))
    for run in status.runs:
        counts = ", ".join(f"{n} {name}" for name, n in run["counts"].items()) or "nobody"
        _line(
            out,
            f"  run {run['run']}: {run['kind']} {run['ended']}, {counts}, {count(run['requests'], 'request')} in {duration(run['seconds'])}",
        )
    if status.stage not in ("undone", "purged"):
        with Ledger.open(job) as ledger:
            for user_id, state, note in ledger.notes(TO_LOOK_AT, limit=_MOST_NAMED):
                _line(out, printable(f"  {user_id} {state.word}: {note}"), style="red")
