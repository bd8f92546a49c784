"""Transactions for asyncio: staging stays in the event loop, every request goes to a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar, Unpack, cast

from auth0_meta.clock import Cancelled
from auth0_meta.errors import RateLimitError
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import CommitResult, UserId
from auth0_meta.redact import discreet
from auth0_meta.transactions.options import TransactionOptions, TransactionSettings
from auth0_meta.transactions.transaction import Transaction
from auth0_meta.transactions.unit import Unit
from auth0_meta.transactions.write import AT_ONCE
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
        await self._away(self._unit.load, Future())

    async def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; leaving the block does the same.

        From then on, staging or committing again raises `StateError`, in nested parts too.
        """
        work: Future[None] = Future()
        staged_at = self._staged_at
        try:
            self._begin_commit(work)
            return await self._away(self._unit.finish_commit, work, staged_at)
        except BaseException as error:
            # No thread has begun it, nor will; or the one that has begun it is done, perhaps since it came too late.
            if work.cancel() or work.done():
                self._unit.abandon_commit(work, failed=isinstance(error, RateLimitError))
            raise

    async def __aenter__(self) -> Self:
        return self._enter()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._exit(error):
                await self.commit()
        except BaseException as failure:
            if self._savepoint is None:
                self._exit(failure)  # in case the commit never began
            raise

    async def _away(self, call: Callable[[], _T], work: Future[None], staged_at: Place | None = None) -> _T:
        """Run blocking work in a worker thread; on cancellation end its waits, and await the rest.

        Either a thread begins `work`, or it is cancelled, never both.
        """
        # Whoever awaits this has loaded asyncio; other programs need not load it.
        import asyncio  # noqa: PLC0415
        from contextvars import copy_context  # noqa: PLC0415

        cancelled = threading.Event()
        channel, budget = self._unit.channel, self._unit.budget
        budget.cancelled = cancelled
        future = asyncio.wrap_future(work)
        stopped: asyncio.CancelledError | None = None
        left, queued = budget.left(), channel.clock.monotonic()

        ended: list[tuple[_T | None, BaseException | None]] = []

        line = place()
        # In a task of its own, such as wait_for makes, no line of the program stands below asyncio's.
        if line.globals.get("__name__", "").startswith("asyncio."):
            line = staged_at or line

        def begin() -> None:
            # Not in the future, which would hold an error whose frames hold the future, and with it the profile.
            try:
                self._count_queue(channel.clock.monotonic() - queued)
                with calling_from(line):
                    ended.append((call(), None))
            except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
                ended.append((None, error))

        try:
            try:
                # Tracing, request ids and tokens of the request that is served live in context variables.
                channel.threads.submit(copy_context().run, _carry, work, begin)
            except RuntimeError:
                if work.cancel():  # else a running thread has taken it, though no new one could be started
                    raise
            while True:
                if future.done():
                    break
                in_line = left is not None and stopped is None and not work.running()
                try:
                    await asyncio.wait([future], timeout=max(left or 0.0, AT_ONCE) if in_line else None)
                    if in_line and not future.done() and work.cancel():
                        raise self._no_thread(channel.clock.monotonic() - queued)
                except asyncio.CancelledError as cancel:
                    stopped = cancel
                    cancelled.set()
                    work.cancel()  # it may not have got a thread yet
        except BaseException:  # no thread could be started, or the loop is closing and will not run the rest
            cancelled.set()
            work.cancel()
            raise
        if budget.cancelled is cancelled:  # no other call has begun meanwhile
            budget.cancelled = None
        value, failure = ended.pop() if ended else (None, None)
        try:
            if stopped is not None:
                raise stopped from (None if isinstance(failure, Cancelled) else failure)
            if failure is not None:
                raise failure
            return cast("_T", value)
        finally:
            del failure, stopped  # or this frame and they would keep each other alive

    def _count_queue(self, waited: float) -> None:
        """Count the seconds for which no thread was free; raise if they have used up the wait budget."""
        budget = self._unit.budget
        left = budget.left()
        if waited > AT_ONCE:
            budget.waited += waited
            if left is not None and waited > left:
                raise self._no_thread(waited)

    def _no_thread(self, waited: float) -> RateLimitError:
        """Return the error for a transaction that got no worker thread in time."""
        budget = self._unit.budget
        msg = (
            f"no worker thread was free for {self.user_id} within {budget.bound}: others wait in all of them. "
            "Nothing was sent. Try again, or pass a larger pool_size or max_wait"
        )
        return self._unit.channel.out_of_time(msg, budget, waited=waited)


def _carry(work: Future[None], begin: Callable[[], None]) -> None:
    """Do the work in this thread, unless it has been cancelled."""
    if work.set_running_or_notify_cancel():
        begin()
        work.set_result(None)
