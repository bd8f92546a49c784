"""The process in which a migration's function runs, and the pipe to it: bounded in time, replaced when it dies.

A child process does not protect against hostile code.  It is there because only a process can be stopped from
outside when a function hangs, and because what the function does to its process (exit, os._exit, a crash) then
costs one user.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from auth0_meta.arguments import number
from auth0_meta.errors import Auth0MetaError, InputError
from auth0_meta.migrate.planning.evaluate import TOO_DEEP, Function, Profile, check, evaluate, load
from auth0_meta.migrate.planning.watched_user import Fields

_START_SECONDS = 60.0
_END_SECONDS = 3.0
_GRACE = 1.0
# A terminal sends Ctrl-C to both processes; the parent handles it.
_CHILD = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "import sys; from auth0_meta.migrate.planning.sandbox import serve; serve(*sys.argv[1:])"
)
# What the child may know of the tenant: it writes to none, so it gets no credentials.
_OURS, _HARMLESS = "AUTH0_", frozenset({"AUTH0_AUDIENCE", "AUTH0_CUSTOM_DOMAIN", "AUTH0_DOMAIN"})


class InProcess:
    """Call a function of this process, without a time limit."""

    digest = None

    def __init__(self, function: object) -> None:
        self._function: Function = check(function, "the migration")
        self._file = getattr(getattr(function, "__code__", None), "co_filename", "")

    def another(self) -> InProcess:
        """Return itself: the function has only this process."""
        return self

    def run(self, profiles: Sequence[Profile], *, fields: Fields = None) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order."""
        for profile in profiles:
            yield evaluate(self._function, profile, fields=fields, file=self._file)


class _Process(subprocess.Popen[str]):
    """A process that ends when it is forgotten, such as by an interrupt before anybody could have closed it.

    Popen keeps itself for as long as the process runs, with the pipe whose end would end the process.
    """

    def __del__(self) -> None:
        if (pipe := getattr(self, "stdin", None)) is not None:
            with contextlib.suppress(OSError):
                pipe.close()
        super().__del__()


class Sandbox:
    """Run the function of a migration file in a process of its own.

    `timeout`: seconds that one user may take; after that the process is killed, that user is an error, and the
    others continue in a new one.  `hash_seed` decides the order of sets in it.  `digest`: the SHA-256 that the file
    must have, None for any.  Raises `InputError` if the file can't be used; of a file with another digest nothing is run.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 10.0,
        hash_seed: int = 0,
        digest: str | None = None,
    ) -> None:
        self._timeout = number("timeout", timeout, above=0)
        self._path = Path(path)
        if not self._path.is_file():
            raise InputError(f"{path} does not exist")
        known = {name: value for name, value in os.environ.items() if name in _HARMLESS or name[:6] != _OURS}
        self._env = {**known, "PYTHONHASHSEED": str(hash_seed), "PYTHONIOENCODING": "utf-8"}
        self.digest = digest
        self._start()

    def _start(self) -> None:
        # -P: or Python would look for every module in the current directory first, whoever has put it there.
        command = [sys.executable, "-P", "-c", _CHILD, str(self._path), self.digest or ""]
        self._process = _Process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
            encoding="utf-8",
            process_group=0,  # or Ctrl-C would hit the child before it can ignore it, and print a traceback
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        pipes = (self._process.stdin, self._process.stdout)
        self._input, self._output = cast("tuple[IO[str], IO[str]]", pipes)
        threading.Thread(target=_collect, args=(self._output, self._answers), daemon=True).start()
        try:
            first = self._next(_START_SECONDS)
        except BaseException:
            self.close()
            raise
        if "digest" not in first:
            self.close()
            why = first.get("failed") or first["error"].replace("migrate()", "loading it")
            raise InputError(f"{self._path} can't be used as a migration: {why}")
        self.digest = first["digest"]

    def another(self) -> Sandbox:
        """Return a second process for the same function, in which sets have a different order."""
        return Sandbox(self._path, timeout=self._timeout, hash_seed=1, digest=self.digest)

    def run(self, profiles: Sequence[Profile], *, fields: Fields = None) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order."""
        known = None if fields is None else list(fields)
        todo = [_line(profile, known) for profile in profiles]
        while todo:
            with contextlib.suppress(OSError):  # it has died: `_next` says so
                self._input.writelines(todo)
                self._input.flush()
            while todo:
                answer = self._next(self._timeout)
                yield answer
                del todo[0]
                if "dead" in answer:
                    self._start()
                    break

    def _next(self, seconds: float) -> dict[str, Any]:
        """Return the next answer; {"dead", "error"} if none came and the process is gone."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            self.close()
            return {"dead": True, "error": f"migrate() did not return within {seconds:g} s"}
        if answer is None:
            self.close()
            why = f"migrate() ended its process (exit code {self._process.returncode})"
            return {"dead": True, "error": why}
        return answer

    def close(self) -> None:
        """End the process, by force if it does not react; closing twice is harmless."""
        with contextlib.suppress(OSError):  # nobody reads what was still to be flushed
            self._input.close()  # the end of its input ends it
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


Evaluator = InProcess | Sandbox
"""What computes the changes for profiles."""


def _line(profile: Profile, fields: list[str] | None) -> str:
    """Return the line that is sent for a profile: null if the profile is nested too deeply to be written."""
    try:
        return json.dumps({"fields": fields, "profile": profile}) + "\n"
    except RecursionError:
        return "null\n"


def _collect(lines: IO[str], answers: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Queue answers as they come, then None."""
    # Closed here as well, since an interrupt may have left nobody else who could.
    with contextlib.suppress(ValueError), lines:  # the pipe was closed, or a killed process left half a line
        for line in lines:
            answers.put(json.loads(line))
    answers.put(None)


# In the child ------------------------------------------------------------------------------------------


def _receive(lines: IO[str], arrived: queue.SimpleQueue[str | None]) -> None:
    """Queue what comes in; at its end the parent is gone or done, even if the function still runs."""
    for line in lines:
        if line.endswith("\n"):  # else the parent was killed while it wrote
            arrived.put(line)
    arrived.put(None)
    threading.Event().wait(_GRACE)
    os._exit(0)  # pragma: no cover  # only if the function hangs: coverage can't be written then


def serve(path: str, digest: str = "") -> None:
    """Answer each line, {"fields", "profile"}, with one line; this runs in the child."""
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the function prints must not get between the answers
    try:
        _answer_all(path, digest, lines, answers)
    except BrokenPipeError:  # the parent was killed, and this must not leave a traceback on its terminal
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), answers.fileno())


def _answer_all(path: str, digest: str, lines: IO[str], answers: IO[str]) -> None:
    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(lines, arrived), daemon=True).start()
    try:
        function, digest = load(path, digest or None)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent reports it
        answer({"failed": _why(error)})
        return
    answer({"digest": digest})
    file = str(os.path.realpath(path))
    while (line := arrived.get()) is not None:
        request = None
        with contextlib.suppress(RecursionError):
            request = json.loads(line)
        answer({"error": TOO_DEEP} if request is None else evaluate(function, **request, file=file))


def _why(error: BaseException) -> str:
    if isinstance(error, (Auth0MetaError, OSError)):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{os.path.basename(error.filename or 'it')} line {error.lineno}: {error.msg}"
    if isinstance(error, ModuleNotFoundError):
        return f"it imports {error.name}, which is not installed"
    frames = traceback.extract_tb(error.__traceback__)
    line = f" on line {frames[-1].lineno}" if frames else ""
    return f"it raised {type(error).__name__}{line} when it was loaded"
