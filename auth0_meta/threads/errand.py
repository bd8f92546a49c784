"""One blocking call that a worker thread does for a task of an event loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from asyncio import Future
    from contextvars import Context

_T = TypeVar("_T")
NO_THREAD = "no free thread"
"""The reason of a wait in line for a thread."""


class Line(Protocol):
    """What waiting for a free thread costs whoever waits."""

    def left(self) -> float | None:
        """Return the seconds for which it may wait, None for no limit."""

    def count(self) -> float:
        """Count the seconds in line once a thread is free, and return them; raise if they were too many."""

    def too_long(self) -> Exception:
        """Return the error for one that got no thread in time."""


class HasWaited(Protocol):
    """A wait budget: how long an operation has waited and why, and whether a request of it may have been received."""

    waited: float
    reasons: dict[str, None]
    in_flight: bool


class _Current(threading.local):
    errand: Errand[Any] | None = None


at_work = _Current()
"""`at_work.errand`: what this thread does for a task of an event loop, None in every other thread."""


class Errand(Generic[_T]):
    """One blocking call on its way to a thread; either a thread begins it or it is dropped, never both.

    `cancelled` is set once the task no longer wants the result; the waits of the call end then.
    """

    __slots__ = (
        *("_call", "_fate", "_reading", "budget", "cancelled", "context", "ended", "failure", "future", "lets_go"),
        *("line", "value", "waited"),
    )  # fmt: skip

    def __init__(self, call: Callable[[], _T], line: Line | None = None) -> None:
        self._call: Callable[[], _T] | None = call
        self.context: Context | None = None
        """The context variables that the call sees; the carrier sets it."""
        self._fate: dict[str, str] = {}  # the first value set stands, whichever thread sets it
        self._reading: list[Any] = []
        """The socket that a response to a read will come from; whoever takes it out has it to itself."""
        self.lets_go = True
        """Whether its request may be ended in the middle, since it is a read that nobody else needs."""
        self.line = line
        self.cancelled = threading.Event()
        self.budget: HasWaited | None = None
        """The wait budget of the operation that it began last."""
        self.waited = 0.0
        """The seconds in line, which the first operation has to count."""
        self.ended = False
        self.value: _T | None = None
        self.failure: BaseException | None = None
        self.future: Future[None] | None = None
        """What the task awaits."""

    def began(self, budget: HasWaited) -> None:
        """Note that this thread begins an operation; the first one counts the wait for the thread."""
        if self.waited:
            budget.waited += self.waited
            budget.reasons[NO_THREAD] = None
        self.budget, self.waited = budget, 0.0

    def cancel(self) -> None:
        """End its waits and its reads; a write that is under way goes on."""
        self.cancelled.set()
        self.let_go()

    def reads_from(self, sock: Any) -> None:
        """Note the socket from which the response to a read will come, so that a cancellation can end that."""
        self._reading = [sock]
        if self.cancelled.is_set():
            self.let_go()

    def has_read(self) -> bool:
        """Note that a read has its response; return False if its socket was let go, so that nobody uses it again."""
        try:
            self._reading.pop()
        except IndexError:
            return False
        return True

    def let_go(self) -> None:
        """End a read that is under way, by shutting its socket down."""
        with suppress(IndexError, OSError, TypeError):
            held = self._reading.pop()
            # Not with the method of a TLS socket, which another thread is reading from.
            socket.socket.shutdown(getattr(held, "socket", held), socket.SHUT_RDWR)

    def drop(self) -> bool:
        """Keep every thread from beginning it; return whether none has begun it, so none ever will."""
        return self._fate.setdefault("is", "dropped") == "dropped"

    def run(self) -> bool:
        """Do it in this thread; return False if it was dropped."""
        if self._fate.setdefault("is", "begun") == "dropped":
            return False
        call, self._call = self._call, None
        at_work.errand = self
        # Not in a future, which would hold an error whose frames hold the future, and with it what was read.
        try:
            if self.line is not None:
                self.waited = self.line.count()
            assert call is not None and self.context is not None  # noqa: S101, PT018  # for the type checker
            self.value = self.context.run(call)
        except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
            self.failure = error
        finally:
            at_work.errand = None
        self.ended = True
        return True

    def fail(self, error: BaseException) -> bool:
        """End it with an error, unless a thread has begun it."""
        if not self.drop():
            return False
        self.failure, self.ended = error, True
        return True

    def wake(self) -> None:
        """Let the task see what has become of it; called in the task's loop."""
        if self.future is not None and not self.future.done():
            self.future.set_result(None)

    def result(self) -> _T:
        """Return or raise what became of it, once."""
        value, failure, self.value, self.failure = self.value, self.failure, None, None
        try:
            if failure is not None:
                raise failure
            return cast("_T", value)
        finally:
            del failure  # or this frame and it would keep each other alive
