"""Check the connection for what most often goes wrong at first, and say how to fix it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import attrs
import click
from rich.console import Console

from auth0_meta import ManagementClient
from auth0_meta.cli.common import console, dump, print_line, with_client
from auth0_meta.cli.groups import Command, json_option
from auth0_meta.doctor import Check
from auth0_meta.redact import count

_AUTH = frozenset({"token", "audience", "read users", "scopes"})
_REFUSED = 4
_INDENT, _NARROWEST = 18, 24
_WORDS = {True: "[bold green]ok[/]  ", False: "[bold red]FAIL[/]", None: "[dim]?[/]   "}


@click.command(cls=Command)
@json_option("Print the checks as JSON.")
@with_client
def doctor(client: ManagementClient, *, as_json: bool) -> int:
    """Check token, scopes, audience, clock and rate limit of the tenant.

    Reads the id of at most one user and writes nothing. Exits with 0 if all is well, 4 if the
    credentials are refused or lack a scope, 1 for anything else.
    """
    checks = client.check()
    failed = [check for check in checks if check.ok is False]
    if as_json:
        click.echo(dump([attrs.asdict(check) for check in checks]))
    else:
        out = console()
        for check in checks:
            out.print(f"{_WORDS[check.ok]}  {check.name:12}", end="")
            detail, *more = _lines(out, check.detail)
            print_line(out, detail)
            for line in more:
                print_line(out, f"{'':{_INDENT}}{line}")
            for line in _lines(out, check.remedy):
                print_line(out, f"{'':{_INDENT}}{line}", style="yellow")
        out.print()
        out.print(_verdict(checks))
    return 0 if not failed else _REFUSED if any(check.name in _AUTH for check in failed) else 1


def _lines(out: Console, text: str) -> list[str]:
    """Return a text wrapped to fit beside the names of the checks, or in one line if this is not a terminal."""
    if not out.is_terminal:
        return [text] if text else []
    width = max(_NARROWEST, out.width - _INDENT)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _verdict(checks: Sequence[Check]) -> str:
    """Summarize the checks; one that leaves its question open does not count as passed."""
    failed, unclear = (sum(check.ok is ok for check in checks) for ok in (False, None))
    if not failed and not unclear:
        return "All checks passed."
    known = (
        f"{failed} of {count(len(checks), 'check')} failed" if failed else f"{len(checks) - unclear} passed"
    )
    return known + (f", {unclear} could not be determined." if unclear else ".")
