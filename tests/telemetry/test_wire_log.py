"""What urllib3 logs of our requests has no query, no link's signature and no header; what it logs of others' is theirs."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import ManagementClient
from auth0_meta.telemetry import wire_log


@contextmanager
def _malformed(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Serve one response that has a header line without a colon; yield the server's address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server, caplog.at_level(logging.DEBUG):

        def serve() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Echo: canary\r\n"
                    b"canary without a colon\r\nContent-Length: 2\r\n\r\n[]"
                )

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join()


def _seen(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    """Return everything that a handler could show of urllib3's records."""
    formatter = logging.Formatter()
    records = [record for record in caplog.records if record.name.startswith("urllib3")]
    return [(one.name, one.levelno, f"{formatter.format(one)} {one.args}") for one in records]


@pytest.mark.parametrize("call", ["by_email", "search", "request"])
def test_a_malformed_response_does_not_bring_the_query_into_the_log(
    call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a warning, which Python prints without any set-up, says only that there was a message."""
    with (
        _malformed(caplog) as url,
        ManagementClient(url, token="a.b.c", failure_wait=0, max_wait=0) as client,
    ):
        calls: dict[str, Any] = {
            "by_email": lambda: client.users.by_email("canary@example.com"),
            "search": lambda: list(client.users.search(q="email:canary")),
            "request": lambda: client.request("GET", "users", params={"q": "canary"}),
        }
        calls[call]()
    seen = _seen(caplog)
    assert ("urllib3.connection", logging.WARNING) in [one[:2] for one in seen]
    assert "canary" not in str(seen)


def test_a_malformed_file_does_not_bring_its_signature_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An export's link is a secret."""
    job = {"id": "job_1", "type": "users_export", "status": "completed"}
    with _malformed(caplog) as files, ScriptedServer(Reply(200, job)) as server, connect(server) as client:
        job["location"] = f"{files}/export.gz?X-Amz-Signature=canary"
        client.jobs.download("job_1", io.BytesIO())
    assert "canary" not in str(_seen(caplog))
    assert any("/export.gz" in text for _, _, text in _seen(caplog))


def test_the_log_of_other_requests_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A program that uses requests by itself finds its own messages as they were."""
    with _malformed(caplog) as url:
        requests.get(f"{url}/mine?q=canary", timeout=5)
    assert str(_seen(caplog)).count("mine?q=canary") >= 2


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("Redirecting %s -> %s", ("/a?canary", "https://canary")),
        ("Incremented Retry for (url='%s'): %r", ("/a?canary", 1)),
        ("a text put together: /users?q=canary", ()),
        ("%(url)s", ({"url": "canary"},)),
    ],
    ids=["redirect", "retry", "no arguments", "a mapping"],
)
def test_a_message_that_is_not_known_is_left_out(message: str, args: tuple[Any, ...]) -> None:
    """The next version of urllib3 may log anything in any form."""
    record = logging.LogRecord("urllib3.new", logging.ERROR, "x.py", 1, message, args, None)
    wire_log.ours.now = True
    try:
        assert wire_log._filter.filter(record)
    finally:
        wire_log.ours.now = False
    assert "canary" not in record.getMessage() + str(record.args)
    assert "left out" in record.getMessage()
