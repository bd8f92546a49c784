"""What migrations print: summaries, diffs, results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial

import attrs
import click
from rich.console import Console

from auth0_meta.changes.jsonvalue import ABSENT
from auth0_meta.cli.common import console, dump, print_line
from auth0_meta.cli.progress import duration
from auth0_meta.external.pointers import is_pointer
from auth0_meta.migrate import RunResult, Status
from auth0_meta.migrate.html_report import when
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.path_diff import PathChange, path_changes
from auth0_meta.migrate.ledger.records import Record
from auth0_meta.migrate.planning.summary import Cost, Moved, PlanSummary
from auth0_meta.redact import count, size

_MAX_NAMED = 10
_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "deleted": ("-", "red")}


def in_words(counts: Mapping[str, int], nothing: str) -> str:
    """Return counts as people write them; `nothing`: what to say if there are none."""
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or nothing


def show_summary(job: str, summary: PlanSummary) -> None:
    """Print the summary of a plan."""
    say = partial(print_line, console())
    with Ledger.open(job) as ledger:
        show_contents(summary, ledger.problems(_MAX_NAMED))
    if summary.changing:
        for name, cost in summary.costs().items():
            say(f"{name.replace('_', ' ')}: {_cost(cost)}")
    say(f"wrote {job}; nothing in the tenant was changed")


def show_contents(summary: PlanSummary, problems: Iterable[tuple[str, str, str]]) -> None:
    """Print how many users a plan changes, which keys, what is odd, and what could not be planned."""
    say, unsteady = partial(print_line, console()), summary.unsteady
    found = f"{summary.changing} to change, {summary.unchanged} unchanged, {summary.invalid} invalid"
    say(f"{count(summary.read, 'user')} read: {found}", style="bold")
    if summary.moved is not None:
        _show_moved(summary.moved)
    else:
        for name, users in sorted(summary.keys.items(), key=lambda item: -item[1]):
            say(f"  {name}  {users}")
    for text, users, named in (
        ("would have a profile larger than 10 KB", summary.oversize, summary.oversize_users),
        ("would get a value that does not belong in metadata", summary.advised, summary.advice),
        ("got two different changes from migrate(): it is not deterministic", len(unsteady), unsteady),
    ):
        if users:
            say(f"{count(users, 'user')} {text}", style="yellow")
            for one in named[:_MAX_NAMED]:
                say(f"  {one}")
    if unsteady:
        say(f"  the two differ at {', '.join(summary.unsteady_paths)}")
    if summary.repeated:
        say(f"{count(summary.repeated, 'row')} for users who already had one")
    for user_id, kind, note in problems:
        say(f"  {user_id}: {kind}: {note}", style="red")


def _show_moved(moved: Moved) -> None:
    """Print what an offload moves, path by path, and what stays."""
    say = partial(print_line, console())
    if moved.paths:
        wide = max(len(path) for path in moved.paths)
        say(f"  {'path':{wide}} {'values':>9} {'bytes':>15} {'largest':>11}")
        for path, one in sorted(moved.paths.items(), key=lambda item: -item[1].bytes):
            say(f"  {path:{wide}} {one.values:>9,} {one.bytes:>15,} {one.largest:>11,}")
    say(
        f"{count(moved.values, 'value')} of {moved.bytes:,} B to move, for pointers of {moved.pointer_bytes:,} B: "
        f"{moved.saved:,} B saved"
    )
    for values, why in (
        (moved.smaller, "smaller than the pointer, or than --smallest"),
        (moved.light, "the profile is not larger than --larger-than"),
        (moved.already, "moved already"),
    ):
        if values:
            say(f"{count(values, 'value')} left: {why}")
    if not (moved.values or moved.smaller or moved.light or moved.already or moved.stuck):
        say("no user has a value under these paths: check how they are spelled", style="yellow")
    refused = "a key with . or $ in or beside it, which Auth0 refuses"
    for values, why in (
        (moved.stuck, f"left: {refused}, or too large"),
        (moved.one_way, f"that undo can't put back: {refused}, or the size. It stays in the store"),
    ):
        if values:
            say(f"{count(values, 'value')} {why}", style="yellow")


def _cost(cost: Cost) -> str:
    total = cost.reads + cost.writes
    took = f"{duration(total / 16)} at 16 per second (Enterprise), {duration(total / 2)} at 2 (Free)"
    if cost.seconds is not None:
        took = f"{duration(cost.seconds)} at this tenant's rate"
    return f"{count(total, 'request')}, {took}"


def show_samples(job: str, number: int, *, redact: bool, whole: bool = False) -> None:
    """Print how some users change: first, one user for each set of keys; see `print_changes`."""
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
        print_changes(out, path_changes(user.plan), redact=redact, whole=whole)


def hides_values(*, values: bool | None) -> bool:
    """Return whether a diff shows names and sizes only: by default, unless it is printed on a terminal."""
    return not (sys.stdout.isatty() if values is None else values)


def shown(value: object, *, redact: bool) -> str:
    """Return a value as JSON, or its size."""
    return f"{size(value)} B" if redact else json.dumps(value, ensure_ascii=False)


def print_changes(out: Console, changes: Iterable[PathChange], *, redact: bool, whole: bool = False) -> None:
    """Print a line for each path that differs.

    `redact`: names and sizes only.  `whole`: also a value that an offload moves, which may fill the screen, and its pointer.
    """
    for change in changes:
        sign, style = _SIGNS[change.kind]
        if change.moves and not whole:
            text = " -> ".join(_outline(value, redact=redact) for value in (change.before, change.after))
        else:
            both = (value for value in (change.before, change.after) if value is not ABSENT)
            text = " -> ".join(shown(value, redact=redact) for value in both)
        print_line(out, f"  {sign} {change.path}: {text}", style=style)


def _outline(value: object, *, redact: bool) -> str:
    """Return what is on one side of a move: a pointer, by the id of its value, or the size of anything else."""
    if not is_pointer(value):
        return f"{size(value)} B"
    return f"a pointer of {size(value)} B" + ("" if redact else f" to {value['external']}")


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
    say = partial(print_line, console())
    say(f"{job}: {status.stage}", style="bold")
    facts: dict[str, object] = {
        "migration": status.migration,
        "tenant": status.tenant or "not known yet",
        "source": status.source,
        **({} if status.store is None else {"store": status.store}),
        "plan": status.digest[:12],
        "made": f"{when(status.created)}, by auth0-meta {status.version}",
        **status.counts,
    }
    for name, value in facts.items():
        say(f"  {name:10} {value}")
    for run in status.runs:
        cost = f"{count(run['requests'], 'request')} in {duration(run['seconds'])}"
        say(
            f"  run {run['run']}: {run['kind']} {run['ended']}, {in_words(run['counts'], 'no users')}, {cost}"
        )
    if status.runs and status.stage not in ("undone", "purged"):
        with Ledger.open(job) as ledger:
            for user_id, state, note in ledger.to_look_at(_MAX_NAMED):
                say(f"  {user_id} {state}: {note}", style="red")
