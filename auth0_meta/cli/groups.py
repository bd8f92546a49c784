"""Groups and commands: options that may stand before or after a command, whole sentences in listings, and what was meant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auth0_meta.redact import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_F = TypeVar("_F", bound=Callable[..., Any])

JSON = "--json"
_HELP = "help"
_WHOLE_SENTENCE = 1000
# What other programs call it.
_MEANT = {
    "add": ("set",),
    "delete": ("unset", "purge"),
    "dry-run": ("plan",),
    "edit": ("set", "merge"),
    "export": ("env",),
    "get": ("show", "find"),
    "ls": ("list",),
    "patch": ("merge",),
    "read": ("show",),
    "remove": ("unset", "purge"),
    "restore": ("load", "undo"),
    "revert": ("undo",),
    "rm": ("unset", "purge"),
    "rollback": ("undo",),
    "run": ("apply", "serve", "exec"),
    "search": ("list", "find"),
    "start": ("apply", "serve"),
    "up": ("serve", "apply"),
    "update": ("set", "merge"),
    "view": ("show",),
}


def asked(context: click.Context) -> dict[str, Any]:
    """Return the values of the options that may stand before a command: "domain", "token", "json" and "verbose"."""
    found: dict[str, Any] = context.ensure_object(dict)
    return found


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep the value of an option for whoever needs it; one after the command wins."""
    if value is not None:
        asked(context)[str(parameter.name)] = value


def _keep_count(context: click.Context, _: click.Parameter, value: int) -> None:
    """Keep how often -v was given, before and after the command together."""
    asked(context)["verbose"] = asked(context).get("verbose", 0) + value


def _keep_json(context: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001  # click's protocol
    asked(context)["json"] = asked(context).get("json", False) or value
    return bool(asked(context)["json"])


def json_option(text: str) -> Callable[[_F], _F]:
    """Return the option --json of a command; its argument is `as_json`, even if it stands before the command."""
    return click.option(JSON, "as_json", is_flag=True, is_eager=True, callback=_keep_json, help=text)


def domain_option(*, hidden: bool = False) -> Callable[[_F], _F]:
    """Return the option --domain, for groups and for commands that call a tenant."""
    return click.option(
        "--domain",
        metavar="HOST",
        hidden=hidden,
        expose_value=False,
        callback=_keep,
        help="The tenant's domain; by default AUTH0_DOMAIN.",
    )


def token_option(*, hidden: bool = False) -> Callable[[_F], _F]:
    """Return the option --token, for groups and for commands that call a tenant."""
    return click.option(
        "--token",
        metavar="TOKEN",
        hidden=hidden,
        expose_value=False,
        callback=_keep,
        help="A Management API token; by default AUTH0_API_TOKEN, or AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET. "
        "Other users of this machine can see a token on the command line.",
    )


def verbose_option(*, hidden: bool = False) -> Callable[[_F], _F]:
    """Return the option -v, for groups and for commands that call a tenant."""
    return click.option(
        "-v",
        "--verbose",
        count=True,
        hidden=hidden,
        expose_value=False,
        callback=_keep_count,
        show_default=False,
        help="Log to stderr: -v what was written and each wait, -vv each request. Never values.",
    )


def _json_before(*, hidden: bool) -> Callable[[_F], _F]:
    """Return the option --json of a group."""
    return click.option(
        JSON,
        is_flag=True,
        is_eager=True,
        hidden=hidden,
        expose_value=False,
        callback=_keep_json,
        help="Print JSON, for errors too.",
    )


def meaning(name: str) -> tuple[str, ...]:
    """Return the names that a command called `name` may have here, `name` first."""
    return name, *_MEANT.get(name, ())


@contextmanager
def logged(verbose: int) -> Iterator[None]:
    """Print the package's log to stderr during the block: nothing at 0, commits and waits at 1, requests too above."""
    logger, handler = logging.getLogger("auth0_meta"), _ToStderr()
    if not verbose:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", "%H:%M:%S"))
    before = logger.level
    logger.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _ToStderr(logging.Handler):
    """Write to what stderr is at the time: a progress bar redirects it."""

    def emit(self, record: logging.LogRecord) -> None:
        # Only a traceback has lines of its own; a message may quote what others wrote.
        text = printable(self.format(record), lines=bool(record.exc_info))
        with suppress(OSError, ValueError):  # a stderr that is gone must not fail the command
            click.echo(text, err=True)


class Command(click.Command):
    """A command that logs as -v says, and that refuses `--json` before it if it has no such option.

    A program would wait for JSON in vain.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        if asked(ctx).get("json") and all(parameter.name != "as_json" for parameter in self.params):
            ctx.fail(f"{ctx.command_path} has no {JSON}")
        with logged(asked(ctx).get("verbose", 0)):
            return super().invoke(ctx)


class Group(click.Group):
    """A group of commands; called without a command it shows its help, which is not an error."""

    command_class = Command

    def __init__(self, name: str, text: str, *, hidden: bool = True, **settings: Any) -> None:
        """`hidden`: whether its help leaves out options that may stand before a command; the root's help shows them."""
        super().__init__(name, callback=_show_help, invoke_without_command=True, help=text, **settings)
        domain_option(hidden=hidden)(self)
        token_option(hidden=hidden)(self)
        _json_before(hidden=hidden)(self)
        verbose_option(hidden=hidden)(self)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with whole sentences, wrapped instead of cut."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines(ctx)))

    def lines(self, ctx: click.Context) -> Iterator[tuple[str, str]]:
        """Yield each command's name and the line that help shows for it."""
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                yield name, command.get_short_help_str(_WHOLE_SENTENCE)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options and the names of commands, without loading the commands."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only shells need it

        names = [
            CompletionItem(name, help=line) for name, line in self.lines(ctx) if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the words name, or say which one was probably meant.

        `help COMMAND` is another way to write `COMMAND --help`.
        """
        if args[0] == _HELP:
            args = [*args[1:], "--help"]
            if args[0] in (_HELP, "--help"):
                return _HELP, click.Command(_HELP, callback=lambda: click.echo(ctx.get_help())), []
        name = args[0]
        unknown = self.get_command(ctx, name) is None
        if unknown and not name.startswith("-") and not ctx.resilient_parsing:
            meant = self.meant(ctx, name)
            choice = ", ".join(f"'{one}'" for one in meant)
            ctx.fail(
                f"No such command {name!r}."
                + (f" Did you mean {' or '.join(choice.rsplit(', ', 1))}?" if meant else "")
            )
        return super().resolve_command(ctx, args)

    def meant(self, ctx: click.Context, name: str) -> list[str]:
        """Return the commands that an unknown name may stand for: those that do what it says, else similar ones."""
        from difflib import get_close_matches  # noqa: PLC0415  # few calls need it

        names = self.list_commands(ctx)
        return [one for one in meaning(name) if one in names] or get_close_matches(name, names)


def _show_help() -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
