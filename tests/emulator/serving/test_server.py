"""Real sockets: HTTP, the check of the Host header, and starting and stopping."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.serving import server
from auth0_meta.errors import ConfigError, StateError
from auth0_meta.testing import FakeClock


@pytest.fixture(scope="module")
def served() -> Iterator[LocalTenant]:
    """Yield a tenant for the tests that don't change it."""
    with LocalTenant() as tenant:
        yield tenant


def connect(tenant: LocalTenant) -> socket.socket:
    """Open a connection to a tenant."""
    host, _, port = tenant.domain.rpartition(":")
    sock = socket.create_connection((host, int(port)), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    body = response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def head(tenant: LocalTenant, line: str, *headers: str) -> bytes:
    """Return the head of a request."""
    return "\r\n".join([line, f"Host: {tenant.domain}", "Authorization: Bearer x", *headers, "", ""]).encode()


def test_many_requests_go_over_one_connection(served: LocalTenant) -> None:
    """A connection is kept, even if requests arrive together in one packet or byte by byte."""
    user = served.users.add()
    with connect(served) as sock:
        one = head(served, f"GET /api/v2/users/{user.user_id.replace('|', '%7C')} HTTP/1.1")
        for _ in range(3):
            sock.sendall(one)
            assert receive(sock)[0] == 200
        sock.sendall(one + one)
        raw = b""
        while raw.count(b'"user_id"') < 4:
            raw += sock.recv(65536)
        assert raw.count(b"HTTP/1.1 200 OK") == 2
        for byte in one:
            sock.sendall(bytes([byte]))
        assert receive(sock)[0] == 200


def test_a_chunked_body_is_read(served: LocalTenant) -> None:
    """The body is read although no header states its length."""
    user = served.users.add()
    path = f"/api/v2/users/{user.user_id.replace('|', '%7C')}"
    parts = [b'{"app_meta', b'data":{"a":', b"1}}"]
    response = requests.patch(
        served.url + path, data=iter(parts), headers={"Authorization": "Bearer x"}, timeout=5
    )
    assert response.status_code == 200
    assert user.app_metadata == {"a": 1}


def test_a_large_body_is_refused_with_a_response(served: LocalTenant) -> None:
    """Several megabytes are read to the end, so that the client receives its 413."""
    user = served.users.add()
    path = f"/api/v2/users/{user.user_id.replace('|', '%7C')}"
    response = requests.patch(
        served.url + path, data=b"x" * 5_000_000, headers={"Authorization": "Bearer x"}, timeout=5
    )
    assert response.status_code == 413


def test_a_body_of_absurd_length_is_refused_unread(served: LocalTenant) -> None:
    """It gets a response at once, and the connection is closed."""
    with connect(served) as sock:
        line = "PATCH /api/v2/users/auth0%7C1 HTTP/1.1"
        sock.sendall(head(served, line, "Content-Type: application/json", "Content-Length: 99999999999"))
        status, headers, _ = receive(sock)
        assert (status, headers["connection"]) == (413, "close")
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [("1.1", None, True), ("1.1", "close", False), ("1.0", None, False), ("1.0", "Keep-Alive", True)],
)
def test_the_client_decides_whether_a_connection_is_kept(
    served: LocalTenant, version: str, connection: str | None, kept: bool
) -> None:
    """By default HTTP/1.1 keeps a connection and HTTP/1.0 closes it; headers can change both."""
    extra = [f"Connection: {connection}"] if connection else []
    with connect(served) as sock:
        sock.sendall(head(served, f"GET /api/v2/users HTTP/{version}", *extra))
        assert receive(sock)[0] == 200
        sock.settimeout(0.05 if kept else 5)
        if kept:
            with pytest.raises(TimeoutError):
                sock.recv(1)
        else:
            assert sock.recv(1) == b""


def test_a_client_that_disappears_mid_request_does_no_harm(served: LocalTenant) -> None:
    """After half a head or half a body, the next client is served."""
    for part in (
        b"PATCH /api/v2/us",
        head(served, "PATCH /api/v2/users/auth0%7C1 HTTP/1.1", "Content-Length: 10") + b"{",
    ):
        with connect(served) as sock:
            sock.sendall(part)
    with connect(served) as sock:
        sock.sendall(head(served, "GET /api/v2/users HTTP/1.1"))
        assert receive(sock)[0] == 200


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            ("127.0.0.1", 200),
            ("127.0.0.1:99", 200),
            ("localhost:1", 200),
            ("LOCALHOST", 200),
            ("[::1]:80", 200),
        ),
        *(
            ("example.com", 421),
            ("example.com:80", 421),
            ("127.0.0.1.example.com", 421),
            ("tenant.auth0.com", 421),
        ),
        *(("127.0.0.1:x", 421), ("::1", 421), ("evil@localhost:1", 421)),
    ],
)
def test_only_names_of_this_machine_are_served(
    talk: Any, served: LocalTenant, host: str, status: int, sockets: bool
) -> None:
    """A Host header that any web page could send gets a 421."""
    response = talk(served, sockets=sockets)("GET", "/api/v2/users", headers={"Host": host})
    assert response.status_code == status


