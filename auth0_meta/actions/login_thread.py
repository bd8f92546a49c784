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
    """Call functions one after another in one thread, with the context variables of whoever made this.

    `last` is called in that thread once `end` was.  There is one thread whatever interrupts the one that hands it work;
    a `ThreadPoolExecutor` whose `submit` was interrupted starts a second one, which may be where a lock is to be
    released that the first one has taken.
    """

    def __init__(self, last: Callable[[], object]) -> None:
        self._last = last
        self._context = contextvars.copy_context()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._started = False

    def call(self, do: Callable[[], _T], /) -> Future[_T]:
        """Call a function after those before it; what it returns or raises is in the future."""
        future: Future[_T] = Future()
        self._work.put((future, do))
        if not self._started:
            self._started = (
                True  # first: if starting it is interrupted, it may run or not, but there is no other
            )
            # A daemon: the interpreter does not wait for the thread of a loop that was given up.
            threading.Thread(target=self._run, name="auth0-meta-login", daemon=True).start()
        return future

    def end(self) -> None:
        """Let the thread end when it has done what it was given; if there is none yet, there will be none."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, do = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._context.run(do))
                except BaseException as error:  # noqa: BLE001  # whoever waits for it raises it
                    future.set_exception(error)
            del work, future, do  # they hold the login while the thread waits
        self._context.run(self._last)
