"""Raise an exception, or call a function, at each line that a piece of work runs, one line per run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import auth0_meta

_PACKAGE = str(Path(auth0_meta.__file__).parent)
_TENANT = str(Path(auth0_meta.__file__).parent / "emulator")
_CLOCK = str(Path(auth0_meta.__file__).parent / "testing.py")
_Work = TypeVar("_Work", bound=Callable[[], object])


class Interrupt(BaseException):
    """Stands in for KeyboardInterrupt, which pytest would take for the user's."""


class SoftLimit(Exception):
    """Stands in for a soft time limit, which is an ordinary exception."""


class _Injector:
    """Count the lines of the client that this thread runs, and raise or call at one of them."""

    def __init__(self, at: int, act: type[BaseException] | Callable[[], object]) -> None:
        self._at, self._act = at, act
        self.lines = 0
        self.raised_at = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name.startswith((_TENANT, _CLOCK)):
            return None  # neither the tenant nor the fake clock is interrupted, nor what they call
        if name.startswith(_PACKAGE):
            self._lines(frame, "line", None)  # entering a function is an instant too
            return self._lines
        return self if event == "call" else None

    def _lines(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and not self.raised_at and not _in_tenant(frame):
            self.lines += 1
            if self.lines == self._at:
                self.raised_at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                if isinstance(self._act, type):
                    raise self._act
                self._act()
        return self._lines


def _in_tenant(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_TENANT):
            return True
        frame = frame.f_back
    return False


def at_every_line(
    make: Callable[[], _Work], act: type[BaseException] | Callable[[_Work], object], *, every: int = 1
) -> Iterator[tuple[_Work, str]]:
    """Create and do the work again and again, acting at a later line each time; yield the work and the line.

    `act`: the error to raise, or what to call in that place, as a signal handler is, with the work.  `every`: how many
    lines later.
    """
    at = 1
    while True:
        work = make()
        injector = _Injector(at, act if isinstance(act, type) else partial(act, work))
        before = sys.gettrace()
        sys.settrace(injector)
        try:
            work()
        finally:
            sys.settrace(before)
        if not injector.raised_at:
            return
        yield work, injector.raised_at
        at += every
