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
import select
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

from auth0_meta.arguments import number
from auth0_meta.errors import Auth0MetaError, InputError
from auth0_meta.migrate.planning.evaluate import TOO_DEEP, Function, Profile, check, evaluate, load
from auth0_meta.migrate.planning.watched_user import Fields

_START_SECONDS = 60.0
_END_SECONDS = 3.0
_GRACE = 1.0
_MOST_PROCESSES = 3  # with three, storing the plans takes longer than computing them
_ALONE = 8
_MOST_AHEAD = 32 << 20
_CHUNK = 1 << 16
"""What a pipe holds at most."""
_COALESCE = 0.002
"""Seconds in which answers gather: waking up for each one costs more than handling it."""
_POLL = getattr(select, "poll", None)
"""None on Windows, where a pipe can't be waited for."""
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
# A terminal sends Ctrl-C to both processes; the parent handles it.
_CHILD = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "import sys; from auth0_meta.migrate.planning.sandbox import serve; serve(*sys.argv[1:])"
)
# What the child may know of the tenant: it writes to none, so it gets no credentials.
_OURS, _HARMLESS = "AUTH0_", frozenset({"AUTH0_AUDIENCE", "AUTH0_CUSTOM_DOMAIN", "AUTH0_DOMAIN"})


class Evaluator(Protocol):
    """What computes the changes for profiles; close it."""

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the file whose function it calls, None without a file."""
        ...

    @property
    def ahead(self) -> int:
        """How many batches it works on before anybody asks for the answers."""
        ...

    def another(self) -> Evaluator:
        """Return one that computes the same, if possible in another process."""
        ...

    def run(
        self, profiles: Sequence[Profile], *, fields: Fields = None, ops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order."""
        ...

    def close(self) -> None:
        """End its processes; closing twice is harmless."""


class InProcess:
    """Call a function of this process, without a time limit."""

    digest = None
    ahead = 0
    """How many batches it works on before anybody asks for the answers."""

    def __init__(self, function: object) -> None:
        self._function: Function = check(function, "the migration")
        self._file = getattr(getattr(function, "__code__", None), "co_filename", "")

    def another(self) -> InProcess:
        """Return itself: the function has only this process."""
        return self

    def run(
        self, profiles: Sequence[Profile], *, fields: Fields = None, ops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order."""
        for profile in profiles:
            yield evaluate(self._function, profile, fields=fields, file=self._file, ops=ops)

    def close(self) -> None:
        """Do nothing: there is no process to end."""


class _Process(subprocess.Popen[bytes]):
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
        self._todo: deque[bytes] = deque()
        """What was sent and has no answer yet."""
        self._start()

    def _start(self) -> None:
        # -P: or Python would look for every module in the current directory first, whoever has put it there.
        command = [sys.executable, "-P", "-c", _CHILD, str(self._path), self.digest or ""]
        self._process = _Process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
            bufsize=0,
            process_group=0,  # or Ctrl-C would hit the child before it can ignore it, and print a traceback
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._arrived: deque[bytearray] = deque()
        self._rest = bytearray()
        self._too_late = False
        self._input = cast("IO[bytes]", self._process.stdin)
        if _POLL is not None:
            os.set_blocking(self._input.fileno(), False)
        self._output = cast("IO[bytes]", self._process.stdout)
        self._reader = threading.Thread(target=_collect, args=(self._output, self._answers), daemon=True)
        self._reader.start()
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

    ahead = 1
    """How many batches it works on before anybody asks for the answers."""

    @property
    def unanswered(self) -> int:
        """Return how many bytes of profiles have no answer yet."""
        return sum(map(len, self._todo))

    def another(self, *, hash_seed: int = 1) -> Sandbox:
        """Return a second process for the same function; with another seed, sets have a different order there."""
        return Sandbox(self._path, timeout=self._timeout, hash_seed=hash_seed, digest=self.digest)

    def run(
        self, profiles: Sequence[Profile], *, fields: Fields = None, ops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order.

        The profiles are sent at once, and the process works on them until somebody asks for the answers.  Several such
        iterators must be exhausted in the order in which they were made.
        """
        settings = {"fields": None if fields is None else list(fields), "ops": ops}
        lines = [_line(profile, settings) for profile in profiles]
        self._todo.extend(lines)
        self._send(lines)
        return (self._answer() for _ in lines)

    def _answer(self) -> dict[str, Any]:
        """Return the next answer.  If the process has died of it, a new one gets what is left."""
        answer = self._next(self._timeout)
        self._todo.popleft()
        if "dead" in answer:
            self._start()
            self._send(self._todo)
        return answer

    def _send(self, lines: Iterable[bytes]) -> None:
        """Write lines to the process; one that has died, or that takes none, is noticed by `_next`."""
        rest = memoryview(b"".join(lines))
        with contextlib.suppress(OSError):  # it has died
            while rest:
                try:
                    rest = rest[os.write(self._input.fileno(), rest) :]
                except BlockingIOError:
                    # The pipe is full although a thread of the child empties it all the time: the function holds
                    # Python's lock, as a regular expression does.
                    if not _is_writable(self._input.fileno(), self._timeout):
                        self._too_late = True
                        self._process.kill()
                        return

    def _next(self, seconds: float) -> dict[str, Any]:
        """Return the next answer; {"dead", "error"} if none came and the process is gone."""
        while not self._arrived:
            try:
                chunk = self._answers.get(timeout=seconds)
            except queue.Empty:
                self._too_late = True
                self._process.kill()
                chunk = b""
            if not chunk:
                self.close()
                why = f"migrate() ended its process (exit code {self._process.returncode})"
                late = f"migrate() did not return within {seconds:g} s"
                return {"dead": True, "error": late if self._too_late else why}
            self._rest += chunk
            if b"\n" in chunk:
                *lines, last = self._rest.split(b"\n")
                self._arrived.extend(lines)
                self._rest = last
        answer: dict[str, Any] = json.loads(self._arrived.popleft())
        return answer

    def close(self) -> None:
        """End the process, by force if it does not react; closing twice is harmless."""
        with contextlib.suppress(OSError):
            self._input.close()  # the end of its input ends it
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_GRACE)  # unless the function has left a process behind that holds the pipe
        # It needs no finalizer of ours any more, and a Ctrl-C that comes while one runs is lost.
        self._process.__class__ = subprocess.Popen  # type: ignore[assignment]


