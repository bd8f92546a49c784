"""Run a command with a local tenant alongside it, for the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from auth0_meta.emulator.control.recipes import all_exports
from auth0_meta.emulator.control.snapshots import check_writable
from auth0_meta.emulator.process.running import running
from auth0_meta.emulator.process.serve import signals_handled
from auth0_meta.emulator.tenant import LocalTenant
from auth0_meta.errors import InputError

_NOT_EXECUTABLE, _NOT_FOUND, _SIGNALLED = 126, 127, 128
# Variables that would point the command at another tenant.
_HIDDEN = ("AUTH0_API_TOKEN", "AUTH0_AUDIENCE", "AUTH0_CUSTOM_DOMAIN")


def execute(
    command: Sequence[str],
    *,
    out: TextIO | None = None,
    save: str | None = None,
    on_ready: Callable[[LocalTenant], object] | None = None,
    **settings: Any,
) -> int:
    """Start a tenant, run `command` with an environment that points at it, and return its exit code.

    Signals are passed on.  As in a shell, the code is 128 plus the number of the signal that ended the command,
    and 126 or 127 if it can't be started.  `save` names a file for a snapshot at the end; raises
    `InputError` before anything is started if it can't be written.  `out` (None: stderr) gets a line for
    whatever is requested and not served, at once and again at the end.  `on_ready` is called once the tenant responds.  `settings` are those of `running`.  Call it from the main thread.
    """
    messages = out or sys.stderr
    if save is not None:
        check_writable(save)
    with running(messages, **settings) as (tenant, facts):
        if on_ready is not None:
            on_ready(tenant)
        environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        try:
            code = _run(command, environment | all_exports(facts))
        except FileNotFoundError:
            messages.write(f"error: {command[0]}: no such command\n")
            return _NOT_FOUND
        except OSError as error:
            messages.write(f"error: {command[0]}: {error.strerror}\n")
            return _NOT_EXECUTABLE
        if save is not None:
            try:
                tenant.save(save)
            except InputError as error:
                # The exit code of a failed command matters more.
                if code == 0:
                    raise
                messages.write(f"error: {error}\n")
    return code


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end, and pass on every signal that this process receives meanwhile."""
    early: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: object) -> None:
        if child is None:
            early.append(number)
        # The terminal sends Ctrl-C to the whole foreground group, so the child has already got it.
        elif not (number == signal.SIGINT and _in_foreground()):
            child.send_signal(number)

    # Windows has only the first two.
    with signals_handled(pass_on, "SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        child = subprocess.Popen(command, env=environment)  # noqa: S603  # the user asked to run it
        for number in early:
            child.send_signal(number)
        # Python runs a handler between two of its instructions, so a signal that arrives just before an unlimited
        # wait would reach the command only after it.  Hence the short waits.
        code = None
        while code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(timeout=1)
    return _SIGNALLED - code if code < 0 else code


def _in_foreground() -> bool:
    """Return whether a terminal's Ctrl-C reaches both this process and its child."""
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp()  # type: ignore[union-attr]  # None is caught
    except (AttributeError, OSError, ValueError):
        return False
