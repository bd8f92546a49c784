"""Raise KeyboardInterrupt at a chosen line, as a signal handler may."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any


class Interrupt:
    """Raise KeyboardInterrupt at the `nth` line of the given modules that this thread reaches.

    `raised` is the line at which that happened, "" if it did not.
    """

    def __init__(self, nth: int, *modules: ModuleType) -> None:
        self._left = nth
        self._files = {module.__file__ for module in modules}
        self.raised = ""

    def __call__(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        """Trace the frames of these files."""
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line" and not self.raised:
            self._left -= 1
            if not self._left:
                self.raised = f"{Path(frame.f_code.co_filename).name} line {frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Trace this block, which must end with KeyboardInterrupt if one was raised."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        except KeyboardInterrupt:
            assert self.raised
        else:
            assert not self.raised
        finally:
            sys.settrace(before)
