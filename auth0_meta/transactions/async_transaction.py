"""Transactions for asyncio: staging stays in the event loop, every request goes to a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Self, TypeVar, Unpack

from auth0_meta.errors import RateLimitError
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import CommitResult, UserId
from auth0_meta.redact import discreet
from auth0_meta.threads.errand import Errand
from auth0_meta.transactions.line import Line
from auth0_meta.transactions.options import TransactionOptions, TransactionSettings
from auth0_meta.transactions.transaction import Transaction
from auth0_meta.transactions.unit import Unit
from auth0_meta.warn import Place, calling_from, place

_T = TypeVar("_T")


@discreet
class AsyncMetadataTransaction(Transaction):
    """A `MetadataTransaction` whose reads and commit are awaited, as `client.atransaction` opens it.

    Staging is as in `MetadataTransaction` and never blocks.  A read that staging can't answer needs
    `await tx.load()` before it, or it raises `StateError`.  Leaving the block commits in a worker thread, so the event
    loop runs on while a 429 is waited out.  Waiting for a free thread counts against `max_wait`.

    If the task is cancelled before the PATCH has left, nothing is sent.  Later, the outcome is awaited and `result` is
    set before the cancellation takes effect.  Blocks for one user in one task join, sync ones included; child tasks
    and `asyncio.to_thread` do not.  A sync block that has joined can't read before the load either.  Requests see the
    context variables of the task.  Endpoints, scopes and errors are those of `MetadataTransaction`.

    >>> async def job(client, user_id):
    ...     async with client.atransaction(user_id) as tx:
    ...         await tx.load()
    ...         tx.app_metadata.increment("counters.jobs")
    ...     return tx.result.requests
    >>> import asyncio
    >>> asyncio.run(job(tenant.client(), user.user_id))
    3
    """

    _awaited = True

    def __init__(self, client: HasChannel, user: UserId, /, **settings: Unpack[TransactionSettings]) -> None:
        self._open(Unit(client._channel, user, TransactionOptions(**settings)))

    async def load(self) -> None:  # type: ignore[override]  # awaited, like all that sends
        """Read the user now, unless that is done: `GET /users/{id}`, scope `read:users`."""
        self._require("load")
        await self._away(self._errand(self._unit.load))

    async def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; leaving the block does the same.

        From then on, staging or committing again raises `StateError`, in nested parts too.
        """
        errand = self._errand(self._unit.finish_commit, self._staged_at)
        try:
            self._begin_commit(errand)
            return await self._away(errand)
        except BaseException as error:
            # No thread has begun it, nor will; or the one that has begun it is done, perhaps since it came too late.
            if errand.drop() or errand.ended:
                self._unit.abandon_commit(errand, failed=isinstance(error, RateLimitError))
            raise

    async def __aenter__(self) -> Self:
        await self._unit.channel.carrier.turn()
        return self._enter()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._exit(error):
                await self.commit()
        except BaseException as failure:
            if self._savepoint is None:
                self._exit(failure)  # in case the commit never began
            raise

    def _errand(self, call: Callable[[], _T], staged_at: Place | None = None) -> Errand[_T]:
        """Return a call to be carried to a thread; its warnings point at the line that awaits it."""
        line = place()
        # In a task of its own, such as wait_for makes, no line of the program stands below asyncio's.
        if line.is_asyncio:
            line = staged_at or line
        unit = self._unit
        return Errand(partial(_calling, line, call), Line(unit.channel, unit.budget, unit.user_id))

    async def _away(self, errand: Errand[_T]) -> _T:
        """Have an errand done by a worker thread; once cancelled, its waits end."""
        budget, cancelled = self._unit.budget, errand.cancelled
        budget.cancelled = cancelled
        try:
            return await self._unit.channel.carrier.carry(errand)
        finally:
            # A thread may still be at work if the coroutine was closed, and another call may have begun meanwhile.
            if budget.cancelled is cancelled and (errand.drop() or errand.ended):
                budget.cancelled = None


def _calling(line: Place, call: Callable[[], _T]) -> _T:
    with calling_from(line):
        return call()
