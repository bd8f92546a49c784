"""One client's connection: read requests within bounds of size and time, and write the responses."""

from __future__ import annotations

import contextlib
import socket
import struct
from functools import lru_cache
from typing import Protocol

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator.http.errors import reason_of
from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.pipeline import Pipeline
from auth0_meta.emulator.serving.reading import CHUNK, MOST_HEAD, Head, Malformed, parse_head, read_body
from auth0_meta.emulator.state.faults import Dropped

LONGEST_REQUEST = 30.0
"""Seconds that a request may take to arrive, from its first byte on."""
_LONGEST_RESPONSE = 120.0
# How long a thread waits for another request: handing the connection over costs more than a response.
_LINGER = 0.02
# The first byte of a client that speaks TLS; no request begins with it.
_TLS_HANDSHAKE = 0x16
# How long the rest of a refused request is still read, in seconds and pieces: closing before it has come could make
# the network lose the response.
_FAREWELL, _MOST_PIECES = 0.5, 64


class Server(Protocol):
    """What a connection knows about its server; `waiting` has the clients that keep a thread waiting, since when."""

    pipeline: Pipeline
    own_host: str
    waiting: dict[Connection, float]

    @property
    def presses(self) -> bool:
        """Return whether a connection should give its thread back after each response."""


