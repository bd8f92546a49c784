"""Start the command line, or name the `cli` extra if it is not installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from auth0_meta._version import __version__
from auth0_meta.cli.commands import COMMANDS

__all__ = ["main"]

_EXTRA_PACKAGES = ("click", "rich")
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    `argv`: the words after the program's name; None takes them from `sys.argv`.
    The codes are 0 done, 1 failed, 2 wrong usage, 3 changes pending, 4 credentials refused, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        from auth0_meta.cli.app import run  # noqa: PLC0415  # click and rich may be missing

        return run(words)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA_PACKAGES:
            raise
        return _bare(words)
    except KeyboardInterrupt:  # before or after the command itself
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED


def load() -> None:
    """Load what the command that `sys.argv` names needs; `main` says what is missing."""
    with suppress(ModuleNotFoundError):  # click and rich may be missing
        for name in ("app", *(word for word in sys.argv[1:2] if word in COMMANDS)):
            import_module(f"auth0_meta.cli.{name}")


def _bare(words: Sequence[str]) -> int:
    """Handle --version and --help with the standard library alone; for anything else name the extra."""
    extra = "The command line needs the cli extra: pip install 'auth0-meta[cli]'"
    if list(words) in (["--version"], ["-V"]):
        print(f"auth0-meta {__version__}")
        return 0
    if not words or words[0] in ("--help", "-h", "help"):
        print("Usage: auth0-meta [OPTIONS] COMMAND [ARGS]...\n\nCommands:")
        for name, line in COMMANDS.items():
            print(f"  {name:12}{line}")
        print(f"\n{extra}")
        return 0
    print(f"error: {extra}", file=sys.stderr)
    return 2
