"""A whole request ends by its deadline, and a response has a largest size, whatever the server does."""

from __future__ import annotations

import gzip
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import pytest
import trustme
from support.scripted_server import Reply, ScriptedServer, Seen, boom

from auth0_meta import ManagementClient
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.errors import NotSentError, OutcomeUnknown, RateLimitError, ServerError, TransportError
from auth0_meta.http import connections
from auth0_meta.http.budget import Deadline, Freshness, LongWait, WaitBudget
from auth0_meta.http.connections import BoundedReader
from auth0_meta.http.transport import Transport
from auth0_meta.testing import FakeClock

PIECE = 0.05
"""Seconds between two bytes of a server that drips."""
SOON = 0.4
"""The deadline of the tests, in seconds: many pieces long, and far below any timeout."""
ENOUGH = 3.0
"""Seconds within which a busy machine completes a TLS handshake."""
NEVER = 20.0
"""Seconds that are never reached: a test that takes as long has failed."""

Speech = Callable[[socket.socket, threading.Event], None]


def _drip(connection: socket.socket, over: threading.Event, data: bytes) -> None:
    for byte in data:
        if over.wait(PIECE):
            return
        connection.sendall(bytes([byte]))


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Say nothing."""
    over.wait(NEVER)


def dripping_head(connection: socket.socket, over: threading.Event) -> None:
    """Send a header that takes a minute."""
    _drip(connection, over, b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1000)


def dripping_body(connection: socket.socket, over: threading.Event) -> None:
    """Send a body that takes a minute."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    _drip(connection, over, b" " * 1000)