class Sandboxes:
    """Run the function of a migration file in several processes if there are many users; see `Sandbox` for the rest.

    Each call of `run` is one batch, for one of the processes.  The first ones go to a single process, because starting
    another one takes as long as planning for hundreds of users.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 10.0) -> None:
        self._all = [Sandbox(path, timeout=timeout)]
        self._batches = 0
        self._most = min(_processors(), _MOST_PROCESSES)
        self.digest = self._all[0].digest

    @property
    def ahead(self) -> int:
        """How many batches it works on before anybody asks for the answers."""
        return len(self._all) if sum(one.unanswered for one in self._all) < _MOST_AHEAD else 0

    def another(self) -> Sandbox:
        """Return one more process for the same function, in which sets have a different order."""
        return self._all[0].another()

    def run(
        self, profiles: Sequence[Profile], *, fields: Fields = None, ops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield what `evaluate` returns for each profile, in order; the iterators must be exhausted in order, too."""
        self._batches += 1
        if self._batches > _ALONE and len(self._all) < self._most:
            self._all.append(self._all[0].another(hash_seed=0))
        return self._all[self._batches % len(self._all)].run(profiles, fields=fields, ops=ops)

    def close(self) -> None:
        """End the processes; closing twice is harmless."""
        with contextlib.ExitStack() as each:
            for one in self._all:
                each.callback(one.close)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _line(profile: Profile, settings: dict[str, Any]) -> bytes:
    """Return the line that is sent for a profile: null if the profile is nested too deeply to be written."""
    try:
        return _encode({"profile": profile, **settings}).encode() + b"\n"
    except RecursionError:
        return b"null\n"


def _is_writable(pipe: int, seconds: float) -> bool:
    """Wait until a pipe takes something, for some seconds at most; return whether it does."""
    assert _POLL is not None  # noqa: S101  # else the pipe would have blocked
    poll = _POLL()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def _collect(output: IO[bytes], answers: queue.SimpleQueue[bytes]) -> None:
    """Queue what comes, with many answers at a time if they come fast, and then b""."""
    pause = threading.Event()
    # Closed here, since an interrupt may have left nobody else who could.
    with contextlib.suppress(OSError), output:
        while chunk := os.read(output.fileno(), _CHUNK):
            answers.put(chunk)
            pause.wait(_COALESCE)
    answers.put(b"")


# In the child ------------------------------------------------------------------------------------------


def _receive(lines: IO[bytes], arrived: queue.SimpleQueue[bytes | None]) -> None:
    """Queue what comes in; at its end the parent is gone or done, even if the function still runs."""
    rest = bytearray()
    while chunk := os.read(lines.fileno(), _CHUNK):
        whole, end, last = chunk.rpartition(b"\n")
        if end:
            arrived.put(bytes(rest + whole))
            rest.clear()
        rest += last  # a line without an end is not answered: the parent was killed while it wrote
    arrived.put(None)
    threading.Event().wait(_GRACE)
    os._exit(0)  # pragma: no cover  # only if the function hangs: coverage can't be written then


def serve(path: str, digest: str = "") -> None:
    """Answer each line, {"profile", "fields", "ops"}, with one line; this runs in the child."""
    lines = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the function prints must not get between the answers
    try:
        _answer_all(path, digest, lines, answers)
    except BrokenPipeError:  # the parent was killed, and this must not leave a traceback on its terminal
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), answers.fileno())


def _answer_all(path: str, digest: str, lines: IO[bytes], answers: IO[bytes]) -> None:
    def answer(value: object) -> None:
        line = memoryview(_encode(value).encode() + b"\n")
        while line:
            line = line[answers.write(line) :]

    arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(lines, arrived), daemon=True).start()
    try:
        function, digest = load(path, digest or None)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent reports it
        answer({"failed": _why(error)})
        return
    answer({"digest": digest})
    file = str(os.path.realpath(path))
    while (several := arrived.get()) is not None:
        for line in several.split(b"\n"):
            request = None
            with contextlib.suppress(RecursionError):
                request = json.loads(line)
            if request is None:
                answer({"error": TOO_DEEP})
            else:  # the line, which is ASCII, is at least as long as the profile is in UTF-8
                answer(evaluate(function, **request, file=file, most=len(line)))


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
