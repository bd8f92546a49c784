"""Be the process that runs a migration's function: profiles come in as JSON lines, changes go out.

It can be killed at any time, writes to no tenant, and ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from typing import IO, Any

from auth0_meta.errors import Auth0MetaError
from auth0_meta.migrate.planning.evaluate import TOO_DEEP, Function, evaluate, load

_GRACE = 1.0


def _read(lines: IO[str], arrived: queue.SimpleQueue[str | None]) -> None:
    """Hand on what comes in; at its end the parent is gone or done, whatever the function is at."""
    for line in lines:
        arrived.put(line)
    arrived.put(None)
    threading.Event().wait(_GRACE)
    os._exit(0)  # pragma: no cover  # only where the function hangs, and then nothing can be written


def main(path: str) -> None:
    """Answer each line, {"fields", "profile"}, with one line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the function prints is talk

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, arrived), daemon=True).start()
    try:
        function, digest = load(path)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent has to say it
        answer({"failed": _why(error)})
        return
    answer({"digest": digest})
    file = str(os.path.realpath(path))
    while (line := arrived.get()) is not None:
        answer(_answer(function, line, file))


def _answer(function: Function, line: str, file: str) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except RecursionError:
        return {"error": TOO_DEEP}
    return evaluate(function, asked["profile"], fields=asked["fields"], file=file)


def _why(error: BaseException) -> str:
    if isinstance(error, (Auth0MetaError, OSError)):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{path_of(error)} line {error.lineno}: {error.msg}"
    if isinstance(error, ModuleNotFoundError):
        return f"it imports {error.name}, which is not installed"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = f" on line {trace.tb_lineno}" if trace is not None else ""
    return f"it raised {type(error).__name__}{line} when it was loaded"


def path_of(error: SyntaxError) -> str:
    """Return the short name of the file that does not parse."""
    return os.path.basename(error.filename or "it")
