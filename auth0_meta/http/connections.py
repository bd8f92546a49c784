"""Connections whose whole response, headers and body, has to arrive by one instant.

A timeout of `requests` counts between two bytes.  A server that sends one byte every 29 seconds would hold a worker, a
lock or a login for hours.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import queue
import re
import socket
import threading
from collections.abc import Mapping
from operator import is_
from types import FunctionType
from typing import Any

import requests
from requests import adapters
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import connection, connectionpool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.threads.errand import Errand, at_work

BLOCK = 1 << 16
# The largest response that is read, decoded: far more than a page of 100 users with a megabyte of metadata each.
_MOST_RECEIVED = 200 << 20
_FINAL = 200

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

    @property
    def is_connected(self) -> bool:
        """Return whether it is open with nothing left to read, decrypted or not, which would pass for a response."""
        pending = getattr(self.sock, "pending", None)
        return super().is_connected and not (pending is not None and pending())


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


# Requests on a connection that is open already -----------------------------------------------------------

# What requests and urllib3 would send unchanged.
_PLAIN = re.compile(r"/(?:[A-Za-z0-9!$&'()*+,./:;=?@_~-]|%[0-9A-F]{2})*(?<!\?)")
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_urllib3_log = logging.getLogger("urllib3.connectionpool")


def _steps() -> tuple[FunctionType, ...]:
    """Return what a request passes on its way to the socket, where mocks and tracers step in."""
    return (
        HTTPAdapter.send,
        HTTPConnectionPool.urlopen,
        HTTPConnection.request,
        HTTPConnection.getresponse,
        http.client.HTTPConnection.putrequest,
        http.client.HTTPConnection.getresponse,
    )  # type: ignore[return-value]  # so we hope


_MODULES = (adapters, connectionpool, connection, connection, http.client, http.client)
# A proxy has the attributes of what it wraps, but not its type.
_own_steps = (
    _steps()
    if all(
        type(step) is FunctionType and step.__globals__ is vars(module)
        for step, module in zip(_steps(), _MODULES, strict=True)
    )
    else None
)


def _is_watched() -> bool:
    """Return whether somebody wants to see each request: a mock, a tracer or a log."""
    # Not by ==: a wrapper of wrapt, which most tracers use, is equal to what it wraps.
    own = _own_steps is not None and all(map(is_, _steps(), _own_steps))
    return not own or _urllib3_log.isEnabledFor(logging.DEBUG)


class OneHostAdapter(BoundedAdapter):
    """Remember the pool of the one host that a client talks to; `requests` would look it up every time."""

    _pool: Any = None
    _host = ""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool."""
        if self._pool is None:
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            host = f"[{pool.host}]" if ":" in pool.host else pool.host.rstrip(".")
            self._host = host if pool.port == pool.ConnectionCls.default_port else f"{host}:{pool.port}"
            self._pool = pool
        return self._pool

    def close(self) -> None:
        """Close the pool."""
        self._pool = None
        super().close()

    def abandon(self) -> None:
        """Let go of a pool inherited through a fork, whose locks a thread of the parent may have held."""
        if self._pool is not None and self._pool.pool is not None:
            queue = self._pool.pool
            for connection in filter(None, queue.queue):
                connection.close()
            type(queue).__init__(queue, queue.maxsize)  # urllib3 empties it later, which takes its locks

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> tuple[int, Mapping[str, str], bytes] | None:
        """Send a request on an idle connection; return status, headers and body of the response.

        Returns None and sends nothing if the request has to go through `send`: there is no such connection, urllib3 would
        encode or refuse something, or a mock, a tracer or a log must see the request.  `timeout`: the seconds for
        connecting, which sending may take too, and the seconds for reading.
        Raises what `send` would; the request may have reached the server then.
        """
        pool = self._pool
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""])
        plain = head.isascii() and head.count("\r") == head.count("\n") == len(lines) + 1
        if pool is None or not plain or not _PLAIN.fullmatch(path) or _is_watched():
            return None
        connection = _idle_connection(pool)
        if connection is None:
            return None
        try:
            found = _exchanged(connection, method, head.encode() + (body or b""), timeout)
        except BaseException:
            connection.close()
            raise
        pool._put_conn(connection)
        return found


