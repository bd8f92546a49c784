"""`async with client.atransaction()`: what is awaited, what joins, and what a cancellation leaves behind."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from support.local_tenant import UID, Local, open_blocks
from support.scripted_server import Reply, ScriptedServer, Seen, connect, limited

from auth0_meta import (
    BadRequestError,
    ConflictError,
    InputError,
    ManagementClient,
    MetadataError,
    RateLimitError,
    StateError,
)
from auth0_meta.emulator import LocalTenant
from auth0_meta.threads.errand import Errand
from auth0_meta.transactions.unit import State

T = TypeVar("T")
PROFILE = {"user_id": UID, "app_metadata": {"plan": "free"}}


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on its own loop, which must not take long."""
    return asyncio.run(asyncio.wait_for(main, 30))


async def until(condition: Callable[[], object]) -> None:
    """Wait a little until another thread has made the condition true."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_leaving_the_block_sends_one_patch() -> None:
    """Staging sends nothing; the PATCH has both bags."""
    local = Local()

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            tx.user_metadata["theme"] = "dark"
            assert local.sent == []
            assert (tx.user_id, tx.state) == (UID, State.ACTIVE)
            with pytest.raises(StateError, match="no result"):
                tx.result  # noqa: B018
            assert repr(tx).startswith("<AsyncMetadataTransaction 'auth0|507f1f77bcf86cd799439020' active:")
            assert tx.pending
        assert tx.state is State.COMMITTED
        assert tx.result is not None
        assert (tx.result.outcome, tx.result.requests) == ("updated", 1)

    run(main())
    assert local.bodies == [{"app_metadata": {"plan": "pro"}, "user_metadata": {"theme": "dark"}}]


def test_reads_need_load() -> None:
    """Before `load`, a read that needs the stored profile raises StateError and sends nothing, in savepoints and joined blocks too."""
    local = Local(app_metadata={"n": 1})

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["staged"] = 1
            assert tx.app_metadata["staged"] == 1
            with pytest.raises(StateError, match=r"await tx.load\(\)"):
                tx.app_metadata.get("n")
            with tx.nested() as part, pytest.raises(StateError):
                len(part.app_metadata)
            with local.client.transaction(UID) as joined, pytest.raises(StateError):
                joined.app_metadata.get("n")
            assert local.sent == []
            await tx.load()
            await tx.load()
            with local.client.transaction(UID) as joined:
                joined.app_metadata["next"] = joined.app_metadata["n"] + 1
            assert tx.app_metadata == {"n": 1, "staged": 1, "next": 2}
            assert local.sent == ["GET"]

    run(main())
    assert local.sent == ["GET", "GET", "PATCH"]
    assert local.app_metadata == {"n": 1, "staged": 1, "next": 2}


def test_a_given_base_needs_no_load() -> None:
    """With base= everything can be read, and the PATCH is the only request."""
    local = Local(app_metadata={"n": 1})

    async def main() -> None:
        async with local.client.atransaction(UID, base=local.profile()) as tx:
            tx.app_metadata["n"] = tx.app_metadata["n"] + 1

    run(main())
    assert local.sent == ["PATCH"]


def test_an_exception_sends_nothing() -> None:
    """An exception leaves the block and drops what was staged; `rollback` drops it too."""
    local = Local()

    async def main() -> None:
        with pytest.raises(LookupError):
            async with local.client.atransaction(UID) as tx:
                tx.app_metadata["plan"] = "pro"
                raise LookupError
        assert tx.state is State.ROLLED_BACK
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            tx.rollback()
            with pytest.raises(StateError):
                tx.app_metadata["plan"] = "free"
        assert tx.result is not None
        assert tx.result.outcome == "rolled_back"

    run(main())
    assert local.sent == []
    assert open_blocks(local.client) == []


def test_errors_of_the_commit_are_raised() -> None:
    """The block raises the error of a refused PATCH and a conflict, as a plain transaction does."""
    local = Local(app_metadata={"n": 1})
    local.tenant.fail(method="PATCH", status=400)

    async def refused() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"

    async def conflict() -> None:
        async with local.client.atransaction(UID) as tx:
            await tx.load()
            tx.app_metadata["m"] = tx.app_metadata["n"]
            local.write(app_metadata={"n": 2})

    with pytest.raises(BadRequestError):
        run(refused())
    with pytest.raises(ConflictError):
        run(conflict())
    assert local.app_metadata == {"n": 2}
    assert open_blocks(local.client) == []


def test_commit_sends_inside_the_block() -> None:
    """It returns the result; leaving the block then sends nothing."""
    local = Local()

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            result = await tx.commit()
            assert result.outcome == "updated"
            with pytest.raises(StateError):
                await tx.commit()
        assert tx.result is result

    run(main())
    assert local.sent == ["PATCH"]


def test_nothing_is_accepted_while_a_commit_is_under_way() -> None:
    """Once `commit` is called, staging and a second commit raise, and blocks that are opened later don't join, so nothing is lost."""

    async def main() -> None:
        async with client.atransaction(UID) as tx, client.atransaction(UID, join=False) as other:
            tx.app_metadata["plan"] = "pro"
            bag = tx.app_metadata
            first = asyncio.create_task(tx.commit())
            await asyncio.sleep(0)
            for late in (
                lambda: bag.set("late", 1),
                tx.nested,
                tx.rollback,
            ):
                with pytest.raises(StateError, match="committed"):
                    late()
            with pytest.raises(StateError, match="committed"):
                await tx.commit()
            with client.transaction(UID) as inner:  # joins the transaction that is still open
                inner.app_metadata["other"] = 1
            assert (await first).document == {"app_metadata": {"plan": "pro"}}
            assert "other" in other.pending.app_metadata.keys

    with ScriptedServer(Reply(200, PROFILE)) as server:
        client = connect(server)
        run(main())
        client.close()