@pytest.mark.parametrize(("version", "status"), [("1.0", 200), ("1.1", 400)])
def test_only_http_1_0_may_leave_out_the_host(served: LocalTenant, version: str, status: int) -> None:
    """Health checks of load balancers do; a browser never does, so no web page can."""
    with connect(served) as sock:
        sock.sendall(f"GET /api/v2/users HTTP/{version}\r\nAuthorization: Bearer x\r\n\r\n".encode())
        assert receive(sock)[0] == status


def test_other_names_must_be_listed(talk: Any) -> None:
    """hosts= adds names; names under auth0.com are refused."""
    with LocalTenant(hosts=["Tenant.Test"]) as tenant:
        response = talk(tenant, sockets=True)("GET", "/api/v2/users", headers={"Host": "tenant.test:80"})
        assert response.status_code == 200
    for name in ("tenant.eu.auth0.com", "auth0.com.", "TENANT.AUTH0.COM"):
        with pytest.raises(ConfigError, match="can't serve"):
            LocalTenant(host=name)
        with pytest.raises(ConfigError, match="can't serve"):
            LocalTenant(hosts=[name])


@pytest.mark.parametrize("offset", [0.0, 3600.0, -3600.0])
@pytest.mark.parametrize("sockets", [False, True])
def test_date_shows_the_tenants_second(talk: Any, offset: float, sockets: bool) -> None:
    """Date, Reset and updated_at follow the tenant's clock, even if it is an hour off; Date is truncated."""
    clock = FakeClock(start=1_800_000_000.999)
    with LocalTenant(clock=clock, clock_offset=offset, rate_limit="10@2", serve=sockets) as tenant:
        user = tenant.users.add()
        response = talk(tenant, sockets=sockets).get(user.user_id)
        assert parsedate_to_datetime(response.headers["Date"]).timestamp() == 1_800_000_000 + offset
        assert int(response.headers["x-ratelimit-reset"]) == 1_800_000_002 + offset
        assert tenant.now() == 1_800_000_000.999 + offset
        assert tenant.journal[-1].time == 1_800_000_000.999 + offset
        assert user["updated_at"].endswith(":00:00.999Z")


def test_there_is_only_one_date_header(served: LocalTenant) -> None:
    """The server adds no second Date and no Server header."""
    with connect(served) as sock:
        sock.sendall(head(served, "GET /api/v2/users HTTP/1.1", "Connection: close"))
        raw = b""
        while data := sock.recv(65536):
            raw += data
    assert raw.count(b"Date: ") == 1
    assert b"Server:" not in raw


def test_start_and_stop_may_be_called_twice(talk: Any) -> None:
    """start and stop are idempotent, state and port survive a restart, and a stopped tenant refuses connections."""
    tenant = LocalTenant()
    with pytest.raises(StateError, match="start"):
        _ = tenant.url
    assert "not started" in repr(tenant)
    assert tenant.start() is tenant.start()
    url = tenant.url
    tenant.users.add(user_id="auth0|1")
    api = talk(tenant, sockets=True)
    assert api.get("auth0|1").status_code == 200
    tenant.stop()
    tenant.stop()
    assert tenant.url == url
    with pytest.raises(requests.ConnectionError):
        api.get("auth0|1")
    with tenant:
        assert tenant.url == url
        assert talk(tenant, sockets=True).get("auth0|1").status_code == 200


def test_a_taken_port_is_an_os_error(served: LocalTenant) -> None:
    """Two tenants can't listen on one port."""
    with pytest.raises(OSError, match=r"Address already in use: '127\.0\.0\.1:"):
        LocalTenant(port=int(served.domain.rpartition(":")[2])).start()


