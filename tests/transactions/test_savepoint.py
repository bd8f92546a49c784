"""Savepoints and joined transactions, and who joins whom (promise 6)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import (
    BadRequestError,
    CommitResult,
    ConflictError,
    MetadataError,
    MetadataTransaction,
    MetadataWarning,
    StateError,
)
from auth0_meta.transactions.unit import State

Open = Callable[[Local, MetadataTransaction], MetadataTransaction]
PARTS: dict[str, Open] = {"nested": lambda _, tx: tx.nested(), "joined": lambda local, _: local.tx()}
parts = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)


@parts
def test_a_savepoint_merges_on_success(part: Open) -> None:
    """It is sent with the outer transaction, in one PATCH."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with part(local, tx) as inner:
            assert inner.user_metadata["a"] == 1
            inner.user_metadata["b"] = 2
        assert inner.state is State.COMMITTED
        assert tx.user_metadata["b"] == 2
        assert local.sent == []
    assert local.bodies == [{"user_metadata": {"a": 1, "b": 2}}]
    assert tx.result.outcome == "updated"


def test_a_nested_part_shows_the_outer_result() -> None:
    """Before the end of the outer transaction there is none."""
    local = Local()
    with local.tx() as tx:
        with tx.nested() as inner:
            inner.user_metadata["b"] = 2
        with pytest.raises(StateError, match="no result"):
            inner.result  # noqa: B018
    assert inner.result is tx.result


@pytest.mark.parametrize("outer", ["updated", "failed", "rolled_back"])
def test_a_joined_block_says_that_it_has_joined(outer: str) -> None:
    """It does so once its block ends, whatever becomes of the outer one; while it is open there is no result."""
    local = Local()
    with contextlib.suppress(LookupError, BadRequestError), local.tx() as tx:
        with local.tx() as joined:
            joined.user_metadata["b"] = 2
            with pytest.raises(StateError, match="still open"):
                joined.result  # noqa: B018
        assert joined.result == CommitResult(outcome="joined")
        if outer == "failed":
            local.tenant.fail(method="PATCH", status=400)
        if outer == "rolled_back":
            raise LookupError
    assert (tx.result.outcome, joined.result.outcome) == (outer, "joined")


@pytest.mark.parametrize("how", ["an exception", "a call"])
def test_a_joined_block_that_was_rolled_back_says_so(how: str) -> None:
    """What it staged is not sent; the outer block's changes are."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with contextlib.suppress(LookupError), local.tx() as joined:
            joined.user_metadata["b"] = 2
            if how == "a call":
                joined.rollback()
            else:
                raise LookupError
        assert joined.result.outcome == "rolled_back"
    assert local.bodies == [{"user_metadata": {"a": 1}}]


@parts
def test_a_savepoint_is_discarded_on_an_exception(part: Open) -> None:
    """Nothing of it is left, but everything that was staged before it."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with contextlib.suppress(LookupError), part(local, tx) as inner:
            inner.user_metadata["b"] = 2
            inner.user_metadata["a"] = 3
            del inner.app_metadata["c"]
            raise LookupError
        assert inner.state is State.ROLLED_BACK
        assert tx.user_metadata["a"] == 1
        tx.user_metadata["d"] = 4
    assert local.bodies == [{"user_metadata": {"a": 1, "d": 4}}]