def test_a_savepoint_left_open_fails_the_outer_block() -> None:
    """Leaving the outer block then is an error; nothing is sent and nothing stays open."""
    local = Local()

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.nested().__enter__().app_metadata["plan"] = "pro"

    with pytest.raises(StateError, match="still open"):
        run(main())
    assert local.sent == []
    assert open_blocks(local.client) == []


def test_a_savepoint_left_open_in_a_joined_block_fails_the_outer_one() -> None:
    """A joined block can't end before its parts either; nothing is sent, and all of them have ended."""
    local = Local()

    async def main() -> None:
        async with outer, local.client.atransaction(UID) as joined:
            joined.nested().__enter__().app_metadata["plan"] = "pro"

    outer = local.client.atransaction(UID)
    with pytest.raises(StateError, match="still open"):
        run(main())
    assert (local.sent, outer.result.outcome) == ([], "rolled_back")
    assert open_blocks(local.client) == []


def test_savepoints_merge_or_are_discarded() -> None:
    """A savepoint merges on success and is discarded on an exception."""
    local = Local()

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            with tx.nested() as part:
                part.app_metadata["a"] = 1
            with pytest.raises(LookupError), tx.nested() as part:
                part.app_metadata["b"] = 2
                raise LookupError

    run(main())
    assert local.bodies == [{"app_metadata": {"a": 1}}]


def test_blocks_in_one_task_join() -> None:
    """Async and sync helpers for the same user in the same task are one PATCH; a sync outer block is joined too."""
    local = Local()

    def sync_helper() -> None:
        with local.client.transaction(UID) as tx:
            tx.app_metadata["sync"] = True

    async def async_helper() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["async"] = True

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            sync_helper()
            await async_helper()
            assert local.sent == []
        assert tx.result is not None
        with local.client.transaction(UID):
            await async_helper()
            with pytest.raises(StateError):
                async with local.client.atransaction(UID) as part:
                    await part.commit()

    run(main())
    assert local.bodies == [
        {"app_metadata": {"sync": True, "async": True}},
        {"app_metadata": {"async": True}},
    ]


