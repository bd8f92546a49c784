"""Hold the root command and its edge, where errors become one line and an exit code."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from auth0_meta._version import __version__
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import help_alone
from auth0_meta.cli.demo import demo
from auth0_meta.cli.doctor import doctor
from auth0_meta.cli.emulator import emulator
from auth0_meta.cli.migrate import migrate
from auth0_meta.cli.user import user
from auth0_meta.errors import Auth0MetaError, AuthError, ForbiddenError, InputError, MissingExtraError
from auth0_meta.redact import printable

# The first class that fits decides.
_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (AuthError, 4),
    (ForbiddenError, 4),
    (InputError, 2),
    (MissingExtraError, 2),
    (Auth0MetaError, 1),
)
_INTERRUPTED = 130
_ESCAPED = "auth0_meta_escaped"


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "The tenant is named by AUTH0_DOMAIN and either AUTH0_API_TOKEN or AUTH0_CLIENT_ID and "
        "AUTH0_CLIENT_SECRET. Exit codes: 0 done, 1 failed, 2 usage, 4 refused credentials, 130 interrupted."
    ),
)
@click.version_option(__version__, message="auth0-meta %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """Write Auth0 user metadata: one PATCH per unit of work, rate limits waited out."""
    help_alone(context)


for _command in (demo, doctor, emulator, migrate, user):
    _command.short_help = COMMANDS[str(_command.name)]
    root.add_command(_command)


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name and return its exit code; errors are told on stderr."""
    codecs.register_error(_ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)
    try:
        return _run(words)
    except OSError as error:  # the library's own are told below: this is the output, or a file
        if not isinstance(error, BrokenPipeError):
            why = error.strerror or str(error)
            unwritten = f"the output can't be written: {why}. What the tenant was sent before stands"
            with contextlib.suppress(OSError):
                _tell("error", f"{error.filename}: {why}" if error.filename else unwritten)
        _drop_output()
        return 1


def _run(words: Sequence[str]) -> int:
    with warnings.catch_warnings():
        warnings.showwarning = _tell_warning
        try:
            outcome = root.main(list(words), prog_name="auth0-meta", standalone_mode=False)
        except click.ClickException as error:
            if isinstance(error, click.UsageError) and error.ctx is not None:
                click.echo(
                    f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n", err=True
                )
            _tell("error", error.format_message())
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            return _INTERRUPTED
        except Auth0MetaError as error:
            _tell("error", str(error))
            return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    return outcome if isinstance(outcome, int) else 0


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an output's encoding lacks as `\uXXXX`: JSON stays JSON, anything else readable."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101  # only writing is told to use this
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = range(0, len(units), 2)
    return "".join(f"\\u{int.from_bytes(units[n : n + 2], 'big'):04x}" for n in pairs), error.end


def _drop_output() -> None:
    """Lead an output that can't be written nowhere, or Python would complain of it once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as where it was closed by the shell
                stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _tell(word: str, text: str) -> None:
    """Print one line on stderr, its first word coloured on a terminal."""
    plain = False if os.environ.get("NO_COLOR") else None
    click.secho(
        f"{word}: ", fg="red" if word == "error" else "yellow", bold=True, nl=False, err=True, color=plain
    )
    click.echo(printable(" ".join(text.split())), err=True)


def _tell_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a library warning without the source line that Python adds."""
    _tell("warning", str(message))
