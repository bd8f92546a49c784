"""The root command, and `run`, which turns an error into one line and an exit code."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module

import click

from auth0_meta._version import __version__
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import group
from auth0_meta.errors import Auth0MetaError, AuthError, ForbiddenError, InputError, MissingExtraError
from auth0_meta.redact import printable

# The first match decides.
_EXIT_CODES: tuple[tuple[int, tuple[type[Auth0MetaError], ...]], ...] = (
    (4, (AuthError, ForbiddenError)),
    (2, (InputError, MissingExtraError)),
    (1, (Auth0MetaError,)),
)
_INTERRUPTED = 130
_PRINTERS = ("click", "rich")
_ESCAPED = "auth0_meta_escaped"


class _Root(click.Group):
    """Load a command when it is used: each family needs another part of the package, and none needs all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"auth0_meta.cli.{cmd_name}"), cmd_name)
        command.short_help = COMMANDS[cmd_name]
        return command


root = group(
    "auth0-meta",
    "Write Auth0 user metadata: one PATCH for each unit of work, at the pace of the rate limit.",
    kind=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="The commands talk to the tenant that AUTH0_DOMAIN names, with AUTH0_API_TOKEN or with AUTH0_CLIENT_ID and "
    "AUTH0_CLIENT_SECRET. Exit codes: 0 done, 1 failed, 2 wrong usage, 4 credentials refused, 130 interrupted.",
)
click.version_option(__version__, message="auth0-meta %(version)s")(root)


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
    try:
        return _run(words)
    except OSError as error:
        # The package's own errors are handled in _run: this is about the output, a file or the system.
        if not isinstance(error, BrokenPipeError):
            why = error.strerror or str(error) or type(error).__name__
            what = (
                "the output can't be written" if _was_printing(error) else "the system refused an operation"
            )
            unnamed = f"{what}: {why}. Requests that were sent before this are not undone"
            with contextlib.suppress(OSError):
                # Which file the last descriptor was missing for says nothing.
                named = error.filename and error.errno not in (errno.EMFILE, errno.ENFILE)
                _print_line("error", f"{error.filename}: {why}" if named else unnamed)
        _drop_output()
        return 1


def _run(words: Sequence[str]) -> int:
    with warnings.catch_warnings():
        # Without the source line that Python adds.
        warnings.showwarning = lambda message, *_: _print_line("warning", str(message))
        try:
            outcome = root.main(list(words), prog_name="auth0-meta", standalone_mode=False)
        except click.ClickException as error:
            if isinstance(error, click.UsageError) and error.ctx is not None:
                usage, command = error.ctx.get_usage(), error.ctx.command_path
                click.echo(f"{usage}\nTry '{command} --help' for help.\n", err=True)
            _print_line("error", error.format_message())
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            return _INTERRUPTED
        except Auth0MetaError as error:
            _print_line("error", str(error))
            return next(code for code, kinds in _EXIT_CODES if isinstance(error, kinds))
    return outcome if isinstance(outcome, int) else 0


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Write characters that the output can't encode as `\uXXXX`: JSON stays valid, other text readable."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101  # it handles output only
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = range(0, len(units), 2)
    return "".join(f"\\u{int.from_bytes(units[n : n + 2], 'big'):04x}" for n in pairs), error.end


def _was_printing(error: OSError) -> bool:
    """Return whether an error was raised by click or rich, which do the printing."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PRINTERS


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
