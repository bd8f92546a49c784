"""A request on a connection that is open already goes past requests and urllib3; only the time that it takes shows that."""

from __future__ import annotations

import gzip
import http.client
import io
import logging
import select
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from support.interrupts import Interrupt, at_every_line
from support.scripted_server import Reply, ScriptedServer, Seen, connect
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from auth0_meta.errors import OutcomeUnknown, TransportError
from auth0_meta.http import connections
from auth0_meta.http.transport import Transport
from auth0_meta.telemetry import wire_log

NEVER = 20.0
"""Seconds that are never reached: a test that takes as long has failed."""
OPENED = Reply(200, {"opened": True})
"""The response to the first request, after which there is an open connection."""


@pytest.fixture
def by_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the path of each request that goes through requests."""
    paths: list[str] = []
    plain = HTTPAdapter.request_url

    def note(self: HTTPAdapter, request: PreparedRequest, proxies: Any) -> str:
        paths.append(request.path_url)
        return plain(self, request, proxies)

    monkeypatch.setattr(HTTPAdapter, "request_url", note)
    return paths


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close what a test opens."""
    with ExitStack() as stack:
        yield stack


def _opened(closing: ExitStack, url: str, **settings: Any) -> Transport:
    """Return a transport with an open connection."""
    one = Transport(url, **{"timeout": (NEVER, NEVER), **settings})
    closing.callback(one.close)
    one.send("GET", "/opened", headers={})
    return one


# What is sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", None, {}),
        ("PATCH", b'{"a":1}', {"Content-Type": "application/json", "Authorization": "Bearer a.b.c"}),
        ("POST", b"x" * 500_000, {"user-agent": "mine/1"}),
        ("POST", None, {}),
        ("PUT", b"", {"X-Empty": ""}),
        ("DELETE", None, {}),
        ("OPTIONS", None, {"X-Correlation-ID": "a: b"}),
    ],
)
def test_the_same_leaves_either_way(
    method: str, body: bytes | None, headers: dict[str, str], by_requests: list[str], closing: ExitStack
) -> None:
    """Method, path, headers and body are those that requests would send."""
    server = closing.enter_context(ScriptedServer())
    one = Transport(server.url, timeout=(NEVER, NEVER))
    closing.callback(one.close)
    path = "/api/v2/users/auth0%7C1?a=%C3%A4&b=~!*'();,:@$"
    for _ in range(2):
        assert one.send(method, path, headers=headers, body=body).status == 200
    assert by_requests == [path]
    first, second = server.seen
    assert (first.method, first.path, first.headers, first.body) == (
        second.method,
        second.path,
        second.headers,
        second.body,
    )
    assert first.connection == second.connection


@pytest.mark.parametrize(
    "path", ["/api/v2/users/auth0|1", "/a?q=ä", "/a?", '/a"b', "/a%7c", "/a%2", "/a b", "/a\\b"]
)
def test_a_path_that_urllib3_encodes_is_encoded(
    path: str, by_requests: list[str], closing: ExitStack
) -> None:
    """Then urllib3 sends it, so that it looks the same on every connection."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    one.send("GET", path, headers={})
    fresh = Transport(server.url, timeout=(NEVER, NEVER))
    closing.callback(fresh.close)
    fresh.send("GET", path, headers={})
    assert server.paths()[1] == server.paths()[2]
    assert len(by_requests) == 3


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "ä\r\nX: b"])
def test_no_header_has_a_second_line(value: str, closing: ExitStack) -> None:
    """Nothing that is sent is the work of a value with a line break."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    with pytest.raises(ValueError, match="Invalid header value"):
        one.send("GET", "/x", headers={"X-Value": value})
    assert len(server.seen) == 1


