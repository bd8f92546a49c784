"""The lines that say how far a migration or an audit is, as long as the terminal is wide; PURE."""

from __future__ import annotations

from collections.abc import Iterator

from auth0_meta.audit.progress import AuditProgress
from auth0_meta.migrate.events import ApplyProgress, ExportProgress, PlanProgress, Waiting
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES
from auth0_meta.redact import count, printable

Progress = PlanProgress | ExportProgress | ApplyProgress | AuditProgress | Waiting
_BARS = (24, 12, 0)


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


def line(event: Progress, word: str, width: int) -> str:
    """Return the line for an event in at most `width` characters: the longest form that fits.

    `word`: what is being done, such as "applying".

    >>> line(ExportProgress(status="processing", percent=50.0), "planning", 60)
    '[############            ] export processing, 50 %'
    >>> line(ExportProgress(status="processing", percent=50.0), "planning", 20)
    'export processing, 5'
    """
    forms = [printable(form) for form in _forms(event, word)]
    return next((form for form in forms if len(form) <= width), forms[-1][: max(0, width)])


def bar(part: float | None, width: int) -> str:
    """Return a progress bar, or "" if the line is too narrow for it or the progress is unknown.

    >>> bar(0.5, 4), bar(None, 4)
    ('[##  ] ', '')
    """
    if part is None or not width:
        return ""
    return f"[{'#' * int(min(1.0, max(0.0, part)) * width):{width}}] "


def _forms(event: Progress, word: str) -> Iterator[str]:
    """Yield the forms of a line, the fullest first."""
    if isinstance(event, Waiting):
        yield f"{word}: waiting ({event.reason}, {event.seconds:.0f} s)"
        yield f"waiting ({event.reason}, {event.seconds:.0f} s)"
        return
    if isinstance(event, ExportProgress):
        part = None if event.percent is None else event.percent / 100
        known = "" if event.percent is None else f", {event.percent:.0f} %"
        for width in _BARS:
            yield f"{bar(part, width)}export {event.status}{known}"
        return
    finished = isinstance(event, ApplyProgress) and event.done >= event.total
    left = "" if event.eta is None or finished else f", {duration(event.eta)} left"
    waits = f", waiting ({event.waiting})" if event.waiting else ""
    if isinstance(event, AuditProgress):
        part, done, wrong = event.part, f"{count(event.users, 'user')} read", ""
        pace = f", {event.users / event.seconds:,.0f} per second" if event.seconds >= 1 else ""
    elif isinstance(event, PlanProgress):
        part, done = event.part, f"{count(event.read, 'user')} read"
        pace = f", {event.changing} to change"
        wrong = f", {event.invalid} invalid" if event.invalid else ""
    else:
        total = event.before + event.total
        part = (event.before + event.done) / total if total else 1.0
        done, pace = (
            f"{event.before + event.done}/{count(total, 'user')}",
            f", {event.per_second:.1f} requests/s",
        )
        bad = sum(n for outcome, n in event.counts.items() if outcome in BAD_OUTCOMES)
        wrong = f", {bad} not as planned" if bad else ""
    short = ", waiting" if event.waiting else ""
    wide, narrow, none = (bar(part, width) for width in _BARS)
    yield f"{wide}{done}{pace}{left}{wrong}{waits}"
    yield f"{narrow}{done}{pace}{left}{wrong}{waits}"
    yield f"{narrow}{done}{left}{wrong}{waits}"
    yield f"{narrow}{done}{left}{wrong}{short}"
    yield f"{narrow}{done}{left}{short}"
    yield f"{none}{done}{left}{short}"
    yield f"{none}{done}{left}"
    yield f"{none}{done}"
