"""Parse requests strictly and within bounds: whatever two programs could read differently is refused."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import quote

MOST_HEAD = 65_536
"""How many bytes the request line and the headers may have together."""
MOST_HEADERS = 200
CHUNK = 65_536
# Bodies up to this size are read even if they are refused, so that the client can read why.
_DRAIN = 64 * 1024 * 1024
# A second one could contradict the first, and each reader of a request might believe another one.
_ONCE = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "expect", "content-type", "authorization"),
        *("origin", "sec-fetch-site", "x-emulator-token"),
    )
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_CONTROLS = bytes({*range(32), 127} - set(b"\t\r\n"))
# A proxy is asked for a whole URL, and every server has to understand one (RFC 9112, 3.2.2).
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#@]+)(/[^#]*|\?[^#]*)?")
_PRINTABLE = string.punctuation  # besides letters and digits; a raw "%" is the client's own encoding


class Malformed(Exception):
    """The request can't be read; its response has `status`, and the connection is closed."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Head(NamedTuple):
    """The request line and the headers.

    Names are in lower case.  `length` is that of the body, None for a chunked one.  `expects` says whether the client
    waits for a 100 before it sends the body, `keeps` whether it may send another request on the connection.
    """

    method: str
    target: str
    headers: dict[str, str]
    length: int | None
    expects: bool
    keeps: bool
    version: str


class Source(Protocol):
    """Where the bytes of a body come from; both raise OSError if no more come."""

    def some(self, most: int) -> bytes:
        """Return the next bytes, at least one and at most `most`."""

    def line(self, most: int) -> bytes:
        """Return the next line without its CR LF; raises `Malformed` for any other end, or none within `most` bytes."""


def parse_head(raw: bytes, own_host: str) -> Head:
    r"""Parse a head without the empty line at its end; `own_host` stands in for the Host that HTTP/1.0 may leave out.

    Raises `Malformed`.

    >>> parse_head(b"GET /api/v2/users HTTP/1.1\r\nHost: localhost", "").headers
    {'host': 'localhost'}
    """
    line, *lines = raw.decode("latin-1").split("\r\n")
    if not raw.count(b"\n") == raw.count(b"\r") == len(lines):
        raise Malformed("A line must end with CR LF.")
    if len(lines) > MOST_HEADERS:
        raise Malformed(f"There are more than {MOST_HEADERS} headers.", 431)
    if len(raw.translate(None, _CONTROLS)) != len(raw):
        raise Malformed("A head must not have control characters.")  # they get into logs and onto terminals
    headers: dict[str, str] = {}
    for one in lines:
        name, colon, value = one.partition(":")
        if not colon:
            raise Malformed("Malformed header line.")
        name, value = _token(name), value.strip(" \t")
        if name in headers:
            if name in _ONCE:
                raise Malformed("A header was sent twice that may be sent only once.")
            value = ("; " if name == "cookie" else ", ").join((headers[name], value))
        headers[name] = value
    method, target, version = _request_line(line)
    if "host" not in headers:
        if version != "HTTP/1.0":
            raise Malformed("The Host header is missing.")
        headers["host"] = own_host
    if target[0] != "/":
        target = _path(method, target, headers)
    length: int | None = 0
    if "content-length" in headers or "transfer-encoding" in headers:
        length = _length(headers, version)
    keeps = version != "HTTP/1.0"
    if "connection" in headers:
        options = {option.strip() for option in headers["connection"].lower().split(",")}
        keeps = "close" not in options and (keeps or "keep-alive" in options)
    expects = version != "HTTP/1.0" and "expect" in headers
    if expects and headers["expect"].lower() != "100-continue":
        raise Malformed("The only expectation that can be met is 100-continue.", 417)
    return Head(method, target, headers, length, expects, keeps, version)


@lru_cache(maxsize=1024)
def _token(raw: str) -> str:
    # A space before the colon, or a line that continues another, is read differently by different programs.
    if not _TOKEN.fullmatch(raw):
        raise Malformed("Malformed method or header name.")
    return raw.lower()


def _request_line(line: str) -> tuple[str, str, str]:
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    _token(method)
    if not target or "\t" in target:
        raise Malformed("Malformed request line.")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        if not re.fullmatch(r"HTTP/[0-9]\.[0-9]", version):
            raise Malformed("Malformed request line.")
        if version[5] != "1":
            raise Malformed("Only HTTP/1.1 and HTTP/1.0 are spoken here.", 505)
        version = "HTTP/1.1"
    if not target.isascii():
        # Clients that don't encode a path send it as UTF-8.
        try:
            target = quote(target.encode("latin-1").decode(), safe=_PRINTABLE)
        except UnicodeDecodeError:
            raise Malformed("The path is not valid UTF-8.") from None
    return method, target, version


def _path(method: str, target: str, headers: dict[str, str]) -> str:
    """Return the path of a target that does not begin with one; the host in a URL replaces the header."""
    if target == "*" and method == "OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Malformed("The target must be a path or an http URL.")
    headers["host"] = absolute[1]
    path = absolute[2] or "/"
    return path if path[0] == "/" else f"/{path}"


def _length(headers: dict[str, str], version: str) -> int | None:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise Malformed("Malformed Content-Length header.")
    coding = headers.get("transfer-encoding")
    if coding is None:
        return int(length)
    if "content-length" in headers or version == "HTTP/1.0":
        raise Malformed("The headers contradict each other about the length of the body.")
    if coding.lower() != "chunked":
        raise Malformed("The only transfer coding that can be read is chunked.", 501)
    return None


def read_body(source: Source, length: int | None, most: int) -> tuple[bytes | None, bool]:
    """Return a body and whether the connection is at its end; None for a body of more than `most` bytes.

    `length` is what was announced, None for a chunked body.
    """
    if length is not None and length <= most:
        return b"".join(_exactly(source, length)), True
    if length is not None and length > _DRAIN:
        return None, False
    parts: list[bytes] = []
    size = 0
    for piece in _chunks(source) if length is None else _exactly(source, length):
        size += len(piece)
        if size > max(most, _DRAIN):
            return None, False
        if size <= most:
            parts.append(piece)
        else:
            parts.clear()
    return (b"".join(parts), True) if size <= most else (None, True)


def _exactly(source: Source, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = source.some(min(size, CHUNK))
        size -= len(piece)
        yield piece


def _chunks(source: Source) -> Iterator[bytes]:
    while True:
        line = source.line(CHUNK)
        size = line.partition(b";")[0].rstrip(b" \t")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size) or line != line.translate(None, _CONTROLS + b"\r"):
            raise Malformed("Malformed chunk size.")
        if not int(size, 16):
            break
        yield from _exactly(source, int(size, 16))
        if source.line(2):
            raise Malformed("A chunk is longer than it says.")
    left = MOST_HEAD
    while trailer := source.line(left):  # they mean nothing here
        name, colon, _ = trailer.decode("latin-1").partition(":")
        _token(name if colon else "")
        left -= len(trailer) + 2
