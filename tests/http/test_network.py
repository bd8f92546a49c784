"""Why a request was not sent: every kind of failure on real sockets, and what its error says."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import trustme
from requests.exceptions import InvalidSchema
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from support.scripted_server import Reply, ScriptedServer

from auth0_meta import ManagementClient
from auth0_meta.errors import ConfigError, NotSentError, OutcomeUnknown, TransportError
from auth0_meta.http.plain_http import ALLOW_HTTP
from auth0_meta.http.transport import Transport, base_url
from auth0_meta.testing import FakeClock

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
FAR = "https://tenant.invalid"
SHORT, LONG = 0.2, 30.0
"""Seconds for what times out, and for what must not, however busy the machine is."""
CRLF = b"\r\n"
Behavior = Callable[[socket.socket], None]


@pytest.fixture(autouse=True)
def _no_proxy_and_default_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BUNDLES, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close what a test opens, in reverse order."""
    with ExitStack() as stack:
        yield stack


# Servers and proxies that misbehave ------------------------------------------------------------------


def nobody(stack: ExitStack) -> int:
    """Return a port on which nobody listens, and which nobody else gets."""
    bound = stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))
    port: int = bound.getsockname()[1]
    return port


def deaf(stack: ExitStack) -> int:
    """Return a port whose queue is full, so that the kernel drops new connections."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        knocking = stack.enter_context(socket.socket())
        knocking.setblocking(False)
        knocking.connect_ex(listener.getsockname())
    port: int = listener.getsockname()[1]
    return port


def serving(behavior: Behavior) -> Callable[[ExitStack], int]:
    """Return a function that listens, does this with each connection, and returns the port."""

    def start(stack: ExitStack) -> int:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError):
                    behavior(connection)
                open_ones.append(connection)

        def end() -> None:
            for one in open_ones:
                with suppress(OSError), one:
                    one.shutdown(socket.SHUT_RDWR)

        open_ones: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(end)
        stack.callback(thread.join)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        port: int = listener.getsockname()[1]
        return port

    return start


def silent(connection: socket.socket) -> None:
    """Accept, and never say a word."""


def closes(connection: socket.socket) -> None:
    """Hang up at once."""
    connection.close()


def resets(connection: socket.socket) -> None:
    """Read, and reset the connection."""
    connection.recv(10_000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(text: bytes) -> Behavior:
    """Respond with these bytes and hang up."""

    def respond(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)

    return respond


def refuses(status: bytes) -> Behavior:
    """Refuse to open a tunnel."""
    return says(b"HTTP/1.1 " + status + CRLF + b'Proxy-Authenticate: Basic realm="canary"' + CRLF + CRLF)


def tunnels_to(port: int) -> Behavior:
    """Open a tunnel, wherever one is asked for, to a server on this machine."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), sink:
            with suppress(OSError):
                while block := source.recv(1 << 16):
                    sink.sendall(block)
            sink.shutdown(socket.SHUT_RDWR)

    def connect(connection: socket.socket) -> None:
        connection.recv(10_000)
        server = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"HTTP/1.1 200 OK" + CRLF + CRLF)
        for pair in ((connection, server), (server, connection)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

    return connect


def failure(base: str, method: str = "GET", *, timeout: float = LONG) -> TransportError:
    """Return the error of one request, after checking what every such error must be."""
    one = Transport(base, timeout=(timeout, timeout))
    with pytest.raises(TransportError) as caught:
        one.send(method, "/x?q=canary", headers={"Authorization": "Bearer canary"}, body=None)
    one.close()
    error = caught.value
    assert "canary" not in str(error)
    assert error.__cause__ is error.__context__ is None
    if isinstance(error, NotSentError):
        assert str(error).startswith(f"{method} /x was not sent: ")
        assert error.remedy
        assert str(error).endswith(f". {error.remedy}")
    assert "othing was written" not in str(error)
    return error


# The host itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["http://127.0.0.1:{}", "http://localhost:{}", "https://127.0.0.1:{}"])
def test_a_local_tenant_that_does_not_run_is_named(base: str, closing: ExitStack) -> None:
    """On loopback, the emulator is not running or has another port."""
    url = base.format(nobody(closing))
    error = failure(url)
    assert isinstance(error, NotSentError)
    assert not error.permanent
    assert f"nothing listens at {url}, where a local tenant would be" in str(error)
    assert "auth0-meta emulator serve" in error.remedy


def test_a_local_tenant_in_a_container_that_does_not_run_is_named(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name of a service, too."""
    port = nobody(closing)
    found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert f"nothing listens at http://auth0:{port}" in str(failure(f"http://auth0:{port}"))


def test_any_other_host_is_not_said_to_be_a_local_tenant(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a refused connection is one."""
    port = nobody(closing)
    found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    error = failure(FAR)
    assert f"{FAR} could not be reached (NewConnectionError: Connection refused). Check the domain" in str(
        error
    )
    assert "emulator" not in str(error)


def test_an_unknown_name_is_one(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's own words say so."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    error = failure(FAR)
    assert f"{FAR} could not be reached" in str(error)
    assert "Name or service not known" in str(error)
    assert "AUTH0_DOMAIN" in str(error)


@pytest.mark.parametrize(
    ("scheme", "start", "said"),
    [
        ("http", deaf, "could not be reached (ConnectTimeoutError: TimeoutError)"),
        ("https", serving(silent), "could not be reached (TimeoutError"),
        ("https", serving(closes), "could not be reached"),
        ("https", serving(resets), "could not be reached"),
        ("https", serving(says(b"HTTP/1.1 400 Bad" + CRLF + CRLF)), "does not speak TLS"),
    ],
    ids=["no connection", "silent", "closes", "resets", "plain http"],
)
def test_what_fails_before_the_request_was_not_sent(
    scheme: str, start: Callable[[ExitStack], int], said: str, closing: ExitStack
) -> None:
    """A write is as safe to repeat as a read."""
    base = f"{scheme}://127.0.0.1:{start(closing)}"
    for method in ("GET", "POST"):
        error = failure(base, method, timeout=SHORT if "Timeout" in said else LONG)
        assert isinstance(error, NotSentError)
        assert not error.permanent
        assert said in str(error)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (serving(silent), f"read timeout {SHORT} s"),
        (serving(closes), "its response was lost"),
        (serving(resets), "Connection reset by peer"),
        (serving(says(b"SSH-2.0-OpenSSH" + CRLF)), "BadStatusLine"),
    ],
    ids=["silent", "closes", "resets", "no http"],
)
def test_what_fails_afterwards_leaves_a_write_open(
    start: Callable[[ExitStack], int], said: str, closing: ExitStack
) -> None:
    """A read is simply lost: nothing could have been written, so nothing is said of that."""
    base, timeout = f"http://127.0.0.1:{start(closing)}", SHORT if "timeout" in said else LONG
    read = failure(base, timeout=timeout)
    assert type(read) is TransportError
    assert said in str(read)
    assert "applied" not in str(read)
    assert ("https://" in str(read)) == (timeout == LONG)  # it may speak TLS
    write = failure(base, "PATCH", timeout=timeout)
    assert type(write) is OutcomeUnknown
    assert "may or may not have been applied" in str(write)


def test_a_read_through_a_client_says_nothing_of_writing(closing: ExitStack) -> None:
    """After its retries too, and for a search."""
    client = ManagementClient(f"http://127.0.0.1:{nobody(closing)}", token="a.b.c", clock=FakeClock())
    for call in (lambda: client.users.get("auth0|1"), lambda: list(client.users.search())):
        with pytest.raises(NotSentError) as caught:
            call()
        assert "written" not in str(caught.value)
        assert "nothing listens" in str(caught.value)
    client.close()


# Certificates -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Write a bundle that has it."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def tls_server(
    closing: ExitStack, authority: trustme.CA, *names: str, until: datetime.datetime | None = None
) -> ScriptedServer:
    """Serve TLS with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin = datetime.datetime(2020, 1, 1)  # noqa: DTZ001  # as trustme takes it
    certificate = authority.issue_cert(*names, not_after=until, not_before=begin if until else None)
    certificate.configure_cert(context)
    return closing.enter_context(ScriptedServer(tls=context))


@pytest.mark.parametrize("name", [None, *BUNDLES])
def test_a_certificate_error_names_the_bundle(
    name: str | None,
    authority: trustme.CA,
    tmp_path: Path,
    closing: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file that was used, and the variable that named it, or those that could."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    if name is not None:
        monkeypatch.setenv(name, str(other))
    error = failure(tls_server(closing, authority, "127.0.0.1").url)
    assert isinstance(error, NotSentError)
    assert error.permanent
    assert "can't be verified" in str(error)
    trusted = f"{DEFAULT_CA_BUNDLE_PATH} (none of {', '.join(BUNDLES)} is set)"
    assert f"Trusted is {trusted if name is None else f'{other} ({name})'}. " in str(error)
    assert "auth0-meta emulator env" in error.remedy


def test_a_directory_of_authorities_is_named(
    authority: trustme.CA, tmp_path: Path, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may be given in place of a file."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    error = failure(tls_server(closing, authority, "127.0.0.1").url)
    assert f"Trusted is {tmp_path} (REQUESTS_CA_BUNDLE). " in str(error)


def test_each_problem_of_a_certificate_has_its_remedy(
    authority: trustme.CA, bundle: str, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another name is a matter of the domain, an expired one perhaps of the clock."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    other = failure(tls_server(closing, authority, "other.example").url)
    past = datetime.datetime(2021, 1, 1)  # noqa: DTZ001
    expired = failure(tls_server(closing, authority, "127.0.0.1", until=past).url)
    assert isinstance(other, NotSentError)
    assert isinstance(expired, NotSentError)
    assert other.remedy == "Check the domain (AUTH0_DOMAIN) and the network"
    assert "127.0.0.1" in str(other)
    assert "clock" in expired.remedy
    assert "expired" in str(expired)
    assert bundle in str(expired)


@pytest.mark.parametrize(
    "content", ["", "nothing here", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_bundle_that_can_not_be_used_is_named(
    content: str, authority: trustme.CA, tmp_path: Path, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another try would fail alike."""
    broken = tmp_path / "broken.pem"
    broken.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(broken))
    error = failure(tls_server(closing, authority, "127.0.0.1").url, "POST")
    assert isinstance(error, NotSentError)
    assert error.permanent
    assert f"the CA bundle {broken} (REQUESTS_CA_BUNDLE) can't be used" in str(error)


