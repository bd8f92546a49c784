from __future__ import annotations

import os
import socket
import ssl
import sys
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from threading import Barrier
from types import FrameType
from typing import Any

import pytest
import requests
import trustme
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from support.scripted_server import Reply, ScriptedServer, Seen, connect, free_port

from auth0_meta import ApiError, ManagementClient
from auth0_meta.errors import ConfigError, NotSentError, OutcomeUnknown, StateError, TransportError
from auth0_meta.http import connections, transport
from auth0_meta.http.plain_http import is_loopback
from auth0_meta.http.transport import Response, Transport, base_url


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close what a test opens, in reverse order."""
    with ExitStack() as stack:
        yield stack


def _transport(stack: ExitStack, base: str, **settings: Any) -> Transport:
    made = Transport(base, **{"timeout": (2.0, 2.0), **settings})
    stack.callback(made.close)
    return made


def _get(one: Transport, path: str = "/x", **headers: str) -> Response:
    return one.send("GET", path, headers=headers)


# Where requests may go -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "base"),
    [
        ("tenant.eu.auth0.com", "https://tenant.eu.auth0.com"),
        ("  tenant.eu.auth0.com/ ", "https://tenant.eu.auth0.com"),
        ("HTTPS://Tenant.EU.auth0.com", "https://tenant.eu.auth0.com"),
        ("tenant.eu.auth0.com.", "https://tenant.eu.auth0.com."),
        ("login.example.com:8443", "https://login.example.com:8443"),
        ("a" * 63 + ".example.com", f"https://{'a' * 63}.example.com"),
        ("http://localhost:8810", "http://localhost:8810"),
        ("http://127.0.0.1:8810/", "http://127.0.0.1:8810"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:8810", "http://[::1]:8810"),
        ("[::1]:8810", "https://[::1]:8810"),
    ],
)
def test_a_domain_becomes_a_base_url(domain: str, base: str) -> None:
    """A bare host means https; http is allowed for loopback only."""
    assert base_url(domain) == base


@pytest.mark.parametrize(
    "domain",
    [
        "http://tenant.eu.auth0.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.nip.io",
        "http://127.0.0.1.",
        "http://0.0.0.0:8810",
        "http://127.1:8810",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://[::2]",
        "http://[::1%25eth0]",
        "http://loopback",
        "http://127.0.0.1\\.evil.com",
        "http://127\u30020\u30020\u30021",
        "HTTP://tenant.eu.auth0.com",
    ],
)
def test_plain_http_is_for_loopback_only(domain: str) -> None:
    """A name that only looks like loopback is refused before any request."""
    with pytest.raises(ConfigError):
        ManagementClient(domain, token="t")


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "   ",
        None,
        b"tenant.eu.auth0.com",
        "https://",
        "https:///path",
        "ftp://tenant.eu.auth0.com",
        "tenant.eu.auth0.com/api/v2",
        "tenant.eu.auth0.com?x=1",
        "tenant.eu.auth0.com#x",
        "tenant.eu.auth0.com:port",
        "tenant.eu.auth0.com:99999",
        "tenant eu.auth0.com",
        "ten\nant.eu.auth0.com",
        "ten\x00ant.eu.auth0.com",
        "tenant%2eeu.auth0.com",
        "tenant..auth0.com",
        ".auth0.com",
        ".",
        "a" * 64 + ".example.com",
        "https://[::1",
    ],
)
def test_an_invalid_host_is_refused(domain: Any) -> None:
    """A domain without a valid host is a configuration error, not a failed request."""
    with pytest.raises(ConfigError):
        base_url(domain)


@pytest.mark.parametrize(
    "domain",
    [
        "http://user:hunter2@127.0.0.1",
        "https://user:hunter2@tenant.eu.auth0.com",
        "user:hunter2@tenant.eu.auth0.com",
        "https://user:hunter2]@tenant",
        "http://127.0.0.1#:hunter2@evil.com",
    ],
)
def test_credentials_in_a_domain_are_refused_and_not_shown(domain: str) -> None:
    """A user or password in the domain is refused, and the error does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        base_url(domain)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet="htps:/.@#?%\\[]0127localevi \t\n\u3002\uff0e", max_size=40))
