"""Every call in every state (promise 9)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import (
    BadRequestError,
    CommitResult,
    MetadataTransaction,
    NotFoundError,
    ServerError,
    StateError,
    TransportError,
)
from auth0_meta.transactions.unit import CALLS, State

Call = Callable[[MetadataTransaction], object]

# Every public call, under its name in CALLS.
CALLED: list[tuple[str, str, Call]] = [
    ("stage", "[]=", lambda tx: tx.user_metadata.__setitem__("b", 1)),
    ("stage", "del", lambda tx: tx.user_metadata.__delitem__("b")),
    ("stage", "set", lambda tx: tx.user_metadata.set("b.c", 1)),
    ("stage", "delete", lambda tx: tx.user_metadata.delete("b.c")),
    ("stage", "merge", lambda tx: tx.app_metadata.merge({"b": 1})),
    ("stage", "append", lambda tx: tx.app_metadata.append("b", 1)),
    ("stage", "increment", lambda tx: tx.app_metadata.increment("b")),
    ("stage", "replace", lambda tx: tx.app_metadata.replace({"b": 1})),
    ("stage", "clear", lambda tx: tx.app_metadata.clear()),
    ("stage", "update", lambda tx: tx.app_metadata.update(b=1)),
    ("read", "get", lambda tx: tx.user_metadata.get("n")),
    ("read", "[]", lambda tx: tx.user_metadata["n"]),
    ("read", "in", lambda tx: "n" in tx.user_metadata),
    ("read", "iter", lambda tx: list(tx.user_metadata)),
    ("read", "len", lambda tx: len(tx.user_metadata)),
    ("read", "==", lambda tx: tx.user_metadata == {}),
    ("read", "to_dict", lambda tx: tx.user_metadata.to_dict()),
    ("load", "load", lambda tx: tx.load()),
    ("nested", "nested", lambda tx: tx.nested()),
    ("enter", "with", lambda tx: tx.__enter__()),
    ("commit", "commit", lambda tx: tx.commit()),
    ("rollback", "rollback", lambda tx: tx.rollback()),
]


def _active(local: Local) -> MetadataTransaction:
    return local.tx()


def _committed(local: Local) -> MetadataTransaction:
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
    return tx


def _rolled_back(local: Local) -> MetadataTransaction:
    with contextlib.suppress(LookupError), local.tx() as tx:
        tx.user_metadata["a"] = 1
        raise LookupError
    return tx


def _failed(local: Local) -> MetadataTransaction:
    local.tenant.fail(method="PATCH", status=400)
    with contextlib.suppress(BadRequestError), local.tx() as tx:
        tx.user_metadata["a"] = 1
    return tx


REACHED: dict[State, Callable[[Local], MetadataTransaction]] = {
    State.ACTIVE: _active,
    State.COMMITTED: _committed,
    State.ROLLED_BACK: _rolled_back,
    State.FAILED: _failed,
}
calls = pytest.mark.parametrize(
    ("kind", "call"), [row[::2] for row in CALLED], ids=[row[1] for row in CALLED]
)


def test_every_public_call_is_tried() -> None:
    """Every kind of call in CALLS is tried here, and no other."""
    assert {row[0] for row in CALLED} == set(CALLS)


@calls
@pytest.mark.parametrize("state", REACHED)
def test_a_call_works_or_raises_in_every_state(state: State, kind: str, call: Call) -> None:
    """A legal call works; an illegal one sends nothing and raises StateError with the user and the next step."""
    local = Local({"n": 1})
    tx = REACHED[state](local)
    assert tx.state is state
    before, holds = local.sent, local.user_metadata
    if state is State.ACTIVE:
        call(tx)
        if tx.state is State.ACTIVE:
            tx.rollback()
        return
    result = tx.result
    with pytest.raises(StateError, match="open a new one") as raised:
        call(tx)
    assert UID in str(raised.value)
    assert (local.sent, local.user_metadata, tx.state, tx.result) == (before, holds, state, result)


@calls
def test_every_call_raises_during_the_commit(kind: str, call: Call) -> None:
    """Called in on_wait, it raises StateError and sends nothing."""
    local = Local({"n": 1})
    assert kind in CALLS
    raised: list[StateError] = []

    def during(_: object) -> None:
        assert tx.state is State.COMMITTING
        before = local.sent
        with pytest.raises(StateError, match="is being committed") as error:
            call(tx)
        raised.append(error.value)
        assert local.sent == before
        with pytest.raises(StateError, match="is committing"):
            tx.result  # noqa: B018

    client = local.tenant.client(token="a.b.c", on_wait=during)
    local.tenant.fail(method="PATCH", status=429, reset=5)
    tx = client.transaction(UID)
    tx.user_metadata["a"] = 1
    tx.commit()
    assert len(raised) == 1
    assert local.user_metadata == {"n": 1, "a": 1}


@calls
@pytest.mark.parametrize("state", [State.COMMITTED, State.ROLLED_BACK])
def test_every_call_on_an_ended_savepoint_raises(state: State, kind: str, call: Call) -> None:
    """The error names the outer transaction, which continues."""
    local = Local({"n": 1})
    with local.tx() as tx:
        with contextlib.suppress(LookupError), tx.nested() as part:
            if state is State.ROLLED_BACK:
                raise LookupError
        assert part.state is state
        with pytest.raises(StateError, match="use the outer one"):
            call(part)
        assert local.sent == []
        tx.user_metadata["a"] = 1
    assert local.user_metadata == {"n": 1, "a": 1}


@pytest.mark.parametrize("state", REACHED)
def test_state_result_and_reprs_work_in_every_state(state: State) -> None:
    """So do pending and user_id, without I/O."""
    local = Local()
    tx = REACHED[state](local)
    before = local.sent
    asked: list[Any] = [tx.pending, tx.state, tx.user_id, repr(tx), repr(tx.user_metadata)]
    assert asked[1:3] == [state, UID]
    assert state.value in asked[3]
    if state is State.ACTIVE:
        with pytest.raises(StateError, match=r"no result for .* yet: this transaction is active"):
            tx.result  # noqa: B018
    else:
        assert isinstance(tx.result, CommitResult)
    assert local.sent == before


def test_a_transaction_is_entered_once() -> None:
    """Entering a second time raises, inside the block and after it."""
    local = Local()
    with local.tx() as tx:
        with pytest.raises(StateError, match="entered before"):
            tx.__enter__()
        with tx.nested() as part, pytest.raises(StateError, match="entered before"):
            part.__enter__()
    with pytest.raises(StateError), tx:
        raise AssertionError


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"status": 404}, NotFoundError), ({"status": 503, "times": None}, ServerError), ({"drop": "before_commit", "times": None}, TransportError)],
)  # fmt: skip
def test_a_failed_first_read_leaves_it_active(fault: dict[str, Any], kind: type[Exception]) -> None:
    """A read that fails raises, with nothing loaded; the transaction stays usable, for another read and for a commit."""
    local = Local({"n": 1})
    planned = local.tenant.fail(method="GET", **fault)
    with local.tx(max_wait=5) as tx:
        tx.user_metadata["a"] = 1
        with pytest.raises(kind) as raised:
            tx.user_metadata.get("n")
        assert raised.value.user_id == UID  # type: ignore[attr-defined]
        assert tx.state is State.ACTIVE
        with pytest.raises(StateError, match="no result"):
            tx.result  # noqa: B018
        planned.times = planned.fired
        assert tx.user_metadata["n"] == 1
    assert local.user_metadata == {"n": 1, "a": 1}


def test_commit_ends_the_transaction_in_its_block() -> None:
    """It returns the result; leaving the block sends nothing more."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        assert tx.commit() is tx.result
        assert local.sent == ["PATCH"]
    assert local.sent == ["PATCH"]
    with pytest.raises(LookupError), local.tx() as tx:
        tx.user_metadata["a"] = 2
        tx.commit()
        raise LookupError
    assert (tx.state, local.user_metadata) == (State.COMMITTED, {"a": 2})


def test_rollback_ends_the_transaction_in_its_block() -> None:
    """Nothing is sent, and leaving the block is not an error."""
    local = Local({"n": 1})
    with local.tx() as tx:
        tx.user_metadata["a"] = tx.user_metadata["n"]
        tx.rollback()
    assert local.sent == ["GET"]
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.requests, tx.result.document) == ("rolled_back", 1, {})
    assert tx.result.user is not None
    assert tx.result.user.user_metadata == {"n": 1}


def test_a_commit_is_carried_out_once() -> None:
    """A commit that has not begun, or has ended, can't be carried out: asyncio calls that step in another thread."""
    local = Local({"n": 1})
    tx = local.tx()
    tx.user_metadata.increment("n")
    with pytest.raises(StateError, match=r"no commit for .* is under way"):
        tx._unit.finish_commit()
    tx.commit()
    with pytest.raises(StateError, match=r"no commit for .* is under way"):
        tx._unit.finish_commit()
    assert local.user_metadata == {"n": 2}
