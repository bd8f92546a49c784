"""Raise KeyboardInterrupt at a chosen line, as a signal handler may."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, Self

# Python 3.12 and 3.13 lose their place if a trace function raises at the line event of a jump backwards: no handler and
# no `with` block of that frame is found then, so nothing is closed (`INSTRUMENTED_JUMP` in its ceval_macros.h sets
# `next_instr` to NULL, and then computes the place from it).  A signal handler is called where the jump itself looks for
# signals, never from that event.  The event of the line's first instruction follows at once, and has no such mistake.
_AT_AN_INSTRUCTION = sys.version_info >= (3, 12)


class Interrupt:
    """Raise KeyboardInterrupt at the `nth` line of the given modules that this thread reaches.

    `raised` is the line at which that happened, "" if it did not.
    """

    def __init__(self, nth: int, *modules: ModuleType) -> None:
        self._left = nth
        self._files = {module.__file__ for module in modules}
        self._due = "opcode" if _AT_AN_INSTRUCTION else "line"
        self.raised = ""

    def __call__(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        """Trace the frames of these files."""
        if frame.f_code.co_filename not in self._files:
            return None
        frame.f_trace_opcodes = _AT_AN_INSTRUCTION
        if event == "line":
            self._left -= 1
        if event == self._due and self._left <= 0 and not self.raised:
            self.raised = f"{Path(frame.f_code.co_filename).name} line {frame.f_lineno}"
            raise KeyboardInterrupt
        return self

    def here(self) -> Self:
        """Return this, to trace a block, which must end with KeyboardInterrupt if one was raised."""
        return self

    # Not with @contextmanager: since Python 3.12 the frame of a generator that has caught an exception refers to the
    # frame of its caller, contextlib's `__exit__`, which refers to the exception.  That cycle would keep alive whatever
    # the interrupted frames refer to, and this is about what the interrupted code itself leaves behind.
    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = _AT_AN_INSTRUCTION  # 3.12 looks for this when tracing begins
        sys.settrace(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        sys.settrace(self._before)
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            return False
        assert bool(self.raised) is (kind is not None), self.raised
        return True
