"""What a cancellation does, at each stage of a call: in line, in a wait, in a read, in a write."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.local_tenant import UID
from support.loops import Gate, run, until
from support.scripted_server import Reply, ScriptedServer, Seen, connect, limited

from auth0_meta import AsyncManagementClient, ManagementClient
from auth0_meta.threads.errand import Errand

Call = Callable[[AsyncManagementClient], Awaitable[object]]
PROFILE = {"user_id": UID, "app_metadata": {"plan": "free"}}


async def _search(client: AsyncManagementClient) -> None:
    async for _ in client.users.search(q="x"):
        pass


async def _load(client: AsyncManagementClient) -> None:
    await client.transaction(UID).load()


READS: dict[str, Call] = {
    "users.get": lambda client: client.users.get(UID),
    "users.by_email": lambda client: client.users.by_email("ada@example.com"),
    "users.find": lambda client: client.users.find("ada@example.com"),
    "users.page": lambda client: client.users.page(),
    "users.search": _search,
    "jobs.get": lambda client: client.jobs.get("job_1"),
    "jobs.errors": lambda client: client.jobs.errors("job_1"),
    "jobs.wait": lambda client: client.jobs.wait("job_1"),
    "jobs.download": lambda client: client.jobs.download("job_1", io.BytesIO()),
    "request": lambda client: client.request("GET", "users/{}/roles", UID),
    "check": lambda client: client.check(),
    "tx.load": _load,
}
WRITES: dict[str, Call] = {
    "users.create": lambda client: client.users.create({"connection": "c", "email": "ada@example.com"}),
    "users.update": lambda client: client.users.update(UID, {"name": "Ada"}),
    "users.delete": lambda client: client.users.delete(UID),
    "users.set_metadata": lambda client: client.users.set_metadata(UID, user={"theme": "dark"}),
    "jobs.export_users": lambda client: client.jobs.export_users(),
    "request('POST')": lambda client: client.request("POST", "users/{}/roles", UID, json={"roles": ["r"]}),
}
NO_TRANSACTION = [name for name in WRITES if name != "users.set_metadata"]


async def cancelled(task: asyncio.Task[Any]) -> asyncio.CancelledError:
    """Await a task that ends with CancelledError, and return that."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize("name", READS)
def test_a_read_is_abandoned_at_once(name: str) -> None:
    """The task goes on while the server still holds the response, and the worker thread is free again."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply(200, PROFILE)

    async def main() -> None:
        task = asyncio.ensure_future(READS[name](client.aio))
        await until(gate.arrived.is_set)
        task.cancel()
        await cancelled(task)  # the gate is shut
        assert await client._channel.carrier.carry(Errand(lambda: "free")) == "free"

    with ScriptedServer(respond) as server, connect(server, pool_size=1) as client:
        try:
            run(main())
        finally:
            gate.open()
        assert len(server.seen) == 1


def test_a_read_that_was_let_go_leaves_no_used_connection() -> None:
    """The next request gets its own response, not the one that came too late."""
    gate = Gate()

    def late(seen: Seen) -> Reply:
        gate.wait()
        return Reply(200, PROFILE | {"name": "late"})

    async def main() -> None:
        await client.aio.users.get(UID)  # so that there is a connection to go back to
        task = asyncio.ensure_future(client.aio.users.get(UID))
        await until(gate.arrived.is_set)
        task.cancel()
        await cancelled(task)
        gate.open()
        for _ in range(3):
            assert (await client.aio.users.get(UID)).name == "on time"

    on_time = Reply(200, PROFILE | {"name": "on time"})
    with ScriptedServer(on_time, late, on_time) as server, connect(server) as client:
        run(main())


@pytest.mark.parametrize("name", NO_TRANSACTION)
def test_a_write_that_has_left_is_awaited_and_told(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The cancellation takes effect once the outcome is known; it is logged, and noted on the CancelledError."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        if "jobs" in seen.path:
            return Reply(200, {"id": "job_1", "type": "users_export", "status": "pending"})
        return Reply(
            204 if seen.method == "DELETE" else 200,
            {"user_id": UID, "name": "Ada", "email": "ada@example.com"},
        )

    async def main() -> None:
        task = asyncio.ensure_future(WRITES[name](client.aio))
        await until(gate.arrived.is_set)
        for _ in range(2):  # a second cancellation changes nothing
            task.cancel()
            await asyncio.sleep(0.05)
            assert not task.done()
        gate.open()
        error = await cancelled(task)
        assert error.__notes__ == [f"{name} had been sent when its task was cancelled: it succeeded"]

    with ScriptedServer(respond) as server, connect(server) as client, caplog.at_level(logging.INFO):
        run(main())
        assert len(server.seen) == 1
    assert f"{name} had been sent when its task was cancelled: it succeeded" in caplog.messages


def test_a_cancelled_write_that_fails_says_so() -> None:
    """The error is the cause of the CancelledError."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply(400, {"statusCode": 400, "error": "Bad Request", "message": "no"})

    async def main() -> None:
        task = asyncio.ensure_future(client.aio.users.update(UID, {"name": "Ada"}))
        await until(gate.arrived.is_set)
        task.cancel()
        gate.open()
        error = await cancelled(task)
        assert error.__notes__[0].endswith("it ended with BadRequestError")

    with ScriptedServer(respond) as server, connect(server) as client:
        run(main())