@parts
def test_a_savepoint_may_be_rolled_back(part: Open) -> None:
    """rollback() drops what it staged; after that the savepoint refuses to stage, and the outer transaction does not."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with part(local, tx) as inner:
            inner.user_metadata["b"] = 2
            inner.rollback()
            with pytest.raises(StateError, match="use the outer one"):
                inner.user_metadata["c"] = 3
        tx.user_metadata["d"] = 4
    assert local.bodies == [{"user_metadata": {"a": 1, "d": 4}}]


def test_a_savepoint_shows_its_state_and_no_value() -> None:
    """Its repr names the user, its state and what is staged in the whole transaction."""
    with Local().tx() as tx:
        tx.user_metadata["a"] = 1
        with tx.nested() as inner:
            inner.user_metadata["b"] = "s3cret"
            assert repr(inner) == f"<Savepoint {UID!r} active: <Change user_metadata(a 1 B, b 8 B)>>"
            inner.rollback()
        assert repr(inner) == f"<Savepoint {UID!r} rolled back: <Change user_metadata(a 1 B)>>"


@parts
def test_a_savepoint_can_not_commit(part: Open) -> None:
    """.commit() raises and sends nothing: the outer transaction commits."""
    local = Local()
    with local.tx() as tx, part(local, tx) as inner:
        with pytest.raises(StateError, match=r"commits with the outer one") as raised:
            inner.commit()
        assert UID in str(raised.value)
        assert local.sent == []


@parts
@pytest.mark.parametrize("call", ["commit", "rollback"])
def test_a_transaction_can_not_end_while_a_savepoint_is_open(part: Open, call: str) -> None:
    """It can neither commit nor roll back."""
    local = Local()
    with local.tx() as tx:
        with part(local, tx) as inner:
            inner.user_metadata["a"] = 1
            with pytest.raises(StateError, match="still open"):
                getattr(tx, call)()
        assert local.sent == []
    assert local.user_metadata == {"a": 1}


def test_savepoints_nest() -> None:
    """If a savepoint fails, those that have merged into it are discarded with it."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with contextlib.suppress(LookupError), tx.nested() as middle:
            with local.tx() as joined:
                joined.user_metadata["b"] = 2
                with joined.nested() as innermost:
                    innermost.user_metadata["c"] = 3
            assert dict(tx.pending.document(None)["user_metadata"]) == {"a": 1, "b": 2, "c": 3}
            with pytest.raises(StateError, match="still open"), middle.nested() as open_part:
                open_part.user_metadata["d"] = 4
                middle.rollback()
            raise LookupError
    assert local.bodies == [{"user_metadata": {"a": 1}}]


def test_blocks_end_inside_out() -> None:
    """Leaving a block before one that was opened in it raises; an exception rolls back what is still open in it."""
    local = Local()
    with local.tx() as tx:
        outer, inner = tx.nested().__enter__(), tx.nested().__enter__()
        inner.user_metadata["a"] = 1
        with pytest.raises(StateError, match="still open"):
            outer.__exit__(None, None, None)
        outer.__exit__(LookupError, LookupError(), None)
        assert (outer.state, inner.state) == (State.ROLLED_BACK, State.ROLLED_BACK)
        inner.__exit__(None, None, None)
        tx.user_metadata["b"] = 2
    assert local.bodies == [{"user_metadata": {"b": 2}}]


def test_an_exception_ends_open_savepoints() -> None:
    """The outer block's exception rolls back a savepoint that was never left; it can stage nothing more."""
    local = Local()
    with contextlib.suppress(LookupError), local.tx() as tx:
        inner = tx.nested().__enter__()
        raise LookupError
    with pytest.raises(StateError):
        inner.user_metadata["a"] = 1
    assert local.sent == []


def test_leaving_with_an_open_savepoint_raises() -> None:
    """A savepoint that was entered and never left makes the end of the outer block an error, not a silent loss."""
    local = Local()
    with pytest.raises(StateError, match="still open"), local.tx() as tx:
        tx.nested().__enter__().user_metadata["a"] = 1
    assert local.sent == []
    with pytest.raises(StateError, match="still open"), local.tx() as outer, local.tx() as joined:
        joined.nested().__enter__().user_metadata["a"] = 1
    assert (local.sent, outer.result.outcome, joined.result.outcome) == ([], "rolled_back", "rolled_back")
    with local.tx() as fresh:
        fresh.user_metadata["b"] = 2
    assert local.bodies == [{"user_metadata": {"b": 2}}]