def test_a_bundle_that_can_not_be_read_is_a_configuration_error(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that does not exist is; the variable is named."""
    monkeypatch.setenv("CURL_CA_BUNDLE", bundle)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="CURL_CA_BUNDLE names a CA bundle that can't be read"):
        Transport(FAR, timeout=(1, 1))
    monkeypatch.setenv("CURL_CA_BUNDLE", f"{bundle}.gone")
    with pytest.raises(ConfigError, match="CURL_CA_BUNDLE names a CA bundle that does not exist"):
        Transport(FAR, timeout=(1, 1))


# Proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "said", "permanent"),
    [
        (nobody, "could not be reached or used (NewConnectionError: Connection refused)", False),
        (deaf, "could not be reached or used (ConnectTimeoutError: TimeoutError)", False),
        (serving(silent), "could not be reached or used (TimeoutError", False),
        (serving(closes), "could not be reached or used (", False),
        (serving(resets), "could not be reached or used (ProtocolError: Connection reset by peer)", False),
        (
            serving(says(b"hello" + CRLF)),
            "could not be reached or used (ProtocolError: BadStatusLine)",
            False,
        ),
        (serving(refuses(b"407 Proxy canary")), "asks for a user name and a password", True),
        (serving(refuses(b"403 canary")), "refused to connect to tenant.invalid (403)", False),
        (serving(refuses(b"503 canary")), "refused to connect to tenant.invalid (503)", False),
    ],
    ids=["refused", "no connection", "silent", "closes", "resets", "no http", "407", "403", "503"],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_fails_is_named(
    variable: str,
    start: Callable[[ExitStack], int],
    said: str,
    permanent: bool,
    closing: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Host and port, never its password, and the variable that it comes from; nothing was sent, not even a POST."""
    port = start(closing)
    monkeypatch.setenv(variable, f"http://me:canary@127.0.0.1:{port}")
    error = failure(FAR, "POST", timeout=SHORT if "Timeout" in said else LONG)
    assert isinstance(error, NotSentError)
    assert error.permanent == permanent
    assert f"the proxy 127.0.0.1:{port} ({variable}) {said}" in str(error)
    assert "USER:PASSWORD" in error.remedy if permanent else "NO_PROXY" in error.remedy
    assert "domain" not in str(error)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("127.0.0.1:{}", "127.0.0.1:{} (HTTPS_PROXY)"),
        ("http://127.0.0.1:canary", "whose URL is not one (HTTPS_PROXY)"),
        ("http://127.0.0.1:0x1", "whose URL is not one (HTTPS_PROXY)"),
        ("gopher://me:canary@127.0.0.1", "127.0.0.1:? (HTTPS_PROXY)"),
        ("http:///", "?:? (HTTPS_PROXY)"),
        ("http://me:canary@[::1]:{}", "::1:{} (HTTPS_PROXY)"),
    ],
)
def test_an_odd_url_of_a_proxy_is_named_too(
    url: str, named: str, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it can be read."""
    port = nobody(closing)
    monkeypatch.setenv("HTTPS_PROXY", url.format(port))
    assert f"the proxy {named.format(port)} " in str(failure(FAR))


def test_a_proxy_that_needs_a_package_says_which(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PySocks, requests has no way through a SOCKS proxy."""

    def missing(*_: object, **__: object) -> None:
        raise InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", missing)
    monkeypatch.setenv("HTTPS_PROXY", f"socks5h://me:canary@127.0.0.1:{nobody(closing)}")
    error = failure(FAR)
    assert isinstance(error, NotSentError)
    assert error.permanent
    assert error.remedy == "Install requests[socks]"


def test_a_proxy_of_unknown_origin_is_named(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems keep it elsewhere than in the environment."""
    port = nobody(closing)
    monkeypatch.setattr(
        "auth0_meta.http.network.get_environ_proxies", lambda _: {"https": f"http://127.0.0.1:{port}"}
    )
    assert f"the proxy 127.0.0.1:{port} (the system's settings) " in str(failure(FAR))


def test_what_fails_behind_a_proxy_is_the_hosts_fault(
    authority: trustme.CA, bundle: str, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the tunnel stands, TLS and the response are the host's; the proxy is named as the way."""
    port = serving(tunnels_to(tls_server(closing, authority, "tenant.invalid").port))(closing)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:canary@127.0.0.1:{port}")
    error = failure(FAR)
    assert isinstance(error, NotSentError)
    assert f"the certificate of {FAR} through the proxy 127.0.0.1:{port} (HTTPS_PROXY)" in str(error)
    assert "The proxy may sign with its own authority" in error.remedy

    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    one = Transport(FAR, timeout=(LONG, LONG))
    closing.callback(one.close)
    assert one.send("GET", "/x", headers={}).status == 200

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tenant.invalid").configure_cert(context)
    rude = closing.enter_context(ScriptedServer(Reply(close=True), tls=context))
    port = serving(tunnels_to(rude.port))(closing)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    for method, kind in (("GET", TransportError), ("PATCH", OutcomeUnknown)):
        lost = failure(FAR, method)
        assert type(lost) is kind
        assert f"was sent through the proxy 127.0.0.1:{port} (HTTPS_PROXY), but its response" in str(lost)

    port = serving(tunnels_to(serving(closes)(closing)))(closing)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    error = failure(FAR)
    assert f"{FAR} could not be reached through the proxy 127.0.0.1:{port}" in str(error)


def test_a_proxy_that_speaks_tls_has_a_certificate_too(
    authority: trustme.CA, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An https:// proxy whose certificate can't be verified is not taken for the tenant."""
    server = tls_server(closing, authority, "127.0.0.1")
    monkeypatch.setenv("HTTPS_PROXY", f"https://me:canary@127.0.0.1:{server.port}")
    error = failure(FAR)
    assert isinstance(error, NotSentError)
    assert f"the certificate of the proxy 127.0.0.1:{server.port} (HTTPS_PROXY) can't be verified" in str(
        error
    )


# Names without a dot ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "domain",
    ["tenant", "https://tenant", "tenant:8443", "tenant.", "Tenant/", "https://2130706433", "intranet-1"],
)
def test_a_domain_without_a_dot_is_refused(domain: str) -> None:
    """Most likely it is the tenant's name alone; the error shows a whole one, and what allows a container's name."""
    with pytest.raises(ConfigError, match=r"has no dot.*tenant\.eu\.auth0\.com.*AUTH0_META_ALLOW_HTTP"):
        ManagementClient(domain, token="t")


@pytest.mark.parametrize(
    ("listed", "domain", "base"),
    [
        ("", "localhost", "https://localhost"),
        ("", "https://localhost:8830", "https://localhost:8830"),
        ("", "127.0.0.1:8830", "https://127.0.0.1:8830"),
        ("", "[::1]:8830", "https://[::1]:8830"),
        ("", "[fd00::2]", "https://[fd00::2]"),
        ("", "auth0.localhost", "https://auth0.localhost"),
        ("auth0", "https://auth0", "https://auth0"),
        ("auth0:8810", "https://auth0:8843", "https://auth0:8843"),
        ("my_auth0", "MY_AUTH0", "https://my_auth0"),
        ("auth0", "http://auth0", "http://auth0"),
    ],
)
def test_a_known_name_needs_no_dot(
    listed: str, domain: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback, addresses, and local tenants in containers, with TLS too, whatever the port of their entry."""
    monkeypatch.setenv(ALLOW_HTTP, listed)
    assert base_url(domain) == base
    ManagementClient(domain, token="t").close()


def test_another_name_than_the_listed_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a list that can't be used is an error of its own."""
    monkeypatch.setenv(ALLOW_HTTP, "auth0")
    with pytest.raises(ConfigError, match="has no dot"):
        base_url("auth1")
    monkeypatch.setenv(ALLOW_HTTP, "http://auth0")
    with pytest.raises(ConfigError, match="entry 1"):
        base_url("auth0")
    assert base_url("tenant.eu.auth0.com") == "https://tenant.eu.auth0.com"
