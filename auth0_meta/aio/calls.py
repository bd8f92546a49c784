"""Await calls of the sync code: each runs in a worker thread, and a cancellation does what it should."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from auth0_meta.clock import SYSTEM_CLOCK, Cancelled
from auth0_meta.http.budget import MaxWait
from auth0_meta.http.channel import Channel
from auth0_meta.threads.errand import Errand
from auth0_meta.transactions.line import Line

_T = TypeVar("_T")
_log = logging.getLogger("auth0_meta")


class Calls:
    """Carry calls for one channel.

    Waiting for a free thread counts against the wait budget of the call.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def read(self, what: str, call: Callable[[], _T], *, max_wait: MaxWait = "client") -> _T:
        """Await a call that changes nothing, and abandon it at once if the task is cancelled."""
        return await self._carry(self._errand(what, call, max_wait), abandon=True)

    async def write(self, what: str, call: Callable[[], _T], *, max_wait: MaxWait = "client") -> _T:
        """Await a call that may change something.

        If the task is cancelled before the call has begun, nothing is sent.  After that, the call's outcome is awaited,
        logged, and added to the CancelledError as a note.
        """
        errand = self._errand(what, call, max_wait)
        try:
            return await self._carry(errand)
        except asyncio.CancelledError as cancelled:
            outcome = _outcome(errand)
            if outcome is not None:
                note = f"{what} had been sent when its task was cancelled: {outcome}"
                cancelled.add_note(note)
                _log.info("%s", note)
            raise

    async def finish(self, what: str, call: Callable[[], _T]) -> _T:
        """Await a call that must end with its task, as a write to a file must; a cancellation ends its requests."""
        return await self._carry(self._errand(what, call, "client"))

    async def _carry(self, errand: Errand[_T], *, abandon: bool = False) -> _T:
        carrier = self.channel.carrier
        await carrier.turn()
        return await carrier.carry(errand, abandon=abandon)

    def _errand(self, what: str, call: Callable[[], _T], max_wait: MaxWait) -> Errand[_T]:
        channel = self.channel
        return Errand(call, Line(channel, channel.budget(max_wait=max_wait), what))

    async def sleep(self, seconds: float) -> None:
        """Sleep by the client's clock; the system clock needs no thread, any other one does."""
        if self.channel.clock is SYSTEM_CLOCK:
            await asyncio.sleep(seconds)
        else:
            await self.channel.carrier.carry(Errand(partial(self.channel.pause, seconds)), abandon=True)


def _outcome(errand: Errand[Any]) -> str | None:
    """Return what became of a call whose task was cancelled, or None if nothing was sent."""
    if not errand.ended or errand.drop():
        return None
    failure = errand.failure
    try:
        if failure is None:
            return "it succeeded"
        if not isinstance(failure, Cancelled):
            return f"it ended with {type(failure).__name__}"
        if errand.budget is not None and errand.budget.in_flight:
            return "nothing shows whether it was applied, so check before you send it again"
        return None
    finally:
        del failure