class Connection:
    """A connection, served by one thread at a time."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock = sock
        self._server = server
        self._timeout = -1.0
        self._buffer = b""
        self._at = 0
        self._until: float | None = None
        """When the request must have arrived; None before there was need to wait for it."""

    def fileno(self) -> int:
        """Return the socket's number, for selectors."""
        return self.sock.fileno()

    @property
    def has_data(self) -> bool:
        """Return whether bytes of a next request have been read already."""
        return self._at < len(self._buffer)

    def serve(self) -> bool:
        """Carry out the requests that come without a pause; return whether the connection stays open for later ones."""
        try:
            while self._begins():
                if not self._carry_out():
                    return False
                if self._server.presses:
                    break
        except OSError:  # the client has gone, or takes too long, or a fault wants it to look so
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def cut_off(self, how: int = socket.SHUT_RDWR) -> None:
        """End a wait in another thread, as if the client had closed the connection."""
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would say goodbye first.
            socket.socket.shutdown(self.sock, how)

    # Reading --------------------------------------------------------------------------------------

    def _begins(self) -> bool:
        """Wait a moment for the next request; return whether its first bytes are there."""
        self._until = None
        while True:
            while self._buffer.startswith(b"\r\n", self._at):
                self._at += 2  # after a body, old clients send an empty line that they don't count
            if self._at < len(self._buffer):
                return True
            self._set_timeout(_LINGER)
            try:
                data = self.sock.recv(CHUNK)
            except TimeoutError:
                return False
            if not data:
                raise ConnectionResetError
            self._buffer, self._at = data, 0

    def _more(self) -> None:
        now = SYSTEM_CLOCK.monotonic()
        if self._until is None:
            self._until = now + LONGEST_REQUEST
        if now >= self._until:
            raise TimeoutError
        self._set_timeout(self._until - now)
        self._server.waiting[self] = now
        try:
            data = self.sock.recv(CHUNK)
        finally:
            del self._server.waiting[self]
        if not data:
            raise ConnectionResetError
        self._buffer, self._at = self._buffer[self._at :] + data, 0

    def _set_timeout(self, seconds: float) -> None:
        if seconds != self._timeout:  # each change is a call of the operating system
            self.sock.settimeout(seconds)
            self._timeout = seconds

    def _head(self) -> bytes:
        """Return the next head, without the empty line at its end."""
        while (end := self._buffer.find(b"\r\n\r\n", self._at)) < 0:
            begun = self._buffer[self._at :]
            if len(begun) > MOST_HEAD:
                break
            if begun[0] == _TLS_HANDSHAKE:
                raise Malformed("This is http, not https.")  # or a client would wait until it gives up
            if begun.count(b"\n") != begun.count(b"\r\n"):
                raise Malformed("A line must end with CR LF.")  # or its end would be waited for in vain
            self._more()
        if end < 0 or end - self._at > MOST_HEAD:
            long_line = b"\r\n" not in self._buffer[self._at : self._at + MOST_HEAD]
            raise Malformed("The head is too long.", 414 if long_line else 431)
        head = self._buffer[self._at : end]
        self._at = end + 4
        return head

    def some(self, most: int) -> bytes:
        """Return the next bytes of the request, at least one and at most `most`."""
        if not self.has_data:
            self._more()
        data = self._buffer[self._at : self._at + most]
        self._at += len(data)
        return data

    def line(self, most: int) -> bytes:
        """Return the next line of the request without its CR LF; raises `Malformed` for any other end."""
        while (end := self._buffer.find(b"\n", self._at, self._at + most)) < 0:
            if len(self._buffer) - self._at >= most:
                raise Malformed("A line of the body is too long.")
            self._more()
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        if not line.endswith(b"\r\n"):
            raise Malformed("A line must end with CR LF.")
        return line[:-2]

    # One request and its response -----------------------------------------------------------------

    def _carry_out(self) -> bool:
        """Read a request and write the response; return whether another request may follow."""
        try:
            head = parse_head(self._head(), self._server.own_host)
            body, at_end = (b"", True) if head.length == 0 else self._body(head)
        except Malformed as error:
            return self._refuse(error.status, str(error))
        except TimeoutError:
            return self._refuse(408, "The request took too long to arrive.")
        try:
            response = self._server.pipeline.handle(Request(head.method, head.target, head.headers, body))
        except Dropped as dropped:
            if dropped.with_reset:
                # With a linger time of zero, closing sends RST instead of FIN.
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        keeps = head.keeps and at_end and response.feed is None
        if not keeps:
            last = "Connection: close\r\n\r\n"
        else:
            last = "\r\n" if head.version == "HTTP/1.1" else "Connection: keep-alive\r\n\r\n"
        fields = "".join([f"{name}: {value}\r\n" for name, value in response.sent_headers])
        first = f"HTTP/1.1 {response.status} {reason_of(response.status)}\r\n{fields}{last}".encode(
            "latin-1", "replace"
        )
        if head.method == "HEAD":
            self._send(first)
        elif not response.in_pieces:
            self._send(first + response.body)
        else:
            self._send(first)
            for piece in response.pieces():
                self._send(piece)
        return keeps if at_end else self._farewell()

    def _body(self, head: Head) -> tuple[bytes, bool]:
        """Read a body; a longer one than is kept is represented by one that is just too long."""
        most = self._server.pipeline.most_body(head.target, head.headers)
        if head.expects and not self.has_data:
            if head.length is not None and head.length > most:
                return _too_long(most), False
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, at_end = read_body(self, head.length, most)
        return _too_long(most) if body is None else body, at_end

    def _send(self, data: bytes) -> None:
        self._server.waiting[self] = SYSTEM_CLOCK.monotonic()
        try:
            try:
                sent = self.sock.send(data)
            except TimeoutError:
                sent = 0
            if sent < len(data):  # the client takes its time
                self._set_timeout(_LONGEST_RESPONSE)
                self.sock.sendall(memoryview(data)[sent:])
        finally:
            del self._server.waiting[self]

    def _refuse(self, status: int, message: str) -> bool:
        """Respond to something that is not a valid request, and close the connection: where the next one begins is unknown."""
        first = f"HTTP/1.1 {status} {reason_of(status)}\r\nContent-Type: text/plain\r\nContent-Length: {len(message)}"
        self._send(f"{first}\r\nConnection: close\r\n\r\n{message}".encode())
        return self._farewell()

    def _farewell(self) -> bool:
        """Read some of what still comes: if it were unread when the socket is closed, the response could get lost."""
        self.cut_off(socket.SHUT_WR)
        self._until = SYSTEM_CLOCK.monotonic() + _FAREWELL
        for _ in range(_MOST_PIECES):
            self._buffer = b""
            self._more()
        return False


@lru_cache(maxsize=1)
def _too_long(most: int) -> bytes:
    return b" " * (most + 1)
