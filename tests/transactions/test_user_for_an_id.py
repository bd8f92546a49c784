"""A `User` is accepted wherever a user id is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import InputError, MetadataBatch, MetadataError, MetadataTransaction, User


def _commit(tx: Any) -> None:
    with tx:
        tx.app_metadata["n"] = 1


async def _acommit(local: Local, user: Any) -> None:
    async with local.client.atransaction(user) as tx:
        tx.app_metadata["n"] = 1


def _batch(local: Local, user: Any) -> None:
    with MetadataBatch(local.client) as batch:
        batch.user(user).app_metadata["n"] = 1
        if isinstance(user, User):
            assert batch.user(UID) is batch.user(user)


TAKES: dict[str, Callable[[Local, Any], object]] = {
    "client.transaction": lambda local, user: _commit(local.client.transaction(user)),
    "MetadataTransaction": lambda local, user: _commit(MetadataTransaction(local.client, user)),
    "client.atransaction": lambda local, user: asyncio.run(_acommit(local, user)),
    "client.run_transaction": lambda local, user: local.client.run_transaction(user, lambda tx: tx.app_metadata.set("n", 1)),
    "batch.user": _batch,
    "users.get": lambda local, user: local.client.users.get(user),
    "users.update": lambda local, user: local.client.users.update(user, {"app_metadata": {"n": 1}}),
    "users.delete": lambda local, user: local.client.users.delete(user),
}  # fmt: skip
takes = pytest.mark.parametrize("call", TAKES.values(), ids=TAKES)


@takes
def test_a_user_is_accepted_wherever_an_id_is(call: Callable[[Local, Any], object]) -> None:
    """The requests are those for the id."""
    with_id, with_user = Local(), Local()
    user = with_user.client.users.get(UID, fields=["email"])
    before = len(with_user.sent)
    call(with_id, UID)
    call(with_user, user)
    assert with_user.sent[before:] == with_id.sent != []
    assert with_user.bodies == with_id.bodies


@takes
def test_a_user_without_an_id_is_refused_by_name(call: Callable[[Local, Any], object]) -> None:
    """It was made from a part of a profile; nothing is sent."""
    local = Local()
    with pytest.raises(MetadataError, match="this User has no user_id"):
        call(local, User.from_dict({"email": "ada@example.com"}))
    assert len(local.tenant.journal) == 0


@takes
@pytest.mark.parametrize("wrong", [{"user_id": UID}, None, 5], ids=lambda wrong: type(wrong).__name__)
def test_anything_else_is_refused(call: Callable[[Local, Any], object], wrong: Any) -> None:
    """The error names its type; a profile as a dict has to become a `User` first."""
    local = Local()
    with pytest.raises(InputError, match=type(wrong).__name__):
        call(local, wrong)
    assert len(local.tenant.journal) == 0


def test_a_transaction_for_a_user_joins_one_for_the_id() -> None:
    """They are for the same user, and the transaction's own user_id is text."""
    local = Local()
    with local.tx() as outer:
        with local.client.transaction(User.from_dict({"user_id": UID})) as inner:
            inner.app_metadata["n"] = 1
        assert (inner.user_id, inner.result.outcome) == (UID, "joined")
        outer.app_metadata["m"] = 2
    assert local.bodies == [{"app_metadata": {"n": 1, "m": 2}}]