def test_a_cancelled_write_whose_response_is_lost_is_in_doubt() -> None:
    """It is not sent again, and the note says that it may have been applied."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply(close=True)

    async def main() -> None:
        task = asyncio.ensure_future(client.aio.users.update(UID, {"name": "Ada"}))
        await until(gate.arrived.is_set)
        task.cancel()
        gate.open()
        assert "nothing shows whether it was applied" in (await cancelled(task)).__notes__[0]

    with ScriptedServer(respond) as server, connect(server) as client:
        run(main())
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    "name", sorted({**READS, **WRITES}.keys() - {"check"})
)  # which waits for 30 s at most
def test_a_wait_ends_at_once(name: str) -> None:
    """A task that is cancelled while a 429 is waited out sends no more."""
    waits = threading.Event()

    async def main() -> None:
        task = asyncio.ensure_future({**READS, **WRITES}[name](client.aio))
        await until(waits.is_set)
        task.cancel()
        error = await cancelled(task)
        assert not hasattr(error, "__notes__")
        assert await client._channel.carrier.carry(Errand(lambda: "free")) == "free"

    with (
        ScriptedServer(limited(3600)) as server,
        connect(server, max_wait=None, pool_size=1, on_wait=lambda _: waits.set()) as client,
    ):
        run(main())
        assert len(server.seen) == 1


@pytest.mark.parametrize("name", {**READS, **WRITES})
def test_what_is_in_line_is_never_sent(name: str) -> None:
    """If no thread has begun it, a cancelled call sends nothing, then or later."""
    gate = threading.Event()

    async def main() -> None:
        busy = asyncio.ensure_future(client._channel.carrier.carry(Errand(lambda: gate.wait(60))))
        task = asyncio.ensure_future({**READS, **WRITES}[name](client.aio))
        await asyncio.sleep(0.05)
        task.cancel()
        error = await cancelled(task)
        assert not hasattr(error, "__notes__")
        gate.set()
        await busy
        await client._channel.carrier.carry(Errand(int))

    with ScriptedServer(Reply(200, PROFILE)) as server, connect(server, pool_size=1) as client:
        run(main())
        assert server.seen == []


def test_nothing_is_written_to_a_file_after_its_download_was_cancelled() -> None:
    """The file may be closed or used for something else then."""
    gate = Gate()

    class File(io.BytesIO):
        def write(self, data: Any) -> int:
            written.append(len(data))
            return super().write(data)

    def respond(seen: Seen) -> Reply:
        if "jobs" in seen.path:
            job = {"id": "job_1", "type": "users_export", "status": "completed"}
            return Reply(200, job | {"location": f"{server.url}/file"})
        gate.wait()
        return Reply(200, raw=b"x" * 1000)

    async def main() -> None:
        file = File()
        task = asyncio.ensure_future(client.aio.jobs.download("job_1", file))
        await until(gate.arrived.is_set)
        task.cancel()
        await cancelled(task)
        file.close()
        gate.open()
        await client._channel.carrier.carry(Errand(int))

    written: list[int] = []
    with ScriptedServer(respond) as server, connect(server, pool_size=1) as client:
        run(main())
    assert written == []


def test_a_search_goes_on_after_a_page_that_was_cancelled() -> None:
    """The page is read again; no user is left out or yielded twice."""
    gate = Gate()

    def page(seen: Seen) -> Reply:
        users = [{"user_id": f"auth0|{n}"} for n in range(3)]
        return Reply(200, {"start": 0, "limit": 100, "length": 3, "total": 3, "users": users})

    def slow(seen: Seen) -> Reply:
        gate.wait()
        return page(seen)

    async def main(client: ManagementClient) -> None:
        found = client.aio.users.search()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(found), 0.1)
        gate.open()
        assert [user.user_id async for user in found] == ["auth0|0", "auth0|1", "auth0|2"]

    with ScriptedServer(slow, page) as server, connect(server) as client:
        run(main(client))