def _idle_connection(pool: Any) -> Any:
    """Take an open connection out of a pool; return None if the next one there is not open."""
    idle = pool.pool
    try:
        connection = idle.get()
    except (AttributeError, queue.Empty):  # the pool was closed, or has none
        return None
    own = type(connection) in (_Connection, _TLSConnection)
    if own and connection.is_connected and not connection.debuglevel:
        return connection
    with contextlib.suppress(queue.Full):  # other threads may have returned theirs meanwhile
        idle.put(connection)  # urllib3 opens it anew
    return None


def _exchanged(
    connection: Any, method: str, message: bytes, timeout: tuple[float, float]
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a message on an open connection and read the response, as urllib3 does."""
    sock = connection.sock
    connect, read = timeout
    try:
        sock.settimeout(connect)
        connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may have sent its response before it closed the connection
    except OSError as error:
        raise requests.exceptions.ConnectionError(error) from error
    sock.settimeout(read)
    response = _BoundedResponse(sock, method=method)
    try:
        return _read(connection, response, method)
    except BaseException:
        response.close()  # it keeps the socket open
        raise


def _read(
    connection: Any, response: http.client.HTTPResponse, method: str
) -> tuple[int, Mapping[str, str], bytes]:
    """Read a response to its end, with the parts of urllib3 if it is long, encoded or without one clear length."""
    try:
        response.begin()
        if response.will_close:
            connection.close()  # the response can be read all the same
        status, headers, length = response.status, _Headers(response), response.length
        clear = length is not None and length <= BLOCK and "," not in headers.get("content-length", "")
        if status >= _FINAL and clear and "content-encoding" not in headers:
            return status, headers, response.read()
    except TimeoutError as error:
        raise requests.exceptions.ReadTimeout(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise requests.exceptions.ConnectionError(error) from error
    whole = requests.Response()
    whole.status_code, whole.headers = status, CaseInsensitiveDict(headers)
    whole.raw = HTTPResponse(
        response,
        headers=headers,
        status=status,
        preload_content=False,
        decode_content=False,
        original_response=response,
        request_method=method,
    )
    return status, headers, content_of(whole)


class _Headers(dict[str, str]):
    """Headers of a response, whose names have no case; those with the same name are one."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        super().__init__()
        for name, value in response.headers.raw_items():
            key = name.lower()
            if "\n" in value:  # a line break would break a line of the log, too
                value = _FOLD.sub(" ", value)  # noqa: PLW2901
            super().__setitem__(key, f"{self[key]}, {value}" if key in self else value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, `default` if there is none of this name."""
        return super().get(name.lower(), default)


def content_of(response: requests.Response) -> bytes:
    """Read a body to its end; one that is larger than a response may be, as sent or decoded, is an error."""
    pieces, size = [], 0
    length = response.headers.get("Content-Length", "")
    short = length.isdecimal() and int(length) <= BLOCK and "Content-Encoding" not in response.headers
    try:
        if response.status_code < _FINAL:  # http.client takes every 1xx but 100 for the response
            raise requests.exceptions.ConnectionError("no final response")
        for piece in [response.raw.read()] if short else response.iter_content(BLOCK):
            size += len(piece)
            if size > _MOST_RECEIVED:
                raise requests.exceptions.ContentDecodingError("larger than a response may be")
            pieces.append(piece)
        # An adapter may hand on a body that was cut short.
        if getattr(response.raw, "length_remaining", None):
            raise requests.exceptions.ChunkedEncodingError("a part of the body is missing")
        finish(response.raw)
    except BaseException:
        response.close()  # the rest of it must not be taken for the next response
        raise
    return b"".join(pieces)
