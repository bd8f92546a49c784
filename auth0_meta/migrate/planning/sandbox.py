"""Hold the process in which a migration's function runs: bounded in time, replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from auth0_meta.errors import InputError
from auth0_meta.migrate.planning.evaluate import TOO_DEEP, Function, check, evaluate

_START_SECONDS = 60.0
_END_SECONDS = 3.0
_START = "import sys; from auth0_meta.migrate.planning.sandbox_process import main; main(sys.argv[1])"


class Evaluator(Protocol):
    """Describe what gives the changes for profiles."""

    digest: str | None

    def run(
        self, profiles: Sequence[Mapping[str, Any]], *, fields: Collection[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what `offline.evaluate` returns, for each profile in order; `fields`: what these can hold."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class InProcess:
    """Run a function of this process: no time limit, no protection, no digest."""

    digest: str | None = None

    def __init__(self, function: object) -> None:
        self._function: Function = check(function, "the migration")
        self._file = getattr(getattr(function, "__code__", None), "co_filename", "")

    def run(
        self, profiles: Sequence[Mapping[str, Any]], *, fields: Collection[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what the function stages for each profile."""
        for profile in profiles:
            yield evaluate(self._function, profile, fields=fields, file=self._file)

    def close(self) -> None:
        """Do nothing: the function is the caller's."""


class Host:
    """Run the function of a migration file in a process of its own.

    `timeout`: seconds that one user may take; then the process is killed, that user is an error, and the
    rest goes on in a new one.  `hash_seed` decides the order of sets in it.  Raises `InputError`
    for a file that can't be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 10.0, hash_seed: int = 0) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            msg = "timeout is a number of seconds above 0"
            raise InputError(msg)
        self._path = Path(path)
        if not self._path.is_file():
            msg = f"{path} does not exist"
            raise InputError(msg)
        self._timeout = timeout
        self._env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONIOENCODING": "utf-8"}
        self.digest: str | None = None
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-c", _START, str(self._path)]
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, the file that the caller named
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._env, encoding="utf-8"
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        threading.Thread(target=_collect, args=(self._process.stdout, self._answers), daemon=True).start()
        first = self._next(_START_SECONDS)
        if "digest" not in first:
            self.close()
            why = first.get("failed") or first["error"].replace("migrate()", "loading it")
            msg = f"{self._path} can't be used as a migration: {why}"
            raise InputError(msg)
        if self.digest not in (None, first["digest"]):
            self.close()
            msg = f"{self._path} has changed while it was in use: plan again"
            raise InputError(msg)
        self.digest = first["digest"]

    def run(
        self, profiles: Sequence[Mapping[str, Any]], *, fields: Collection[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what the function stages for each profile, in order."""
        asked = None if fields is None else list(fields)
        todo = [_line(profile, asked) for profile in profiles]
        while todo:
            self._send([line for line in todo if line is not None])
            for done, line in enumerate(todo):
                if line is None:
                    yield {"error": TOO_DEEP}
                    continue
                answer = self._next(self._timeout)
                yield answer
                if "dead" in answer:
                    todo = todo[done + 1 :]
                    self._start()
                    break
            else:
                return

    def _send(self, lines: list[str]) -> None:
        assert self._process.stdin is not None  # noqa: S101  # it is a pipe
        try:
            self._process.stdin.writelines(lines)
            self._process.stdin.flush()
        except OSError:  # it has died: the next answer says so
            pass

    def _next(self, seconds: float) -> dict[str, Any]:
        """Return the next answer; {"dead", "error"} where there is none and the process is gone."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            self.close()
            return {"dead": True, "error": f"migrate() did not return within {seconds:g} s"}
        if answer is None:
            self.close()
            return {
                "dead": True,
                "error": f"migrate() ended its process (exit code {self._process.returncode})",
            }
        return answer

    def close(self) -> None:
        """End the process, by force where it does not listen; closing twice is harmless."""
        _close(self._process.stdin)  # which ends it
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _close(self._process.stdout)


def _line(profile: Mapping[str, Any], fields: list[str] | None) -> str | None:
    """Return what the child is sent for a profile, None where it is too deep to be written."""
    try:
        return json.dumps({"fields": fields, "profile": profile}) + "\n"
    except RecursionError:
        return None


def _close(pipe: IO[str] | None) -> None:
    assert pipe is not None  # noqa: S101  # every process of ours has pipes
    with contextlib.suppress(OSError):  # what was still to be flushed has no reader
        pipe.close()


def _collect(lines: IO[str], answers: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Read answers as they come, then say that there are no more."""
    try:
        for line in lines:
            answers.put(json.loads(line))
    except ValueError:  # closed under us, or half a line of a killed process
        pass
    answers.put(None)
