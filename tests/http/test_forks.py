"""A client can be used in a forked child, whatever its threads were doing at that moment."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.forks import in_child
from support.interrupts import at_every_line
from support.scripted_server import Reply, ScriptedServer, Seen, connect, token

from auth0_meta import ManagementClient, RateLimit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def respond(seen: Seen) -> Reply:
    """Serve tokens and users."""
    return token() if seen.path == "/oauth/token" else Reply(200, {"user_id": seen.path.rpartition("/")[2]})


def test_a_child_forked_while_the_line_is_full_has_nobody_ahead_of_it() -> None:
    """The parent's threads would take all tokens of the next 2.5 s; the child needs one."""
    waiting = threading.Semaphore(0)
    with (
        ScriptedServer(respond) as server,
        connect(server, rate_limit=RateLimit(2, 4), on_wait=lambda _: waiting.release()) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        busy = [pool.submit(client.users.get, f"u{n}") for n in range(12)]
        for _ in range(10):
            assert waiting.acquire(timeout=10)
        assert (
            in_child(lambda: str(client._channel.call("GET", "/api/v2/users/x", max_wait=2.0)))
            == "{'user_id': 'x'}"
        )
        assert [one.result(20).user_id for one in busy] == [f"u{n}" for n in range(12)]


@pytest.mark.parametrize("busy", [1, 6])
def test_a_child_forked_during_a_token_fetch_waits_for_nobody(busy: int) -> None:
    """Neither for the thread that fetches nor for those that wait for it."""
    fetching, go_on = threading.Event(), threading.Event()

    def slow(seen: Seen) -> Reply:
        if seen.path == "/oauth/token" and not fetching.is_set():
            fetching.set()
            assert go_on.wait(20)
        return respond(seen)

    with (
        ScriptedServer(slow) as server,
        connect(server, client_id="c", client_secret="s") as client,
        ThreadPoolExecutor(busy) as pool,
    ):
        others = [pool.submit(client.users.get, f"u{n}") for n in range(busy)]
        assert fetching.wait(10)
        time.sleep(0.1)  # the others reach the line; if they do not, the test is only weaker
        assert in_child(lambda: client.users.get("child").user_id) == "child"
        go_on.set()
        assert [one.result(20).user_id for one in others] == [f"u{n}" for n in range(busy)]


@pytest.mark.slow
def test_a_child_forked_at_any_line_can_send() -> None:
    """A signal handler may fork in the midst of the client, even where its own thread holds a lock."""
    children: list[str] = []
    with ScriptedServer(respond) as server:

        class Work:
            def __init__(self) -> None:
                self.client: ManagementClient = connect(server, client_id="c", client_secret="s")

            def __call__(self) -> None:
                assert self.client.users.get("parent").user_id == "parent"

        def fork(work: Work) -> None:
            children.append(in_child(lambda: work.client.users.get("child").user_id))

        for work, where in at_every_line(Work, fork, every=11):
            assert children[-1] == "child", where
            work.client.close()
    assert len(children) > 20
