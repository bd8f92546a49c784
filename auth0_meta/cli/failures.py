"""What made a command fail: its kind, the line that says so, the facts for programs, and the exit code."""

from __future__ import annotations

import errno
import traceback
from typing import Any, NamedTuple

import click

from auth0_meta.errors import Auth0MetaError, AuthError, ForbiddenError, InputError, MissingExtraError

INTERRUPTED = 130
_FAILED = 1
# The first match decides.
_EXIT_CODES: tuple[tuple[int, tuple[type[Auth0MetaError], ...]], ...] = (
    (4, (AuthError, ForbiddenError)),
    (2, (InputError, MissingExtraError)),
    (_FAILED, (Auth0MetaError,)),
)
# What errors of the package know beside their message; none of it is a value or a credential.
_FACTS = (
    "status",
    "error_code",
    "request_id",
    "expected",
    "retry_at",
    "user_id",
    "user_ids",
    "bag",
    "path",
    "paths",
    "job_id",
)
_PRINTERS = ("click", "rich")


class Failure(NamedTuple):
    """`kind`: the name of the error's class.  `usage`: how the command is called, if it was called wrongly."""

    kind: str
    message: str
    code: int = _FAILED
    facts: tuple[tuple[str, Any], ...] = ()
    usage: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what --json prints."""
        error = {"type": self.kind, "message": self.message, "exit_code": self.code}
        return {"error": error | dict(self.facts)}


def failure_of(error: BaseException) -> Failure:
    """Return what an error means for the command that raised it."""
    if isinstance(error, click.UsageError):
        usage = "" if error.ctx is None else _usage(error.ctx)
        return Failure("UsageError", _line(error.format_message()), error.exit_code, usage=usage)
    if isinstance(error, click.ClickException):
        return Failure("CommandError", _line(error.format_message()), error.exit_code)
    if isinstance(error, Auth0MetaError):
        facts = ((name, getattr(error, name, None)) for name in _FACTS)
        code = next(code for code, kinds in _EXIT_CODES if isinstance(error, kinds))
        known = tuple((name, value) for name, value in facts if value not in (None, "", 0, ()))
        return Failure(type(error).__name__, _line(str(error)), code, known)
    if isinstance(error, OSError):
        return Failure(type(error).__name__, _system(error))
    return Failure("Interrupted", "interrupted", INTERRUPTED)


def _line(text: str) -> str:
    return " ".join(text.split())


def _usage(context: click.Context) -> str:
    return f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n"


def _system(error: OSError) -> str:
    """Describe an error that is not the package's own: it is about the output, a file or the system."""
    why = error.strerror or str(error) or type(error).__name__
    # If descriptors ran out, the name of the file explains nothing.
    if error.filename and error.errno not in (errno.EMFILE, errno.ENFILE):
        return f"{error.filename}: {why}"
    what = "the output can't be written" if _was_printing(error) else "the system refused an operation"
    return f"{what}: {why}. Requests that were sent before this are not undone"


def _was_printing(error: OSError) -> bool:
    """Return whether an error was raised by click or rich, which do the printing."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PRINTERS
