"""Isolate every test and doctest from the network and the caller's settings, and make runs repeatable.

The fixtures of a conftest apply only to the tests below it.  Registered as a plugin, these apply to the
doctests of the package as well.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# A shell starts its background jobs with SIGINT ignored, and every program that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SCRUBBED = (
    *(
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "NETRC"),
)


def _is_loopback(host: object) -> bool:
    if not isinstance(host, str) or host in ("localhost", ""):
        return host in ("localhost", "", None)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _only_loopback() -> Iterator[None]:
    """Fail a test that connects to another machine or looks one up.

    `pytest.fail` raises a BaseException, so no `except Exception` in the code under test can hide it.
    """
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: object) -> None:
        if not _is_loopback(host):
            pytest.fail(f"a test tried to reach {host!r}; only loopback is allowed")

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            check(address[0])
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        if isinstance(address, tuple):
            check(address[0])
        return connect_ex(sock, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(host, str) and host.endswith(".invalid"):  # RFC 6761: never resolves
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        check(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Collect what an interrupted test has left, coroutines that never began for one, while its filters still apply.

    Otherwise a later test collects them, and fails for them.
    """
    result = yield
    if any("Unraisable" in word for mark in item.iter_markers("filterwarnings") for word in mark.args):
        gc.collect()
    return result


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the caller's tenant, proxies and colors; AUTH0_META_LIVE_* stays, for live tests."""
    for name in list(os.environ):
        if name in _SCRUBBED or (name.startswith("AUTH0_") and not name.startswith("AUTH0_META_LIVE_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _doctest_tenant(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give each doctest that uses a `tenant` its own, with a `user` in it unless the doctest creates one."""
    text = request.node.dtest.docstring if isinstance(request.node, pytest.DoctestItem) else ""
    if "tenant." not in text:
        yield
        return
    from auth0_meta.emulator import LocalTenant

    with LocalTenant() as tenant:
        names: dict[str, Any] = {"tenant": tenant}
        if "user.user_id" in text and "user = " not in text:
            profile = {"connection": "Username-Password-Authentication", "email": "byron@example.com"}
            with tenant.client() as client:
                names["user"] = client.users.create({**profile, "password": "Analytical-1842"})
        request.node.dtest.globs.update(names)
        yield
