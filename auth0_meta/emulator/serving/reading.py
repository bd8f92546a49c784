"""Read the headers and the body of a request within bounds: what counts is what arrives, not what is announced."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Any

from auth0_meta.emulator.serving.stream import CHUNK, Reader

MOST_HEADERS = 65_536
"""How many bytes the request line and the headers may have, each."""
# Bodies up to this size are read even if they are refused, so that the client can read why.
_DRAIN = 64 * 1024 * 1024
# A second one could contradict the first, and each reader of a request might believe another one.
_ONCE = frozenset(
    (
        *(b"Host", b"Content-Length", b"Content-Type", b"Authorization"),
        *(b"Origin", b"Sec-Fetch-Site", b"X-Emulator-Token"),
    )
)


class Headers:
    """Read the headers of a request into a dict, as cheroot does, but strictly; raises ValueError, which is a 400."""

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Read up to the empty line; `rfile` is cheroot's wrapper of the connection's reader."""
        reader, left = rfile.rfile, MOST_HEADERS
        while (line := reader.readline(left)) != b"\r\n":
            left -= len(line)
            if not line.endswith(b"\r\n"):
                raise ValueError("The headers are incomplete or too long.")
            name, colon, value = line.partition(b":")
            # A space before the colon, or a line that continues another, is read differently by different programs.
            if not colon or name != name.strip():
                raise ValueError("Malformed header line.")
            name, value = name.title(), value.strip()
            if name in hdict:
                if name in _ONCE:
                    raise ValueError("A header was sent twice that may be sent only once.")
                value = (b"; " if name == b"Cookie" else b", ").join((hdict[name], value))
            hdict[name] = value
        length = hdict.get(b"Content-Length", b"0")
        if not length.isdigit() or (b"Transfer-Encoding" in hdict and b"Content-Length" in hdict):
            raise ValueError("Malformed Content-Length header.")
        return hdict


class Malformed(Exception):
    """The body is not what its headers say; the response is a 400, and the connection is closed."""


def read_body(reader: Reader, length: int | None, most: int) -> tuple[bytes | None, bool]:
    """Return a body and whether the connection is at its end; None for a body of more than `most` bytes.

    `length` is what was announced, None for a chunked body.
    """
    if length is not None and length <= most:
        return b"".join(_exactly(reader, length)), True
    if length is not None and length > _DRAIN:
        return None, False
    parts: list[bytes] = []
    size = 0
    for piece in _chunks(reader) if length is None else _exactly(reader, length):
        size += len(piece)
        if size > max(most, _DRAIN):
            return None, False
        if size <= most:
            parts.append(piece)
        else:
            parts.clear()
    return (b"".join(parts), True) if size <= most else (None, True)


def _exactly(reader: Reader, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = reader.read(min(size, CHUNK))
        if not piece:
            # On this number cheroot closes the connection and logs nothing.
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone")
        size -= len(piece)
        yield piece


def _chunks(reader: Reader) -> Iterator[bytes]:
    while True:
        line = reader.readline(CHUNK)
        if not line:
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone")
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size) or not line.endswith(b"\r\n"):
            raise Malformed("Malformed chunk size.")
        if not int(size, 16):
            break
        yield from _exactly(reader, int(size, 16))
        if reader.readline(2) != b"\r\n":
            raise Malformed("A chunk is longer than it says.")
    left = MOST_HEADERS
    while (line := reader.readline(left)) != b"\r\n":  # trailers, which mean nothing here
        left -= len(line)
        if not line.endswith(b"\r\n"):
            raise Malformed("Malformed trailers.")
