"""`auth0-meta audit`: its options, what it writes, and what makes it fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import click

from auth0_meta.audit import AuditReport, Difference, Finding
from auth0_meta.audit import audit as examine
from auth0_meta.audit.html_report import render
from auth0_meta.checks.kinds import KINDS
from auth0_meta.checks.sizes import SIZE_KINDS
from auth0_meta.cli.audit.view import show
from auth0_meta.cli.common import bulk_client, dump, tenant_options
from auth0_meta.cli.groups import Command, json_option
from auth0_meta.cli.progress_bar import Bar
from auth0_meta.errors import InputError
from auth0_meta.files.paths import is_same, read_file, replacing
from auth0_meta.redact import count, printable

_ANY = "any"
_BASELINE = f"{__name__}.baseline"
_MOST_BASELINE_BYTES = 64 << 20
_MOST_NAMED = 5


def _chosen_kinds(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> frozenset[str]:
    """Return the kinds that an option names, which may be repeated and may have several, separated by commas."""
    names = [name.strip() for text in given for name in text.split(",")]
    for name in names:
        if name != _ANY and name not in KINDS:
            known = ", ".join((*KINDS, _ANY))
            raise click.BadParameter(
                f"{printable(name)!r} is not a kind; the kinds are {known}", context, parameter
            )
    return frozenset(KINDS if _ANY in names else names)


def _complete_kind(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the kinds that begin with what has been typed; after a comma, the next one begins."""
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{kind}" for kind in (*KINDS, _ANY) if kind.startswith(begun)]


def _earlier_report(
    context: click.Context, parameter: click.Parameter, path: str | None
) -> AuditReport | None:
    """Return the report of an earlier audit, which a file has."""
    if path is None:
        return None
    context.meta[_BASELINE] = path
    try:
        return AuditReport.from_json(read_file(path, most=_MOST_BASELINE_BYTES))
    except OSError as error:
        why = error.strerror or str(error)
    except InputError as error:
        why = str(error)
    hint = "it takes what auth0-meta audit --json has printed"
    raise click.BadParameter(f"{path} can't be read: {why}; {hint}", context, parameter)


@click.command(
    cls=Command,
    epilog="""\b
auth0-meta audit
auth0-meta audit --html audit.html --csv audit.csv
auth0-meta audit --json > audit.json
auth0-meta audit --fail-on oversized,secret --baseline audit.json""",
)
@click.option(
    "--source",
    "where",
    metavar="export|search:QUERY|FILE",
    default="export",
    help="Where the profiles come from: a users-export job, a search (at most 1000 users), or a file of profiles.",
)
@click.option("--csv", metavar="FILE", help="Write a row for each user for whom something was found.")
@click.option("--html", metavar="FILE", help="Write a page with plots, to read, to send or to print.")
@click.option(
    "--fail-on",
    "kinds",
    metavar="KIND",
    multiple=True,
    callback=_chosen_kinds,
    shell_complete=_complete_kind,
    help=f"Exit with 1 if this kind is found; repeatable. Kinds: {', '.join((*KINDS, _ANY))}.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    callback=_earlier_report,
    help="Compare with an earlier --json; --fail-on then fails only on what is new or grew.",
)
@json_option("Print the report as JSON, which contains no metadata values.")
@tenant_options
def audit(
    *,
    where: str,
    csv: str | None,
    html: str | None,
    kinds: frozenset[str],
    baseline: AuditReport | None,
    as_json: bool,
) -> int:
    """Find oversized profiles, and what else in user metadata will cause trouble.

    The tenant is only read. Metadata values never appear: only paths, counts, sizes and user ids.
    """
    if baseline is not None and baseline.checks == "sizes" and kinds - SIZE_KINDS:
        raise click.UsageError(
            "the baseline has looked at sizes only, so that --fail-on can't know what else is new"
        )
    reads_tenant = where == "export" or where.startswith("search:")
    read = {
        "--source": None if reads_tenant else where,
        "--baseline": click.get_current_context().meta.get(_BASELINE),
    }
    _check_files(read, {"--csv": csv, "--html": html})
    with contextlib.ExitStack() as stack:
        page = None if html is None else stack.enter_context(_page(html))
        client = stack.enter_context(bulk_client({}, optional=not reads_tenant))
        with Bar("auditing") as bar:
            try:
                report = examine(where, client=client, csv=csv, on_progress=bar.show)
            except KeyboardInterrupt:
                files = " or ".join(name for name in (csv, html) if name is not None)
                bar.say(f"the audit was not finished{f', and {files} was not written' if files else ''}")
                raise
        document = report.to_json(baseline=baseline)
        if page is not None:
            page.write(render(document))
    if as_json:
        click.echo(dump(document))
    else:
        show(document)
    _say_what_was_written(report, csv, html)
    failures = _failures(report, baseline, kinds)
    if failures:
        click.echo(printable(_verdict(failures)), err=True)
    return int(bool(failures))


def _check_files(read: Mapping[str, str | None], written: Mapping[str, str | None]) -> None:
    """Refuse a file that would take the place of one that is read, or of another that is written."""
    others = {option: path for option, path in read.items() if path is not None and path != "-"}
    for option, path in written.items():
        if path is not None:
            for other, known in others.items():
                if is_same(path, known):
                    raise click.UsageError(f"{other} and {option} name the same file")
            others[option] = path


@contextlib.contextmanager
def _page(path: str) -> Iterator[IO[str]]:
    """Open the file for the page before anything is read: an export takes long, and would be in vain."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(replacing(path))
        except OSError as error:
            raise click.UsageError(f"--html {path} can't be written: {error.strerror or error}") from None
        yield file


def _say_what_was_written(report: AuditReport, *files: str | None) -> None:
    """Name the files, and what could not be checked."""
    for name in files:
        if name is not None:
            click.echo(printable(f"wrote {name}"), err=True)
    if report.problems.count:
        unread = f"{count(report.problems.count, 'record')} could not be read and so could not be checked"
        first = f", the first at {report.problems.examples[0]}" if report.problems.examples else ""
        click.echo(printable(f"{unread}{first}"), err=True)


def _failures(
    report: AuditReport, baseline: AuditReport | None, kinds: frozenset[str]
) -> Sequence[Finding | Difference]:
    """Return what --fail-on fails on: with a baseline only what is new or grew."""
    found: Sequence[Finding | Difference] = report.findings
    if baseline is not None:
        found = [one for one in report.compare(baseline) if one.change in ("new", "grew")]
    return [one for one in found if one.kind in kinds]


def _verdict(failures: Sequence[Finding | Difference]) -> str:
    named = "; ".join(_described(one) for one in failures[:_MOST_NAMED])
    more = len(failures) - _MOST_NAMED
    return f"--fail-on: {named}" + (f"; and {more:,} more" if more > 0 else "")


def _described(one: Finding | Difference) -> str:
    """Return a finding, or what has changed about it, in a few words."""
    where = f" at {one.path}" if one.path else ""
    if isinstance(one, Difference):
        before = f"{one.before:,} before" if one.before else "new"
        return f"{one.kind}{where} ({count(one.after, 'user')}, {before})"
    return f"{one.kind}{where} ({count(one.users, 'user')})"