def test_child_tasks_and_threads_do_not_join() -> None:
    """A child task and a function in `to_thread` commit on their own while the block is open."""
    local = Local()

    def helper(name: str) -> None:
        with local.client.transaction(UID) as tx:
            tx.app_metadata[name] = True

    async def child() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["child"] = True

    async def main() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["outer"] = True
            await asyncio.create_task(child())
            await asyncio.to_thread(helper, "thread")
            assert local.bodies == [{"app_metadata": {"child": True}}, {"app_metadata": {"thread": True}}]

    run(main())
    assert len(local.bodies) == 3
    assert open_blocks(local.client) == []


def test_other_tasks_run_during_the_wait_after_a_429() -> None:
    """A wait of a second in the commit holds up no other task."""

    async def main() -> int:
        ticks = 0
        async with client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            task = asyncio.create_task(tx.commit())
            while not task.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert (await task).waited >= 0.5
        return ticks

    with ScriptedServer(limited(**{"Retry-After": "1"}), Reply(200, PROFILE)) as server:
        client = connect(server)
        assert run(main()) > 40
        client.close()


def test_a_commit_cancelled_during_a_wait_sends_nothing() -> None:
    """A cancellation ends the wait after a 429 at once: no PATCH was accepted, and none is sent later."""

    async def main() -> None:
        tx: Any = None

        async def change() -> None:
            nonlocal tx
            async with client.atransaction(UID) as tx:
                tx.app_metadata["plan"] = "pro"

        task = asyncio.create_task(change())
        await until(waits.is_set)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 2
        assert tx.state is State.FAILED
        assert tx.result.outcome == "failed"

    waits = threading.Event()
    with ScriptedServer(limited(3600), Reply(200, PROFILE)) as server:
        client = connect(server, on_wait=lambda _: waits.set(), max_wait=None)
        run(main())
        assert len(server.seen) == 1
        assert open_blocks(client) == []
        client.close()


def test_a_commit_cancelled_during_a_wait_for_a_token_sends_nothing() -> None:
    """The wait after a 429 of the token endpoint can be cancelled like any other."""

    async def main() -> None:
        async with client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(tx.commit(), 0.3)

    with ScriptedServer(limited(3600)) as server:
        client = connect(server, client_id="id", client_secret="s3cret", max_wait=None)
        start = time.monotonic()
        run(main())
        assert time.monotonic() - start < 3
        assert server.paths() == ["/oauth/token"]
        client.close()


def test_a_commit_cancelled_after_its_patch_waits_for_the_response() -> None:
    """The cancellation takes effect once the outcome is known, and `result` has that outcome."""

    async def main() -> None:
        tx: Any = None

        async def change() -> None:
            nonlocal tx
            async with client.atransaction(UID) as tx:
                tx.app_metadata["plan"] = "pro"

        task = asyncio.create_task(change())
        await until(arrived.is_set)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()  # a second cancellation changes nothing
        await asyncio.sleep(0.05)
        assert not task.done()
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tx.result.outcome == "updated"

    arrived, free = threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        arrived.set()
        assert free.wait(60)
        return Reply(200, PROFILE)

    with ScriptedServer(respond) as server:
        client = connect(server)
        run(main())
        assert server.methods() == ["PATCH"]
        client.close()


def test_a_cancelled_commit_reads_back_after_a_lost_response() -> None:
    """The response to the PATCH is lost after the cancellation."""

    async def main() -> None:
        tx: Any = None

        async def change() -> None:
            nonlocal tx
            async with client.atransaction(UID) as tx:
                tx.app_metadata["plan"] = "pro"

        task = asyncio.create_task(change())
        await until(arrived.is_set)
        task.cancel()
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tx.result.outcome == "confirmed"

    arrived, free = threading.Event(), threading.Event()

    def lost(seen: Seen) -> Reply:
        arrived.set()
        assert free.wait(60)
        return Reply(close=True)

    with ScriptedServer(lost, Reply(200, PROFILE | {"app_metadata": {"plan": "pro"}})) as server:
        client = connect(server)
        run(main())
        assert server.methods() == ["PATCH", "GET"]
        client.close()


