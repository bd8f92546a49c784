"""Heads of requests are parsed strictly: nothing is accepted that another program could read differently."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.emulator.serving.reading import MOST_HEADERS, Head, Malformed, parse_head

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


def parsed(*lines: bytes, own_host: str = "") -> Head:
    """Parse the lines of a head."""
    return parse_head(b"\r\n".join(lines), own_host)


def refused(raw: bytes) -> int:
    """Return the status with which a head is refused."""
    with pytest.raises(Malformed) as caught:
        parse_head(raw, "")
    assert "header" in str(caught.value).lower() or caught.value.status
    return caught.value.status


def test_headers_are_read_as_they_are_meant() -> None:
    """Names in any case, lists over several lines, cookies with semicolons."""
    lines = b"HOST: a\r\naccept: x\r\nAccept:y\r\nCookie: a=1\r\ncookie: b=2\r\nEmpty:\r\nTab:\t z\t"
    head = parsed(b"GET /a?b=c HTTP/1.1", lines)
    assert (head.method, head.target, head.length, head.expects, head.keeps) == (
        "GET",
        "/a?b=c",
        0,
        False,
        True,
    )
    assert head.headers == {
        **{"host": "a", "accept": "x, y", "cookie": "a=1; b=2", "empty": "", "tab": "z"},
    }


@pytest.mark.parametrize(
    ("line", "target", "host"),
    [
        (b"GET http://b:1/x?y HTTP/1.1", "/x?y", "b:1"),
        (b"GET HTTPS://b HTTP/1.1", "/", "b"),
        (b"GET http://b?y HTTP/1.1", "/?y", "b"),
        (b"GET //b/x HTTP/1.1", "//b/x", "a"),
        (b"OPTIONS * HTTP/1.1", "*", "a"),
        ("GET /auth0|\xe4\u20ac?\xfc=1%20 HTTP/1.1".encode(), "/auth0|%C3%A4%E2%82%AC?%C3%BC=1%20", "a"),
        (b"GET / HTTP/1.9", "/", "a"),
    ],
)
def test_every_form_of_a_target_is_understood(line: bytes, target: str, host: str) -> None:
    """A whole URL replaces the Host header, and raw UTF-8 is encoded."""
    head = parsed(line, b"Host: a")
    assert (head.target, head.headers["host"]) == (target, host)


def test_http_1_0_needs_no_host() -> None:
    """The server's own name stands in for it."""
    assert parsed(b"GET / HTTP/1.0", own_host="localhost:1").headers == {"host": "localhost:1"}


@pytest.mark.parametrize(
    ("version", "headers", "wanted"),
    [
        (b"1.1", b"A: b", (0, False, True)),
        (b"1.1", b"Connection: x, Close", (0, False, False)),
        (b"1.0", b"A: b", (0, False, False)),
        (b"1.0", b"Connection: Keep-Alive", (0, False, True)),
        (b"1.0", b"Connection: keep-alive, close", (0, False, False)),
        (b"1.1", b"Content-Length: 0042", (42, False, True)),
        (b"1.1", b"Transfer-Encoding: Chunked", (None, False, True)),
        (b"1.1", b"Content-Length: 1\r\nExpect: 100-Continue", (1, True, True)),
        (b"1.0", b"Content-Length: 1\r\nExpect: 100-continue", (1, False, False)),
    ],
)
def test_headers_say_how_the_connection_is_used(
    version: bytes, headers: bytes, wanted: tuple[int | None, bool, bool]
) -> None:
    """Where the body ends, whether the client waits for a 100, and whether it may send another request."""
    head = parsed(b"PUT / HTTP/" + version, b"Host: a", headers)
    assert (head.length, head.expects, head.keeps) == wanted