def test_no_text_makes_plain_http_leave_this_machine(text: str) -> None:
    """Any text becomes an https URL, becomes an http URL to loopback, or is refused."""
    try:
        base = base_url(text)
    except ConfigError:
        return
    if not base.startswith("https://"):
        assert is_loopback((urllib3.util.parse_url(base).host or "").strip("[]"))


# Timeouts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("GET", TransportError),
        ("HEAD", TransportError),
        ("POST", OutcomeUnknown),
        ("PATCH", OutcomeUnknown),
        ("DELETE", OutcomeUnknown),
    ],
)
def test_the_read_timeout_ends_every_method(
    method: str, kind: type[TransportError], closing: ExitStack
) -> None:
    """After the read timeout the client gives up on a silent server; a write's outcome is then unknown."""
    server = closing.enter_context(ScriptedServer(Reply(delay=1.5)))
    one = _transport(closing, server.url, timeout=(2.0, 0.15))
    begun = time.monotonic()
    with pytest.raises(kind) as caught:
        one.send(method, "/x", headers={})
    assert type(caught.value) is kind
    assert time.monotonic() - begun < 1.0


def test_the_connect_timeout_ends_a_silent_network(closing: ExitStack) -> None:
    """After the connect timeout the client gives up on a host that accepts no connection; nothing was sent."""
    listener = closing.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    for _ in range(4):  # fill the queue: the kernel then drops new connections
        knocking = closing.enter_context(socket.socket())
        knocking.setblocking(False)
        knocking.connect_ex(address)
    one = _transport(closing, f"http://127.0.0.1:{address[1]}", timeout=(0.15, 30.0))
    begun = time.monotonic()
    with pytest.raises(NotSentError):
        _get(one)
    assert time.monotonic() - begun < 2.0


def test_every_request_has_both_timeouts(monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
    """Every request, including token requests, connects with the connect timeout and reads with the read timeout."""
    timeouts: list[float | None] = []
    plain = socket.socket.settimeout

    def record(sock: socket.socket, value: float | None) -> None:
        if sock.family == socket.AF_INET:
            timeouts.append(value)
        plain(sock, value)

    server = closing.enter_context(
        ScriptedServer(Reply(200, {"access_token": "t", "expires_in": 9, "user_id": "auth0|1"}))
    )
    client = closing.enter_context(
        connect(server, client_id="c", client_secret="s", timeout=(1.25, 1.75), token=None)
    )
    monkeypatch.setattr(socket.socket, "settimeout", record)
    client.users.get("auth0|1")
    client.users.update("auth0|1", {"name": "x"})
    client.request("DELETE", "users/auth0%7C1")
    assert timeouts[0] == 1.25
    assert timeouts.count(1.75) >= len(server.seen) == 4
    assert set(timeouts) <= {1.25, 1.75}


# What the environment can and can't change -----------------------------------------------------------


def test_netrc_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closing: ExitStack) -> None:
    """A .netrc entry for the host does not replace the Bearer token."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1\nlogin intruder\npassword hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    server = closing.enter_context(ScriptedServer())
    closing.enter_context(connect(server)).users.get("auth0|1")
    assert requests.utils.get_netrc_auth(server.url) is not None
    assert server.seen[0].headers["Authorization"] == "Bearer given-token"


def test_loopback_bypasses_proxies(monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
    """A proxy from the environment is not used for a tenant on this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    server = closing.enter_context(ScriptedServer())
    assert _get(_transport(closing, server.url)).status == 200


def test_the_proxy_is_read_once_and_sees_no_token(
    monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """The client uses the proxy that was set at construction; if the proxy refuses, nothing was sent."""
    proxy = closing.enter_context(ScriptedServer(Reply(407)))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    one = _transport(closing, "https://tenant.invalid")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSentError):
        one.send("POST", "/x", headers={"Authorization": "Bearer t"}, body=b"{}")
    assert [(s.method, s.path) for s in proxy.seen] == [("CONNECT", "tenant.invalid:443")]
    assert "Authorization" not in proxy.seen[0].headers


