"""Event loops and worker threads: context, several loops, shutdown, and that nothing blocks a loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.loops import Gate, run, until
from support.scripted_server import Reply, ScriptedServer, Seen, connect, limited, token

from auth0_meta import ManagementClient, StateError
from auth0_meta.threads.carrier import Carrier
from auth0_meta.threads.errand import Errand

request_id = contextvars.ContextVar("request_id", default="lost")


def test_callbacks_see_the_tasks_context_variables() -> None:
    """This holds for `on_wait`, `on_request`, token functions and the callbacks of a batch, in concurrent tasks too."""
    seen: list[tuple[str, str]] = []

    def note(what: str) -> None:
        seen.append((what, request_id.get()))

    def a_token() -> str:
        note("token")
        return "a.b.c"

    async def serve(client: ManagementClient, name: str) -> None:
        request_id.set(name)
        await client.aio.users.get(UID)
        async with client.aio.batch(on_result=lambda _: note("batch"), window=1) as batch:
            (await batch.user(UID)).app_metadata["n"] = 1

    async def main(client: ManagementClient) -> None:
        await asyncio.gather(serve(client, "request 1"), serve(client, "request 2"))

    with (
        ScriptedServer(limited(**{"Retry-After": "0"}), Reply(), Reply()) as server,
        connect(
            server, token=a_token, on_wait=lambda _: note("wait"), on_request=lambda _: note("request")
        ) as client,
    ):
        run(main(client))
    assert {what for what, _ in seen} == {"token", "wait", "request", "batch"}
    for what in ("token", "request", "batch"):
        assert {name for one, name in seen if one == what} == {"request 1", "request 2"}
    assert {name for _, name in seen} == {"request 1", "request 2"}


@pytest.mark.parametrize(
    "where", ["connecting", "in the token function", "waiting for the token endpoint", "sending"]
)
def test_nothing_blocks_the_loop(where: str) -> None:
    """Whatever the worker thread hangs in, another task runs on."""
    gate = Gate()

    def held(seen: Seen) -> Reply:
        gate.wait()
        return token() if seen.path == "/oauth/token" else Reply()

    def slow_token() -> str:
        gate.wait()
        return "a.b.c"

    settings: dict[str, Any] = {
        "in the token function": {"token": slow_token},
        "waiting for the token endpoint": {"client_id": "id", "client_secret": "s3cret"},
    }.get(where, {})
    loop_thread = threading.get_ident()
    threads: set[int] = set()

    async def main(client: ManagementClient) -> None:
        if where == "connecting":
            connecting = client._channel.transport.send

            def send(*args: Any, **kwargs: Any) -> Any:
                threads.add(threading.get_ident())
                gate.wait()
                return connecting(*args, **kwargs)

            client._channel.transport.send = send  # type: ignore[method-assign]
        task = asyncio.ensure_future(client.aio.users.update(UID, {"name": "Ada"}))
        await until(gate.arrived.is_set)  # in a loop that is blocked this would not return
        gate.open()
        await task

    with ScriptedServer(held) as server, connect(server, **settings) as client:
        run(main(client))
    assert loop_thread not in threads


def test_one_loop_after_the_other() -> None:
    """`asyncio.run` twice with one client, whose threads outlive the first loop."""
    local = Local({"n": 1})
    for n in range(3):
        run(local.client.aio.users.set_metadata(UID, app={"n": n}))
    assert local.app_metadata == {"n": 2}


def test_two_loops_in_two_threads() -> None:
    """Each result wakes the loop that awaits it."""
    found: dict[str, list[str]] = {}

    async def many(name: str) -> None:
        users = await asyncio.gather(*(client.aio.users.get(f"auth0|{name}{n}") for n in range(40)))
        found[name] = [user.user_id for user in users]

    with ScriptedServer() as server, connect(server, pool_size=4) as client:
        threads = [threading.Thread(target=run, args=(many(name),)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == {name: [f"auth0|{name}{n}" for n in range(40)] for name in "ab"}


def test_a_loop_that_is_closed_under_way_harms_nobody() -> None:
    """What its task began is finished in the thread, and the next loop works."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply()

    with ScriptedServer(respond) as server, connect(server, pool_size=1) as client:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # "Task was destroyed": this program did that
        task = loop.create_task(client.aio.users.update(UID, {"name": "Ada"}))
        loop.run_until_complete(until(gate.arrived.is_set))
        loop.close()
        del task
        gc.collect()
        gate.open()
        assert run(client.aio.users.get(UID)).user_id == UID
        assert server.methods() == ["PATCH", "GET"]


