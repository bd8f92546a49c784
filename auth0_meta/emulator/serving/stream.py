"""Read and write the bytes of a connection, faster than cheroot's own reader."""

from __future__ import annotations

import contextlib
import socket

from auth0_meta.clock import SYSTEM_CLOCK

CHUNK = 65_536
LONGEST_REQUEST = 30.0
"""Seconds that a request may take to arrive; its first bytes may take as long as the server's timeout allows."""


class End:
    """One direction of a connection; while it waits it is in `waiting`, so that it can be cut off from another thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.waiting: dict[End, None] = {}

    def cut_off(self) -> None:
        """End a wait in another thread, as if the client had closed the connection."""
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would say goodbye first.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Reader(End):
    """Read lines and bytes from a socket through one buffer: the part of a file that cheroot uses.

    A request that arrives too slowly raises TimeoutError.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._buffer = b""
        self._since: float | None = None
        self._limited = False
        self._timeout = sock.gettimeout()
        self.bytes_read = 0
        self.closed = False

    def has_data(self) -> bool:
        """Return whether bytes have arrived already, in this buffer or decrypted in the TLS layer."""
        return bool(self._buffer) or bool(getattr(self._socket, "pending", int)())

    def next_request(self) -> None:
        """Begin another request, or the response to one: the time so far no longer counts."""
        self._since = None
        if self._limited:
            self._limited = False
            self._socket.settimeout(self._timeout)

    def _more(self) -> bool:
        if self._since is not None:
            left = self._since + LONGEST_REQUEST - SYSTEM_CLOCK.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")  # as a socket words it: cheroot responds with 408
            self._limited = True
            self._socket.settimeout(left)
        self.waiting[self] = None
        try:
            data = self._socket.recv(CHUNK)
        finally:
            del self.waiting[self]
        if self._since is None:
            self._since = SYSTEM_CLOCK.monotonic()
        self.bytes_read += len(data)
        self._buffer += data
        return bool(data)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line with its line ending, less at the end of the stream or after `size` bytes."""
        limit = CHUNK if size is None or size < 0 else size
        while True:
            end = self._buffer.find(b"\n") + 1
            if end or len(self._buffer) >= limit or not self._more():
                return self._take(min(end or limit, limit))

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end of the stream."""
        # A list, because += would copy a large body again and again.
        parts = [self._take(size)]
        missing = size - len(parts[0])
        while missing > 0 and self._more():
            parts.append(self._take(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _take(self, size: int) -> bytes:
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def close(self) -> None:
        """Mark the reader as closed; the connection closes the socket."""
        self.closed = True


class Writer(End):
    """Write to a socket: the part of a file that cheroot uses."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.bytes_written = 0

    def write(self, data: bytes) -> int:
        """Send all of `data`."""
        self.waiting[self] = None
        try:
            self._socket.sendall(data)
        finally:
            del self.waiting[self]
        self.bytes_written += len(data)
        return len(data)


def stream(sock: socket.socket, mode: str = "r", bufsize: int = CHUNK) -> Reader | Writer:
    """Open one direction of a connection, as cheroot's `MakeFile` does."""
    return Reader(sock) if "r" in mode else Writer(sock)
