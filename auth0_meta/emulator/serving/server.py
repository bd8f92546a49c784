"""Serve a tenant on sockets with cheroot's threads; without WSGI in between, this is faster."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import ssl
import struct
import threading
from concurrent.futures import Future
from functools import lru_cache
from http.client import responses
from itertools import chain
from typing import Any

from cheroot.server import Gateway, HTTPConnection, HTTPRequest, HTTPServer

from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.pipeline import Pipeline
from auth0_meta.emulator.serving.reading import MOST_HEADERS, Headers, Malformed, read_body
from auth0_meta.emulator.serving.stream import End, stream
from auth0_meta.emulator.serving.tls import LateHandshake
from auth0_meta.emulator.serving.wsgi import sent_headers
from auth0_meta.emulator.state.faults import Dropped

_log = logging.getLogger("auth0_meta.emulator")
_THREADS = 16
# If all of them wait for the rest of a request, or in a fault's delay, more are started, up to this many.
_MAX_THREADS = 256
_STUCK_AFTER = 0.1
# How long a worker keeps an idle connection before it returns it to the selector.
_LINGER_MS = 20


class _Request(HTTPRequest):
    header_reader: Any = Headers()


class _Connection(HTTPConnection):
    """A connection that stays with its worker while others are free: handing it over costs more than a response."""

    RequestHandlerClass = _Request

    def __init__(self, server: _Server, sock: Any, makefile: Any = stream) -> None:
        super().__init__(server, sock, stream)
        self.rfile.waiting = self.wfile.waiting = server.waiting

    def communicate(self) -> bool:
        self.rfile.next_request()
        while super().communicate():  # type: ignore[no-untyped-call]
            pool = self.server.requests
            if pool.qsize or not pool.idle:
                return True
            if not self.rfile.has_data() and not _readable(self.socket):
                return True
            self.rfile.next_request()
        return False


def _readable(sock: Any) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(_LINGER_MS))
    return bool(
        select.select([sock], [], [], _LINGER_MS / 1000)[0]
    )  # pragma: no cover  # Windows has no poll


@lru_cache(maxsize=1)
def _too_long(most: int) -> bytes:
    """Return what stands for every body that is too long to be kept: a little longer than what is refused."""
    return b" " * (most + 1)


class _Gateway(Gateway):
    """Turn cheroot's request into a `Request`, and write the response with one call."""

    def respond(self) -> None:
        req = self.req
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in req.inheaders.items()
        }
        method, target, reader = req.method.decode("latin-1"), req.uri.decode("latin-1"), req.conn.rfile
        most = req.server.pipeline.most_body(target, headers)
        length = None if req.chunked_read else int(headers.get("content-length", 0))
        try:
            if not (method + target).isprintable():
                # They get into logs and onto terminals.
                raise Malformed("Malformed request line.")
            body, at_end = read_body(reader, length, most)
        except Malformed as error:
            req.close_connection = True
            req.simple_response("400 Bad Request", str(error))
            return
        reader.next_request()
        if not at_end:
            req.close_connection = True
        if body is None:
            body = _too_long(most)
        req.server.handled += 1  # without a lock: it matters only whether it changes
        request = Request(method, target, headers, body)
        try:
            response = req.server.pipeline.handle(request)
        except Dropped as dropped:
            if dropped.with_reset:
                # With a linger time of zero, closing sends RST instead of FIN.
                req.conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # On this error number cheroot closes the connection and logs nothing.
            raise ConnectionResetError(errno.ECONNRESET, "dropped by a fault") from dropped
        if response.feed is not None or not req.server.can_add_keepalive_connection:
            req.close_connection = True
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in sent_headers(response)]
        if req.close_connection:
            lines.append("Connection: close\r\n")
        elif req.response_protocol == "HTTP/1.0":
            lines.append("Connection: Keep-Alive\r\n")
        req.sent_headers = True
        head = "".join([*lines, "\r\n"]).encode("latin-1", "replace")
        if request.method == "HEAD":
            req.conn.wfile.write(head)
        elif not response.in_pieces:
            req.conn.wfile.write(head + response.body)
        else:
            for piece in chain([head], response.pieces()):
                req.conn.wfile.write(piece)


class _Server(HTTPServer):
    """A cheroot server with settings for tests: quiet, many persistent connections, a quick stop."""

    ConnectionClass = _Connection
    keep_alive_conn_limit = 10_000
    timeout = 120
    max_request_header_size = MOST_HEADERS
    expiration_interval = 0.05
    request_queue_size = 128
    shutdown_timeout = 2

    def __init__(self, address: tuple[str, int], pipeline: Pipeline, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            address, _Gateway, minthreads=_THREADS, maxthreads=_MAX_THREADS, server_name="auth0-meta-local"
        )
        self.pipeline = pipeline
        self.handled, self.workers = 0, _THREADS
        self.waiting: dict[End, None] = {}
        """The connections whose clients are waited for, to send a request or to take a response, the longest first."""
        self.timer: threading.Timer | None = None
        if tls is not None:
            self.ssl_adapter = LateHandshake(tls, stream)

    def process_conn(self, conn: HTTPConnection) -> None:
        super().process_conn(conn)
        # Whether a worker is free is not known yet: one that has just got a connection still looks idle.
        if self.timer is None:
            self._watch()

    def _watch(self) -> None:
        """Check in a moment whether the workers make progress."""
        timer = threading.Timer(_STUCK_AFTER, self._relieve, (self.handled,))
        timer.daemon = True
        self.timer = timer
        timer.start()

    def _relieve(self, handled: int) -> None:
        """Start more workers if connections wait and no request was handled: an unfinished one must not block the others.

        If there can't be more, the connections whose clients have been waited for longest make room.
        """
        pool = self.requests
        # From here on a new connection starts its own timer.
        self.timer = None
        if self.ready and pool.qsize:
            if self.handled == handled:
                missing = pool.qsize
                more = min(missing, _MAX_THREADS - self.workers)
                self.workers += more
                pool.grow(more)
                for end in list(self.waiting)[: missing - more]:
                    end.cut_off()
            self._watch()

    def stop(self) -> None:
        super().stop()
        timer = self.timer
        if timer is not None:
            timer.cancel()
            if timer.is_alive():
                timer.join()

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> socket.socket:
        # cheroot does not set this for port 0, but without it a restarted tenant could not take its port again.
        if os.name == "posix":  # pragma: no branch  # on Windows the option would share the port
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002
        _log.log(min(level, logging.INFO), "%s", msg)


class TenantServer:
    """One server in daemon threads, so that a forgotten `stop` does not keep the process alive."""

    def __init__(
        self, host: str, port: int, pipeline: Pipeline, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server((host, port), pipeline, tls)
        self._prepared = Future[None]()
        self._thread = threading.Thread(target=self._run, name="auth0-meta-local-tenant", daemon=True)

    def start(self) -> int:
        """Bind and serve; returns the port.  Raises OSError if the address can't be bound."""
        self._thread.start()
        self._prepared.result()
        return int(self._server.bind_addr[1])

    def _run(self) -> None:
        # cheroot's workers inherit the daemon flag of the thread that prepares the server.
        try:
            self._server.prepare()
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits in `start`
            self._prepared.set_exception(error)
            return
        self._prepared.set_result(None)
        self._server.serve()

    def stop(self) -> None:
        """Close every socket and end every thread."""
        self._server.stop()
        self._thread.join()