def test_a_savepoint_must_be_entered_before_use() -> None:
    """nested() returns it; never entering it is harmless."""
    local = Local()
    with local.tx() as tx:
        part = tx.nested()
        for call in (
            lambda: part.user_metadata.set("a", 1),
            part.commit,
            part.rollback,
            part.load,
            part.nested,
        ):
            with pytest.raises(StateError, match=r"with tx\.nested"):
                call()
        tx.user_metadata["b"] = 1
    assert local.bodies == [{"user_metadata": {"b": 1}}]


def test_a_transaction_without_a_block_may_have_savepoints() -> None:
    """It is used without `with`."""
    local = Local()
    tx = local.tx()
    with tx.nested() as part:
        part.user_metadata["a"] = 1
    tx.commit()
    assert local.user_metadata == {"a": 1}


@pytest.mark.parametrize(
    "settings", [{"lock": threading.Lock()}, {"base": {}}, {"base": {}, "base_check": True}]
)
def test_a_transaction_with_lock_or_base_can_not_join(settings: dict[str, Any]) -> None:
    """lock= and base= inside an open transaction raise, and the error names the way out; the outer transaction continues."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with pytest.raises(StateError, match=r"join=False") as raised, local.tx(**settings):
            raise AssertionError
        assert next(iter(settings)) in str(raised.value)
        assert UID in str(raised.value)
        with local.tx(join=False, **settings) as own:
            own.user_metadata["b"] = 2
    assert local.bodies == [{"user_metadata": {"b": 2}}, {"user_metadata": {"a": 1}}]


def test_run_transaction_inside_an_open_transaction_raises() -> None:
    """It raises before it calls anything; join=False opts out."""
    local = Local()
    with local.tx() as tx:
        with pytest.raises(StateError, match="run_transaction"):
            local.client.run_transaction(UID, lambda _: pytest.fail("called"))
        local.client.run_transaction(UID, lambda own: own.user_metadata.set("b", 2), join=False)
        assert local.user_metadata == {"b": 2}
        tx.user_metadata["a"] = 1
    assert local.user_metadata == {"a": 1, "b": 2}


def test_join_false_opens_a_separate_transaction() -> None:
    """It commits by itself; helpers inside it join it, not the one around it."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with contextlib.suppress(LookupError), local.tx(join=False) as own:
            own.user_metadata["b"] = 2
            with local.tx() as helper:
                helper.user_metadata["c"] = 3
            raise LookupError
        with local.tx(join=False) as own, local.tx() as helper:
            helper.user_metadata["d"] = 4
        assert local.bodies == [{"user_metadata": {"d": 4}}]
        with local.tx() as helper:
            helper.user_metadata["e"] = 5
    assert local.bodies[1:] == [{"user_metadata": {"a": 1, "e": 5}}]