def test_a_header_beyond_ascii_is_sent_as_http_does(by_requests: list[str], closing: ExitStack) -> None:
    """In Latin-1, by http.client."""
    server = closing.enter_context(ScriptedServer())
    _opened(closing, server.url).send("GET", "/x", headers={"X-Name": "Åsa"})
    assert server.seen[1].headers["X-Name"] == "Åsa"
    assert by_requests == ["/opened", "/x"]


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("http://127.0.0.1:8810", "127.0.0.1:8810"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://[::1]:81", "[::1]:81"),
        ("https://Tenant.EU.auth0.com.", "tenant.eu.auth0.com"),
        ("https://tenant.eu.auth0.com:443", "tenant.eu.auth0.com"),
        ("https://tenant.eu.auth0.com:80", "tenant.eu.auth0.com:80"),
    ],
)
def test_the_host_is_named_as_http_client_names_it(
    base: str, host: str, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """Without the port of the scheme, without a last dot, and an IPv6 address in brackets."""
    heads: list[bytes] = []

    def serve(there: socket.socket) -> None:
        with there, suppress(OSError):
            while (data := there.recv(1 << 16)) != b"":
                heads.append(data)
                there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def connect_here(self: Any) -> None:
        self.sock, there = socket.socketpair()
        self.is_verified = True
        threading.Thread(target=serve, args=(there,), daemon=True).start()

    for kind in (connections._Connection, connections._TLSConnection):
        monkeypatch.setattr(kind, "connect", connect_here)
    one = _opened(closing, base)
    one.send("GET", "/x", headers={})
    hosts = [head.partition(b"Host: ")[2].partition(b"\r\n")[0].decode() for head in heads]
    assert hosts == [host, host]


# What comes back ----------------------------------------------------------------------------------------


LONG = b'{"a":"' + b"x" * 200_000 + b'"}'


@pytest.mark.parametrize("data", [b"{}", LONG], ids=["short", "long"])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_every_body_is_read_to_its_end(
    data: bytes, coding: str, framing: str, by_requests: list[str], closing: ExitStack
) -> None:
    """Plain or compressed, with a length, in chunks, or up to the end of the connection, which is then replaced."""
    encode: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}
    body = encode[coding](data)
    head = f"HTTP/1.1 200 OK\r\n{f'Content-Encoding: {coding}' if coding else 'X-Plain: 1'}\r\n".encode()
    if framing == "length":
        answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    elif framing == "chunks":
        half = len(body) // 2
        parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])]
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n\r\n"
    else:
        answer = head + b"Connection: close\r\n\r\n" + body
    url, accepted = _speaking(closing, answer, ends=framing == "close")
    one = _opened(closing, url)
    for _ in range(2):
        response = one.send("GET", "/x", headers={})
        assert (response.status, response.body) == (200, data)
    if framing == "close":
        assert (by_requests, len(accepted)) == (["/opened", "/x"], 2)
    else:
        assert (by_requests, len(accepted)) == (["/opened"], 1)