def test_a_commit_cancelled_before_a_thread_was_free_sends_nothing() -> None:
    """If all threads are busy, a cancelled commit never begins, and the transaction has ended."""

    async def main() -> None:
        async def change(user_id: str) -> None:
            async with client.atransaction(user_id) as tx:
                txs[user_id] = tx
                tx.app_metadata["plan"] = "pro"

        first = asyncio.create_task(change("auth0|1"))
        await until(arrived.is_set)
        second = asyncio.create_task(change("auth0|2"))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        free.set()
        await first
        assert txs["auth0|2"].state is State.ROLLED_BACK

    txs: dict[str, Any] = {}
    arrived, free = threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        arrived.set()
        assert free.wait(60)
        return Reply(200, PROFILE | {"user_id": "auth0|1"})

    with ScriptedServer(respond) as server:
        client = connect(server, pool_size=1)
        run(main())
        assert len(server.seen) == 1
        assert open_blocks(client) == []
        client.close()


def test_a_failure_after_the_cancellation_is_its_cause() -> None:
    """An error that ends a cancelled commit becomes the cause of the CancelledError."""

    async def main() -> None:
        async with client.atransaction(UID) as tx:
            tx.app_metadata["plan"] = "pro"
            task = asyncio.create_task(tx.commit())
            await until(arrived.is_set)
            task.cancel()
            free.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert tx.state is State.FAILED
            if isinstance(
                caught.value.__cause__, BadRequestError
            ):  # a task may raise a new CancelledError instead
                causes.append(caught.value.__cause__)

    causes: list[BaseException] = []
    arrived, free = threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        arrived.set()
        assert free.wait(60)
        return Reply(400, {"statusCode": 400, "error": "Bad Request", "message": "no"})

    with ScriptedServer(respond) as server:
        client = connect(server)
        run(main())
        client.close()
    assert causes


def test_a_cancelled_load_leaves_the_block_usable() -> None:
    """After a `load` that timed out, staging and the commit still work."""

    async def main() -> None:
        async with client.atransaction(UID) as tx:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(tx.load(), 0.2)
            tx.app_metadata["plan"] = "pro"
        assert tx.result is not None
        assert tx.result.outcome == "updated"

    def slow(seen: Seen) -> Reply:
        return Reply(200, PROFILE, delay=0.5)

    with ScriptedServer(slow, Reply(200, PROFILE)) as server:
        client = connect(server)
        run(main())
        assert server.methods() == ["GET", "PATCH"]
        client.close()


def test_closing_the_coroutine_stops_the_waits() -> None:
    """If the coroutine of a commit is closed in mid-wait, nothing is sent later."""
    waits = threading.Event()
    with ScriptedServer(limited(1), Reply(200, PROFILE)) as server:
        client = connect(server, on_wait=lambda _: waits.set())

        async def main() -> None:
            tx = client.atransaction(UID)
            await tx.__aenter__()
            tx.app_metadata["plan"] = "pro"
            leaving = tx.commit()
            leaving.send(None)
            await until(waits.is_set)
            leaving.close()
            await asyncio.sleep(0.3)
            assert tx.state is State.FAILED

        run(main())
        time.sleep(1.2)
        assert len(server.seen) == 1
        client.close()


