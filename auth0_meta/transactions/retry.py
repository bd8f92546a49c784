"""Run a function in a transaction, and again if something that it has read changed meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

from auth0_meta.arguments import whole
from auth0_meta.errors import ConflictError, InputError, StateError
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import Target
from auth0_meta.models import UserId
from auth0_meta.transactions.options import TransactionOptions
from auth0_meta.transactions.savepoint import open_unit
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import State, Unit

_T = TypeVar("_T")
# Writers that conflict must not try again in step.  Past a second or so, more doubling would only cost time.
_DOUBLINGS = 5


def run(
    channel: Channel,
    user: UserId,
    fn: Callable[[MetadataTransaction], _T],
    *,
    attempts: int,
    options: TransactionOptions,
) -> _T:
    """Do the work of `ManagementClient.run_transaction`."""
    whole("attempts", attempts)
    user_id = Target.user(user).id  # refuses a malformed one before anything else
    if inspect.iscoroutinefunction(fn):
        raise InputError(_asynchronous(user_id))
    if options.join and open_unit(channel, user_id) is not None:
        msg = (
            f"a transaction for {user_id} is open here: run_transaction can't run inside it; change that one instead, "
            "or pass join=False (nothing was sent)"
        )
        raise StateError(msg)
    for attempt in range(1, attempts + 1):
        tx = MetadataTransaction._of(Unit(channel, user_id, options))
        try:
            with tx:
                value = fn(tx)
                if inspect.iscoroutine(value):
                    value.close()
                    raise InputError(_asynchronous(user_id))
        except ConflictError:
            if tx.state is not State.FAILED or attempt == attempts:  # of another transaction, or the last run
                raise
            options = options._replace(base=None, base_check=False)  # the conflict shows that it is stale
            channel.clock.sleep(channel.random.uniform(0.01, 0.05) * 2 ** min(attempt, _DOUBLINGS))
        else:
            return value
    raise AssertionError  # pragma: no cover  # the loop returns or raises


def _asynchronous(user_id: str) -> str:
    return (
        f"the function for {user_id} is asynchronous, and run_transaction would not await it (nothing was sent): "
        "pass a plain one, or use `async with client.atransaction(...)`"
    )
