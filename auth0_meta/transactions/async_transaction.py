"""Transactions for asyncio: staging stays in the event loop, every request goes to a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import Bag
from auth0_meta.clock import Cancelled
from auth0_meta.http.budget import MaxWait
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import CommitResult, User
from auth0_meta.transactions.bag import HasBags, MetadataBag
from auth0_meta.transactions.options import Lock, Oversize, TransactionOptions
from auth0_meta.transactions.savepoint import Savepoint
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import State, Unit

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")


class AsyncMetadataTransaction(HasBags):
    """A `MetadataTransaction` whose reads and commit are awaited, as `client.atransaction` opens it.

    Staging is as in `MetadataTransaction` and never blocks.  A read that staging can't answer needs
    `await tx.load()` before it, else `StateError`.  Leaving the block commits in a worker thread, so the event
    loop runs on while a 429 is waited out.  If the task is cancelled before the PATCH has left, nothing is sent; after
    that its outcome is awaited, `result` is set, and then the cancellation takes effect.  Blocks for one user in one
    task join, sync ones included; child tasks and `asyncio.to_thread` do not.  A sync block that has joined can't
    read before the load either.  Context variables are those of the task.  Raises as `MetadataTransaction` does.

    >>> async def job(client, user_id):
    ...     async with client.atransaction(user_id) as tx:
    ...         await tx.load()
    ...         tx.app_metadata.increment("counters.jobs")
    ...     return tx.result.requests
    >>> import asyncio
    >>> asyncio.run(job(tenant.client(), user.user_id))
    3
    """

    def __init__(
        self,
        client: HasChannel,
        user_id: str,
        /,
        *,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> None:
        options = TransactionOptions(
            base=base, base_check=base_check, lock=lock, join=join, max_wait=max_wait, oversize=oversize
        )
        self._open(Unit(client.channel, user_id, options))

    def _open(self, unit: Unit) -> None:
        self._channel = unit.channel
        self._tx = MetadataTransaction._of(unit)
        self._tx._awaited = unit.awaited = True

    @classmethod
    def _of(cls, unit: Unit) -> Self:
        """Return the transaction that a unit of work with settings of its own belongs to."""
        transaction = cls.__new__(cls)
        transaction._open(unit)
        return transaction

    def _bag(self, name: Bag) -> MetadataBag:
        return MetadataBag(self._tx, name)

    @property
    def user_id(self) -> str:
        """Return the id of the user that is changed."""
        return self._tx.user_id

    @property
    def state(self) -> State:
        """Return where this transaction stands."""
        return self._tx.state

    @property
    def pending(self) -> Change:
        """Return what is staged and not yet written, without I/O."""
        return self._tx.pending

    @property
    def result(self) -> CommitResult | None:
        """Return how it ended, None before."""
        return self._tx.result

    def __repr__(self) -> str:
        return f"<Async{repr(self._tx)[1:]}"

    async def load(self) -> None:
        """Read the user now, unless that is done: `GET /users/{id}`, scope `read:users`."""
        self._tx._require("load")
        await self._away(self._tx.load)

    async def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; leaving the block does the same.

        From then on, staging or committing again raises `StateError`, in nested parts too.
        """
        self._tx._begin_commit()
        unit = self._tx._unit
        return await self._away(unit.finish_commit, unit.abandon_commit)

    def rollback(self) -> None:
        """Drop what is staged; nothing is sent."""
        self._tx.rollback()

    def nested(self) -> Savepoint:
        """Return a part for a plain `with` block: it merges on success and vanishes on an exception."""
        return self._tx.nested()

    async def __aenter__(self) -> AsyncMetadataTransaction:
        self._tx.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._tx._savepoint is not None or self._tx.state is not State.ACTIVE:
            self._tx.__exit__(kind, error, trace)
            return
        try:
            await self.commit()
        except BaseException as failure:
            self._tx.__exit__(type(failure), failure, failure.__traceback__)  # in case it never began
            raise

    async def _away(self, call: Callable[[], _T], call_off: Callable[[], None] = lambda: None) -> _T:
        """Run blocking work in a worker thread; on cancellation end its waits, and await the rest.

        `call_off` is called if the work never begins.
        """
        # Whoever awaits this has loaded asyncio; a program without it need not.
        import asyncio  # noqa: PLC0415
        from concurrent.futures import Future  # noqa: PLC0415
        from contextvars import copy_context  # noqa: PLC0415

        cancelled = threading.Event()
        budget = self._tx._unit.budget
        budget.cancelled = cancelled
        work: Future[_T] = Future()  # either a thread begins it or it is cancelled, never both
        future = asyncio.wrap_future(work)
        stopped: asyncio.CancelledError | None = None
        try:
            try:
                # Tracing, request ids and tokens of the request that is served live in context variables.
                self._channel.threads.submit(copy_context().run, _carry, work, call)
            except RuntimeError:
                if work.cancel():  # else a running thread has taken it, though no new one could be started
                    raise
            while not future.done():
                try:
                    await asyncio.wait([future])
                except asyncio.CancelledError as cancel:
                    stopped = cancel
                    cancelled.set()
                    work.cancel()  # it may not have got a thread yet
        except BaseException:  # no thread to run it, or the loop is closing and nobody will await the rest
            cancelled.set()
            if work.cancel():
                call_off()
            raise
        if budget.cancelled is cancelled:  # no other call has begun meanwhile
            budget.cancelled = None
        if future.cancelled():
            call_off()
        if stopped is not None:
            failure = None if future.cancelled() else future.exception()
            raise stopped from (None if isinstance(failure, Cancelled) else failure)
        return future.result()


def _carry(work: Future[_T], call: Callable[[], _T]) -> None:
    """Do the work in this thread, unless it was cancelled before."""
    if not work.set_running_or_notify_cancel():
        return
    try:
        work.set_result(call())
    except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
        work.set_exception(error)