def test_stopping_ends_a_long_delay(talk: Any) -> None:
    """A request that a fault delays for a minute does not hold up stop()."""
    tenant = LocalTenant().start()
    fault = tenant.fail(method="GET", delay=60)
    api = talk(tenant, sockets=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.list)
        while not fault.fired:
            SYSTEM_CLOCK.sleep(0.005)
        begun = SYSTEM_CLOCK.monotonic()
        tenant.stop()
        assert SYSTEM_CLOCK.monotonic() - begun < 2
        assert waiting.exception() is not None or waiting.result().status_code == 200


def test_every_request_takes_the_latency(talk: Any, clock: FakeClock) -> None:
    """A number is the exact latency; "realistic" is repeatable and close to the recorded medians."""
    api = talk(LocalTenant(serve=False, clock=clock, latency=0.25))
    api.list()
    assert clock.slept == [0.25]
    waits = []
    for _ in range(2):
        clock = FakeClock()
        api = talk(LocalTenant(serve=False, clock=clock, latency="realistic", seed=3))
        user = api.tenant.users.add()
        for _ in range(200):
            api.patch(user.user_id, {})
        waits.append(clock.slept)
    assert waits[0] == waits[1]
    assert 0.11 < sorted(waits[0])[100] < 0.14
    assert 0.15 < sorted(waits[0])[180] < 0.20
    for latency in (-1, "slow"):
        with pytest.raises(ConfigError, match="latency"):
            LocalTenant(latency=latency)


def test_concurrent_writes_of_different_keys_all_survive(talk: Any) -> None:
    """Forty threads write one key each; every key survives, and no two writes share an updated_at."""
    with LocalTenant() as tenant:
        user = tenant.users.add()
        barrier = threading.Barrier(8)

        def write(worker: int) -> list[str]:
            api = talk(tenant, sockets=True)
            barrier.wait(5)
            return [
                api.patch(user.user_id, {"app_metadata": {f"k{worker}-{n}": n}}).json()["updated_at"]
                for n in range(5)
            ]

        with ThreadPoolExecutor(8) as pool:
            times = [moment for moments in pool.map(write, range(8)) for moment in moments]
        assert len(user.app_metadata) == 40
        assert len(set(times)) == 40
        assert tenant.journal.count("PATCH", status=200) == 40


def test_more_connections_than_threads_are_served(talk: Any, served: LocalTenant) -> None:
    """Sixty-four open connections all get responses."""
    socks = [connect(served) for _ in range(64)]
    try:
        for _ in range(2):
            for sock in socks:
                sock.sendall(head(served, "GET /api/v2/users?per_page=1 HTTP/1.1"))
            assert {receive(sock)[0] for sock in socks} == {200}
    finally:
        for sock in socks:
            sock.close()