@pytest.mark.parametrize(
    "lines",
    [
        *(b"Host: a\r\nHost: a", b"Host: a\r\nContent-Length: 1\r\ncontent-length: 1", b""),
        *(b"Host: a\r\nAuthorization: Bearer a\r\nauthorization: Bearer b", b"Host: a\r\nOrigin: a\r\norigin: b"),
        *(b"Host: a\r\nX-Emulator-Token: a\r\nX-emulator-token: b", b"Host: a\r\nExpect: \r\nExpect: "),
        *(b"Host: a\r\nContent-Type: a\r\ncontent-type: b", b"Host: a\r\nSec-Fetch-Site: x\r\nsec-fetch-site: y"),
        *(b"Host: a\r\n b", b"Host: a\r\n\tb", b"Host : a", b" Host: a", b"Host", b"Host: a\r\n: b", b"Host: a\r\n"),
        *(b"Host: a\n", b"Host: a\nB: c", b"Host: a\rB: c", b"Host: a\x00", b"Host: a\x0b", b"Host: a\x7f"),
        *(b"H\xf6st: a", b"Ho st: a", b"Host: a\r\n" + b"x" * 300 + b": y"),
        *(b"Host: a\r\nContent-Length: " + bad for bad in (b"+5", b"-5", b"5_0", b"5, 5", b"\xb2", b"", b"5 5")),
        *(b"Host: a\r\nContent-Length: " + bad for bad in (b"0x5", b"5.0", b"9" * 20, b"9" * 5000)),
        *(b"Host: a\r\nTransfer-Encoding: chunked\r\n" + bad for bad in (b"Content-Length: 5", b"Transfer-Encoding: x")),
    ],
    ids=range(38),
)  # fmt: skip
def test_headers_that_programs_read_differently_are_refused(lines: bytes) -> None:
    """What is sent twice, folded, ended by a line feed alone, empty, or no number."""
    assert refused(b"GET / HTTP/1.1\r\n" + lines) == 400


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        *((b"%b HTTP/1.1\r\nHost: a" % line, 400) for line in (b"GET", b"GET ", b"GET  /", b" GET /", b"GET / x")),
        *((b"%b HTTP/1.1\r\nHost: a" % line, 400) for line in (b"GET a", b"GET *", b"GET ftp://a/", b"GET http://u@a/")),
        *((b"%b HTTP/1.1\r\nHost: a" % line, 400) for line in (b"G(T /", b"GET /\xe4", b"GET\t/", b"GET /\t", b"GET /\x01")),
        *((b"CONNECT a:443 HTTP/1.1\r\nHost: a", 400), (b"GET http:/// HTTP/1.1\r\nHost: a", 400)),
        *((b"GET / %b\r\nHost: a" % one, 400) for one in (b"HTTP/1", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1.10", b"ICY")),
        *((b"GET / HTTP/%b\r\nHost: a" % one, 505) for one in (b"2.0", b"0.9")),
        *((b"GET /\r\nHost: a", 400), (b"", 400), (b"\r\n", 400), (b"\x16\x03\x01", 400)),
        (GET + b"A: b\r\n" * MOST_HEADERS + b"B: c", 431),
        (GET + b"Expect: 200-ok", 417),
        *((GET + b"Transfer-Encoding: " + coding, 501) for coding in (b"gzip, chunked", b"identity", b"xchunked", b"")),
        (b"PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked", 400),
    ],
    ids=range(34),
)  # fmt: skip
def test_other_heads_are_refused_with_their_status(raw: bytes, status: int) -> None:
    """Request lines, versions, expectations and codings that are not those of HTTP/1.1, or not served."""
    assert refused(raw) == status


# Compared with another parser -------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "Host",
        "host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "Accept",
        "X-Y",
        "X Y",
        "",
    ]
)
VALUES = st.sampled_from(
    ["a", "0", "5", "+5", "chunked", "close", "keep-alive", "100-continue", "a b", " a ", ""]
)
ODD = st.sampled_from(["", "", "", "", " ", "\t", "\r", "\n", "\0", ":", ",", "\x7f", "\x80", "\xe4"])
FIELDS = st.builds("{}{}:{}{}".format, NAMES, ODD, ODD, VALUES) | st.text(max_size=8)
LINES = st.builds(
    "{} {} {}{}".format,
    st.sampled_from(["GET", "PUT", "get", "G T", ""]),
    st.sampled_from(["/", "/a%20b?c", "//", "*", "http://a/b", "/a b", "a", "/\xe4"]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.12"]),
    ODD,
)
HEADS = st.builds(lambda line, fields: "\r\n".join((line, *fields)), LINES, st.lists(FIELDS, max_size=6))


@given(HEADS)
def test_what_is_accepted_means_the_same_to_another_parser(text: str) -> None:
    """h11 accepts it too, and sees the same method, target, headers and body."""
    raw = text.encode("latin-1", "ignore")
    try:
        head = parse_head(raw, "")
    except Malformed:
        return
    other = h11.Connection(h11.SERVER)
    line = raw.partition(b"\r\n")[0]
    other.receive_data((raw if line.isascii() else raw.replace(b"\xe4", b"%C3%A4", 1)) + b"\r\n\r\n")
    request = other.next_event()
    assert isinstance(request, h11.Request)
    target = request.target.decode()
    assert request.method.decode() == head.method
    assert target in (head.target, f"http://{head.headers['host']}{head.target}")
    seen: dict[str, str] = {}
    for name, value in request.headers:
        key = name.decode()
        seen[key] = f"{seen[key]}, {value.decode('latin-1')}" if key in seen else value.decode("latin-1")
    if (
        target != head.target or "host" not in seen
    ):  # a whole URL's host counts, and HTTP/1.0 may leave it out
        seen = {"host": head.headers["host"]} | seen | {"host": head.headers["host"]}
    assert seen == head.headers
    assert other.they_are_waiting_for_100_continue == head.expects
    if head.length == 0:
        assert isinstance(other.next_event(), h11.EndOfMessage)
    else:
        # After so many bytes, and no fewer, the body is complete.
        other.receive_data(b"0\r\n\r\n" if head.length is None else b"x" * head.length)
        kinds = []
        while not kinds or kinds[-1] not in (h11.EndOfMessage, h11.NEED_DATA, h11.PAUSED):
            event = other.next_event()
            kinds.append(event if event in (h11.NEED_DATA, h11.PAUSED) else type(event))
        assert kinds[-1] is h11.EndOfMessage
    assert (other.our_state is not h11.MUST_CLOSE and other.their_state is not h11.MUST_CLOSE) == head.keeps
