"""Check the connection: the first failures of every new user, each with its remedy."""

from __future__ import annotations

import click

from auth0_meta import ManagementClient
from auth0_meta.cli.common import console, dump, with_client

__all__ = ["doctor"]

_AUTH = frozenset({"token", "audience", "read users", "scopes"})
_REFUSED = 4
_WORDS = {True: "[bold green]ok[/]  ", False: "[bold red]FAIL[/]", None: "[dim]?[/]   "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@with_client
def doctor(client: ManagementClient, *, as_json: bool) -> int:
    """Check token, scopes, audience, clock and rate limit of the tenant.

    Reads one user's id at most and writes nothing. Exits with 0 when all is well, 4 when the
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
            out.print(check.detail, markup=False, soft_wrap=True)
            if check.remedy:
                out.print(f"{'':18}{check.remedy}", markup=False, soft_wrap=True, style="yellow")
        out.print()
        out.print(f"{len(failed)} of {len(checks)} checks failed." if failed else "All checks passed.")
    if not failed:
        return 0
    return _REFUSED if any(check.name in _AUTH for check in failed) else 1
