"""Use a transaction from asyncio: staging stays in the event loop, every request goes to a worker thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from auth0_meta.changes.change import Change
from auth0_meta.clock import Cancelled
from auth0_meta.models import CommitResult
from auth0_meta.transactions.bag import MetadataBag, refuse_assignment
from auth0_meta.transactions.states import State
from auth0_meta.transactions.transaction import MetadataTransaction

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

_T = TypeVar("_T")


class AsyncMetadataTransaction:
    """Be a `MetadataTransaction` whose reads and commit are awaited, as `client.atransaction` opens it.

    Staging is as in `MetadataTransaction` and never blocks.  A read that staging can't answer needs
    `await tx.load()` before it, else `StateError`.  Leaving the block commits in a worker thread, so the event
    loop goes on while a 429 is waited out.  Cancelled before the PATCH has left, nothing is sent; after
    that its outcome is awaited and `result` set, and the cancellation goes on.  Blocks for one
    user in one task join, sync ones included; child tasks and `asyncio.to_thread` do not.  A sync block that has joined
    can't read either before the load.  Raises as `MetadataTransaction` does.

    >>> async def job(client, user_id):
    ...     async with client.atransaction(user_id) as tx:
    ...         await tx.load()
    ...         tx.app_metadata.increment("counters.jobs")
    ...     return tx.result.requests
    >>> import asyncio
    >>> asyncio.run(job(tenant.client(), user.user_id))
    3
    """

    def __init__(self, client: ManagementClient, user_id: str, /, **settings: Any) -> None:
        self._tx = MetadataTransaction(client, user_id, **settings)
        self._tx.awaited()
        self._client = client

    @property
    def user_metadata(self) -> MetadataBag:
        """Return the bag that the user may edit, to stage changes on and, once loaded, to read."""
        return MetadataBag(self._tx, "user_metadata")

    @user_metadata.setter
    def user_metadata(self, value: object) -> None:
        refuse_assignment("user_metadata")

    @property
    def app_metadata(self) -> MetadataBag:
        """Return the application's bag, to stage changes on and, once loaded, to read."""
        return MetadataBag(self._tx, "app_metadata")

    @app_metadata.setter
    def app_metadata(self, value: object) -> None:
        refuse_assignment("app_metadata")

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
        self._tx.require("load")
        await self._away(self._tx.load)

    async def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; leaving the block does the same.

        From the call on, staging and another commit raise `StateError`, in parts of it too.
        """
        self._tx.begin_commit()
        return await self._away(self._tx.carry_out, self._tx.call_off)

    def rollback(self) -> None:
        """Drop what is staged; nothing is sent."""
        self._tx.rollback()

    def nested(self) -> MetadataTransaction:
        """Return a part for a plain `with` block: it merges on success and vanishes on an exception."""
        return self._tx.nested()

    async def __aenter__(self) -> AsyncMetadataTransaction:
        self._tx.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._tx.is_part or self._tx.state is not State.ACTIVE:
            self._tx.__exit__(kind, error, trace)
            return
        try:
            await self.commit()
        except BaseException as failure:
            self._tx.__exit__(type(failure), failure, failure.__traceback__)  # in case it never began
            raise

    async def _away(self, call: Callable[[], _T], call_off: Callable[[], None] = lambda: None) -> _T:
        """Run blocking work in a worker thread; a cancellation ends its waits and awaits the rest.

        `call_off` is called where the work never begins.
        """
        cancelled = threading.Event()
        budget = self._tx.awaited()
        budget.cancelled = cancelled
        work: Future[_T] = Future()  # begun by a thread or cancelled, never both
        future = asyncio.wrap_future(work)
        stopped: asyncio.CancelledError | None = None
        try:
            try:
                self._client.threads.submit(_carry, work, call)
            except RuntimeError:
                if work.cancel():  # else another thread has taken it, though no new one is to be had
                    raise
            while not future.done():
                try:
                    await asyncio.wait([future])
                except asyncio.CancelledError as cancel:
                    stopped = cancel
                    cancelled.set()
                    work.cancel()  # it may not have got a thread yet
        except BaseException:  # nothing to run it, or the loop has gone and nobody will await the rest
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