def test_a_forgotten_stop_neither_prints_nor_hangs() -> None:
    """A process that only starts a tenant ends by itself and prints nothing."""
    code = (
        "from auth0_meta.emulator import LocalTenant\n"
        "import urllib.request\n"
        "tenant = LocalTenant().start()\n"
        "request = urllib.request.Request(tenant.url + '/api/v2/users', headers={'Authorization': 'Bearer x'})\n"
        "assert urllib.request.urlopen(request).status == 200\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def has_ipv6() -> bool:
    """Return whether this machine can listen on ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_by_default_every_name_of_loopback_reaches_the_tenant(name: str) -> None:
    """On one port; the issuer has the name that was used, and the tenant's own URL says localhost."""
    with LocalTenant() as tenant:
        assert tenant.url == f"http://localhost:{tenant.port}"
        if name == "[::1]" and not has_ipv6():
            pytest.skip("this machine has no IPv6 loopback")
        url = f"http://{name}:{tenant.port}"
        found = requests.get(f"{url}/.well-known/openid-configuration", timeout=10).json()
        assert (found["issuer"], found["token_endpoint"]) == (f"{url}/", f"{url}/oauth/token")


def test_a_tenant_may_listen_on_ipv6(talk: Any) -> None:
    """A tenant can listen on ::1; its URL has brackets."""
    try:
        tenant = LocalTenant(host="::1").start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        assert tenant.url.startswith("http://[::1]:")
        assert talk(tenant, sockets=True).list().status_code == 200
    finally:
        tenant.stop()


def test_a_bug_in_a_handler_is_a_500_and_a_log_line(
    talk: Any, served: LocalTenant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection and the server keep working."""
    user = served.users.add()
    api = talk(served, sockets=True)
    with monkeypatch.context() as patch:
        patch.setattr(served._state.users, "get", lambda user_id: 1 / 0)
        response = api.get(user.user_id)
    assert (response.status_code, response.json()["statusCode"]) == (500, 500)
    assert caplog.records
    assert api.get(user.user_id).status_code == 200


def test_half_sent_requests_do_not_block_others() -> None:
    """While more half-sent requests are open than there are threads, a complete one still gets a response."""
    with LocalTenant() as tenant, ExitStack() as halves:
        for _ in range(40):
            halves.enter_context(connect(tenant)).sendall(b"PATCH /api/v2/users/a HTTP/1.1\r\nHost: ")
        response = requests.get(
            f"{tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"}, timeout=30
        )
        assert response.status_code == 200


@pytest.mark.parametrize("name", ["tenant.eu.auth0.com:443", "TENANT.auth0.com.:443", "auth0.com:"])
def test_a_name_of_auth0_is_refused_with_a_port_too(name: str) -> None:
    """A local tenant can't pass for a real one."""
    with pytest.raises(ConfigError, match="can't serve"):
        LocalTenant(serve=False, hosts=[name])


# Threads and sockets ----------------------------------------------------------------------------------


def threads(tenant: LocalTenant) -> int:
    """Return how many threads serve a tenant, besides the one that watches."""
    running: Any = tenant._server
    return len(running._threads)


def until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, for a while."""
    end = SYSTEM_CLOCK.monotonic() + 20
    while not condition() and SYSTEM_CLOCK.monotonic() < end:
        SYSTEM_CLOCK.sleep(0.01)
    return condition()


def test_threads_come_and_go_with_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst of half requests only the one that watches is left, and the next request is served."""
    monkeypatch.setattr(server, "_IDLE_THREAD", 0.05)
    with LocalTenant() as tenant:
        with ExitStack() as halves:
            for _ in range(60):
                halves.enter_context(connect(tenant)).sendall(b"PATCH /api/v2/us")
            assert until(lambda: threads(tenant) == 60)
        assert until(lambda: threads(tenant) == 0)
        with connect(tenant) as sock:
            sock.sendall(head(tenant, "GET /api/v2/users HTTP/1.1"))
            assert receive(sock)[0] == 200


def test_an_idle_connection_takes_no_thread_and_ends_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do connections on which nothing has ever come; the longest idle ones end first."""
    monkeypatch.setattr(server, "_IDLE_THREAD", 0.02)
    monkeypatch.setattr(server, "_MAX_IDLE", 30)
    with LocalTenant() as tenant, ExitStack() as stack:
        socks = [stack.enter_context(connect(tenant)) for _ in range(40)]
        assert {sock.recv(1) for sock in socks[:10]} == {b""}
        socks[39].sendall(head(tenant, "GET /api/v2/users HTTP/1.1"))
        assert receive(socks[39])[0] == 200
        assert until(lambda: threads(tenant) == 0)
        monkeypatch.setattr(server, "_IDLE_CONNECTION", 0.01)
        stack.enter_context(connect(tenant))  # wakes the thread that watches
        assert {sock.recv(1) for sock in socks} == {b""}


def in_their_states(tenant: LocalTenant) -> bool:
    """Return whether two connections are idle, and one is waited for."""
    running: Any = tenant._server
    return (len(running._idle), len(running.waiting)) == (2, 1)


def test_stopping_ends_everything_and_takes_no_time() -> None:
    """Connections in every state are closed, and no thread or file is left."""
    tenant = LocalTenant()
    folder = Path("/proc/self/fd")
    files = len(list(folder.iterdir())) if folder.exists() else 0
    for round_ in range(3):
        with ExitStack() as stack:
            with tenant:
                running: Any = tenant._server
                idle, half, silent = (stack.enter_context(connect(tenant)) for _ in range(3))
                half.sendall(b"PATCH /api/v2/us")
                idle.sendall(head(tenant, "GET /api/v2/users HTTP/1.1"))
                assert receive(idle)[0] == 200
                if round_:
                    assert until(partial(in_their_states, tenant))
            assert not any(thread.is_alive() for thread in (running._watcher, *running._threads))
            if round_:
                assert [sock.recv(1) for sock in (idle, half, silent)] == [b""] * 3
    assert not files or len(list(folder.iterdir())) <= files  # others may close theirs meanwhile


def test_a_response_that_is_being_made_is_still_sent(talk: Any) -> None:
    """Stopping waits for it."""
    tenant = LocalTenant().start()
    user = tenant.users.add()
    with ThreadPoolExecutor(1) as pool, connect(tenant) as sock:
        stopped: list[Any] = []

        def stop(_: Any) -> None:
            stopped.append(pool.submit(tenant.stop))
            assert until(lambda: tenant._server is None)

        tenant.before("PATCH", None, stop)
        path = f"/api/v2/users/{user.user_id.replace('|', '%7C')}"
        body = b'{"user_metadata":{}}'
        sock.sendall(head(tenant, f"PATCH {path} HTTP/1.1", f"Content-Length: {len(body)}") + body)
        assert receive(sock)[0] == 200
        stopped[0].result()


def test_it_may_be_stopped_from_within_a_request(talk: Any) -> None:
    """A second writer may stop the tenant: nothing waits for itself."""
    tenant = LocalTenant().start()
    user = tenant.users.add()
    tenant.before("PATCH", None, lambda tenant: tenant.stop())
    api = talk(tenant, sockets=True)
    assert api.patch(user.user_id, {"app_metadata": {"a": 1}}).status_code == 200


def test_it_listens_on_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one port; an address that this machine does not have is left out."""
    reason = errno.EADDRNOTAVAIL

    def listen(host: str, port: int) -> socket.socket:
        if host == "::":
            raise OSError(reason, "not here")
        return listen_really(host, port)

    listen_really = server._listen
    monkeypatch.setattr(server, "_listen", listen)
    pipeline = LocalTenant(serve=False)._pipeline
    several = server.TenantServer(("127.0.0.1", "127.0.0.2", "::"), 0, pipeline)
    port = several.start()
    try:
        for address in ("127.0.0.1", "127.0.0.2"):
            assert requests.get(f"http://{address}:{port}/no", timeout=5).status_code in (404, 421)
    finally:
        several.stop()
    with pytest.raises(OSError, match="not here: '::"):
        server.TenantServer(("::",), 0, pipeline).start()
    reason = errno.EADDRINUSE
    with pytest.raises(OSError, match="not here: '::"):
        server.TenantServer(("127.0.0.1", "::"), 0, pipeline).start()


def test_localhost_is_both_of_its_addresses(served: LocalTenant) -> None:
    """Programs differ in which of the two they try first; some machines have only one."""
    addresses = ["127.0.0.1"]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        addresses.append("::1")
    for address in addresses:
        with socket.create_connection((address, served.port), timeout=5) as sock:
            sock.sendall(head(served, "GET /api/v2/users HTTP/1.1"))
            assert receive(sock)[0] == 200


# Requests as clients send them ------------------------------------------------------------------------


def test_a_path_with_two_slashes_is_not_served(served: LocalTenant) -> None:
    """An AUTH0_DOMAIN that ends in a slash makes such paths; Auth0 responds with 404 (reported)."""
    before = len(served.journal)
    with connect(served) as sock:
        sock.sendall(head(served, "GET //api/v2/users HTTP/1.1"))
        status, _, body = receive(sock)
    assert (status, b"/api/v2/users" in body, len(served.journal)) == (404, True, before + 1)


@pytest.mark.parametrize(("host", "status"), [("{}", 200), ("example.com", 421)])
def test_a_target_may_be_a_whole_url(served: LocalTenant, host: str, status: int) -> None:
    """Its host is checked, not the one in the header."""
    with connect(served) as sock:
        url = f"http://{host.format(served.domain)}/api/v2/users?per_page=1"
        sock.sendall(head(served, f"GET {url} HTTP/1.1"))
        assert receive(sock)[0] == status


def test_a_path_may_be_raw_utf_8(served: LocalTenant) -> None:
    """Clients that don't encode it are understood."""
    served.users.add(user_id="auth0|\xe4\u20ac")
    with connect(served) as sock:
        sock.sendall(head(served, "GET /api/v2/users/auth0|\xe4\u20ac HTTP/1.1"))
        assert receive(sock)[0] == 200


def test_a_client_may_wait_for_a_100(served: LocalTenant) -> None:
    """As curl does with long bodies; a client that would send too much is told so before it sends."""
    user = served.users.add()
    path = f"/api/v2/users/{user.user_id.replace('|', '%7C')}"
    with connect(served) as sock:
        body = b'{"app_metadata":{"a":1}}'
        extra = ("Expect: 100-continue", "Content-Type: application/json")
        sock.sendall(head(served, f"PATCH {path} HTTP/1.1", *extra, f"Content-Length: {len(body)}"))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert receive(sock)[0] == 200
        sock.sendall(head(served, f"PATCH {path} HTTP/1.1", *extra, "Content-Length: 9000000"))
        status, headers, _ = receive(sock)
        assert (status, headers["connection"]) == (413, "close")
    assert user.app_metadata == {"a": 1}
