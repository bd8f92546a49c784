"""One connection: however its bytes arrive, the same requests are carried out, in order and in time."""

from __future__ import annotations

import socket
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.emulator.http.message import Request, Response
from auth0_meta.emulator.serving import connection
from auth0_meta.emulator.serving.connection import LONGEST_REQUEST, Connection
from auth0_meta.testing import FakeClock

PUT = b"PUT /a HTTP/1.1\r\nHost: a\r\n"


class Wire(socket.socket):
    """A socket on which these pieces arrive, each `pause` seconds after the one before; then there is only silence."""

    def __init__(self, pieces: list[bytes], clock: FakeClock, pause: float = 0.0) -> None:
        super().__init__()
        self.pieces, self.clock, self.pause, self.wait = pieces, clock, 0.0, pause
        self.patience = 0.0
        self.sent = b""
        self.room: int | None = None

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout."""
        assert seconds
        self.patience = seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what arrives within the timeout."""
        pause, self.pause = self.pause, self.wait
        if not self.pieces or pause > self.patience:
            self.clock.advance(self.patience)
            raise TimeoutError
        self.clock.advance(pause)
        return self.pieces.pop(0)

    def send(self, data: Any, flags: int = 0) -> int:
        """Take what fits."""
        if self.room == 0:
            raise TimeoutError
        self.sent += data[: self.room]
        return len(data[: self.room])

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Take everything."""
        assert self.patience > 10
        self.sent += data


class Service:
    """A server that responds to everything with the number of the request."""

    own_host = "localhost"
    presses = False

    def __init__(self) -> None:
        self.pipeline: Any = self
        self.requests: list[Request] = []
        self.waiting: dict[Connection, float] = {}

    def most_body(self, target: str, headers: dict[str, str]) -> int:
        """Return the limit."""
        return 1000

    def handle(self, request: Request) -> Response:
        """Respond."""
        self.requests.append(request)
        return Response(200, [], b"%d" % len(self.requests), None, None, lambda seconds: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace the clock of connections."""
    return patched_clock(monkeypatch)


