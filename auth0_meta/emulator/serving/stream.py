"""Read and write the bytes of a connection, faster than cheroot's own reader."""

from __future__ import annotations

import socket

_CHUNK = 65_536


class Reader:
    """Read lines and bytes from a socket through one buffer: the part of a file that cheroot uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self.bytes_read = 0
        self.closed = False

    def has_data(self) -> bool:
        """Return whether bytes have arrived already, in this buffer or decrypted in the TLS layer."""
        return bool(self._buffer) or bool(getattr(self._socket, "pending", int)())

    def _more(self) -> bool:
        data = self._socket.recv(_CHUNK)
        self.bytes_read += len(data)
        self._buffer += data
        return bool(data)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line with its line ending, less at the end of the stream or after `size` bytes."""
        limit = _CHUNK if size is None or size < 0 else size
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


class Writer:
    """Write to a socket: the part of a file that cheroot uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.bytes_written = 0

    def write(self, data: bytes) -> int:
        """Send all of `data`."""
        self._socket.sendall(data)
        self.bytes_written += len(data)
        return len(data)


def stream(sock: socket.socket, mode: str = "r", bufsize: int = _CHUNK) -> Reader | Writer:
    """Open one direction of a connection, as cheroot's `MakeFile` does."""
    return Reader(sock) if "r" in mode else Writer(sock)
