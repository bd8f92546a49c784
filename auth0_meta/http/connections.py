"""Connections whose whole response, headers and body, has to arrive by one instant.

A timeout of `requests` counts between two bytes.  A server that sends one byte every 29 seconds would hold a worker, a
lock or a login for hours.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import threading
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.threads.errand import Errand, at_work

deadline = threading.local()
"""`deadline.at`: the instant (on the monotonic clock) by which the response that this thread waits for must be there."""


class BoundedReader(io.RawIOBase):
    """Read from a socket, each time for no longer than until the deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, at: float) -> None:
        super().__init__()
        self._raw, self._socket, self._at = raw, sock, at
        self._timeout = sock.gettimeout()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived, once something has; raise `TimeoutError` at the deadline."""
        left = self._at - SYSTEM_CLOCK.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the whole response has passed")
        if self._timeout is None or left < self._timeout:
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the file, not the socket."""
        if not self.closed:
            self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """Read head and body through a `BoundedReader`; a read for a task that is cancelled ends at once."""

    _errand: Errand[Any] | None = None

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        errand = at_work.errand
        self._errand = errand if errand is not None and errand.lets_go else None
        if self._errand is not None:
            self._errand.reads_from(sock)
        at = getattr(deadline, "at", None)
        if at is not None:
            self.fp = io.BufferedReader(BoundedReader(self.fp.detach(), sock, at))

    def _close_conn(self) -> None:
        """Close the response as soon as it has been read.

        Otherwise it would be closed when it is freed, and Python swallows what a signal handler raises during that.
        """
        super()._close_conn()  # type: ignore[misc]
        errand, self._errand = self._errand, None
        if errand is not None and not errand.has_read():
            raise ConnectionAbortedError("the task that waited for this response was cancelled")
        io.IOBase.close(self)


class _ReadResponse(HTTPResponse):
    """A response of urllib3 that has been read, which is freed without running code of urllib3."""

    closed = io.IOBase.closed


def finish(response: object) -> None:
    """Close a response that has been read, so that freeing it later runs no code in which an interrupt could be lost."""
    if type(response) is HTTPResponse:
        io.IOBase.close(response)
        response.__class__ = _ReadResponse


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _TLSConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _Idle:
    """The idle connections of a pool, the one used last first, in place of `queue.LifoQueue`.

    `LifoQueue` has a lock.  A signal handler that sends while its own thread holds it would wait for ever, and so would
    everybody after an interrupt between taking the lock and the `try` that releases it.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.queue: list[Any] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  # as queue.Queue
        """Return a connection, or None for a new one; these pools never block."""
        try:
            return self.queue.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        """Keep a connection unless there are enough."""
        if len(self.queue) >= self.maxsize:
            raise queue.Full
        self.queue.append(item)

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self.queue)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _Idle  # type: ignore[assignment]  # it has what urllib3 calls


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    QueueCls = _Idle  # type: ignore[assignment]  # it has what urllib3 calls


_POOLS = {"http": _Pool, "https": _TLSPool}


class BoundedAdapter(HTTPAdapter):
    """The adapter of `requests`, on connections that keep `deadline`; a SOCKS proxy has connections of its own."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # pragma: no branch  # needs PySocks
            manager.pool_classes_by_scheme = _POOLS
        return manager