def patched_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace the clock of connections."""
    clock = FakeClock()
    monkeypatch.setattr(connection, "SYSTEM_CLOCK", clock)
    return clock


def served(pieces: list[bytes], clock: FakeClock, **settings: Any) -> tuple[bool, Wire, list[Request]]:
    """Serve a connection; return whether it stays open, its wire, and the requests that were carried out."""
    service = Service()
    with Wire(pieces, clock, **settings) as wire:
        stays = Connection(wire, service).serve()
    assert not service.waiting
    return stays, wire, service.requests


def test_requests_that_arrive_together_are_answered_in_order(clock: FakeClock) -> None:
    """The bytes after a body belong to the next request."""
    one = PUT + b"Content-Length: 3\r\n\r\nabc"
    two = PUT + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n"
    stays, wire, requests = served([one + two + b"\r\n" + one], clock)
    assert stays
    assert [request.body for request in requests] == [b"abc", b"abcd", b"abc"]
    assert wire.sent == b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n for n in (1, 2, 3))


def test_the_end_of_a_connection_is_said(clock: FakeClock) -> None:
    """What comes after a request that closes the connection is ignored; HTTP/1.0 must ask to keep it."""
    close = PUT + b"Connection: close\r\n\r\n"
    stays, wire, requests = served([close + close], clock)
    assert (stays, len(requests)) == (False, 1)
    assert wire.sent == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1"
    stays, wire, requests = served([b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2], clock)
    assert (stays, len(requests)) == (True, 2)
    assert wire.sent == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n" * 2


def test_a_client_that_expects_it_gets_a_100(clock: FakeClock) -> None:
    """Not if the body has come already, nor if it would be refused."""
    expects = PUT + b"Expect: 100-continue\r\n"
    _, wire, requests = served([expects + b"Content-Length: 3\r\n\r\n", b"abc"], clock)
    assert (wire.sent.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), requests[0].body) == (
        True,
        b"abc",
    )
    _, wire, requests = served([expects + b"Content-Length: 3\r\n\r\nabc"], clock)
    assert (wire.sent.startswith(b"HTTP/1.1 200"), requests[0].body) == (True, b"abc")
    stays, wire, requests = served([expects + b"Content-Length: 3000\r\n\r\n"], clock)
    assert (stays, wire.sent.startswith(b"HTTP/1.1 200"), len(requests[0].body)) == (False, True, 1001)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /" + b"x" * 70_000, 414),
        (PUT + b"A: " + b"x" * 70_000, 431),
        (PUT + b"A: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 70_000, 400),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 20_000, 400),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\nT x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=[
        "line feeds",
        "long line",
        "long header",
        "complete long header",
        "long size",
        "trailers",
        "chunk",
        "trailer",
        "tls",
    ],
)
def test_what_is_no_request_is_refused_at_once(raw: bytes, status: int, clock: FakeClock) -> None:
    """Nothing is carried out, and the connection ends."""
    pieces = [raw[at : at + 60_000] for at in range(0, len(raw), 60_000)]
    stays, wire, requests = served([*pieces, b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"], clock)
    assert (stays, requests, int(wire.sent[9:12])) == (False, [], status)
    assert b"\r\nConnection: close\r\n\r\n" in wire.sent
    assert clock.monotonic() <= FakeClock().monotonic() + 1


@pytest.mark.parametrize(
    "start", [b"", PUT, PUT + b"Content-Length: 1000\r\n\r\n"], ids=["line", "head", "body"]
)
def test_a_request_has_a_deadline_as_a_whole(start: bytes, clock: FakeClock) -> None:
    """A byte now and then does not keep a thread for ever."""
    begun = clock.monotonic()
    stays, wire, requests = served([start + b"x", *[b"x"] * 500], clock, pause=7)
    assert (stays, requests, wire.sent[9:12]) == (False, [], b"408")
    assert clock.monotonic() - begun < LONGEST_REQUEST + 2


@pytest.mark.parametrize("room", [0, 10])
def test_a_client_may_take_its_time_with_a_response(room: int, clock: FakeClock) -> None:
    """Much more than a connection waits for the next request."""
    with Wire([PUT + b"\r\n"], clock) as wire:
        wire.room = room
        assert Connection(wire, Service()).serve()
    assert wire.sent == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"


# Any pieces -------------------------------------------------------------------------------------------

BODIES = st.binary(max_size=30)


def framed(body: bytes, chunk: int) -> bytes:
    """Return a request with a body, in chunks of this size, or whole if it is 0."""
    if not chunk:
        return PUT + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    chunks = b"".join(b"%x;e\r\n%b\r\n" % (len(part), part) for part in parts)
    return PUT + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def pieces_of(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes into pieces."""
    places = sorted({cut % len(raw) for cut in cuts} - {0})
    return [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]


@given(
    st.lists(st.tuples(BODIES, st.integers(0, 9)), min_size=1, max_size=4),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_however_requests_are_cut_they_are_the_same(bodies: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """The network may split and join them anywhere."""
    raw = b"".join(framed(*one) for one in bodies)
    with pytest.MonkeyPatch.context() as patch:
        stays, _, requests = served(pieces_of(raw, cuts), patched_clock(patch))
    assert stays
    assert [request.body for request in requests] == [body for body, _ in bodies]


@given(
    st.lists(st.tuples(BODIES, st.integers(0, 9)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([b"\r", b"\n", b" ", b"0", b"\0", b":", b"f"])), max_size=3),
)  # fmt: skip
def test_damaged_requests_mean_the_same_to_another_parser(
    bodies: list[tuple[bytes, int]], damage: list[tuple[int, bytes]]
) -> None:
    """Whatever is carried out, h11 reads the same requests in the same bytes; it never sees others in between."""
    raw = b"".join(framed(*one) for one in bodies)
    for place, byte in damage:
        at = place % len(raw)
        raw = raw[:at] + byte + raw[at + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        _, _, requests = served([raw], patched_clock(patch))
    other = h11.Connection(h11.SERVER)
    other.receive_data(raw)
    for request in requests:
        if not request.path.isascii():
            return
        body = b""
        assert isinstance(other.next_event(), h11.Request)
        while isinstance(event := other.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert request.body == body
        if other.their_state is not h11.DONE:
            return
        other.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        other.send(h11.EndOfMessage())
        if other.our_state is not h11.DONE:
            return
        other.start_next_cycle()
