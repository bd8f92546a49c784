"""What failed in a login: tell the log, and find the line of the action where it happened."""

from __future__ import annotations

import logging
import os
from types import TracebackType

from auth0_meta.errors import Auth0MetaError, RedirectError

_log = logging.getLogger("auth0_meta.actions")
# What may stand in a traceback before the action's own lines: asyncio does if the trigger has made a loop for it.
_BEFORE = frozenset({"auth0_meta", "asyncio"})


def report(error: Exception, *, user_id: str | None, action: str | None) -> None:
    """Log, once, why a login failed; `action` is the name of the action that raised `error`, None if none did.

    An exception of an action, and any that this package doesn't raise on purpose, is logged with its traceback.  For the
    others the message says everything.  A state or token that comes back from the browser may be anybody's, so a bad one
    is only a warning.
    """
    whose = f"the login of {user_id}" if user_id is not None else "a login that came back to /continue"
    if isinstance(error, RedirectError):
        _log.warning("%s can't continue: %s", whose, error)
    elif action is not None:
        _log.error("%s raised %s in %s", action, type(error).__name__, whose, exc_info=_info(error))
    elif isinstance(error, Auth0MetaError):
        _log.error("%s failed: %s", whose, error)
    else:
        _log.error("%s failed: %s", whose, type(error).__name__, exc_info=_info(error))


def place_of(error: Exception) -> str:
    """Return the file's name and the line of the action at which an exception was raised, as " (app.py:12)".

    If the action called a function, it is the line of that call.  To be asked as soon as the exception is caught: every
    frame that it passes later is added in front of its traceback.
    """
    trace = _own_part(error.__traceback__)
    if trace is None:
        return ""
    return f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"


def _info(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    """Return what to log of an exception: its traceback from the action on, without the lines that have called it."""
    return type(error), error, _own_part(error.__traceback__) or error.__traceback__


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _BEFORE:
        trace = trace.tb_next
    return trace