def test_a_proxy_set_later_is_not_used(monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
    """A proxy that appears after construction sees nothing."""
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    proxy = closing.enter_context(ScriptedServer(Reply(407)))
    one = _transport(closing, "https://tenant.invalid")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(NotSentError):
        _get(one)
    assert proxy.seen == []


@pytest.mark.parametrize("proxy", ["http:///", "http://127.0.0.1:0x1", "gopher://127.0.0.1"])
def test_an_unusable_proxy_setting_sends_nothing(
    proxy: str, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """With an unusable proxy URL the request counts as not sent."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    one = _transport(closing, "https://tenant.invalid")
    with pytest.raises(NotSentError):
        one.send("PATCH", "/x", headers={}, body=b"{}")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """Make a server context with a certificate for loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_ca_bundle_is_read_once(
    name: str,
    authority: trustme.CA,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    closing: ExitStack,
) -> None:
    """The client trusts the bundle that the environment named at construction, whatever it names later."""
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(name, str(bundle))
    server = closing.enter_context(ScriptedServer(tls=tls))
    one = _transport(closing, server.url)
    monkeypatch.setenv(name, str(tmp_path / "gone.pem"))
    assert _get(one).status == 200


def test_a_bundle_that_does_not_exist_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing CA bundle fails at construction, for https only."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        ManagementClient("tenant.invalid", token="t")
    ManagementClient("http://127.0.0.1:1", token="t").close()


# TLS -------------------------------------------------------------------------------------------------


def _system_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_certificate_error_is_not_retried(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """An untrusted certificate ends the call at once: one connection, no request, no wait."""
    _system_trust(monkeypatch)
    server = closing.enter_context(ScriptedServer(tls=tls))
    waits: list[Any] = []
    client = closing.enter_context(connect(server, on_wait=waits.append))
    for _ in range(2):
        with pytest.raises(NotSentError, match="certificate") as caught:
            client.users.get("auth0|1")
        assert caught.value.permanent
    assert (server.seen, waits) == ([], [])


def test_a_certificate_for_another_host_is_refused(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closing: ExitStack
) -> None:
    """A trusted certificate for another name is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    server = closing.enter_context(ScriptedServer(tls=context))
    with pytest.raises(NotSentError) as caught:
        _get(_transport(closing, server.url))
    assert caught.value.permanent


def test_a_failed_handshake_sent_nothing(monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
    """If a TLS handshake meets a port that speaks plain HTTP, nothing was sent, not even a POST."""
    _system_trust(monkeypatch)
    server = closing.enter_context(ScriptedServer())
    one = _transport(closing, f"https://127.0.0.1:{server.port}")
    with pytest.raises(NotSentError) as caught:
        one.send("POST", "/x", headers={}, body=b"{}")
    assert not caught.value.permanent


def test_a_bundle_without_certificates_sends_nothing(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closing: ExitStack
) -> None:
    """A CA bundle without certificates fails before anything is sent."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("nothing here")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    server = closing.enter_context(ScriptedServer(tls=tls))
    with pytest.raises(NotSentError):
        _transport(closing, server.url).send("POST", "/x", headers={}, body=b"{}")


# What goes over the wire -----------------------------------------------------------------------------


def test_a_redirect_is_not_followed(closing: ExitStack) -> None:
    """A 3xx is a typed error, and the token goes nowhere else."""
    other = closing.enter_context(ScriptedServer())
    server = closing.enter_context(
        ScriptedServer(Reply(302, headers={"Location": f"{other.url}/api/v2/users"}))
    )
    with pytest.raises(ApiError) as caught:
        closing.enter_context(connect(server)).users.get("auth0|1")
    assert caught.value.status == 302
    assert other.seen == []


@pytest.mark.parametrize(
    ("method", "body", "length"), [("GET", None, None), ("DELETE", None, "0"), ("PATCH", b"{}", "2")]
)
def test_headers_name_the_client_and_the_length(
    method: str, body: bytes | None, length: str | None, closing: ExitStack
) -> None:
    """A request names the client and the length of its body, and sends no cookie back."""
    server = closing.enter_context(ScriptedServer(Reply(headers={"Set-Cookie": "did=1; Path=/"})))
    one = _transport(closing, server.url)
    for _ in range(2):
        one.send(method, "/x?a=%7C", headers={"Accept": "application/json"}, body=body)
    for seen in server.seen:
        assert (seen.method, seen.path) == (method, "/x?a=%7C")
        assert seen.headers.get("Content-Length") == length
        assert seen.headers["User-Agent"].startswith("auth0-meta/")
        assert "Cookie" not in seen.headers


def test_responses_of_every_status_are_returned(closing: ExitStack) -> None:
    """The transport judges nothing, and the host counts as reached."""
    server = closing.enter_context(ScriptedServer(Reply(599, headers={"X-A": "b"}), Reply(204)))
    one = _transport(closing, server.url)
    assert not one.reached
    first = _get(one)
    assert (first.status, first.headers["x-a"], first.json()) == (599, "b", {})
    assert one.reached
    assert _get(one).json() is None


def test_a_body_that_is_not_json_raises() -> None:
    """Parsing a body that is not valid JSON raises ValueError."""
    with pytest.raises(ValueError, match="Expecting"):
        Response(200, {}, b"<html>").json()


# The pool --------------------------------------------------------------------------------------------


def test_one_connection_serves_one_thread(closing: ExitStack) -> None:
    """Consecutive requests share a connection."""
    server = closing.enter_context(ScriptedServer())
    one = _transport(closing, server.url)
    for _ in range(5):
        _get(one)
    assert {s.connection for s in server.seen} == {1}


def test_the_pool_keeps_no_more_than_its_size(closing: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """If more threads than `pool_size` were sending, only `pool_size` connections stay open; the log has the size."""
    together = Barrier(6)

    def meet(_: Seen) -> Reply:
        together.wait(5)
        return Reply()

    server = closing.enter_context(ScriptedServer(meet))
    one = _transport(closing, server.url, pool_size=2)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: _get(one), range(6)))
    assert server.connections == 6
    deadline = time.monotonic() + 3
    while server.open > 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.open == 2
    assert [one.getMessage()[-7:] for one in caplog.records if one.levelname == "WARNING"] == ["size: 2"] * 4


def test_many_threads_get_their_own_responses(closing: ExitStack) -> None:
    """Responses are not mixed up between threads."""
    server = closing.enter_context(ScriptedServer(lambda seen: Reply(200, {"path": seen.path})))
    one = _transport(closing, server.url)

    def ask(number: int) -> bool:
        response: dict[str, str] = _get(one, f"/{number}").json()
        return response["path"] == f"/{number}"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(80)))
    assert server.connections <= 8