def test_many_transactions_need_a_bounded_number_of_threads() -> None:
    """A hundred concurrent transactions are all written, with no more threads than the client has connections."""
    others = set(threading.enumerate())  # threads of earlier clients, which may still be ending
    with LocalTenant(latency=0.01) as tenant, tenant.client(pool_size=8, token="any.given.token") as client:
        for n in range(100):
            tenant.users.add(user_id=f"auth0|{n}")
        most = 0

        async def change(n: int) -> None:
            nonlocal most
            async with client.atransaction(f"auth0|{n}") as tx:
                tx.app_metadata.set("deep.n", n)
            most = max(most, threads(others))

        async def main() -> None:
            await asyncio.gather(*(change(n) for n in range(100)))

        run(main())
        assert [tenant.users[f"auth0|{n}"].app_metadata for n in range(100)] == [
            {"deep": {"n": n}} for n in range(100)
        ]
        assert 1 < most <= 8
    deadline = time.monotonic() + 5
    while threads(others):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads(others: set[threading.Thread]) -> int:
    """Count the worker threads of clients, except those that existed before."""
    return sum(
        thread.name.startswith("auth0-meta_") for thread in threading.enumerate() if thread not in others
    )


def test_a_transaction_of_a_closed_client_fails() -> None:
    """After `close` a block fails as a plain one does, whether or not a worker thread was ever started."""
    for used in (False, True):
        local = Local()

        async def main(local: Local = local, used: bool = used) -> None:
            if used:
                async with local.client.atransaction(UID) as tx:
                    tx.app_metadata["plan"] = "pro"
            local.client.close()
            async with local.client.atransaction(UID) as tx:
                tx.app_metadata["plan"] = "free"

        with pytest.raises(StateError, match="closed"):
            run(main())
        local.client.close()


def test_bad_input_fails_before_anything_is_sent() -> None:
    """An empty user id, an asyncio lock, assigning to a bag, and a bad key raise at once."""
    client = ManagementClient("http://127.0.0.1:1", token="any.given.token")
    with pytest.raises(InputError):
        client.atransaction("")
    with pytest.raises(InputError):
        client.atransaction(UID, lock=asyncio.Lock())  # type: ignore[arg-type]
    tx = client.atransaction(UID)
    with pytest.raises(MetadataError):
        tx.app_metadata["a.b"] = 1
    for bag in ("app_metadata", "user_metadata"):
        with pytest.raises(Exception, match="replace"):
            setattr(tx, bag, {})


def test_a_refused_load_leaves_the_commit_cancellable() -> None:
    """After a `load` was refused during a commit, that commit can still be cancelled, and then sends nothing."""

    async def main() -> None:
        tx = client.atransaction(UID)
        tx.app_metadata["plan"] = "pro"
        task = asyncio.create_task(tx.commit())
        await until(waits.is_set)
        with pytest.raises(StateError, match="is being committed"):
            await tx.load()
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 5
        assert tx.result is not None
        assert tx.result.outcome == "failed"

    waits = threading.Event()
    with ScriptedServer(limited(20), Reply(200, PROFILE)) as server:
        client = connect(server, on_wait=lambda _: waits.set())
        run(main())
        assert len(server.seen) == 1
        client.close()


def test_a_load_that_ends_leaves_the_commit_cancellable() -> None:
    """A commit that began while a `load` was under way can be cancelled after the `load` has ended."""

    async def main() -> None:
        tx = client.atransaction(UID)
        tx.app_metadata["plan"] = "pro"
        load = asyncio.create_task(tx.load())
        await until(arrived.is_set)
        task = asyncio.create_task(tx.commit())
        await until(waits.is_set)
        free.set()
        await load
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - start < 5

    arrived, free, waits = threading.Event(), threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        if seen.method == "PATCH":
            return limited(20)
        arrived.set()
        assert free.wait(10)
        return Reply(200, PROFILE)

    with ScriptedServer(respond) as server:
        client = connect(server, on_wait=lambda _: waits.set(), max_wait=30)
        run(main())
        assert server.methods().count("PATCH") == 1
        client.close()


def _no_new_thread(monkeypatch: pytest.MonkeyPatch, *, nth: int) -> None:
    """Keep the `nth` worker thread of a client from starting; its work is queued all the same."""
    real, started = threading.Thread.start, iter(range(1, 100))

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("auth0-meta") and next(started) == nth:
            msg = "can't start new thread"
            raise RuntimeError(msg)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.parametrize("again", [False, True])
