"""Run calls on daemon threads, and let them run ahead of whoever takes their results in order."""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from auth0_meta.clock import LOOK_AGAIN

_T = TypeVar("_T")
_R = TypeVar("_R")
_Call = tuple[Future[Any], Callable[[], Any]]


class StopFlag(threading.Event):
    """An event that a signal handler can set; it is also set while another event, the caller's, is set.

    `Event.set` takes a lock, which the interrupted code may be holding.  This one takes none, and so can only be asked,
    not waited for.
    """

    def __init__(self, other: threading.Event | None = None) -> None:
        super().__init__()
        self._mine, self._other = False, other

    def set(self) -> None:
        """Set this event for good, and leave the other one unchanged."""
        self._mine = True

    def is_set(self) -> bool:
        """Return whether this or the other one is set."""
        return self._mine or (self._other is not None and self._other.is_set())


class Threads(Executor):
    """Run calls for one other thread on up to `most` threads, which are started as needed.

    Unlike the threads of `ThreadPoolExecutor`, these are daemons: after a second Ctrl-C, or when an event loop has been
    abandoned, the program can end although one of them still waits for a response.  No lock is used, because an
    interrupt could leave it locked.  Even if `submit` is interrupted, there are never more than `most` threads: with
    one thread, a lock is released by the thread that took it.
    """

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._submitted = 0
        self._finished: list[int] = []
        """How many calls each thread has finished; each one counts only its own."""
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Schedule `fn(*args, **kwargs)` on a thread."""
        if self._closed:
            raise RuntimeError("these threads are shut down")
        future: Future[_T] = Future()
        self._submitted += 1
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        if len(self._threads) < min(self._submitted - sum(self._finished), self._most):
            mine = len(self._finished)
            self._finished.append(0)
            work = (weakref.ref(self), self._calls, self._finished, mine)
            thread = threading.Thread(target=_work, args=work, name=self._name, daemon=True)
            self._threads.append(thread)  # first: one whose start was interrupted may run or not
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the protocol
        """Refuse new calls; `wait` for the earlier ones, or cancel those that have not begun."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while cancel_futures:
                if (call := self._calls.get_nowait()) is not None:
                    call[0].cancel()
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                join(thread)

    def in_order(
        self,
        call: Callable[[_T], _R],
        items: Iterable[_T],
        *,
        at_once: Callable[[_T], bool],
        ahead: int,
        idle: Callable[[float], object],
    ) -> Iterator[_R]:
        """Yield `call(item)` for each item in order, with at most `ahead` calls begun or finished in advance.

        An item for which `at_once` is true costs no wait: `call` runs in this thread unless earlier calls are under way.
        `idle` is called every second until the next result is there, with the seconds so far.
        """
        under_way: deque[Future[_R]] = deque()
        try:
            yield from self._in_order(call, items, at_once, ahead, idle, under_way)
        finally:
            for future in under_way:
                future.cancel()

    def _in_order(
        self,
        call: Callable[[_T], _R],
        items: Iterable[_T],
        at_once: Callable[[_T], bool],
        ahead: int,
        idle: Callable[[float], object],
        under_way: deque[Future[_R]],
    ) -> Iterator[_R]:
        for item in items:
            if at_once(item) and not under_way:
                yield call(item)
                continue
            under_way.append(self.submit(call, item))
            if len(under_way) >= ahead:
                yield _result(under_way.popleft(), idle)
        while under_way:
            yield _result(under_way.popleft(), idle)


def join(thread: threading.Thread) -> None:
    """Wait until a thread has ended; one whose start was interrupted may never have begun."""
    while thread.is_alive():
        thread.join(LOOK_AGAIN)


def _result(future: Future[_R], idle: Callable[[float], object]) -> _R:
    """Wait for a future, and return or raise its result."""
    seconds = 0.0
    while not futures.wait((future,), LOOK_AGAIN).done:
        seconds += LOOK_AGAIN
        idle(seconds)
    return future.result()


def _work(
    owner: weakref.ref[Threads], calls: queue.SimpleQueue[_Call | None], finished: list[int], mine: int
) -> None:
    """Run one call after the other until None comes instead of one, or the owner is gone.

    The owner may vanish without a word, because an interrupt may keep everybody from shutting the threads down.  If a
    finalizer did that, it would be one more place where an interrupt can be lost.
    """
    while True:
        try:
            call = calls.get(timeout=LOOK_AGAIN)
        except queue.Empty:
            if owner() is None:
                return
            continue
        if call is None:
            return
        future, run = call
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(run())
            except BaseException as error:  # noqa: BLE001  # raised where the future is waited for
                future.set_exception(error)
        del call, future, run  # an idle thread must not keep a result alive
        finished[mine] += 1
