"""Logins at a tenant that says nothing, or a byte now and then: they end when their budget is spent, on the real clock.

The budgets are short and everything else takes half a minute or more, so a busy machine changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from auth0_meta import ActionTimeout, ManagementClient, NotSentError, TransportError
from auth0_meta.actions import Event, LoginOutcome, PostLoginTrigger
from auth0_meta.actions.web import SigningKeys

UID = "auth0|1"
BUDGET = 0.6
"""Seconds of a login."""
NEVER = 60.0
"""Seconds that no login comes near to."""


class Tenant(ThreadingHTTPServer):
    """A tenant with one user, which answers the methods in `slow` in a certain way; `stored` is what it stores."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.slow: dict[str, Callable[[Handler], None]] = {}
        self.stored: dict[str, Any] = {}
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answer one connection's requests."""

    protocol_version = "HTTP/1.1"
    server: Tenant

    def do_GET(self) -> None:
        """Answer with the profile."""
        self.answer({"user_id": UID, "app_metadata": self.server.stored})

    def do_PATCH(self) -> None:
        """Merge, and answer with the profile."""
        self.server.stored |= json.loads(self.body())["app_metadata"]
        self.answer({"user_id": UID, "app_metadata": self.server.stored})

    def do_POST(self) -> None:
        """Answer with a token."""
        self.body()
        self.answer({"access_token": "a.new.token", "expires_in": 86400})

    def body(self) -> bytes:
        """Read the body."""
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, found: Any) -> None:
        """Answer at once, or in the way that the test has chosen."""
        if slow := self.server.slow.get(self.command):
            slow(self)
            self.close_connection = True
            return
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def silent(handler: Handler) -> None:
    """Say nothing."""
    handler.server.over.wait(NEVER)


def drip(handler: Handler, head: bytes, piece: bytes) -> None:
    """Send a piece now and then."""
    try:
        handler.wfile.write(head)
        while not handler.server.over.wait(0.05):
            handler.wfile.write(piece)
    except OSError:
        pass  # the client has left


def dripping_head(handler: Handler) -> None:
    """Send a header without end."""
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Long: ", b"a")


def dripping_body(handler: Handler) -> None:
    """Send a long body slowly."""
    drip(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    """Return a tenant."""
    with Tenant() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@contextmanager
def client_of(tenant: Tenant, **credentials: Any) -> Iterator[ManagementClient]:
    """Return a client with the usual timeouts."""
    url = f"http://127.0.0.1:{tenant.server_address[1]}"
    with ManagementClient(url, **credentials or {"token": "any.given.token"}) as client:
        yield client


def count(event: Any, api: Any) -> None:
    """Count the login."""
    api.user.set_app_metadata("n", event.user.app_metadata.get("n", 0) + 1)


def with_run(trigger: PostLoginTrigger, event: Event) -> LoginOutcome:
    """Log in without a loop."""
    return trigger.run(event)


def with_arun(trigger: PostLoginTrigger, event: Event) -> LoginOutcome:
    """Log in in a loop."""
    return asyncio.run(trigger.arun(event))


both = pytest.mark.parametrize("log_in", [with_run, with_arun])
slowly = pytest.mark.parametrize("slow", [silent, dripping_head, dripping_body])


def timed_out(log_in: Any, client: ManagementClient, *, budget: float = BUDGET) -> LoginOutcome:
    """Log in; check that it took its budget and not much longer, and return the outcome."""
    trigger = PostLoginTrigger(client, [count], budget=budget)
    began = time.monotonic()
    outcome: LoginOutcome = log_in(trigger, Event.from_claims({"sub": UID}))
    took = time.monotonic() - began
    assert isinstance(outcome.error, ActionTimeout), outcome.error
    assert not outcome.allowed
    assert budget <= took < NEVER / 2
    return outcome


@both
@slowly
def test_a_read_that_is_never_answered_ends_with_the_budget(tenant: Tenant, log_in: Any, slow: Any) -> None:
    """Nothing is written, and the error says so."""
    tenant.slow["GET"] = slow
    with client_of(tenant) as client:
        outcome = timed_out(log_in, client)
    assert "What its actions staged was discarded" in str(outcome.error)
    assert (outcome.commit, tenant.stored) == (None, {})


@both
@slowly
def test_an_update_that_is_never_answered_ends_with_the_budget(
    tenant: Tenant, log_in: Any, slow: Any
) -> None:
    """It may or may not have been written: the error and the outcome say so."""
    tenant.slow["PATCH"] = slow
    with client_of(tenant) as client:
        outcome = timed_out(log_in, client)
    assert "may or may not have been written" in str(outcome.error)
    assert outcome.commit is not None
    assert outcome.commit.outcome == "unknown"
    assert tenant.stored == {"n": 1}


@both
def test_a_token_that_never_comes_ends_with_the_budget(tenant: Tenant, log_in: Any) -> None:
    """The time for a token counts; there is nothing to read or write without one."""
    tenant.slow["POST"] = silent
    with client_of(tenant, client_id="c", client_secret="s") as client:
        outcome = timed_out(log_in, client)
    assert isinstance(outcome.error, ActionTimeout)
    assert isinstance(outcome.error.__cause__, NotSentError)
    assert tenant.stored == {}


@slowly
def test_keys_that_never_come_end_the_check_of_a_token(tenant: Tenant, slow: Any) -> None:
    """Fetching the tenant's keys has a deadline as a whole, so nobody waits for ever behind it."""
    tenant.slow["GET"] = slow
    began = time.monotonic()
    with client_of(tenant, token="any.given.token", timeout=(0.2, 0.2)) as client:
        keys = SigningKeys(client)
        with pytest.raises(TransportError):
            keys.get("k")
    assert time.monotonic() - began < NEVER / 2


def test_a_read_in_time_leaves_the_update_only_the_rest(tenant: Tenant) -> None:
    """The budget is one for all requests of the login."""
    with client_of(tenant) as client:
        answer = Handler.do_GET

        def late(handler: Handler) -> None:
            time.sleep(BUDGET)
            handler.server.slow["PATCH"] = silent
            del handler.server.slow["GET"]
            answer(handler)

        tenant.slow["GET"] = late
        outcome = timed_out(with_run, client, budget=2 * BUDGET)
    assert outcome.commit is not None
    assert outcome.commit.outcome == "unknown"