def test_a_commit_that_got_no_thread_is_not_carried_out_later(
    monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """A commit that failed to start never runs later: if the block ends, it is rolled back; if it is tried again, it is sent once."""
    _no_new_thread(monkeypatch, nth=1)
    local = Local({"n": 1})

    async def main() -> None:
        tx = local.client.atransaction(UID)
        with pytest.raises(RuntimeError, match="new thread"):
            async with tx:
                tx.user_metadata.increment("n")
                if again:
                    with pytest.raises(RuntimeError, match="new thread"):
                        await tx.commit()
                    assert tx.state is State.ACTIVE
                    result = await tx.commit()  # in the thread that starts now
                    assert result.outcome == "updated"
                    msg = "new thread"
                    raise RuntimeError(msg)
        result_before = tx.result
        await local.client._channel.carrier.carry(Errand(int))
        assert tx.state is (State.COMMITTED if again else State.ROLLED_BACK)
        assert tx.result is result_before

    run(main())
    assert local.bodies == ([{"user_metadata": {"n": 2}}] if again else [])
    local.client.close()


def test_without_a_new_thread_a_busy_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the machine has no thread left, the threads that there are do the work."""
    _no_new_thread(monkeypatch, nth=2)
    local = Local({"n": 1})

    async def main() -> None:
        free = threading.Event()
        busy = await _occupied(local, free)
        tx = local.client.atransaction(UID)
        tx.user_metadata.increment("n")
        commit = asyncio.create_task(tx.commit())
        await asyncio.sleep(0.05)
        assert local.sent == []
        free.set()
        assert (await commit).outcome == "updated"
        await busy

    run(main())
    local.client.close()


def test_ctrl_c_before_a_thread_has_begun_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction stays active."""
    local = Local({"n": 1})

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    tx = local.client.atransaction(UID)
    monkeypatch.setattr(type(local.client._channel.carrier), "carry", interrupted)

    async def main() -> None:
        tx.user_metadata.increment("n")
        await tx.commit()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert tx.state is State.ACTIVE
    assert local.sent == []
    local.client.close()


def test_the_thread_sees_the_tasks_context_variables() -> None:
    """A token function sees the context variables of the calling task, as under `asyncio.to_thread`."""
    request_id = contextvars.ContextVar("request_id", default="lost")
    seen: list[str] = []

    def token() -> str:
        seen.append(request_id.get())
        return "a.b.c"

    local = Local({"n": 1})
    client = local.tenant.client(token=token)

    async def serve(name: str) -> None:
        request_id.set(name)
        async with client.atransaction(UID, join=False) as tx:
            await tx.load()
            tx.user_metadata.increment("n")

    async def main() -> None:
        await serve("request 1")
        await serve("request 2")

    run(main())
    assert seen == ["request 1"] * 3 + ["request 2"] * 3


# ---- the line for a free thread


async def _occupied(local: Local, free: threading.Event) -> asyncio.Task[bool]:
    """Occupy a thread of the client until `free` is set; return what ends then."""
    begun = threading.Event()

    def wait() -> bool:
        begun.set()
        return free.wait(60)

    task = asyncio.create_task(local.client._channel.carrier.carry(Errand(wait)))
    await until(begun.is_set)
    return task


async def _all_threads_busy(
    *, max_wait: float | None
) -> tuple[Local, Any, threading.Event, asyncio.Task[bool]]:
    """Return a transaction of a client whose only thread is busy, what frees the thread, and what ends then."""
    local = Local({"n": 1}, pool_size=1)
    free = threading.Event()
    busy = await _occupied(local, free)
    tx = local.client.atransaction(UID, max_wait=max_wait)
    tx.user_metadata.increment("n")
    return local, tx, free, busy


async def _behind(call: Callable[[Any], Coroutine[Any, Any, Any]], *, max_wait: float | None) -> Any:
    """Call with a transaction while the only thread is busy, and tell what came of it and what was sent meanwhile."""
    local, tx, free, busy = await _all_threads_busy(max_wait=max_wait)
    try:
        await call(tx)
    except RateLimitError as error:
        return local, tx, error
    finally:
        free.set()
        await busy
        local.client.close()
    raise AssertionError


@pytest.mark.parametrize("max_wait", [0, 0.3])
def test_waiting_for_a_thread_counts_against_max_wait(max_wait: float) -> None:
    """While all threads wait for others, a commit ends after its own `max_wait`, and nothing is sent."""
    local, tx, error = run(_behind(lambda tx: tx.commit(), max_wait=max_wait))
    assert "no worker thread was free" in str(error)
    assert "Nothing was sent" in str(error)
    assert (error.user_id, error.waited >= 0) == (UID, True)
    assert (local.sent, tx.result.outcome, tx.state) == ([], "failed", State.FAILED)


def test_a_block_that_gets_no_thread_fails() -> None:
    """Leaving the block does the same."""

    async def block(tx: Any) -> None:
        async with tx:
            pass

    local, tx, _ = run(_behind(block, max_wait=0.3))
    assert (local.sent, tx.result.outcome) == ([], "failed")


def test_a_load_that_gets_no_thread_leaves_it_active() -> None:
    """It can be tried again."""
    local, tx, _ = run(_behind(lambda tx: tx.load(), max_wait=0))
    assert (local.sent, tx.state) == ([], State.ACTIVE)
    tx.rollback()


def test_time_in_the_line_shortens_later_waits() -> None:
    """What the wait for a thread has used up is missing later; `result.waited` includes it."""

    async def main() -> tuple[Any, Local]:
        local, tx, free, busy = await _all_threads_busy(max_wait=60)
        local.tenant.fail(method="PATCH", status=429, reset=30)
        commit = asyncio.create_task(tx.commit())
        await asyncio.sleep(0.05)
        local.clock.advance(40)
        free.set()
        with pytest.raises(RateLimitError):
            await commit
        await busy
        local.client.close()
        return tx, local

    tx, local = run(main())
    assert tx.result.waited >= 40
    assert local.user_metadata == {"n": 1}


def test_a_thread_that_comes_too_late_sends_nothing() -> None:
    """It may be free before the event loop has noticed that `max_wait` is over."""

    async def main() -> tuple[Any, Local]:
        local, tx, free, busy = await _all_threads_busy(max_wait=60)
        commit = asyncio.create_task(tx.commit())
        await asyncio.sleep(0.05)
        local.clock.advance(90)
        free.set()
        with pytest.raises(RateLimitError, match="no worker thread was free") as caught:
            await commit
        assert caught.value.waited == 90
        await busy
        local.client.close()
        return tx, local

    tx, local = run(main())
    assert (local.sent, tx.result.outcome, tx.result.waited) == ([], "failed", 90)


def test_without_a_limit_a_thread_is_waited_for() -> None:
    """`max_wait=None` is no limit for this wait either."""

    async def main() -> Any:
        local = Local({"n": 1}, pool_size=1)
        free = threading.Event()
        busy = await _occupied(local, free)
        tx = local.client.atransaction(UID, max_wait=None)
        tx.user_metadata.increment("n")
        commit = asyncio.create_task(tx.commit())
        await asyncio.sleep(0.4)
        free.set()
        await commit
        await busy
        local.client.close()
        return tx

    assert run(main()).result.outcome == "updated"


def test_a_closed_client_makes_no_threads() -> None:
    """Nobody would end them; a client that had some has none after `close`."""
    for used in (False, True):
        client = Local().client
        if used:
            carrier = client._channel.carrier
            assert client._channel.carrier is carrier
        client.close()
        with pytest.raises(StateError, match="closed"):
            client._channel.carrier  # noqa: B018
        if used:
            with pytest.raises(StateError, match="closed"):
                run(carrier.carry(Errand(int)))
