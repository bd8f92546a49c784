"""Serve a tenant on sockets: a small HTTP/1.1 server whose threads come and go with the connections that need them.

One thread accepts connections and watches those on which nothing happens; the others carry out requests.  A thread
stays with its connection while requests follow each other closely, which is faster than handing it over each time.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator.pipeline import Pipeline
from auth0_meta.emulator.serving.connection import Connection

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("auth0_meta.emulator")
_MAX_THREADS = 256
# A thread that has nothing to do for so long ends.
_IDLE_THREAD = 5.0
# If there can't be more threads, clients that keep one waiting for longer make room.
_STUCK_AFTER = 0.1
_IDLE_CONNECTION = 120.0
_MAX_IDLE = 10_000
_SHUTDOWN = 2.0
_NAME = "auth0-meta-local-tenant"


class TenantServer:
    """One server in daemon threads, so that a forgotten `stop` does not keep the process alive.

    It listens on the same port of each of `hosts`; one after the first is left out if this machine does not have it.
    """

    def __init__(
        self, hosts: Sequence[str], port: int, pipeline: Pipeline, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.pipeline, self.own_host = pipeline, "localhost"
        self.waiting: dict[Connection, float] = {}
        self._hosts, self._port, self._tls = hosts, port, tls
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._listening: Sequence[socket.socket] = ()
        self._idle: dict[Connection, float] = {}
        """The connections that no thread serves, since when, the longest first."""
        self._returned: deque[Connection] = deque()
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._queue: SimpleQueue[Connection | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0
        """How many threads wait for a connection, less the connections that wait for a thread."""
        self._threads: dict[threading.Thread, Connection | None] = {}
        """The threads that serve, each with the connection that it has now."""
        self._watcher = threading.Thread(target=self._watch, name=_NAME, daemon=True)

    def start(self) -> int:
        """Bind and serve; returns the port.  Raises OSError if an address can't be bound."""
        try:
            self._listening = _listen_on(self._hosts, self._port)
        except OSError:
            self._close()
            raise
        port: int = self._listening[0].getsockname()[1]
        self.own_host = f"localhost:{port}"
        for sock in self._listening:
            self._selector.register(sock, selectors.EVENT_READ, partial(self._accept, sock))
        self._selector.register(self._alarm, selectors.EVENT_READ, partial(self._alarm.recv, 4096))
        self._watcher.start()
        return port

    def stop(self) -> None:
        """Close every socket and end every thread; a response that is being made is still sent, if that takes no time."""
        self._stopping = True
        self._ring()
        self._watcher.join()
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):
            with self._lock:
                threads = self._threads.copy()
            threads.pop(threading.current_thread(), None)  # a request may stop the tenant that it is sent to
            for connection in filter(None, threads.values()):
                connection.cut_off(how)
            until = SYSTEM_CLOCK.monotonic() + _SHUTDOWN
            for _ in threads:
                self._queue.put(None)
            for thread in threads:
                thread.join(max(0.0, until - SYSTEM_CLOCK.monotonic()))
        self._close()

    @property
    def presses(self) -> bool:
        """Return whether other connections wait for a thread, or for the end."""
        return self._free < 0 or self._stopping

    # The thread that watches ----------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            while self._returned:
                self._keep(self._returned.popleft())
            self._make_room()

    def _patience(self) -> float | None:
        """Return how long nothing needs to be checked."""
        if self._free < 0:
            return _STUCK_AFTER
        return _IDLE_CONNECTION / 10 if self._idle else None

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except BlockingIOError:  # the client has gone already
            return
        except OSError as error:  # too many open files
            _log.warning("the local tenant can't accept a connection: %s", error)
            SYSTEM_CLOCK.sleep(_STUCK_AFTER)
            return
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                # The first read does the handshake, so that a slow client does not hold up this thread.
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()
        else:
            self._keep(Connection(sock, self))

    def _keep(self, connection: Connection) -> None:
        """Watch a connection until something comes."""
        if connection.has_data:
            self._submit(connection)
            return
        self._selector.register(connection, selectors.EVENT_READ, partial(self._resume, connection))
        self._idle[connection] = SYSTEM_CLOCK.monotonic()

    def _resume(self, connection: Connection) -> None:
        self._forget(connection)
        self._submit(connection)

    def _forget(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        del self._idle[connection]

    def _submit(self, connection: Connection) -> None:
        """Have a connection served, by another thread if all are busy."""
        with self._lock:
            self._free -= 1
            if self._free < 0 and len(self._threads) < _MAX_THREADS:
                thread = threading.Thread(target=self._work, name=_NAME, daemon=True)
                self._threads[thread] = None
                try:
                    thread.start()
                    self._free += 1
                except RuntimeError:  # the process may not have more threads
                    del self._threads[thread]
        self._queue.put(connection)

    def _make_room(self) -> None:
        """Close connections that have been idle for too long, and those whose clients keep others waiting."""
        now = SYSTEM_CLOCK.monotonic()
        while self._idle:
            connection, since = next(iter(self._idle.items()))
            if since + _IDLE_CONNECTION > now and len(self._idle) <= _MAX_IDLE:
                break
            self._forget(connection)
            connection.close()
        missing = -self._free
        if missing > 0:
            stuck = [one for one, since in self.waiting.copy().items() if since + _STUCK_AFTER <= now]
            for connection in stuck[:missing]:
                connection.cut_off()

    # The threads that serve -----------------------------------------------------------------------

    def _work(self) -> None:
        thread = threading.current_thread()
        while True:
            try:
                connection = self._queue.get(timeout=_IDLE_THREAD)
            except Empty:
                with self._lock:
                    if self._free <= 0:  # a connection is on its way
                        continue
                    self._free -= 1
                    del self._threads[thread]
                    return
            if connection is None:
                return
            self._threads[thread] = connection
            stays = False
            try:
                stays = not self._stopping and connection.serve()
            except Exception:  # noqa: BLE001  # a bug must not end the thread
                _log.exception("the local tenant failed while it served a connection")
            self._threads[thread] = None
            if stays and not self._stopping:
                self._returned.append(connection)
                self._ring()
            else:
                connection.close()
            with self._lock:
                self._free += 1

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # if it is full, it has been rung; if it is closed, nobody listens
            self._bell.send(b"!")

    def _close(self) -> None:
        for sock in (*self._listening, self._alarm, self._bell):
            sock.close()
        for connection in (*self._idle, *self._returned):
            connection.close()
        self._selector.close()
        with contextlib.suppress(Empty):
            while True:
                if (queued := self._queue.get_nowait()) is not None:
                    queued.close()


def _listen_on(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listen on one port of several addresses; a free port of the first may be taken on another, so try a few."""
    for tries_left in reversed(range(10)):
        listening: list[socket.socket] = []
        try:
            for host in hosts:
                try:
                    listening.append(_listen(host, listening[0].getsockname()[1] if listening else port))
                except OSError as error:
                    if not listening or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                        raise
        except OSError as error:
            for sock in listening:
                sock.close()
            if port or not listening or not tries_left:
                raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
        else:
            return listening
    raise AssertionError  # the last try returns or raises


def _listen(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, proto)
    try:
        if os.name == "posix":  # pragma: no branch  # on Windows the option would share the port
            # Otherwise a restarted tenant could not take its port again.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