def test_a_closed_transport_sends_nothing(closing: ExitStack) -> None:
    """After `close` every call raises StateError; closing it twice is allowed."""
    server = closing.enter_context(ScriptedServer())
    one = _transport(closing, server.url)
    _get(one)
    one.close()
    one.close()
    with pytest.raises(StateError):
        _get(one)
    assert len(server.seen) == 1


@pytest.mark.parametrize("used", [False, True])
def test_renewing_starts_new_connections(used: bool, closing: ExitStack) -> None:
    """After `renew` the pool is empty and the transport works."""
    server = closing.enter_context(ScriptedServer())
    one = _transport(closing, server.url)
    if used:
        _get(one)
    one.renew()
    _get(one)
    assert server.seen[-1].connection == 1 + used


# Failures --------------------------------------------------------------------------------------------


def test_a_refused_connection_sent_nothing(closing: ExitStack) -> None:
    """If nothing listens, the request was not sent; the error names host and path, not the query."""
    one = _transport(closing, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSentError, match="GET /x was not sent") as caught:
        _get(one, "/x?q=canary")
    assert "canary" not in str(caught.value)
    assert not caught.value.permanent
    assert not one.reached


def test_an_unknown_name_sent_nothing(closing: ExitStack) -> None:
    """If the name does not resolve, the request was not sent."""
    with pytest.raises(NotSentError):
        _transport(closing, "https://tenant.invalid").send("POST", "/x", headers={}, body=b"{}")


@pytest.mark.parametrize(
    "reply", [Reply(close=True), Reply(200, {"a": 1}, missing=10)], ids=["dropped", "cut short"]
)
@pytest.mark.parametrize(("method", "kind"), [("GET", TransportError), ("POST", OutcomeUnknown)])
def test_a_lost_response_leaves_a_write_unknown(
    reply: Reply, method: str, kind: type[TransportError], closing: ExitStack
) -> None:
    """After a dropped connection or a truncated body the response is lost; only a write's outcome is unknown then."""
    server = closing.enter_context(ScriptedServer(reply))
    one = _transport(closing, server.url)
    with pytest.raises(TransportError) as caught:
        one.send(method, "/x", headers={}, body=b"{}" if method == "POST" else None)
    assert type(caught.value) is kind
    assert not one.reached


