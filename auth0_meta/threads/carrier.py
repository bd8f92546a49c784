"""Carry blocking calls of asyncio tasks to worker threads, and the results back: the one way from a loop to a socket.

The threads of an interpreter share its lock.  Sixty-four that all have something to compute keep an event loop from
running for a third of a second, and are no faster than four.  So only a few calls at a time may be young, which means
busy rather than waiting for a response; the others stay in line for some milliseconds.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

from auth0_meta.clock import SYSTEM_CLOCK, Cancelled
from auth0_meta.errors import StateError
from auth0_meta.threads.errand import Errand

_T = TypeVar("_T")
_MOST_YOUNG = 4
"""How many calls may have begun a moment ago: each of them may keep the loop waiting for a switch interval, 5 ms."""
_YOUNG, _YOUNG_WHEN_LATE = 0.016, 0.25
"""Seconds after which a call waits for the network, not for the interpreter; the second number if the loop is late."""
_LATE = 0.004
_AT_ONCE = 0.25
"""Seconds that getting a free thread may take without counting as a wait."""
_SLICE = 16
"""How many calls begin in one round of a loop, and how many results it hands out, so that other tasks get their turn."""
_IDLE = 5.0
"""Seconds without work after which a thread ends; a new one starts when there is work again."""


class _Desk:
    """One loop's side of a carrier: what threads have finished for it, and what it is about to do."""

    __slots__ = ("__weakref__", "_begun", "_held", "_signalled", "done", "looking", "loop", "timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = weakref.ref(loop)
        self.done: deque[Errand[Any]] = deque()
        self._signalled = False
        self._begun = 0
        """How many calls have begun in this round of the loop."""
        self._held: deque[asyncio.Future[None]] = deque()
        """What tasks await if they may begin only in a later round."""
        self.looking = False
        """Whether the loop will check in its next round which threads to wake."""
        self.timer: asyncio.TimerHandle | None = None
        """The timer after which the loop checks again."""

    async def turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Await a later round of the loop if many calls have begun in this one, so that no round takes long."""
        if self._begun < _SLICE and not self._held:
            self._begun += 1
            if self._begun == 1:
                loop.call_soon(self._next_round, loop)
            return
        later = loop.create_future()
        self._held.append(later)
        await later

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._begun = 0
            for later in list(self._held)[:_SLICE]:
                if not later.done():  # its task was not cancelled
                    later.set_result(None)
                self._held.popleft()
                self._begun += 1
        finally:
            if self._begun or self._held:
                loop.call_soon(self._next_round, loop)

    def deliver(self, errand: Errand[Any]) -> None:
        """Hand a finished errand back, in any thread; one wake-up of the loop serves all errands that end meanwhile."""
        self.done.append(errand)
        if not self._signalled:
            self._signal()

    def _signal(self) -> None:
        self._signalled = True
        loop = self.loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._hand_out)
        except RuntimeError:  # it was closed: nobody awaits anything there any more
            self.done.clear()

    def _hand_out(self) -> None:
        """Wake tasks, a slice in each round of the loop."""
        self._signalled = False  # first: whoever finishes from here on signals again
        try:
            for _ in range(min(_SLICE, len(self.done))):
                self.done[0].wake()
                self.done.popleft()
        finally:
            if self.done and not self._signalled:
                self._signal()


class Carrier:
    """Up to `most` worker threads that do errands for the tasks of any number of loops.

    The threads are daemons, so that the program can end although one of them waits.  They end by themselves when there
    is nothing to do.  No lock is used, because Ctrl-C could leave it locked.
    """

    def __init__(self, most: int, *, name: str = "auth0-meta") -> None:
        self._most = most
        self._name = name
        self._line: deque[tuple[Errand[Any], _Desk]] = deque()
        self._bell: queue.SimpleQueue[None] = (
            queue.SimpleQueue()
        )  # one for each thread that is to begin something
        self._begun: dict[int, float] = {}
        """When each thread at work began its errand."""
        self._threads: dict[int, threading.Thread] = {}
        self._hired = 0
        self._young = _YOUNG
        self._closed = False
        self._desks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Desk] = weakref.WeakKeyDictionary()

    def _desk(self, loop: asyncio.AbstractEventLoop) -> _Desk:
        desk = self._desks.get(loop)
        if desk is None:
            desk = self._desks[loop] = _Desk(loop)
        return desk

    async def turn(self) -> None:
        """Await the turn of a task that is about to stage something: hundreds at once take turns."""
        loop = _running_loop()
        await self._desk(loop).turn(loop)

    async def carry(self, errand: Errand[_T], *, abandon: bool = False) -> _T:
        """Have an errand done, and return or raise what came of it.

        If the task is cancelled while the errand is in line, the errand is dropped.  After that, its waits end and the
        rest of it is awaited; the CancelledError is raised from the error that it ended with, if any.  `abandon`: the
        rest is not awaited.  Raises `StateError` without asyncio, and once the carrier is closed.
        """
        loop = _running_loop()
        desk = self._desk(loop)
        stopped: asyncio.CancelledError | None = None
        timer: asyncio.TimerHandle | None = None
        try:
            if self._closed:
                raise StateError("this client is closed: make a new one (nothing was sent)")
            if errand.line is not None and (left := errand.line.left()) is not None:
                timer = loop.call_later(max(left, _AT_ONCE), errand.wake)
            errand.context = (
                copy_context()
            )  # tracing, request ids and tokens of the request being served live in it
            self._line.append((errand, desk))
            if not desk.looking:
                # Not before the tasks that are ready have had their turn: threads would take the interpreter from them.
                desk.looking = True
                loop.call_soon(self._look, desk, loop)
            while not errand.ended:
                errand.future = loop.create_future()
                try:
                    await errand.future
                except asyncio.CancelledError as cancel:
                    stopped = cancel
                    errand.cancel()
                    if errand.drop() or abandon:
                        break
                if not errand.ended and stopped is None and errand.line is not None and errand.drop():
                    raise errand.line.too_long()
        except BaseException:  # Ctrl-C, or the loop is closing and will not run the rest
            errand.cancel()
            errand.drop()
            raise
        finally:
            errand.future = None
            if timer is not None:
                timer.cancel()
        if stopped is None:
            return errand.result()
        failure = errand.failure
        try:
            raise stopped from (None if isinstance(failure, Cancelled) else failure)
        finally:
            del failure, stopped

    # In a loop ----------------------------------------------------------------------------------------

    def _look(self, desk: _Desk, loop: asyncio.AbstractEventLoop) -> None:
        """Wake threads for what has come into line in this round."""
        desk.looking = False
        try:
            self._rouse(desk, loop)
        except BaseException:  # a signal handler's
            desk.looking = True
            loop.call_soon(self._look, desk, loop)
            raise

    def _look_again(self, desk: _Desk, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Wake more threads once those at work have turned out to wait for responses."""
        desk.timer = None
        self._young = _YOUNG_WHEN_LATE if loop.time() - due > _LATE else _YOUNG
        self._look(desk, loop)

    def _rouse(self, desk: _Desk, loop: asyncio.AbstractEventLoop) -> None:
        """Call as many threads as may begin something now, and look again soon if some errands stay in line."""
        for _ in range(min(len(self._line) - self._bell.qsize(), self._room())):
            self._bell.put(None)
        # Counted anew each time, from what is so: an interrupt may have come between any two of these lines.
        for _ in range(self._bell.qsize() - (len(self._threads) - len(self._begun))):
            if not self._hire():
                break
        if len(self._line) > self._bell.qsize() and desk.timer is None:
            desk.timer = loop.call_later(_YOUNG, self._look_again, desk, loop, loop.time() + _YOUNG)

    def _room(self) -> int:
        """Return how many more threads may be called now."""
        since = SYSTEM_CLOCK.monotonic() - self._young
        return _MOST_YOUNG - self._bell.qsize() - sum(begun > since for begun in list(self._begun.values()))

    def _hire(self) -> bool:
        """Start a thread, if there may be one more and the machine has one."""
        if len(self._threads) >= self._most:
            return False
        me = self._hired = self._hired + 1
        thread = threading.Thread(target=self._work, args=(me,), name=f"{self._name}_{me}", daemon=True)
        try:
            self._threads[me] = thread
            thread.start()
        except BaseException as error:
            if thread.ident is None:
                self._threads.pop(me, None)
            if not isinstance(error, RuntimeError):
                raise
            if not self._threads:
                self._refuse(error)
            return False
        return True

    def _refuse(self, error: RuntimeError) -> None:
        """End what is in line: the machine has no thread for it."""
        for errand, desk in list(self._line):
            if errand.fail(error):
                desk.deliver(errand)

    # In a thread --------------------------------------------------------------------------------------

    def _work(self, me: int) -> None:
        """Do what is in line whenever the bell rings, until it has been silent for long."""
        try:
            while self._is_called(me):
                self._do_all(me)
                if self._closed:
                    return
        finally:
            self._threads.pop(me, None)

    def _is_called(self, me: int) -> bool:
        """Wait for the bell; return False if it has been silent for so long that this thread should end."""
        with suppress(queue.Empty):
            self._bell.get(timeout=_IDLE)
            return True
        myself = self._threads.pop(me)
        with suppress(queue.Empty):
            self._bell.get_nowait()  # it was rung while this thread was still counted on
            self._threads[me] = myself
            return True
        return False

    def _do_all(self, me: int) -> None:
        """Do one errand, and more while few others are young."""
        while True:
            self._begun[me] = SYSTEM_CLOCK.monotonic()
            try:
                errand, desk = self._line.popleft()
                if errand.run():
                    desk.deliver(errand)
            except IndexError:  # others were faster
                return
            finally:
                del self._begun[me]
            del errand, desk  # an idle thread must not keep a result alive
            if self._room() <= 0 and not self._closed:
                return

    def close(self) -> None:
        """Refuse new errands; those in line are still done, and then the threads end."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._bell.put(None)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        msg = (
            "no event loop of asyncio runs here (nothing was sent). Under trio, use the sync client in a worker "
            "thread: trio.to_thread.run_sync(client.users.get, user_id)"
        )
    raise StateError(msg)
