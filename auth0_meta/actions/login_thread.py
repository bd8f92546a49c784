"""The thread in which a login on an event loop does what blocks."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class LoginThread:
    """Call functions one after another in one thread, with the context variables of whoever creates this.

    `last` is called in that thread after `end`.  There is never a second thread, whatever interrupts `call`.  A
    `ThreadPoolExecutor` whose `submit` was interrupted starts another one, and a lock that the first thread took might
    then be released in the second.
    """

    def __init__(self, last: Callable[[], object]) -> None:
        self._last = last
        self._context = contextvars.copy_context()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._started = False

    def call(self, do: Callable[[], _T], /) -> Future[_T]:
        """Call a function once the earlier ones have returned; the future gets what it returns or raises."""
        future: Future[_T] = Future()
        self._work.put((future, do))
        if not self._started:
            # Set first: after an interrupt in `start` the thread may run or not, but no other one is started.
            self._started = True
            # A daemon, so that the interpreter does not wait for the thread of an abandoned loop.
            threading.Thread(target=self._run, name="auth0-meta-login", daemon=True).start()
        return future

    def end(self) -> None:
        """Let the thread end after the calls that it was given; if it has not started, it never will."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, do = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._context.run(do))
                except BaseException as error:  # noqa: BLE001  # raised where the future is waited for
                    future.set_exception(error)
            del work, future, do  # or they would keep the login alive while the thread waits
        self._context.run(self._last)