class _CutShort(BaseAdapter):
    """An adapter that, like urllib3 before 2, does not compare the body with Content-Length.

    `headers`: what it shows of the response's headers.
    """

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.headers = headers or {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response.headers.update(self.headers)
        response.raw = urllib3.HTTPResponse(
            BytesIO(b"{"),
            headers={"Content-Length": "2"},
            preload_content=False,
            enforce_content_length=False,
        )
        return response

    def close(self) -> None:
        pass


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "2"}])
def test_a_body_cut_short_is_lost_under_any_urllib3(closing: ExitStack, headers: dict[str, str]) -> None:
    """A body shorter than its Content-Length counts as lost even if urllib3 does not notice."""
    one = _transport(closing, "http://127.0.0.1:1", adapter=_CutShort(headers))
    with pytest.raises(OutcomeUnknown):
        one.send("PATCH", "/x", headers={}, body=b"{}")


def test_a_file_cut_short_is_lost_under_any_urllib3(closing: ExitStack) -> None:
    """The pieces that arrived are no whole file."""
    one = _transport(closing, "http://127.0.0.1:1", adapter=_CutShort())
    pieces = one.stream("/x")
    assert next(pieces) == b"{"
    with pytest.raises(TransportError, match="lost"):
        next(pieces)


def test_an_older_failure_does_not_excuse_a_new_one(closing: ExitStack) -> None:
    """A write whose response is lost is in doubt even if the caller is just handling an earlier failed connection."""
    server = closing.enter_context(ScriptedServer(Reply(close=True)))
    broken = _transport(closing, f"http://127.0.0.1:{free_port()}")
    one = _transport(closing, server.url)
    try:
        _get(broken)
    except NotSentError:
        with pytest.raises(OutcomeUnknown):
            one.send("POST", "/x", headers={}, body=b"{}")


def test_an_error_does_not_carry_the_request(closing: ExitStack) -> None:
    """A failure says what kind it was, and has no cause that would contain token, body or query."""
    one = _transport(closing, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSentError, match="NewConnectionError: Connection refused") as caught:
        one.send("POST", "/x", headers={"Authorization": "Bearer hunter2"}, body=b"canary")
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_dead_keep_alive_connection_is_replaced(closing: ExitStack) -> None:
    """A pooled connection that the server has closed is not used for the next request."""
    server = closing.enter_context(ScriptedServer(Reply(headers={"Connection": "close"})))
    one = _transport(closing, server.url)
    _get(one)
    time.sleep(0.05)
    assert _get(one).status == 200
    assert [s.connection for s in server.seen] == [1, 2]


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client then trusts the default certificates."""
    _system_trust(monkeypatch)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    assert os.environ["REQUESTS_CA_BUNDLE"] == ""
    ManagementClient("tenant.invalid", token="t").close()


def test_renewing_keeps_the_callers_adapter(closing: ExitStack) -> None:
    """An adapter that the caller passed stays in place."""
    one = _transport(closing, "http://127.0.0.1:1", adapter=_CutShort())
    one.renew()
    with pytest.raises(TransportError):
        _get(one)


# Interrupts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [Reply(200, {"a": 1}), Reply(200, {"a": "x" * 100_000}), Reply(204), Reply(404)]
)
def test_no_code_runs_when_a_response_is_freed(
    reply: Reply, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """Python swallows what a signal handler raises in code that runs because something is freed."""
    kept: list[Any] = []
    content = connections.content_of

    def keep(response: requests.Response) -> bytes:
        body = content(response)
        kept.append(response.raw)
        return body

    monkeypatch.setattr(transport, "content_of", keep)
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_back is not None:
            calls.append((frame.f_back.f_code.co_name, frame.f_code.co_name))

    server = closing.enter_context(ScriptedServer(reply, reply))
    one = _transport(closing, server.url)
    _get(one)
    freed = weakref.ref(kept[0])
    sys.setprofile(note)
    try:
        kept.clear()  # the response of urllib3
        inside = calls.copy()
        _get(one)  # with it goes the response of http.client: the connection holds it until its next request
    finally:
        sys.setprofile(None)
    assert freed() is None
    assert inside == []
    assert not {callee for caller, callee in calls if caller == "putrequest"} & {"close", "closed", "flush"}
