"""What every command needs: a client for the tenant, ways to print, and a word about what takes long."""

from __future__ import annotations

import functools
import json
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from auth0_meta.cli.groups import asked, domain_option, token_option, verbose_option
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import ConfigError, StoredDataError
from auth0_meta.redact import printable
from auth0_meta.threads.daemons import join

if TYPE_CHECKING:
    from auth0_meta import ManagementClient, Wait

_F = TypeVar("_F", bound=Callable[..., Any])
_PATIENCE = 2.0
"""Seconds after which somebody who waits should be shown why."""


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


def flag(name: str, text: str, *parameter: str) -> Callable[[_F], _F]:
    """Return an option that takes no value; `parameter` is the name of its argument, if not the option's."""
    return click.option(name, *parameter, is_flag=True, help=text)


def options(*several: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Return a decorator that adds several options, the first one on top."""
    return lambda command: functools.reduce(lambda partly, option: option(partly), reversed(several), command)


@contextmanager
def patience(
    text: str, *, after: float = _PATIENCE, clock: Clock = SYSTEM_CLOCK
) -> Iterator[Callable[[], None]]:
    """Print `text` to stderr if the block takes longer than `after` seconds; yield a function that calls it off."""
    over, done = threading.Condition(), threading.Event()

    def speak() -> None:
        with over:
            if not done.is_set():
                clock.wait(over, after)
            if not done.is_set():
                with suppress(OSError, ValueError):  # nobody reads stderr
                    click.echo(text, err=True)

    def end() -> None:
        with over:
            done.set()
            over.notify()
        join(thread)

    thread = threading.Thread(target=speak, name="auth0-meta patience", daemon=True)
    thread.start()
    try:
        yield end
    finally:
        end()


def tenant_options(command: _F) -> _F:
    """Add the options that say which tenant to call, and -v."""
    return options(domain_option(), token_option(), verbose_option())(command)


@contextmanager
def connected(**settings: Any) -> Iterator[ManagementClient]:
    """Yield a client for the tenant that the options and the environment name."""
    from auth0_meta import ManagementClient  # noqa: PLC0415  # loads on use: some commands need no client

    domain, token = named_tenant()
    with ManagementClient.from_env(domain=domain, token=token, **settings) as client:
        yield client


def named_tenant() -> tuple[str | None, str | None]:
    """Return the values of the options --domain and --token, before or after the command."""
    said = asked(click.get_current_context())
    return said.get("domain"), said.get("token")


def with_client(command: _F) -> _F:
    """Add the options of a tenant, and pass the command a client as its first argument."""

    @tenant_options
    @functools.wraps(command)
    def call(*args: Any, **kwargs: Any) -> Any:
        logs = asked(click.get_current_context()).get("verbose", 0)

        def print_wait(wait: Wait) -> None:
            if logs < (2 if wait.reason == "pacing" else 1):  # from these levels on, the log shows it
                click.echo(f"waiting {wait.seconds:.1f} s ({wait.reason})", err=True)

        with connected(on_wait=print_wait) as client, patience("still waiting for the tenant ..."):
            return command(client, *args, **kwargs)

    return call  # type: ignore[return-value]  # the same command with more options


def bulk_options(command: _F) -> _F:
    """Add the options of a command that works on many users: which tenant, and at what pace."""
    return options(
        tenant_options,
        click.option(
            "--rate-limit",
            metavar="PLAN",
            help="The tenant's rate limit: the name of an Auth0 plan, or SIZE@PER_SECOND; by default, it is learned from responses.",
        ),
        click.option(
            "--share",
            metavar="PART",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.5,
            help="The part of the rate limit that may be used.",
        ),
    )(command)


@contextmanager
def bulk_client(settings: dict[str, Any], *, optional: bool = False) -> Iterator[ManagementClient | None]:
    """Connect as the environment and the tenant's options say, for as long as it takes; "rate_limit" is removed from `settings`.

    If they name no tenant and the client is `optional`, it is None.  If a client turns out to be needed, the error is
    the one about the environment, because that is what to fix.
    """
    missing: ConfigError | None = None
    with ExitStack() as stack:
        try:
            client = stack.enter_context(
                connected(rate_limit=settings.pop("rate_limit", None), max_wait=None)
            )
        except ConfigError as error:
            if not optional or any(named_tenant()):
                raise
            client, missing = None, error
        try:
            yield client
        except ConfigError:
            if missing is None:
                raise
            raise missing from None
