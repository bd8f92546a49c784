"""Run a function in a transaction, and again if something that it has read changed meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from auth0_meta.arguments import whole
from auth0_meta.errors import ConflictError, InputError, StateError
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import Target
from auth0_meta.models import UserId
from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction
from auth0_meta.transactions.options import TransactionOptions
from auth0_meta.transactions.savepoint import open_unit
from auth0_meta.transactions.transaction import MetadataTransaction, Transaction
from auth0_meta.transactions.unit import State, Unit

_T = TypeVar("_T")
# Writers that conflict must not try again in step.  Past a second or so, more doubling would only cost time.
_DOUBLINGS = 5


class Attempts:
    """Decide whether a function is run in another transaction, after one that has met a conflict.

    Raises `InputError` for a malformed user id, and `StateError` inside an open transaction for the same user.
    """

    def __init__(self, channel: Channel, user: UserId, *, attempts: int, options: TransactionOptions) -> None:
        whole("attempts", attempts)
        self._channel = channel
        self.user_id = Target.user(user).id  # refuses a malformed one before anything else
        self._options = options
        self._left = attempts
        self._made = 0
        if options.join and open_unit(channel, self.user_id) is not None:
            msg = (
                f"a transaction for {self.user_id} is open here: run_transaction can't run inside it; change that one "
                "instead, or pass join=False (nothing was sent)"
            )
            raise StateError(msg)

    def unit(self) -> Unit:
        """Return the unit of work of the next attempt."""
        self._left -= 1
        self._made += 1
        return Unit(self._channel, self.user_id, self._options)

    def pause_after(self, tx: Transaction) -> float | None:
        """Return the seconds to wait after a conflict; None if another transaction or the last attempt met it."""
        if tx.state is not State.FAILED or self._left == 0:
            return None
        self._options = self._options._replace(
            base=None, base_check=False
        )  # the conflict shows that it is stale
        longer: int = 2 ** min(self._made, _DOUBLINGS)
        return self._channel.random.uniform(0.01, 0.05) * longer


def run(
    channel: Channel,
    user: UserId,
    fn: Callable[[MetadataTransaction], _T],
    *,
    attempts: int,
    options: TransactionOptions,
) -> _T:
    """Do the work of `ManagementClient.run_transaction`."""
    if inspect.iscoroutinefunction(fn):
        whole("attempts", attempts)
        raise InputError(_asynchronous(Target.user(user).id))
    tries = Attempts(channel, user, attempts=attempts, options=options)
    while True:
        tx = MetadataTransaction._of(tries.unit())
        try:
            with tx:
                value = fn(tx)
                if inspect.iscoroutine(value):
                    value.close()
                    raise InputError(_asynchronous(tries.user_id))
        except ConflictError:
            if (pause := tries.pause_after(tx)) is None:
                raise
            channel.pause(pause)
        else:
            return value


async def run_async(
    channel: Channel,
    user: UserId,
    fn: Callable[[AsyncMetadataTransaction], Awaitable[_T]],
    sleep: Callable[[float], Awaitable[object]],
    *,
    attempts: int,
    options: TransactionOptions,
) -> _T:
    """Do the work of `AsyncManagementClient.run_transaction`."""
    tries = Attempts(channel, user, attempts=attempts, options=options)
    while True:
        tx = AsyncMetadataTransaction._of(tries.unit())
        try:
            async with tx:
                work = fn(tx)
                if not hasattr(work, "__await__"):
                    raise InputError(_plain(tries.user_id))
                value = await work
        except ConflictError:
            if (pause := tries.pause_after(tx)) is None:
                raise
            await sleep(pause)
        else:
            return value


def _asynchronous(user_id: str) -> str:
    return (
        f"the function for {user_id} is asynchronous, and run_transaction would not await it (nothing was sent): "
        "pass a plain one, or use `await client.aio.run_transaction(...)`"
    )


def _plain(user_id: str) -> str:
    return (
        f"the function for {user_id} is not asynchronous (nothing was sent): pass an `async def` that awaits `tx.load()` "
        "before it reads, or use `await asyncio.to_thread(client.run_transaction, ...)`"
    )
