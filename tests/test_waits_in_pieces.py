"""No call waits in C for long: a signal that arrives just before it would be handled only after it."""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path

import pytest

import auth0_meta
from auth0_meta.clock import LOOK_AGAIN, SYSTEM_CLOCK

PACKAGE = Path(auth0_meta.__path__[0])
WAITS = {"acquire", "get", "join", "result", "wait"}

# The main thread does not wait there, or not for long.
NOT_LONG = {
    "actions/runner.py: task.result()": "the task has ended",
    "auth/tokens.py: self._open.acquire()": "a new lock is free",
    "http/connections.py: idle.get()": "these pools never wait",
    "migrate/applying/runner.py: future.result()": "the future is done",
    "migrate/planning/sandbox.py: self._process.wait()": "the process was killed",
    "migrate/planning/sandbox.py: arrived.get()": "its process ignores Ctrl-C, and its parent ends it",
    "ratelimit/lanes.py: self._silent.acquire()": "a new lock is free",
    "testing.py: condition.wait()": "a fake clock waits for the test that moves it",
    "threads/carrier.py: errand.result()": "the errand is done",
    "threads/daemons.py: future.result()": "the future is done",
}


def endless_waits(path: Path) -> list[str]:
    """Return the calls of a module that may wait without a limit of time."""
    name = path.relative_to(PACKAGE).as_posix()
    return [
        f"{name}: {ast.unparse(call)}"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in WAITS
        and not call.args
        and not call.keywords
    ]


def test_nobody_waits_without_end_in_one_call() -> None:
    """Whoever waits looks again every now and then; the emulator's waits are those of its own threads."""
    checked = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "emulator"]
    assert len(checked) > 90
    assert {wait for path in checked for wait in endless_waits(path)} == set(NOT_LONG)


def test_a_long_sleep_is_many_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They add up to what was asked for."""
    now, slept = [50.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    SYSTEM_CLOCK.sleep(900)
    assert sum(slept) == 900
    assert max(slept) <= LOOK_AGAIN
    slept.clear()
    SYSTEM_CLOCK.sleep(0.25)
    assert slept == [0.25]


class Scripted(threading.Condition):
    """A condition whose waits take no time, and of which one is notified."""

    def __init__(self, now: list[float], notified: int) -> None:
        super().__init__()
        self.now, self.left, self.waited = now, notified, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        assert timeout is not None
        self.waited.append(timeout)
        self.now[0] += timeout
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize(
    ("seconds", "notified", "waits"),
    [(2.5, 0, [1.0, 1.0, 0.5]), (2.5, 2, [1.0, 1.0]), (None, 3, [1.0, 1.0, 1.0]), (0.25, 0, [0.25])],
)
def test_a_long_wait_is_many_short_ones(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, notified: int, waits: list[float]
) -> None:
    """It ends when the condition is notified or the time is over, and says which."""
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    condition = Scripted(now, notified)
    assert SYSTEM_CLOCK.wait(condition, seconds) is (notified > 0)
    assert condition.waited == waits