def test_a_separate_transaction_may_outlive_the_outer_one() -> None:
    """The order in which they are left does not matter to the others."""
    local = Local()
    outer, own = local.tx().__enter__(), local.tx(join=False).__enter__()
    outer.user_metadata["a"] = 1
    outer.__exit__(None, None, None)
    with local.tx() as helper:
        helper.user_metadata["b"] = 2
    own.__exit__(None, None, None)
    with local.tx() as last:
        last.user_metadata["c"] = 3
    assert local.bodies == [{"user_metadata": {key: value}} for key, value in (("a", 1), ("b", 2), ("c", 3))]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_nothing_joins_a_transaction_that_has_ended(end: str) -> None:
    """After .commit() or .rollback() in its block, helpers in the rest of the block have their own transactions."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        getattr(tx, end)()
        with local.tx() as helper:
            helper.user_metadata["b"] = 2
        assert helper.result is not None
        local.client.run_transaction(UID, lambda own: own.user_metadata.set("c", 3))
    sent = [{"user_metadata": {"b": 2}}, {"user_metadata": {"c": 3}}]
    assert local.bodies == ([{"user_metadata": {"a": 1}}, *sent] if end == "commit" else sent)


def test_other_users_and_clients_do_not_join() -> None:
    """Another user, and another client for the same user, have their own transactions."""
    local = Local()
    local.tenant.users.add(user_id="auth0|other")
    other = local.tenant.client(token="a.b.c")
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        with local.client.transaction("auth0|other") as second:
            second.user_metadata["b"] = 2
        with other.transaction(UID) as third:
            third.user_metadata["c"] = 3
        assert local.user_metadata == {"c": 3}
    assert local.user_metadata == {"a": 1, "c": 3}
    assert local.tenant.users["auth0|other"].user_metadata == {"b": 2}


def test_what_was_staged_and_read_before_entering_joins_too() -> None:
    """A transaction that staged and read before it was entered takes both along when it joins."""
    local = Local({"n": 1})
    early = local.tx()
    early.user_metadata["b"] = early.user_metadata["n"]
    tx = local.tx()
    with pytest.raises(ConflictError), tx:
        with early:
            pass
        assert tx.user_metadata["b"] == 1
        local.write(user_metadata={"n": 2})
    assert "b" not in local.user_metadata


def test_a_read_before_joining_does_not_replace_the_outer_read() -> None:
    """If both blocks have read a path at different times, the first read is compared."""
    local = Local({"n": 1})
    with pytest.raises(ConflictError), local.tx() as tx:
        tx.user_metadata["copy"] = tx.user_metadata["n"]
        local.write(user_metadata={"n": 2})
        early = local.tx()
        assert early.user_metadata["n"] == 2
        with early:
            pass
    assert local.user_metadata == {"n": 2}


def test_a_join_that_contradicts_raises() -> None:
    """It contradicts what is staged; the outer transaction still commits its own changes."""
    local = Local()
    early = local.tx()
    early.user_metadata.increment("a")
    with local.tx() as tx:
        tx.user_metadata["a"] = "text"
        with pytest.raises(MetadataError), early:
            raise AssertionError
        tx.user_metadata["b"] = 1
    assert local.bodies == [{"user_metadata": {"a": "text", "b": 1}}]


def test_reads_of_a_savepoint_count() -> None:
    """They are compared at commit, even if the savepoint was rolled back: later work may depend on them."""
    local = Local({"n": 1})
    with pytest.raises(ConflictError), local.tx() as tx:
        with contextlib.suppress(LookupError), tx.nested() as part:
            part.user_metadata.get("n")
            raise LookupError
        tx.user_metadata["a"] = 1
        local.write(user_metadata={"n": 2})


def test_threads_do_not_join() -> None:
    """A transaction of another thread for the same user is separate: one PATCH each."""
    local = Local()

    def work() -> None:
        with local.tx() as own:
            own.user_metadata["b"] = 2

    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert local.user_metadata == {"b": 2}
    assert local.user_metadata == {"a": 1, "b": 2}


def _write(local: Local, **values: int) -> None:
    with local.tx() as tx:
        for key, value in values.items():
            tx.user_metadata[key] = value


def test_tasks_and_their_threads_do_not_join() -> None:
    """A child task and asyncio.to_thread inherit contextvars and join nothing; the same task does."""
    local = Local()

    async def child() -> None:
        _write(local, child=1)

    async def main() -> None:
        with local.tx() as tx:
            tx.user_metadata["main"] = 1
            await asyncio.create_task(child())
            assert local.user_metadata == {"child": 1}
            await asyncio.to_thread(_write, local, thread=1)
            assert local.user_metadata == {"child": 1, "thread": 1}
            _write(local, same=1)
            assert local.user_metadata == {"child": 1, "thread": 1}

    asyncio.run(main())
    assert local.bodies[-1] == {"user_metadata": {"main": 1, "same": 1}}
    assert len(local.bodies) == 3


def test_tasks_that_take_turns_stay_separate() -> None:
    """Two tasks that take turns, each with an open block, stage and roll back only for themselves."""
    local = Local()

    async def work(name: str, *, fail: bool) -> None:
        with local.tx() as tx:
            await asyncio.sleep(0)
            tx.user_metadata[name] = 1
            await asyncio.sleep(0)
            _write(local, **{f"{name}_helper": 1})
            if fail:
                raise LookupError

    async def main() -> None:
        await asyncio.gather(work("a", fail=False), work("b", fail=True), return_exceptions=True)

    asyncio.run(main())
    assert local.user_metadata == {"a": 1, "a_helper": 1}


def test_callbacks_of_a_loop_have_no_task() -> None:
    """A callback of the event loop runs in no task and does not join the task that waits for it."""
    local = Local()

    async def main() -> None:
        done = asyncio.get_running_loop().create_future()

        def callback() -> None:
            _write(local, callback=1)
            done.set_result(None)

        with local.tx() as tx:
            tx.user_metadata["main"] = 1
            asyncio.get_running_loop().call_soon(callback)
            await done
            assert local.user_metadata == {"callback": 1}

    asyncio.run(main())
    assert local.user_metadata == {"callback": 1, "main": 1}


def test_nothing_joins_the_block_of_a_thread_that_has_ended() -> None:
    """The system reuses thread ids; a block that one thread left open is not the next one's."""
    local = Local()
    kept: list[MetadataTransaction] = []

    def leave_open() -> None:
        kept.append(local.tx().__enter__())

    for work in (leave_open, lambda: _write(local, second=1)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert local.user_metadata == {"second": 1}


def _generator(local: Local) -> Iterator[MetadataTransaction]:
    with local.tx() as tx:
        tx.user_metadata["generator"] = 1
        yield tx


@pytest.mark.parametrize("nested", [False, True])
def test_a_generator_that_is_closed_in_its_block_warns(*, nested: bool) -> None:
    """If a generator's block takes other blocks' changes with it, a warning says so, and their savepoints are rolled back."""
    local = Local()
    held = _generator(local)
    outer = next(held)
    with local.tx() as helper, contextlib.ExitStack() as more:
        if nested:
            more.enter_context(helper.nested())
        helper.user_metadata["helper"] = 1
    assert helper.state is State.COMMITTED
    with pytest.warns(MetadataWarning, match="generator was closed"):
        held.close()
    assert (outer.state, helper.state) == (State.ROLLED_BACK, State.ROLLED_BACK)
    assert local.sent == []


def test_a_generator_that_nothing_joined_is_closed_without_a_warning() -> None:
    """What the generator itself has staged is rolled back, as by any exception."""
    local = Local()
    held = _generator(local)
    outer = next(held)
    with outer.nested() as part:
        part.user_metadata["own"] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held.close()
    assert (outer.state, part.state) == (State.ROLLED_BACK, State.ROLLED_BACK)


@parts
@pytest.mark.parametrize("end", [State.ROLLED_BACK, State.FAILED, State.COMMITTED])
def test_a_merged_savepoint_ends_as_its_parent_does(part: Open, end: State) -> None:
    """It is committed only if its parent is."""
    local = Local()
    if end is State.FAILED:
        local.tenant.fail(method="PATCH", status=400)
    with contextlib.suppress(LookupError, BadRequestError), local.tx() as tx:
        with part(local, tx) as middle:
            with middle.nested() as inner:
                inner.user_metadata["a"] = 1
            middle.user_metadata["b"] = 1
        assert (inner.state, middle.state) == (State.COMMITTED, State.COMMITTED)
        if end is State.ROLLED_BACK:
            raise LookupError
    assert (inner.state, middle.state, tx.state) == (end, end, end)


def test_a_block_may_open_while_asyncio_is_being_imported() -> None:
    """Another thread imports it, so the block runs in no task."""
    local = Local()
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "asyncio", types.ModuleType("asyncio"))
        patched.setitem(sys.modules, "asyncio.events", types.ModuleType("asyncio.events"))
        _write(local, a=1)
        patched.delitem(sys.modules, "asyncio.events")
        _write(local, b=1)
    assert local.user_metadata == {"a": 1, "b": 1}
