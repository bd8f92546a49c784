"""What every command needs: a client for the tenant, and ways to print."""

from __future__ import annotations

import functools
import json
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from auth0_meta.errors import StoredDataError
from auth0_meta.redact import printable

if TYPE_CHECKING:
    from auth0_meta import Wait

_F = TypeVar("_F", bound=Callable[..., Any])


def console(*, stderr: bool = False) -> Console:
    """Return a console on the current stdout or stderr; plain if that is not a terminal."""
    return Console(stderr=stderr, highlight=False, emoji=False)  # ":heart:" may be data


def dump(value: object) -> str:
    """Return a value as indented JSON, with characters that a terminal would obey escaped.

    Raises `StoredDataError` for a number that is too large for a double: JSON has no word for what Python reads it as.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        msg = "what is stored contains a number that is too large for a double, such as 1e400, and can't be shown as JSON"
        raise StoredDataError(msg) from None
    return printable(text, lines=True)


def print_code(out: Console, code: str, language: str, *, indent: int = 2) -> None:
    """Print code or JSON, in color on a terminal and unchanged elsewhere."""
    if out.is_terminal:
        from rich.padding import Padding  # noqa: PLC0415  # these two load on use
        from rich.syntax import Syntax  # noqa: PLC0415

        syntax = Syntax(code, language, theme="ansi_dark", background_color="default", word_wrap=True)
        out.print(Padding(syntax, (0, 0, 0, indent)))
    else:
        out.print(textwrap.indent(code, " " * indent), markup=False, soft_wrap=True)


def print_line(out: Console, text: str, *, style: str | None = None) -> None:
    """Print one unwrapped line, because programs read it; escape characters that a terminal would obey."""
    if out.is_terminal:
        out.print(printable(text), style=style, markup=False, soft_wrap=True)
    else:  # the same text, in a tenth of the time
        click.echo(printable(text), file=out.file)


def group(name: str, text: str, *, kind: type[click.Group] = click.Group, **settings: Any) -> click.Group:
    """Return a group of commands; called without a command it shows its help, which is not an error."""

    def show_help() -> None:
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            click.echo(context.get_help())

    return kind(name, callback=show_help, invoke_without_command=True, help=text, **settings)


def flag(name: str, text: str, *parameter: str) -> Callable[[_F], _F]:
    """Return an option that takes no value; `parameter` is the name of its argument, if not the option's."""
    return click.option(name, *parameter, is_flag=True, help=text)


def options(*several: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Return a decorator that adds several options, the first one on top."""
    return lambda command: functools.reduce(lambda partly, option: option(partly), reversed(several), command)


domain_option = click.option("--domain", metavar="HOST", help="The tenant's domain; by default AUTH0_DOMAIN.")
token_option = click.option(
    "--token",
    metavar="TOKEN",
    help="A Management API token; by default AUTH0_API_TOKEN, or AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET. "
    "Other users of this machine can see a token on the command line.",
)


def with_client(command: _F) -> _F:
    """Add --domain and --token, and pass the command a client as its first argument."""

    @domain_option
    @token_option
    @functools.wraps(command)
    def connected(*args: Any, domain: str | None, token: str | None, **kwargs: Any) -> Any:
        from auth0_meta import ManagementClient  # noqa: PLC0415  # loads on use: some commands need no client

        def print_wait(wait: Wait) -> None:
            click.echo(f"waiting {wait.seconds:.1f} s ({wait.reason})", err=True)

        with ManagementClient.from_env(domain=domain, token=token, on_wait=print_wait) as client:
            return command(client, *args, **kwargs)

    return connected  # type: ignore[return-value]  # the same command with two more options
