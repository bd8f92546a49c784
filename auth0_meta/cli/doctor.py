"""Check the connection for what goes wrong first for every new user, and say how to fix it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from auth0_meta import ManagementClient
from auth0_meta.cli.common import console, dump, with_client
from auth0_meta.doctor import Check
from auth0_meta.redact import printable

_AUTH = frozenset({"token", "audience", "read users", "scopes"})
_REFUSED = 4
_WORDS = {True: "[bold green]ok[/]  ", False: "[bold red]FAIL[/]", None: "[dim]?[/]   "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@with_client
def doctor(client: ManagementClient, *, as_json: bool) -> int:
    """Check token, scopes, audience, clock and rate limit of the tenant.

    Reads the id of at most one user and writes nothing. Exits with 0 if all is well, 4 if the
    credentials are refused or lack a scope, 1 for anything else.
    """
    checks = client.check()
    failed = [check for check in checks if check.ok is False]
    if as_json:
        rows = [{"name": c.name, "ok": c.ok, "detail": c.detail, "remedy": c.remedy} for c in checks]
        click.echo(dump(rows))
    else:
        out = console()
        for check in checks:
            out.print(f"{_WORDS[check.ok]}  {check.name:12}", end="")
            out.print(printable(check.detail), markup=False, soft_wrap=True)
            if check.remedy:
                remedy = f"{'':18}{printable(check.remedy)}"
                out.print(remedy, markup=False, soft_wrap=True, style="yellow")
        out.print()
        out.print(_verdict(checks))
    if not failed:
        return 0
    return _REFUSED if any(check.name in _AUTH for check in failed) else 1


def _verdict(checks: Sequence[Check]) -> str:
    """Sum up the checks; one that could not tell does not count as passed."""
    failed, unclear = (sum(check.ok is ok for check in checks) for ok in (False, None))
    if failed:
        return f"{failed} of {len(checks)} checks failed" + (
            f", {unclear} could not tell." if unclear else "."
        )
    return f"{len(checks) - unclear} passed, {unclear} could not tell." if unclear else "All checks passed."
