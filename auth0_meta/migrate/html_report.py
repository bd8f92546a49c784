"""A job's report: one HTML page with plots as inline SVG, or JSON; ids, key names and counts, never values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from auth0_meta.markup import charts
from auth0_meta.markup.charts import across
from auth0_meta.markup.page import cell, head, page, table, text
from auth0_meta.migrate.api import Status, status_of
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES
from auth0_meta.migrate.ledger.sqlite import explain_damage
from auth0_meta.migrate.plan_file import JobFile
from auth0_meta.migrate.report_types import JobReport, RunReport
from auth0_meta.redact import discreet, printable

_BINS = 240
_MOST_NAMED = 200
_WIDTH, _HEIGHT, _LEFT, _FLOOR = 720, 180, 46, 156

_STYLE = f"""{charts.STYLE}
main {{ max-width: 60rem }} table {{ width: auto }} tbody th {{ overflow-wrap: normal }} .bars {{ width: 100% }} .bars th {{ width: 7rem }} figure > svg {{ width: 100%; height: auto }}
.rate {{ fill: none; stroke: var(--accent); stroke-width: 1.5 }} .limit {{ fill: none; stroke: var(--warn); stroke-dasharray: 5 4 }} .refused {{ fill: var(--bad) }}
"""


@discreet
def report(job: JobFile, /) -> JobReport:
    """Return what a report says, as JSON: status, seconds of each run, users to look at, users who could not be planned.

    Raises `LedgerError` if the job file can't be read.
    """
    with Ledger.open(job) as ledger, explain_damage(ledger.path):
        status = status_of(ledger)
        trouble, invalid = ledger.to_look_at(_MOST_NAMED), ledger.problems(_MOST_NAMED)
        runs = [run["run"] for run in status.runs]
        return {
            "job": str(job),
            **status.to_json(),
            "seconds": {str(n): [list(tick) for tick in ledger.ticks(n)] for n in runs},
            "trouble": [{"user_id": user, "state": state, "note": note} for user, state, note in trouble],
            "invalid": [{"user_id": user, "kind": kind, "note": note} for user, kind, note in invalid],
        }


@discreet
def render(job: JobFile, /, *, as_json: bool = False) -> str:
    """Return the report as one self-contained HTML page, or as JSON, with what a terminal would obey escaped.

    Raises `LedgerError` as `report` does.
    """
    if as_json:
        return printable(json.dumps(report(job), indent=2, ensure_ascii=False), lines=True) + "\n"
    with Ledger.open(job) as ledger, explain_damage(ledger.path):
        status = status_of(ledger)
        keys = sorted(status.summary.keys.items(), key=lambda item: -item[1])
        body = [
            _head(str(job), status),
            *(_run(run, _binned(ledger.ticks(run["run"]), run["seconds"])) for run in status.runs),
            _table("Users to look at", ("user", "state", "why"), ledger.to_look_at(_MOST_NAMED)),
            _table("Not planned", ("user or row", "kind", "why"), ledger.problems(_MOST_NAMED)),
            _table("Keys touched", ("key", "users"), keys),
        ]
    return page(str(job), body, style=_STYLE)


def _head(job: str, status: Status) -> str:
    summary = status.summary
    rows: list[tuple[str, object]] = [
        ("stage", status.stage),
        ("migration", status.migration or ""),
        ("tenant", status.tenant or "not known yet"),
        ("users from", status.source),
        ("planned", f"{when(status.created)}, by auth0-meta {status.version}"),
        ("plan", status.digest),
        ("read", summary.read),
        ("to change", summary.changing),
        ("unchanged", summary.unchanged),
        ("invalid", summary.invalid),
        ("past 10 KB", summary.oversize),
    ]
    return f"<h1>{text(job)}</h1>" + _table("", ("", ""), rows) + _outcomes("Users by state", status.counts)


def _run(run: RunReport, bins: Sequence[Mapping[str, float]]) -> str:
    rows = [
        ("started", when(run["started"])),
        ("took", f"{run['seconds']} s"),
        ("requests", run["requests"]),
        ("PATCHes", run["patches"]),
        ("refused (429)", run["refusals"]),
        ("waited, all workers together", f"{run['waited']} s"),
        ("share", run["share"]),
    ]
    slow = [(user_id, f"{seconds} s") for seconds, user_id in run["slowest"]]
    return (
        _table(f"Run {run['run']}: {run['kind']}, {run['ended']}", ("", ""), rows)
        + _plot(bins, run["seconds"])
        + _outcomes("Outcomes", run["counts"])
        + _table("Slowest users", ("user", "without waits"), slow)
    )


def _binned(ticks: Iterable[tuple[int, Mapping[str, Any]]], seconds: float) -> list[dict[str, float]]:
    """Average seconds into as many columns as a plot has room for."""
    width = max(1, -(-int(seconds + 1) // _BINS))
    bins = [{"requests": 0.0, "refusals": 0.0, "limit": 0.0} for _ in range(int(seconds) // width + 1)]
    for second, tick in ticks:
        one = bins[min(second // width, len(bins) - 1)]
        one["requests"] += tick["requests"] / width
        one["refusals"] += tick["refusals"]
        one["limit"] = max(one["limit"], tick.get("limit", 0.0))
    return bins


def _plot(bins: Sequence[Mapping[str, float]], seconds: float) -> str:
    """Draw requests per second, the limit as far as it was known, and refusals as dots."""
    top = max(1.0, *(max(one["requests"], one["limit"]) for one in bins)) * 1.1
    step = (_WIDTH - _LEFT) / len(bins)
    took = f"{max(1.0, seconds):.0f}"

    def at(index: float) -> float:
        return round(_LEFT + (index + 0.5) * step, 1)

    def line(name: str, css: str) -> str:
        shown: list[tuple[float, float]] = [
            (i, one[name]) for i, one in enumerate(bins) if one[name] or name != "limit"
        ]
        if len(shown) == 1:  # a single point draws no line
            shown = [(i + side, value) for i, value in shown for side in (-0.5, 0.5)]
        points = " ".join(f"{at(i)},{round(_FLOOR - value / top * _FLOOR, 1)}" for i, value in shown)
        return f'<polyline class="{css}" points="{points}"/>' if points else ""

    dots = "".join(
        f'<circle class="refused" cx="{at(i)}" cy="{_FLOOR}" r="3"><title>{int(n)} refused</title></circle>'
        for i, one in enumerate(bins)
        if (n := one["refusals"])
    )
    return (
        f"<figure><figcaption>Requests per second (line), the limit as learned (dashed), 429s (dots)</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="requests per second over {took} seconds">'
        f'<line class="axis" x1="{_LEFT}" y1="{_FLOOR}" x2="{_WIDTH}" y2="{_FLOOR}"/>'
        f'<text x="0" y="12">{top:.1f}/s</text><text x="0" y="{_FLOOR}">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">0 s</text><text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{took} s</text>'
        f"{line('limit', 'limit')}{line('requests', 'rate')}{dots}</svg></figure>"
    )


def _outcomes(title: str, counts: Mapping[str, int]) -> str:
    """Draw counts as bars."""
    top = max(counts.values(), default=0) or 1
    rows = (
        (head(name), f"<td>{users:,} {across(users / top, 'bad' if name in BAD_OUTCOMES else '')}</td>")
        for name, users in sorted(counts.items(), key=lambda item: -item[1])
    )
    bars = table((), rows, label=title, css="bars")
    return f"<figure><figcaption>{text(title)}</figcaption>{bars}</figure>" if counts else ""


def _table(title: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a title; without names it is a list of facts, each with its name first."""
    if any(names):
        cells = table(names, ([cell(value) for value in row] for row in rows), numbers=("users",))
    else:
        cells = table((), ((head(name), cell(str(value))) for name, value in rows))
    return f"<h2>{text(title)}</h2>{cells}" if title and cells else cells


def when(epoch: float) -> str:
    """Return a time as people write it."""
    return datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
