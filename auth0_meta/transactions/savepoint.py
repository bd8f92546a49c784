"""Nested and joined parts of a transaction, and which transaction a new one joins."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Self

from auth0_meta.errors import StateError
from auth0_meta.http.channel import Channel
from auth0_meta.models import CommitResult
from auth0_meta.redact import discreet
from auth0_meta.transactions.bag import Scope
from auth0_meta.transactions.unit import CALLS, Part, State, Unit

_Key = tuple[object, tuple[object, ...], str]


class _OpenUnits(threading.local):
    """The units of work that a new transaction in the same thread may join.

    One table per thread.  In one table keyed by thread id, a new thread could be taken for one that has ended,
    since the system reuses ids.
    """

    def __init__(self) -> None:
        self.units: dict[_Key, list[weakref.ref[Unit]]] = {}


OPEN = _OpenUnits()
if hasattr(os, "register_at_fork"):  # pragma: no branch  # absent on Windows only
    # A block that is open in the parent ends in the parent: in the child nothing may join it.
    os.register_at_fork(after_in_child=lambda: OPEN.units.clear())  # noqa: PLW0108  # of the thread that forks


def open_unit(channel: Channel, user_id: str) -> Unit | None:
    """Return the unit that a transaction opened here and now would join, None if there is none.

    Channel, thread, greenlet, task and user have to agree; a channel and its views are one.  Context variables would
    not do: child tasks and `asyncio.to_thread` inherit them.
    """
    open_here = (ref() for ref in reversed(OPEN.units.get(_key(channel, user_id), ())))
    return next((unit for unit in open_here if unit is not None), None)


def _key(channel: Channel, user_id: str) -> _Key:
    return channel.hub, (_greenlet(), _asyncio_task(), _trio_task()), user_id


# Each of these asks a module only if the program has loaded it.  Another thread may be importing it just now and
# have half of it; a thread that runs a loop or greenlets has all of it.


def _greenlet() -> object:
    """Return the current greenlet, None in the main one of a thread.

    gevent's own `threading.local` would tell greenlets apart, but gevent may have patched the program without threads,
    or after this module was loaded.
    """
    current = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    if current is None:
        return None
    greenlet = current()
    return None if greenlet.parent is None else greenlet


def _asyncio_task() -> object:
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running is None or running() is None:
        return None
    return sys.modules["asyncio"].current_task()


def _trio_task() -> object:
    current = getattr(sys.modules.get("trio.lowlevel"), "current_task", None)
    try:
        return None if current is None else current()
    except RuntimeError:  # trio does not run in this thread
        return None


class Joinable:
    """Let others join a unit from `open` until `close`, which may be called in any thread, and more than once.

    It also ends with the unit.  An interrupt may keep `__exit__` from running at all; were the unit kept alive
    here, later transactions would join a block that nobody will leave, and their changes would be lost.
    """

    def __init__(self, unit: Unit) -> None:
        self._key = _key(unit.channel, unit.user_id)
        self._units = OPEN.units
        self._ref: weakref.ref[Unit] | None = weakref.ref(unit, self._forget)

    def open(self) -> None:
        """Let others join."""
        assert self._ref is not None  # noqa: S101  # it is opened once
        self._units[self._key] = [*self._units.get(self._key, ()), self._ref]

    def close(self) -> None:
        """Let no one join any more."""
        if self._ref is not None:
            self._forget(self._ref)
            self._ref = None  # a Ctrl-C that arrives while its callback runs would be lost

    def _forget(self, ended: weakref.ref[Unit]) -> None:
        # The others under the same key stay, whatever the order in which they end.
        others = [other for other in self._units.get(self._key, ()) if other is not ended]
        if others:
            self._units[self._key] = others
        else:
            self._units.pop(self._key, None)


@discreet
class Savepoint(Scope):
    """A part of a transaction: it merges into the outer one on success and vanishes on an exception.

    `tx.nested()` returns one, to be entered with `with`.  The outer transaction sends what it has staged, in
    the same PATCH, and `result` is the outer one's.  `rollback` drops what was staged since it was opened;
    `commit` raises `StateError`.
    """

    def __init__(self, unit: Unit, joined: Part | None = None) -> None:
        self._unit = unit
        self._part = joined
        self._joined = joined is not None

    @property
    def state(self) -> State:
        """Return the state; a part that has merged ends as the outer transaction does."""
        part = self._part
        if part is None or part.state is not State.COMMITTED:
            return State.ACTIVE if part is None else part.state
        while part is not None and part.state is State.COMMITTED:
            part = part.around
        around = self._unit.state if part is None else part.state
        return around if around in (State.ROLLED_BACK, State.FAILED) else State.COMMITTED

    @property
    def _joined_result(self) -> CommitResult:
        """Return how a block ended that has joined another transaction.  Raises `StateError` before the end."""
        part = self._part
        if part is not None and part.state is State.COMMITTED:
            return CommitResult(outcome="joined")
        if part is not None and part.state is State.ROLLED_BACK:
            return CommitResult(outcome="rolled_back")
        msg = (
            f"there is no result for {self.user_id} yet: this block is still open, and has joined another "
            "transaction, which is the one that commits"
        )
        raise StateError(msg)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.user_id!r} {self.state.value}: {self.pending}>"

    def _require(self, call: str) -> None:
        part = self._part
        if part is not None and part.state is not State.ACTIVE:
            msg = (
                f"can't {CALLS[call]} for {self.user_id}: this part of the transaction has ended: "
                "use the outer one"
            )
            raise StateError(msg)
        self._unit.require(call)
        if part is None and call != "enter":
            msg = f"a nested block for {self.user_id} was not entered: use `with tx.nested() as inner:`"
            raise StateError(msg)

    def __enter__(self) -> Self:
        self._require("enter")
        if self._part is not None:
            msg = f"this part of the transaction for {self.user_id} was entered before: open a new one"
            raise StateError(msg)
        self._part = self._unit.open_part()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._leave(error)

    @discreet
    def _leave(self, error: BaseException | None) -> None:
        """Merge this part into the one around it, or drop it after an error; do nothing if it has ended."""
        part = self._part
        if part is None or part.state is not State.ACTIVE:
            return
        if error is None:
            self._unit.merge_part(part, joined=self._joined)
            return
        self._unit.drop_parts(part)
        self._unit.warn_of_lost_blocks(error, part)

    def nested(self) -> Savepoint:
        """Return a part of this part, to be entered."""
        self._require("nested")
        return Savepoint(self._unit)

    def commit(self) -> CommitResult:
        """Raise `StateError`: the outer transaction commits."""
        self._require("commit")
        msg = f"this part of the transaction for {self.user_id} commits with the outer one: leave its block"
        raise StateError(msg)

    def rollback(self) -> None:
        """Drop what was staged since this part was opened; nothing is sent."""
        self._require("rollback")
        self._unit.refuse_open_parts("roll back", but=self._part)
        self._unit.drop_parts(self._part)
