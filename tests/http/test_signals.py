"""Real signals and finalizers, at random instants: they may use the client that they interrupt, and may end what it does."""

from __future__ import annotations

import gc
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from support.interrupts import Interrupt, at_every_line
from support.scripted_server import Reply, ScriptedServer, Seen, connect, token

from auth0_meta import ManagementClient, RateLimit
from auth0_meta.errors import StateError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer"),
]
LONGEST = 20.0  # seconds after which a test has seen enough signals


def respond(seen: Seen) -> Reply:
    """Serve tokens that must be renewed often, and users."""
    if seen.path == "/oauth/token":
        return token(expires_in=1)
    return Reply(200, {"user_id": seen.path.rpartition("/")[2]})


@contextmanager
def client_of(**settings: Any) -> Iterator[ManagementClient]:
    """Return a client with credentials, of a server of its own."""
    with (
        ScriptedServer(respond) as server,
        connect(server, client_id="c", client_secret="s", **settings) as client,
    ):
        yield client


@contextmanager
def alarms(handler: Any) -> Iterator[Any]:
    """Let `handler` run on each SIGALRM in the block; yield what orders the next one, after 0.01 to 3 ms."""
    rng = random.Random(5)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, 1e-5 + rng.random() * 0.003)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("limit", [None, RateLimit(5, 300)], ids=["tokens show", "the bucket is dry"])
def test_a_signal_handler_may_use_the_client_that_it_interrupts(limit: RateLimit | None) -> None:
    """Its request and the interrupted one both succeed, or the handler's is refused at once."""
    handled, refused = [], []

    def handle(_: int, __: FrameType | None) -> None:
        try:
            handled.append(client.users.get("handler").user_id)
        except StateError as error:
            refused.append(error)

    with client_of(rate_limit=limit) as client, alarms(handle) as order:
        end = time.monotonic() + LONGEST
        while len(handled) < 300 and time.monotonic() < end:
            order()
            assert client.users.get("main").user_id == "main"
    assert len(handled) > 10
    assert set(handled) == {"handler"}
    assert len(refused) <= len(handled)
    assert all("nothing was sent" in str(error) for error in refused)


def test_a_signal_handler_may_commit_at_any_line_of_a_commit() -> None:
    """Both transactions are written, by the same client, each to its user."""
    outcomes: list[str] = []
    with ScriptedServer(respond) as server:

        class Work:
            def __init__(self) -> None:
                self.client = connect(server, rate_limit="1000@1000")
                self.outcome = ""

            def __call__(self) -> None:
                with self.client.transaction("main") as tx:
                    tx.user_metadata["theme"] = "dark"
                self.outcome = tx.result.outcome

        def handle(work: Work) -> None:
            with work.client.transaction("handler", join=False) as tx:
                tx.app_metadata["seen"] = True
            outcomes.append(tx.result.outcome)

        for work, where in at_every_line(Work, handle, every=5):
            assert (work.outcome, outcomes[-1]) == ("updated", "updated"), where
            work.client.close()
    assert len(outcomes) > 100


def test_a_finalizer_may_use_the_client_that_it_interrupts() -> None:
    """The garbage collector runs it wherever something is allocated."""
    found: list[str] = []

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            found.append(client.users.get("finalizer").user_id)

    before = gc.get_threshold()
    with client_of() as client:
        client.users.get("main")
        try:
            for threshold in range(5, 155):
                Cycle()
                gc.set_threshold(threshold, 1000, 1000)
                assert client.users.get("main").user_id == "main"
        finally:
            gc.set_threshold(*before)
            gc.collect()
    assert set(found) == {"finalizer"}
    assert len(found) == 150


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("limit", [None, RateLimit(5, 300)], ids=["tokens show", "the bucket is dry"])
def test_an_exception_from_a_signal_handler_leaves_the_client_usable(limit: RateLimit | None) -> None:
    """The interrupted thread and others can go on, as after a Ctrl-C or a soft time limit."""
    armed, ended = False, 0

    def handle(_: int, __: FrameType | None) -> None:
        if armed:
            raise Interrupt

    with client_of(rate_limit=limit) as client, alarms(handle) as order, ThreadPoolExecutor(1) as pool:
        end = time.monotonic() + LONGEST
        while ended < 300 and time.monotonic() < end:
            try:
                armed = True
                order()
                for _ in range(20):  # Python drops what is raised while it throws a response away
                    client.users.get("main")
            except Interrupt:
                pass
            armed = False
            ended += 1
            assert pool.submit(client.users.get, "other").result(30).user_id == "other"
            assert client.users.get("main").user_id == "main"
    assert ended > 10