def dripping_chunks(connection: socket.socket, over: threading.Event) -> None:
    """Send chunks of one byte without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"1\r\n \r\n" * 1000)


def informing(connection: socket.socket, over: threading.Event) -> None:
    """Send preliminary responses without end."""
    while not over.wait(PIECE):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.fixture
def speaks() -> Iterator[Callable[..., str]]:
    """Return a function that starts a server with a behavior, which reads the request itself if asked to, and returns its URL."""
    with ExitStack() as closing:
        over = threading.Event()

        def start(speech: Speech, *, reads: bool = True) -> str:
            listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        threading.Thread(target=respond, args=listener.accept()[:1], daemon=True).start()

            def respond(connection: socket.socket) -> None:
                with connection, suppress(OSError):
                    if reads:
                        connection.recv(1 << 16)
                    speech(connection, over)

            threading.Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        closing.callback(over.set)
        yield start


EVERY = [silent, dripping_head, dripping_body, dripping_chunks, informing]


@pytest.mark.parametrize("speech", EVERY)
@pytest.mark.parametrize(("method", "kind"), [("GET", TransportError), ("PATCH", OutcomeUnknown)])
def test_a_response_has_to_arrive_by_the_deadline(
    speech: Speech, method: str, kind: type[Exception], speaks: Callable[[Speech], str]
) -> None:
    """However often a byte arrives, all of it counts; the timeouts alone would wait for a minute."""
    one = Transport(speaks(speech), timeout=(NEVER, NEVER))
    begun = time.monotonic()
    with pytest.raises(TransportError) as caught:
        one.send(method, "/x", headers={}, body=None if method == "GET" else b"{}", seconds=SOON)
    assert type(caught.value) is kind
    assert SOON * 0.9 < time.monotonic() - begun < NEVER / 2
    one.close()


@pytest.mark.parametrize("proxied", [False, True])
def test_the_deadline_holds_under_tls_and_through_a_proxy(
    speaks: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, proxied: bool
) -> None:
    """A tenant has a connection of another class than a server on this machine, and one through a proxy another pool."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "tenant.invalid").configure_cert(context)
    asked: list[bytes] = []

    def encrypted(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            asked.append(inside.recv(1 << 16).partition(b" ")[0])
            dripping_body(inside, over)

    def tunnel(connection: socket.socket, over: threading.Event) -> None:
        asked.append(connection.recv(1 << 16).partition(b" ")[0])
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        encrypted(connection, over)

    url = speaks(tunnel if proxied else encrypted, reads=False)
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", url)
    base = "https://tenant.invalid" if proxied else url.replace("http:", "https:")
    one = Transport(base, timeout=(NEVER, NEVER))
    begun = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        one.send("PATCH", "/x", headers={}, body=b"{}", seconds=ENOUGH)
    assert ENOUGH * 0.9 < time.monotonic() - begun < NEVER / 2
    assert asked == ([b"CONNECT"] if proxied else []) + [b"PATCH"]
    one.close()


def test_a_response_in_time_is_not_cut_short(speaks: Callable[[Speech], str]) -> None:
    """Pieces that arrive by the deadline are one response, and the connection is used again."""

    def in_pieces(connection: socket.socket, over: threading.Event) -> None:
        while True:
            for piece in (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 4\r\n\r\n{", b'"":', b"1}"[:0]):
                connection.sendall(piece)
                over.wait(PIECE / 5)
            connection.recv(1 << 16)

    url = speaks(lambda c, _: in_pieces(c, threading.Event()))
    one = Transport(url, timeout=(NEVER, NEVER))
    assert [one.send("GET", "/x", headers={}, seconds=NEVER).body for _ in range(2)] == [b'{"":', b'{"":']
    one.close()


def test_a_request_without_a_deadline_has_its_timeouts(speaks: Callable[[Speech], str]) -> None:
    """An earlier deadline of the same thread does not count for it."""
    one = Transport(speaks(silent), timeout=(NEVER, 3 * SOON))
    for seconds, least in ((SOON, SOON), (None, 3 * SOON)):
        begun = time.monotonic()
        with pytest.raises(TransportError):
            one.send("GET", "/x", headers={}, seconds=seconds)
        assert time.monotonic() - begun >= least * 0.9
    one.close()


def test_nothing_is_read_after_the_deadline() -> None:
    """Bytes that are there already are too late as well; closing closes the file too, and twice does no harm."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"x")
        raw = here.makefile("rb", buffering=0)
        late = BoundedReader(raw, here, SYSTEM_CLOCK.monotonic() - 0.001)
        with pytest.raises(TimeoutError):
            late.readinto(bytearray(1))
        late.close()
        late.close()
        assert raw.closed


@pytest.mark.parametrize("timeout", [None, NEVER])
def test_a_socket_waits_until_the_deadline_whatever_its_own_timeout(timeout: float | None) -> None:
    """One without a timeout would otherwise wait for ever."""
    here, there = socket.socketpair()
    here.settimeout(timeout)
    with here, there, here.makefile("rb", buffering=0) as raw:
        begun = time.monotonic()
        reader = BoundedReader(raw, here, begun + SOON)
        with pytest.raises(TimeoutError):
            reader.readinto(bytearray(1))
        assert SOON * 0.9 < time.monotonic() - begun < NEVER / 2
        reader.close()


@pytest.mark.parametrize("encoded", [True, False])
def test_a_response_has_a_largest_size(encoded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is its size once decoded: few bytes may stand for very many."""
    monkeypatch.setattr(connections, "_MOST_RECEIVED", 1 << 20)
    body = b" " * (8 << 20)
    headers = {}
    if encoded:
        body = gzip.compress(gzip.compress(body))
        headers = {"Content-Encoding": "gzip, gzip"}
    replies = [Reply(raw=body, headers=headers), Reply(), Reply(raw=b" " * (1 << 20))]
    with ScriptedServer(*replies) as server:
        one = Transport(server.url, timeout=(NEVER, NEVER))
        with pytest.raises(OutcomeUnknown):
            one.send("PATCH", "/x", headers={}, body=b"{}")
        assert one.send("GET", "/x", headers={}).body == b"{}"  # not the rest of the large one
        assert len(one.send("GET", "/x", headers={}).body) == 1 << 20
        one.close()


def test_the_wait_of_an_operation_cuts_its_requests(speaks: Callable[[Speech], str]) -> None:
    """A tenant that drips can't hold a call for longer than it may wait, nor than its time to connect."""
    begun = time.monotonic()
    with (
        ManagementClient(speaks(dripping_body), token="t", timeout=(SOON, NEVER), max_wait=SOON) as client,
        pytest.raises(TransportError),
    ):
        client.users.get("auth0|1")
    assert time.monotonic() - begun < NEVER / 2


# The budget ----------------------------------------------------------------------------------------------


def budget(clock: FakeClock, **limits: float | None) -> WaitBudget:
    """Return a budget without limits but the given ones."""
    return WaitBudget(**({"max_wait": None} | limits), clock=clock)  # type: ignore[arg-type]


def test_the_deadline_of_a_request() -> None:
    """Time to connect and two read timeouts, cut to what the operation has left."""
    clock = FakeClock()
    assert budget(clock).request_time(3, 30) == 63
    assert budget(clock, max_wait=900).request_time(3, 30) == 63
    assert budget(clock, max_wait=20).request_time(3, 30) == 20
    assert budget(clock, max_wait=1).request_time(3, 30) == 1
    assert budget(clock, max_wait=0.2).request_time(3, 30) == 1
    assert budget(clock, max_wait=0).request_time(3, 30) == 63
    ending = budget(clock, max_wait=0, ends=20.0)
    assert ending.request_time(3, 30) == 20
    clock.advance(19)
    assert ending.request_time(3, 30) == 1
    clock.advance(2)
    assert ending.request_time(3, 30) == -1


def test_what_has_been_waited_for_counts() -> None:
    """Waits count, and so does a request or a token that takes more than a second."""
    one = budget(FakeClock(), max_wait=20)
    one.waited = 5.0
    one.spend(1.0)
    assert one.left() == 15
    one.spend(8.0)
    assert one.left() == 7
    assert one.request_time(3, 30) == 7
    one.spend(60.0)
    assert one.left() == 0


def test_the_shortest_limit_counts() -> None:
    """After a stop, half a minute is left, unless the operation must be over sooner."""
    assert budget(FakeClock(), max_wait=5, ends=20).left() == 5
    assert budget(FakeClock(), max_wait=20, ends=5).left() == 5
    for ends, left in ((None, 30), (10, 10), (60, 30)):
        one = budget(FakeClock(), ends=ends)
        one.cancelled = threading.Event()
        one.cancelled.set()
        one.see_through()
        assert one.left() == left


def test_a_write_may_wait_for_the_tokens_that_its_read_used_up() -> None:
    """In any case, and longer after each wait that another read would bring back; after a failure it may not."""
    freshness = Freshness(2.0)
    assert freshness.until(10.0) == Deadline(closed=12.0, paced=12.0)
    assert freshness.until(10.0, needed=1.0) == Deadline(closed=12.0, paced=12.0)
    assert freshness.until(10.0, needed=5.0) == Deadline(closed=12.0, paced=15.0)
    for reason, waited in (("rate limit", 5.0), ("connection", 5.0), ("pacing", 10.0), ("token", 20.0)):
        freshness.note(LongWait(reason, 1.0))
        assert freshness.until(10.0, needed=5.0) == Deadline(closed=12.0, paced=10.0 + waited)


def test_after_a_failure_requests_are_cut_to_what_failures_may_take() -> None:
    """Those of bulk work get ten seconds at least: an outage is waited out for longer, and its end may be slow."""
    one = budget(FakeClock(), failure_wait=30)
    one.failed = 20.0
    assert one.request_time(3, 30) == 63
    one.failures = 1
    assert one.request_time(3, 30) == 10
    one.failed = 29.0
    assert one.request_time(3, 30) == 1
    one.share = 0.5
    assert one.request_time(3, 30) == 10
    one.failed = 0.0
    assert one.request_time(3, 30) == 30


def test_an_operation_that_must_be_over_sends_nothing() -> None:
    """The request is refused before it leaves."""
    clock = FakeClock()
    with ScriptedServer() as server, ManagementClient(server.url, token="t", clock=clock) as client:
        late = client._channel.budget("auth0|1", ends=clock.monotonic())
        with pytest.raises(NotSentError, match="the time for this operation is over") as caught:
            client._channel.read(_target("auth0|1"), late)
        assert caught.value.user_id == "auth0|1"
        assert server.seen == []


def _target(user_id: str) -> object:
    from auth0_meta.http.request import Target

    return Target.user(user_id)


# Failures ------------------------------------------------------------------------------------------------


def failing(times: int) -> list[Reply]:
    """Return so many responses of a server that fails, and one with the user."""
    return [*[boom(503, "Service Unavailable", "later")] * times, Reply(200, {"user_id": "auth0|1"})]


@pytest.mark.parametrize(
    ("failure_wait", "repeats"), [(0.0, 0), (1.0, 1), (30.0, 5), (None, 9), (float("inf"), 9)]
)
def test_failures_have_a_budget_of_their_own(failure_wait: float | None, repeats: int) -> None:
    """A tenant that fails is not waited for as long as a rate limit; `max_wait` bounds both."""
    clock = FakeClock()
    with (
        ScriptedServer(*failing(9)) as server,
        ManagementClient(
            server.url,
            token="t",
            clock=clock,
            failure_wait=failure_wait,
            random=random.Random(7),
            max_wait=900,
        ) as client,
    ):
        if repeats == 9:
            assert client.users.get("auth0|1").user_id == "auth0|1"
        else:
            with pytest.raises(ServerError):
                client.users.get("auth0|1")
        assert len(server.seen) == repeats + 1


def test_a_rate_limit_is_not_a_failure() -> None:
    """A 429 is waited for as long as `max_wait` allows, whatever `failure_wait` is."""
    clock = FakeClock()
    refused = boom(429, "Too Many Requests", "slow down", **{"Retry-After": "600"})
    with (
        ScriptedServer(refused, Reply(200, {"user_id": "auth0|1"})) as server,
        ManagementClient(server.url, token="t", clock=clock, failure_wait=0) as client,
    ):
        assert client.users.get("auth0|1").user_id == "auth0|1"
    assert clock.monotonic() >= 600


@pytest.mark.parametrize("others", [True, False])
def test_bulk_work_outlasts_an_outage(others: bool) -> None:
    """While no request of the client succeeds it waits for a quarter of an hour; else one user fails alone."""
    clock = FakeClock()
    with (
        ScriptedServer(*failing(100)) as server,
        ManagementClient(server.url, token="t", clock=clock) as client,
    ):
        one = client._channel.budget("auth0|1", None, share=0.5)
        if others:
            sleep = clock.sleep

            def meanwhile(seconds: float) -> None:
                sleep(seconds)
                client._channel.outages.succeeded("GET", clock.monotonic())

            clock.sleep = meanwhile  # type: ignore[method-assign]
        with pytest.raises(ServerError):
            client._channel.read(_target("auth0|1"), one)  # type: ignore[arg-type]
        assert one.outage is not others
        assert clock.monotonic() < 31 if others else 800 < clock.monotonic() <= 900


def test_one_outage_is_waited_out_once() -> None:
    """Not anew by each user; but it is after a success, which ends the outage, and for bulk work that begins later."""
    clock, down = FakeClock(), True

    def respond(seen: Seen) -> Reply:
        clock.advance(0.01)
        return boom(503, "Service Unavailable", "later") if down else Reply(200, {"user_id": "auth0|1"})

    def attempt() -> float:
        """Read in bulk; return the seconds that it took to fail."""
        begun = clock.monotonic()
        with pytest.raises(ServerError):
            client._channel.read(_target("auth0|1"), client._channel.budget("auth0|1", None, share=0.5))  # type: ignore[arg-type]
        return clock.monotonic() - begun

    with ScriptedServer(respond) as server, ManagementClient(server.url, token="t", clock=clock) as client:
        assert 800 < attempt() <= 901
        assert attempt() < 31
        assert attempt() < 31
        down = False
        client.users.get("auth0|1")
        down = True
        assert 800 < attempt() <= 901
        assert attempt() < 31
        client._channel.outages.start()
        assert 800 < attempt() <= 901


def test_the_settings_of_a_client_are_checked() -> None:
    """`failure_wait` takes the same values as `max_wait`."""
    for wrong in (-1, "30", True, float("nan")):
        with pytest.raises(ValueError, match="failure_wait"):
            ManagementClient("tenant.invalid", token="t", failure_wait=wrong)  # type: ignore[arg-type]


# Odd responses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "changes", "usable"),
    [
        (200, {}, True),
        (200, {"app_metadata": None}, True),
        (200, {"user_metadata": [1]}, True),
        (200, {"app_metadata": [1]}, False),
        (200, {"app_metadata": "x"}, False),
        (206, {}, False),
        (103, {}, False),
    ],
)
def test_the_response_to_a_patch_is_a_whole_user(
    status: int, changes: dict[str, object], *, usable: bool
) -> None:
    """What the PATCH has touched must be an object; a part of a user, or no final response, says nothing."""
    body = {"user_id": "auth0|1", "app_metadata": {"a": 1}} | changes
    with (
        ScriptedServer(Reply(status, body)) as server,
        ManagementClient(server.url, token="t") as client,
        nullcontext() if usable else pytest.raises(OutcomeUnknown),
    ):
        found = client._channel.patch(
            _target("auth0|1"),  # type: ignore[arg-type]
            {"app_metadata": {"a": 1}},
            client._channel.budget("auth0|1"),
        )
        assert found == body


@pytest.mark.parametrize(
    ("took", "max_wait", "enough"), [(2.0, 1.0, False), (2.0, 3.0, True), (0.9, 0.5, True)]
)
def test_a_token_that_takes_longer_than_the_call_may_wait(
    took: float, max_wait: float, *, enough: bool
) -> None:
    """The request is not sent; a second is always allowed."""
    clock = FakeClock()

    def token() -> str:
        clock.advance(took)
        return "t"

    with (
        ScriptedServer(Reply(200, {"user_id": "auth0|1"})) as server,
        ManagementClient(server.url, token=token, clock=clock, max_wait=max_wait) as client,
    ):
        with nullcontext() if enough else pytest.raises(RateLimitError, match=r"getting a token took 2\.0 s"):
            client.users.get("auth0|1")
        assert len(server.seen) == enough
