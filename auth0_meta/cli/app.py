"""The root command, and `run`, which turns an error into one line and an exit code."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import click

from auth0_meta._version import __version__
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import dump
from auth0_meta.cli.failures import INTERRUPTED, Failure, failure_of
from auth0_meta.cli.groups import JSON, Group, meaning
from auth0_meta.errors import Auth0MetaError
from auth0_meta.redact import printable

_ESCAPED = "auth0_meta_escaped"
_MOST_MEANT = 3


class _Root(Group):
    """Load a command when it is used: each family needs another part of the package, and none needs all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"auth0_meta.cli.{cmd_name}"), cmd_name)
        command.short_help = COMMANDS[cmd_name]
        return command

    def lines(self, ctx: click.Context) -> Iterator[tuple[str, str]]:
        """Yield each command's name and line, without loading the commands."""
        yield from COMMANDS.items()

    def meant(self, ctx: click.Context, name: str) -> list[str]:
        """Return the commands that a name may stand for, also those inside the groups."""
        groups = [(word, it) for word in COMMANDS if isinstance(it := self.get_command(ctx, word), Group)]
        inside = [f"{word} {one}" for word, it in groups for one in meaning(name) if one in it.commands]
        return inside[:_MOST_MEANT] or super().meant(ctx, name)


root = _Root(
    "auth0-meta",
    "Write Auth0 user metadata: one PATCH for each unit of work, at the pace of the rate limit.",
    hidden=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="The commands talk to the tenant that AUTH0_DOMAIN names, with AUTH0_API_TOKEN or with AUTH0_CLIENT_ID and "
    "AUTH0_CLIENT_SECRET. --domain, --token, --json and -v may stand before or after a command. "
    "auth0-meta help COMMAND is another way to write auth0-meta COMMAND --help.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 changes pending (migrate plan --exit-code), "
    "4 credentials refused, 130 interrupted.",
)
click.version_option(__version__, "-V", "--version", message="auth0-meta %(version)s")(root)


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name and return its exit code; errors go to stderr."""
    codecs.register_error(_ESCAPED, _escaped)
    for name in ("stdout", "stderr"):
        # The shell has closed it, and the next file that is opened must not take its place.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)
    said: dict[str, Any] = {}
    try:
        return _run(words, said)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                _print_failure(failure_of(error), as_json=said.get("json", False))
        _drop_output()
        return 1


def _run(words: Sequence[str], said: dict[str, Any]) -> int:
    """Run the command; `said` receives the values of the options that may stand before a command."""
    with warnings.catch_warnings():
        # Without the source line that Python adds.
        warnings.showwarning = lambda message, *_: _print_line("warning", str(message))
        try:
            outcome = root.main(list(words), prog_name="auth0-meta", standalone_mode=False, obj=said)
        except (click.ClickException, click.Abort, KeyboardInterrupt, Auth0MetaError) as error:
            failure = failure_of(error)
            # If the words could not be understood, `said` lacks their values.
            unread = isinstance(error, click.UsageError) and _wants_json(words)
            _print_failure(failure, as_json=said.get("json") or unread)
            return failure.code
    return outcome if isinstance(outcome, int) else 0


def _wants_json(words: Sequence[str]) -> bool:
    """Return whether --json is among the words; after -- it belongs to another command."""
    return JSON in itertools.takewhile(lambda word: word != "--", words)


def _print_failure(failure: Failure, *, as_json: bool) -> None:
    """Print a failure to stderr, and as JSON to stdout, where a program looks for it."""
    if as_json:
        try:
            click.echo(dump(failure.to_json()))
        except OSError:  # only the line on stderr is left
            _drop_output()
    elif failure.usage:
        click.echo(failure.usage, err=True)
    if failure.code == INTERRUPTED:
        click.echo(failure.message, err=True)
    else:
        _print_line("error", failure.message)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Write characters that the output can't encode as `\uXXXX`: JSON stays valid, other text readable."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101  # it handles output only
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = range(0, len(units), 2)
    return "".join(f"\\u{int.from_bytes(units[n : n + 2], 'big'):04x}" for n in pairs), error.end


def _drop_output() -> None:
    """Discard what is left of an output that can't be written, or Python would complain about it again at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _print_line(word: str, text: str) -> None:
    """Print one line to stderr, its first word in color on a terminal."""
    allowed, color = False if os.environ.get("NO_COLOR") else None, "red" if word == "error" else "yellow"
    click.secho(f"{word}: ", fg=color, bold=True, nl=False, err=True, color=allowed)
    click.echo(printable(" ".join(text.split())), err=True)
