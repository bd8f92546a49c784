"""Serve one canned profile over keep-alive HTTP/1.1, in a separate process: `with canned() as url`.

Every user in a path has that profile.  With `reflect=True` the response to a PATCH shows the change to it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

PROFILE: dict[str, Any] = {
    "created_at": "2026-01-01T00:00:00.000Z",
    "email": "ada@example.com",
    "email_verified": True,
    "identities": [
        {
            "connection": "Username-Password-Authentication",
            "user_id": "507f1f77bcf86cd799439020",
            "provider": "auth0",
            "isSocial": False,
        }
    ],
    "name": "ada@example.com",
    "nickname": "ada",
    "picture": "https://example.com/" + "p" * 180,
    "updated_at": "2026-01-01T00:00:00.000Z",
    "user_id": "auth0|507f1f77bcf86cd799439020",
    "user_metadata": {"theme": "dark", "prefs": {"lang": "fi", "tags": ["a", "b", "c"]}},
    "app_metadata": {"plan": "pro", "log": ["x" * 40] * 3},
}


_ID = PROFILE["user_id"].encode()


def _changed(document: bytes) -> bytes:
    """Return the profile with a PATCH's document merged into its metadata."""
    bags = {
        bag: {key: value for key, value in {**PROFILE[bag], **keys}.items() if value is not None}
        for bag, keys in json.loads(document).items()
    }
    return json.dumps({**PROFILE, **bags}).encode()


def _respond(connection: socket.socket, *, reflect: bool) -> None:
    """Respond to every request on one connection with the profile."""
    profile = json.dumps(PROFILE).encode()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stored = b""
    with connection, contextlib.suppress(ConnectionResetError):  # a client that was killed
        while True:
            while b"\r\n\r\n" not in stored:
                got = connection.recv(65536)
                if not got:
                    return
                stored += got
            head, _, rest = stored.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            while len(rest) < length:
                rest += connection.recv(65536)
            stored = rest[length:]
            body = _changed(rest[:length]) if reflect and head.startswith(b"PATCH") else profile
            user_id = unquote(head.split(b" ", 2)[1].rpartition(b"/")[2].decode())
            body = body.replace(_ID, user_id.encode())
            now = time.time()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"
                b"Date: %s\r\nX-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\nX-RateLimit-Reset: %d\r\n\r\n"
                % (len(body), formatdate(now, usegmt=True).encode(), int(now) + 1)
                + body
            )


def serve(*, reflect: bool) -> None:
    """Listen on a free loopback port, print it, and serve until killed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            threading.Thread(
                target=_respond, args=(connection,), kwargs={"reflect": reflect}, daemon=True
            ).start()


@contextlib.contextmanager
def canned(*, reflect: bool = False) -> Iterator[str]:
    """Run the server and yield its URL."""
    flags = ["--reflect"] if reflect else []
    process = subprocess.Popen([sys.executable, __file__, *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    serve(reflect="--reflect" in sys.argv)
