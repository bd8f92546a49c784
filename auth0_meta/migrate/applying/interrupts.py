"""Handle Ctrl-C during a run."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupts(press: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C call `press` while the block runs.

    A KeyboardInterrupt between any two instructions would lose results that have just come in, so Python's own
    handler is replaced.  A handler of the program's stays: it may set `cancel`, and what it raises is caught in the
    run's loop.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: press())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
