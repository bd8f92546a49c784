"""Share what every command needs: the tenant to talk to, and where to print."""

from __future__ import annotations

import functools
import json
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax

from auth0_meta import ManagementClient, Wait
from auth0_meta.redact import printable

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

_F = TypeVar("_F", bound=Callable[..., Any])


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout or stderr as they are now; plain where it is no terminal."""
    return Console(stderr=stderr, highlight=False, emoji=False)  # ":heart:" may be data


def dump(value: object) -> str:
    """Write a value as JSON for a person or a program: indented, keys in their order, UTF-8.

    What a terminal would obey is escaped.
    """
    return printable(json.dumps(value, indent=2, ensure_ascii=False), lines=True)


def print_code(out: Console, code: str, language: str, *, indent: int = 2) -> None:
    """Print code or JSON with colours on a terminal, and exactly as it is elsewhere."""
    if out.is_terminal:
        syntax = Syntax(code, language, theme="ansi_dark", background_color="default", word_wrap=True)
        out.print(Padding(syntax, (0, 0, 0, indent)))
    else:
        out.print(textwrap.indent(code, " " * indent), markup=False, soft_wrap=True)


def local_tenants() -> type[LocalTenant]:
    """Load the local tenant; raises `MissingExtraError` without the `emulator` extra."""
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415  # its extra may be missing

    return LocalTenant


def help_alone(context: click.Context) -> None:
    """Show a group's help where it is called without a command; that is no error."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _tell_wait(wait: Wait) -> None:
    """Say on stderr that, why and for how long the command waits."""
    click.echo(f"waiting {wait.seconds:.1f} s ({wait.reason})", err=True)


domain_option = click.option("--domain", metavar="HOST", help="The tenant's domain; else AUTH0_DOMAIN.")
token_option = click.option(
    "--token",
    metavar="TOKEN",
    help="A Management API token; else AUTH0_API_TOKEN, else AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET. "
    "Other users of this machine can see a token given here.",
)


def with_client(command: _F) -> _F:
    """Add --domain and --token, and hand the command a connected client as its first argument."""

    @domain_option
    @token_option
    @functools.wraps(command)
    def connected(*args: Any, domain: str | None, token: str | None, **kwargs: Any) -> Any:
        with ManagementClient.from_env(domain=domain, token=token, on_wait=_tell_wait) as client:
            return command(client, *args, **kwargs)

    return connected  # type: ignore[return-value]  # the same command, two options richer