def test_closing_the_client_lets_what_is_under_way_end() -> None:
    """A call that has left gets its response; one in line fails, and so does a later one."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply()

    async def main(client: ManagementClient) -> None:
        first = asyncio.ensure_future(client.aio.users.update(UID, {"name": "Ada"}))
        await until(gate.arrived.is_set)
        second = asyncio.ensure_future(client.aio.users.get(UID))
        await asyncio.sleep(0.05)
        await client.aio.aclose()
        gate.open()
        assert (await first).user_id == UID
        for late in (second, client.aio.users.get(UID)):
            with pytest.raises(StateError, match="closed"):
                await late

    with ScriptedServer(respond) as server:
        client = connect(server, pool_size=1)
        run(main(client))
        assert server.methods() == ["PATCH"]


def test_trio_is_refused() -> None:
    """Without a loop of asyncio every call raises StateError, and nothing is sent."""
    trio = pytest.importorskip("trio")
    with ScriptedServer() as server, connect(server) as client:

        async def main() -> None:
            for call in (client.aio.users.get(UID), client.aio.transaction(UID).load(), client.aio.check()):
                with pytest.raises(StateError, match="trio"):
                    await call

        trio.run(main)
        assert server.seen == []


def test_an_error_keeps_no_result_alive() -> None:
    """Neither an exception nor an idle thread refers to what a call has returned or raised."""

    class Value:
        pass

    async def main() -> None:
        carrier = Carrier(1)
        value = Value()
        refs = [weakref.ref(value)]

        def fail() -> None:
            failing = Value()
            refs.append(weakref.ref(failing))
            raise LookupError

        await carrier.carry(Errand(lambda value=value: value))
        with pytest.raises(LookupError):
            await carrier.carry(Errand(fail))
        del value
        await carrier.carry(Errand(int))
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        carrier.close()

    run(main())


PROGRAM = """
import asyncio, sys
from auth0_meta import AsyncManagementClient

async def main():
    async with AsyncManagementClient(sys.argv[1], token="a.b.c", max_wait=None) as client:
        tx = client.transaction("auth0|1")
        try:
            async with tx:
                tx.user_metadata["theme"] = "dark"
        finally:
            print(tx.result.outcome, flush=True)

asyncio.run(main(), debug=True)
"""
ABANDONED = """
import asyncio, sys
from auth0_meta import AsyncManagementClient

client = AsyncManagementClient(sys.argv[1], token="a.b.c", max_wait=None)
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
task = loop.create_task(client.users.get("auth0|1"))
loop.run_until_complete(asyncio.sleep(float(sys.argv[2])))
print("left", flush=True)
"""


def program(code: str, *args: str) -> subprocess.Popen[str]:
    """Start a Python program whose warnings are errors."""
    line = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(code), *args]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("when", ["in a wait", "after the PATCH has left"])
def test_ctrl_c_ends_the_program_with_the_truth(when: str) -> None:
    """A wait ends and nothing was written; a PATCH that has left is awaited first."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        if when == "in a wait":
            gate.arrived.set()
            return limited(3600)
        gate.wait()
        return Reply()

    with ScriptedServer(respond) as server:
        running = program(PROGRAM, server.url)
        assert gate.arrived.wait(60)
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        time.sleep(0.2)
        gate.open()
        out, err = running.communicate(timeout=60)
    assert out == ("failed\n" if when == "in a wait" else "updated\n")
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "never awaited" not in err
    assert "ResourceWarning" not in err


@pytest.mark.slow
def test_an_abandoned_loop_does_not_keep_the_program_from_ending() -> None:
    """Worker threads are daemons: one that waits for an hour does not hold up the end."""
    with ScriptedServer(limited(3600)) as server:
        running = program(ABANDONED, server.url, "0.5")
        out, _ = running.communicate(timeout=60)
    assert (out, running.returncode) == ("left\n", 0)