def _speaking(closing: ExitStack, answer: bytes, *, ends: bool = False) -> tuple[str, list[socket.socket]]:
    """Start a server that gives this answer to all but the request for /opened, and then `ends` the connection."""
    listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    accepted: list[socket.socket] = []
    ended = threading.Event()
    closing.callback(ended.set)

    def respond(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (request := connection.recv(1 << 16)) != b"":
                if b" /stalled " in request:
                    ended.wait()
                    return
                if b" /opened " in request:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                connection.sendall(answer)
                if ends:
                    return

    def serve() -> None:
        with suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])
                threading.Thread(target=respond, args=(accepted[-1],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", accepted


@pytest.mark.parametrize("reply", [Reply(204), Reply(304), Reply(404), Reply(429), Reply(500)])
def test_every_status_is_returned(reply: Reply, by_requests: list[str], closing: ExitStack) -> None:
    """As it is, with its headers, which have no case, and those of one name joined."""
    reply.headers = {"X-RateLimit-Limit": "10", "x-ratelimit-LIMIT": "11"}
    server = closing.enter_context(ScriptedServer(OPENED, reply))
    response = _opened(closing, server.url).send("PATCH", "/x", headers={}, body=b"{}")
    assert response.status == reply.status
    assert response.headers["x-RateLimit-limit"] == response.headers.get("X-RATELIMIT-LIMIT") == "10, 11"
    assert "X-RATELIMIT-Limit" in response.headers
    assert "x-other" not in response.headers
    assert (response.headers.get("X-Other"), response.headers.get("X-Other", "none")) == (None, "none")
    assert by_requests == ["/opened"]


def test_a_folded_header_is_one_line(closing: ExitStack) -> None:
    """As urllib3 unfolds it: a request id with a line break would begin a line of the log."""
    url, _ = _speaking(closing, b"HTTP/1.1 200 OK\r\nX-Id: a \r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}")
    assert _opened(closing, url).send("GET", "/x", headers={}).headers["x-id"] == "a b c"


def test_a_head_has_no_body(by_requests: list[str], closing: ExitStack) -> None:
    """Its Content-Length says how long the body of a GET would be."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    assert one.send("HEAD", "/x", headers={}).body == b""
    assert one.send("GET", "/x", headers={}).body == b"{}"
    assert by_requests == ["/opened"]


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        (b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", False),
        (b"HTTP/1.1 199 No\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"nonsense\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 101 + b"\r\n", False),
    ],
    ids=[
        *("dropped", "cut short", "long and cut short", "chunk cut short", "no gzip"),
        *("early", "no final", "nonsense", "two lengths", "long line", "many headers"),
    ],
)
@pytest.mark.parametrize(("method", "kind"), [("GET", TransportError), ("PATCH", OutcomeUnknown)])
def test_what_is_no_response_is_lost(
    answer: bytes,
    ends: bool,
    method: str,
    kind: type[TransportError],
    by_requests: list[str],
    closing: ExitStack,
) -> None:
    """Only a write's outcome is unknown then.  The connection is not used again, and the next response is its own."""
    url, accepted = _speaking(closing, answer, ends=ends)
    one = _opened(closing, url)
    with pytest.raises(TransportError) as caught:
        one.send(method, "/x", headers={}, body=None if method == "GET" else b"{}")
    assert type(caught.value) is kind
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert by_requests == ["/opened"]
    assert one.send("GET", "/opened", headers={}).body == b""
    assert len(accepted) == 2


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"], ids=["silent", "stuck"]
)
@pytest.mark.parametrize("limits", [{"seconds": 0.2}, {"timeout": (NEVER, 0.2)}], ids=["deadline", "timeout"])
def test_a_response_that_does_not_come_is_waited_for_as_long_as_allowed(
    answer: bytes, limits: dict[str, Any], by_requests: list[str], closing: ExitStack
) -> None:
    """The read timeout counts, and so does the deadline of the whole request."""
    url, _ = _speaking(closing, answer)
    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        _opened(closing, url).send("PATCH", "/x", headers={}, body=b"{}", **limits)
    assert by_requests == ["/opened"]


def test_sending_may_take_as_long_as_connecting(closing: ExitStack) -> None:
    """As on a new connection, and reading may take longer."""
    url, _ = _speaking(closing, b"")
    one = _opened(closing, url, timeout=(0.2, 3600.0))
    adapter = one._adapter
    assert isinstance(adapter, connections.OneHostAdapter)
    there = adapter._pool.pool.queue[-1].sock  # type: ignore[union-attr]
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with pytest.raises(OutcomeUnknown, match="ConnectionError: TimeoutError"):
        one.send("PATCH", "/stalled", headers={}, body=b"x" * (16 << 20))


def test_the_timeout_of_one_request_is_not_that_of_the_next(closing: ExitStack) -> None:
    """Both are sent on one connection."""
    server = closing.enter_context(ScriptedServer(OPENED, Reply(), Reply(delay=0.3)))
    one = _opened(closing, server.url)
    one.send("GET", "/x", headers={}, seconds=0.2)
    assert one.send("GET", "/x", headers={}).status == 200
    assert {seen.connection for seen in server.seen} == {1}


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError])
def test_a_response_that_came_before_the_request_had_left_counts(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """A server may refuse a large body and close the connection without reading it."""
    server = closing.enter_context(ScriptedServer(OPENED, Reply(413)))
    one = _opened(closing, server.url)
    send = http.client.HTTPConnection.send

    def interrupted(self: http.client.HTTPConnection, data: Any) -> None:
        send(self, data)
        raise error

    monkeypatch.setattr(http.client.HTTPConnection, "send", interrupted)
    assert one.send("POST", "/x", headers={}, body=b"{}").status == 413


def test_any_other_failure_to_send_loses_the_response(
    monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """It may have failed after the last byte."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)

    def failing(self: object, data: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched, pytest.raises(OutcomeUnknown, match="Input/output error"):
        patched.setattr(http.client.HTTPConnection, "send", failing)
        one.send("POST", "/x", headers={}, body=b"{}")
    assert one.send("GET", "/x", headers={}).status == 200
    assert [seen.connection for seen in server.seen] == [1, 2]


@pytest.mark.parametrize("encoded", [True, False])
def test_a_response_has_a_largest_size_here_too(
    encoded: bool, by_requests: list[str], monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """Once decoded."""
    monkeypatch.setattr(connections, "_MOST_RECEIVED", 1 << 20)
    body = b" " * ((1 << 20) + 1)
    large = (
        Reply(raw=gzip.compress(body), headers={"Content-Encoding": "gzip"}) if encoded else Reply(raw=body)
    )
    server = closing.enter_context(ScriptedServer(OPENED, Reply(raw=body[1:]), large, Reply()))
    one = _opened(closing, server.url)
    assert len(one.send("GET", "/x", headers={}).body) == 1 << 20
    with pytest.raises(OutcomeUnknown):
        one.send("PATCH", "/x", headers={}, body=b"{}")
    assert by_requests == ["/opened"]
    assert one.send("GET", "/x", headers={}).body == b"{}"  # not the rest of the large one


# The connection -----------------------------------------------------------------------------------------


def test_a_connection_that_the_server_ends_with_a_response_is_replaced(
    by_requests: list[str], closing: ExitStack
) -> None:
    """And the request after that is sent on the new one."""
    server = closing.enter_context(ScriptedServer(OPENED, Reply(headers={"Connection": "close"}), Reply()))
    one = _opened(closing, server.url)
    for _ in range(3):
        assert one.send("GET", "/x", headers={}).body == b"{}"
    assert [seen.connection for seen in server.seen] == [1, 1, 2, 2]
    assert by_requests == ["/opened", "/x"]


def test_a_connection_that_is_to_end_is_not_used_however_long_it_stays_open(closing: ExitStack) -> None:
    """A request that met its end would be lost."""
    url, accepted = _speaking(closing, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
    one = _opened(closing, url)
    for _ in range(2):
        assert one.send("GET", "/x", headers={}).body == b"{}"
    assert len(accepted) == 2


def test_what_a_server_sends_unasked_is_no_response(closing: ExitStack) -> None:
    """A connection with something to read is not used: it would be taken for the response."""
    said: list[bytes] = []
    there: list[socket.socket] = []
    listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve() -> None:
        with suppress(OSError):
            while True:
                there.append(listener.accept()[0])
                said.append(there[-1].recv(1 << 16))
                there[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % len(there))

    threading.Thread(target=serve, daemon=True).start()
    one = _opened(closing, f"http://127.0.0.1:{listener.getsockname()[1]}")
    there[0].sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    here = one._adapter._pool.pool.queue[-1].sock  # type: ignore[attr-defined]
    assert select.select([here], [], [], NEVER)[0]  # it has arrived
    response = one.send("GET", "/x", headers={})
    assert (response.status, response.body) == (200, b"2")
    assert len(said) == 2
    for connection in there:
        connection.close()


def test_what_has_been_decrypted_unasked_is_no_response_either(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closing: ExitStack
) -> None:
    """The system does not show it any more, and TLS has kept it since the response before it was read."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: "

    def serve() -> None:
        with suppress(OSError):
            while True:
                there = context.wrap_socket(listener.accept()[0], server_side=True)
                closing.callback(there.close)
                there.recv(1 << 16)
                first = head + b"5\r\nX-Padding: "
                first += b"x" * (io.DEFAULT_BUFFER_SIZE - len(first) - 9) + b"\r\n\r\nright"
                there.sendall(first + head + b"5\r\n\r\nwrong")  # one record

    threading.Thread(target=serve, daemon=True).start()
    one = Transport(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=(NEVER, NEVER))
    closing.callback(one.close)
    assert [one.send("GET", "/x", headers={}).body for _ in range(3)] == [b"right"] * 3


def test_a_connection_for_which_there_is_no_room_any_more_is_let_go(closing: ExitStack) -> None:
    """Other threads may return theirs while one looks whether its own is still open."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url, pool_size=1)
    adapter = one._adapter
    assert isinstance(adapter, connections.OneHostAdapter)
    idle: Any = adapter._pool.pool  # type: ignore[union-attr]
    ended, other = idle.get(), _opened(closing, server.url)._adapter._pool.pool.get()  # type: ignore[attr-defined]
    ended.close()

    get = idle.get
    idle.put(ended)

    def get_and_return(*args: Any, **kwargs: Any) -> Any:
        found = get(*args, **kwargs)
        idle.get = get
        idle.put(other)
        return found

    idle.get = get_and_return
    assert one.send("GET", "/x", headers={}).body == b"{}"


def test_an_interrupted_response_ends_its_connection_at_once(
    monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """However long the traceback is kept, which holds the response."""
    url, _ = _speaking(closing, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
    one = _opened(closing, url)
    here = one._adapter._pool.pool.queue[-1].sock  # type: ignore[attr-defined]

    def interrupted(self: object, *args: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(http.client.HTTPResponse, "read", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        one.send("GET", "/x", headers={})
    assert here.fileno() == -1
    assert caught.tb is not None


def test_a_closed_transport_uses_no_open_connection(closing: ExitStack) -> None:
    """Closing it closes the connection."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    adapter = one._adapter
    assert isinstance(adapter, connections.OneHostAdapter)
    pool: Any = adapter._pool
    pool.close()  # by another thread, between two steps of this one
    assert adapter.exchange("GET", "/x", {}, None, (NEVER, NEVER)) is None
    one.close()
    assert adapter.exchange("GET", "/x", {}, None, (NEVER, NEVER)) is None
    assert len(server.seen) == 1


@pytest.mark.parametrize("proxied", [False, True])
def test_under_tls_and_through_a_proxy_the_connection_is_used_too(
    proxied: bool,
    by_requests: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    closing: ExitStack,
) -> None:
    """The proxy sees one tunnel, and the tenant the same requests as without TLS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "tenant.invalid").configure_cert(context)
    server = closing.enter_context(ScriptedServer(tls=context))
    base = server.url
    tunnels: list[bytes] = []
    if proxied:
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=_tunnel, args=(listener, server.port, tunnels), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        base = "https://tenant.invalid"
    one = _opened(closing, base)
    for _ in range(2):
        assert one.send("PATCH", "/x", headers={}, body=b"{}").body == b"{}"
    assert by_requests == ["/opened"]
    assert {(seen.headers["Host"], seen.connection) for seen in server.seen} == {(base[8:], 1)}
    assert tunnels == ([b"CONNECT tenant.invalid:443"] if proxied else [])


def _tunnel(listener: socket.socket, port: int, tunnels: list[bytes]) -> None:
    """Carry one connection to a port."""

    def carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)

    with suppress(OSError):
        here, _ = listener.accept()
        tunnels.append(here.recv(1 << 16).partition(b" HTTP/")[0])
        here.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=carry, args=(there, here), daemon=True).start()
        carry(here, there)


# Mocks, tracers and logs --------------------------------------------------------------------------------

STEPS = [
    (HTTPAdapter, "send"),
    (HTTPConnectionPool, "urlopen"),
    (HTTPConnection, "request"),
    (HTTPConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "getresponse"),
]
"""Where they step in."""


class Wrapper:
    """What wrapt puts in place of a method: it has all attributes of it, and is equal to it."""

    def __init__(self, wrapped: Callable[..., Any], calls: list[str]) -> None:
        self.__wrapped__, self._calls = wrapped, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        return self.__wrapped__ == other

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __get__(self, one: object, kind: type) -> Callable[..., Any]:
        return Wrapper(self.__wrapped__, self._calls) if one is None else partial(self, one)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Note the call, and make it."""
        self._calls.append(self.__wrapped__.__name__)
        return self.__wrapped__(*args, **kwargs)


@pytest.mark.parametrize("wrapped", [False, True], ids=["function", "wrapper"])
@pytest.mark.parametrize(("owner", "name"), STEPS)
def test_who_steps_in_sees_every_request(
    owner: type, name: str, wrapped: bool, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """Mocks and tracers replace a method of requests, urllib3 or http.client, at any time and for any time."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    plain, calls = getattr(owner, name), []

    def step_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return plain(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, Wrapper(plain, calls) if wrapped else step_in)
        for _ in range(2):
            one.send("GET", "/x", headers={})
    one.send("GET", "/x", headers={})
    assert len(calls) == 2
    assert len(server.seen) == 4


TRACED = """
import functools, http.client, requests.adapters, urllib3.connectionpool

class Proxy:
    def __init__(self, wrapped): self.wrapped = wrapped
    def __getattr__(self, name): return getattr(self.wrapped, name)
    __class__ = property(lambda self: type(self.wrapped))
    def __get__(self, one, kind=None): return self if one is None else functools.partial(self, one)
    def __call__(self, *args, **kwargs):
        calls.append(1)
        return self.wrapped(*args, **kwargs)

calls, owner = [], {owner}
owner.{name} = {wrapper}
from support.scripted_server import ScriptedServer
from auth0_meta.http.transport import Transport
from auth0_meta.telemetry import wire_log
with ScriptedServer() as server:
    one = Transport(server.url, timeout=(9, 9))
    for _ in range(3):
        one.send("GET", "/x", headers={{}})
print(len(calls))
"""


@pytest.mark.parametrize(
    "wrapper", ["Proxy(owner.{name})", "lambda *a, f=owner.{name}, **k: (calls.append(1), f(*a, **k))[1]"]
)
@pytest.mark.parametrize(
    ("owner", "name"),
    [("requests.adapters.HTTPAdapter", "send"), ("http.client.HTTPConnection", "getresponse")],
)
def test_who_stepped_in_before_the_client_was_imported_sees_every_request(
    owner: str, name: str, wrapper: str
) -> None:
    """A tracer is often started first, and its wrapper may look like what it wraps."""
    code = TRACED.format(owner=owner, name=name, wrapper=wrapper.format(name=name))
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tests, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("3", "")


def test_a_debug_log_of_urllib3_has_every_request(
    caplog: pytest.LogCaptureFixture, closing: ExitStack
) -> None:
    """Somebody who wants to see them all would be misled by the first alone."""
    server = closing.enter_context(ScriptedServer())
    one = _opened(closing, server.url)
    with caplog.at_level(logging.DEBUG, logger="urllib3"):
        one.send("GET", "/x?q=canary", headers={})
        one.send("GET", "/x", headers={})
    lines = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert sum("GET /x" in line for line in lines) == 2
    assert "canary" not in str(lines)


def test_the_debug_level_of_http_client_shows_every_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closing: ExitStack
) -> None:
    """It is set for all connections, or for one."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    server = closing.enter_context(ScriptedServer())
    _opened(closing, server.url).send("GET", "/x", headers={})
    shown = capsys.readouterr().out
    assert (shown.count("send: b'GET"), shown.count("reply: ")) == (2, 2)


# Interrupts ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of a connection that was let go
def test_an_interrupt_at_any_line_mixes_no_responses_up(closing: ExitStack) -> None:
    """After it, every request of the same client gets its own response, and nothing of the interrupted one counts."""

    def respond(seen: Seen) -> Reply:
        return Reply(200, {"user_id": seen.path.rpartition("/")[2]})

    # One that comes while a request puts its marks back leaves them on this thread, which other tests use too.
    closing.callback(setattr, wire_log.ours, "now", False)
    closing.callback(setattr, connections.deadline, "at", None)
    server = closing.enter_context(ScriptedServer(respond))
    client = closing.enter_context(connect(server))
    client.users.get("opened")

    def work() -> None:
        with suppress(Interrupt):
            client.users.get("interrupted")

    lines, before = set(), (getattr(connections.deadline, "at", None), getattr(wire_log.ours, "now", False))
    for _, where in at_every_line(lambda: work, Interrupt):
        lines.add(where.rpartition("/")[2].partition(":")[0])
        assert (getattr(connections.deadline, "at", None), getattr(wire_log.ours, "now", False)) == before, (
            where
        )
        assert [client.users.get(name).user_id for name in ("a", "b")] == ["a", "b"], where
    assert {"connections.py", "transport.py", "sender.py"} <= lines
