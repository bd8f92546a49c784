"""A real HTTP server that sends scripted responses and records the requests."""

from __future__ import annotations

import contextlib
import json
import random
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from auth0_meta import ManagementClient


@dataclass
class Seen:
    """One request as the server received it; `connection` is the number of the connection it came on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    connection: int = 0

    @property
    def json(self) -> Any:
        """Return the body parsed as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """Return the body parsed as a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


ASKED_FOR = "what was asked for"
"""The body of a `Reply` that names none: the user of the path, or an empty object."""


@dataclass
class Reply:
    """One scripted response.

    `body`: by default the user who is read or changed, and an empty object for everything else.
    `close` drops the connection instead of responding.  `raw` replaces the JSON body.  `missing` is how many more bytes
    Content-Length promises than are sent.  `date=False` omits the Date header, and `clock_offset` shifts it.
    """

    status: int = 200
    body: Any = ASKED_FOR
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False
    delay: float = 0.0
    clock_offset: float = 0.0
    raw: bytes | None = None
    missing: int = 0
    date: bool = True

    def data(self, seen: Seen) -> bytes:
        """Return the bytes to send."""
        if self.raw is not None:
            return self.raw
        if self.body is not ASKED_FOR:
            return json.dumps(self.body).encode()
        user = re.fullmatch(r"/api/v2/users/([^/?]+)(\?.*)?", seen.path)
        return json.dumps({"user_id": unquote(user[1])} if user and self.status < 300 else {}).encode()


TOKEN = "fetched-token"


def token(value: str = TOKEN, *, expires_in: Any = 86400, **more: Any) -> Reply:
    """Return a response of the token endpoint."""
    return Reply(200, {"access_token": value, "token_type": "Bearer", "expires_in": expires_in} | more)


def boom(status: int, error: str, message: str, code: str | None = None, **headers: str) -> Reply:
    """Return an error response of the Management API."""
    body = {"statusCode": status, "error": error, "message": message}
    return Reply(status, body if code is None else body | {"errorCode": code}, dict(headers))


def limited(
    seconds: float | None = None,
    *,
    offset: float = 0.0,
    now: Callable[[], float] = time.time,
    **headers: str,
) -> Reply:
    """Return a 429 that resets in `seconds`, from a server whose clock is `offset` seconds ahead of ours."""
    given = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"} | headers
    if seconds is not None:
        given.setdefault("X-RateLimit-Reset", str(int(now() + offset) + int(seconds)))
    body = {
        "statusCode": 429,
        "error": "Too Many Requests",
        "message": "Global limit has been reached",
        "errorCode": "too_many_requests",
    }
    return Reply(429, body, given, clock_offset=offset)


class ScriptedServer:
    """Send the next scripted reply to each request, and repeat the last one forever.

    `seen` is the list of requests.  `now` is the clock behind Date.  With `tls` every connection is encrypted.
    `open` counts the connections that are open now, `connections` all that were ever opened.
    """

    def __init__(
        self,
        *replies: Reply | Callable[[Seen], Reply],
        now: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.replies = list(replies) or [Reply()]
        self.seen: list[Seen] = []
        self.open = 0
        self.connections = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            number = 0

            def setup(self) -> None:
                with outer._lock:
                    outer.open += 1
                    outer.connections += 1
                    self.number = outer.connections
                super().setup()

            def finish(self) -> None:
                super().finish()
                with outer._lock:
                    outer.open -= 1

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = dict(self.headers.items())
                seen = Seen(self.command, self.path, headers, body, time.time(), self.number)
                with outer._lock:
                    outer.seen.append(seen)
                    step = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                reply = step(seen) if callable(step) else step
                if reply.delay:
                    time.sleep(reply.delay)
                if reply.close:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = reply.data(seen)
                if reply.status == 204:
                    data = b""
                self.send_response_only(reply.status)
                if reply.date:
                    self.send_header("Date", formatdate(now() + reply.clock_offset, usegmt=True))
                self.send_header("Content-Type", "application/json")
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(data) + reply.missing))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
                if reply.missing:
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = do_OPTIONS = do_CONNECT = handle_one

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self) -> tuple[Any, Any]:
                connection, address = super().get_request()
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                return connection, address

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        scheme = "http" if tls is None else "https"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> ScriptedServer:
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def methods(self) -> list[str]:
        """Return the methods of the requests, in order."""
        return [s.method for s in self.seen]

    def paths(self) -> list[str]:
        """Return the paths of the requests, in order."""
        return [s.path for s in self.seen]


def connect(server: ScriptedServer, **settings: Any) -> ManagementClient:
    """Return a client of the server, with a fixed token and repeatable jitter unless the settings say otherwise."""
    if not {"client_id", "token"} & settings.keys():
        settings["token"] = "given-token"
    return ManagementClient(server.url, **{"random": random.Random(7), **settings})


def free_port() -> int:
    """Return a loopback port on which nothing listens, and which no outgoing connection is given before a test uses it."""
    while True:
        port = secrets.randbelow(12_000) + 20_000  # Linux gives outgoing connections those from 32768 on
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
