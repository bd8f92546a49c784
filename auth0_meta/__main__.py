"""Run the command line, as `python -m auth0_meta` and as `auth0-meta`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

_INTERRUPTED = 130


def start() -> int:
    """Run the command that `sys.argv` names; Ctrl-C, from here to the end of the process, makes its exit code 130.

    Python's own handler does for the command, but not before and after it.  A KeyboardInterrupt that strikes while
    modules are loaded ends the process as if nobody had caught it, and one while the interpreter shuts down is lost.
    """
    python_handles_it = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if python_handles_it:
        signal.signal(signal.SIGINT, lambda *_: _leave("interrupted\n"))
    from auth0_meta.cli import load, main  # noqa: PLC0415  # not before the handler is there

    load()
    try:
        if python_handles_it:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done, and its code says how
    except KeyboardInterrupt:  # between two of these lines
        _leave("interrupted\n")
    if code == _INTERRUPTED:
        _leave()
    return code


def _leave(word: str = "") -> NoReturn:
    """End the process at once: everything has been closed, or nothing has begun."""
    for stream in (sys.stdout, sys.stderr):
        # There may be no such stream, or none that can be written now.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            if stream is sys.stderr:
                stream.write(word)
            stream.flush()
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(start())
