"""A batch for asyncio: staging awaits room instead of blocking, and leaving awaits the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Self, Unpack

from auth0_meta.http.channel import HasChannel
from auth0_meta.models import BatchResults, User, UserId
from auth0_meta.redact import discreet
from auth0_meta.threads.carrier import Carrier
from auth0_meta.threads.errand import Errand
from auth0_meta.transactions.batch import MetadataBatch
from auth0_meta.transactions.options import BatchSettings
from auth0_meta.transactions.transaction import MetadataTransaction

_LOOK_AGAIN = 0.02
"""Seconds between two checks for room.  Workers make room for many users at once, so they don't wait for this."""


@discreet
class AsyncMetadataBatch:
    """Stage changes for many users from asyncio and send one PATCH for each, as `aclient.batch(...)`.

    In every other respect it is a `MetadataBatch`: the same arguments, results and errors, and its own worker threads,
    which see the context variables of the task.  `on_result` and `on_progress` are called in these threads.  If the task
    is cancelled, in the block or on leaving it, sending stops: requests in flight are finished, the other users are
    reported as not sent, and the CancelledError propagates.

    >>> async def upgrade(aclient, user_ids):
    ...     async with aclient.batch() as batch:
    ...         for user_id in user_ids:
    ...             tx = await batch.user(user_id)
    ...             tx.app_metadata.set("plan", "pro")
    ...     return batch.results
    >>> import asyncio
    >>> asyncio.run(upgrade(tenant.client().aio, [user.user_id]))
    <BatchResults 1 updated>
    """

    def __init__(self, client: HasChannel, /, **settings: Unpack[BatchSettings]) -> None:
        self._batch = MetadataBatch(client, **settings)
        self.results: BatchResults = self._batch.results
        """Counts and failures, up to date at any time."""
        # A carrier of its own: leaving may take hours, and must not wait for a thread that waits for this batch.
        self._carrier = Carrier(1, name="auth0-meta-batch-end")

    def __repr__(self) -> str:
        return repr(self._batch).replace(type(self._batch).__name__, type(self).__name__, 1)

    async def user(
        self, user: UserId, /, *, base: User | Mapping[str, Any] | None = None
    ) -> MetadataTransaction:
        """Return the transaction to stage this user's changes on: `MetadataBatch.user`, awaited.

        While the workers are behind, this waits and other tasks run.  The transaction is only for staging: a read that
        the staged changes can't answer raises `StateError`.
        """
        while (tx := self._batch._user_at_once(user, base=base)) is None:
            await asyncio.sleep(_LOOK_AGAIN)
        tx._unit.awaited = True
        tx._unit.instead_of_blocking = "pass base= to batch.user(), or change this user in a transaction"
        return tx

    async def __aenter__(self) -> Self:
        self._batch.__enter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave = Errand(partial(self._batch.__exit__, kind, error, trace))
        leave.cancelled = self._batch._cancelled
        try:
            await self._carrier.carry(leave)
        finally:
            self._carrier.close()
