"""Raise an exception at each line that a piece of work runs, one line per run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import auth0_meta

_PACKAGE = str(Path(auth0_meta.__file__).parent)
_TENANT = str(Path(auth0_meta.__file__).parent / "emulator")
_Work = TypeVar("_Work", bound=Callable[[], object])


class Interrupt(BaseException):
    """Stands in for KeyboardInterrupt, which pytest would take for the user's."""


class SoftLimit(Exception):
    """Stands in for a soft time limit, which is an ordinary exception."""


class _Injector:
    """Count the lines of the client that this thread runs, and raise at one of them."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self._at, self._error = at, error
        self.lines = 0
        self.raised_at = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name.startswith(_TENANT):
            return None  # neither the tenant nor what it calls is interrupted
        if name.startswith(_PACKAGE):
            self._lines(frame, "line", None)  # entering a function is an instant too
            return self._lines
        return self if event == "call" else None

    def _lines(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and not self.raised_at and not _in_tenant(frame):
            self.lines += 1
            if self.lines == self._at:
                self.raised_at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise self._error
        return self._lines


def _in_tenant(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_TENANT):
            return True
        frame = frame.f_back
    return False


def at_every_line(
    make: Callable[[], _Work], error: type[BaseException], *, every: int = 1
) -> Iterator[tuple[_Work, str]]:
    """Create and do the work again and again, raising `error` at a later line each time; yield the work and the line.

    `every`: how many lines later.
    """
    at = 1
    while True:
        work, injector = make(), _Injector(at, error)
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
