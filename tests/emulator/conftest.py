"""Give tests a tenant on a fake clock and a simple way to send requests to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import FakeClock

DATABASE = "Username-Password-Authentication"
PASSWORD = "Analytical-1842"


class Api:
    """Send plain requests to a tenant, in process or over its socket."""

    def __init__(self, tenant: LocalTenant, *, sockets: bool = False, token: str | None = "opaque") -> None:
        self.tenant = tenant
        self.token = token
        self.session = requests.Session()
        self.session.trust_env = False
        if not sockets:
            for scheme in ("http://", "https://"):
                self.session.mount(scheme, tenant.adapter())

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers.update(options.pop("headers", {}))
        return self.session.request(method, self.tenant.url + path, headers=headers, **options)

    def get(self, user_id: str, **params: Any) -> requests.Response:
        return self("GET", f"/api/v2/users/{quote(user_id, safe='')}", params=params)

    def patch(self, user_id: str, body: Any, **params: Any) -> requests.Response:
        return self("PATCH", f"/api/v2/users/{quote(user_id, safe='')}", json=body, params=params)

    def delete(self, user_id: str) -> requests.Response:
        return self("DELETE", f"/api/v2/users/{quote(user_id, safe='')}")

    def create(self, **body: Any) -> requests.Response:
        return self("POST", "/api/v2/users", json={"connection": DATABASE, "password": PASSWORD, **body})

    def list(self, **params: Any) -> requests.Response:
        return self("GET", "/api/v2/users", params=params)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that starts at a whole second, so that expected values are whole numbers."""
    return FakeClock(start=1_800_000_000.0)


@pytest.fixture
def tenant(clock: FakeClock) -> LocalTenant:
    """Return a tenant without sockets."""
    return LocalTenant(serve=False, clock=clock)


@pytest.fixture
def api(tenant: LocalTenant) -> Iterator[Api]:
    """Yield a caller for that tenant."""
    talk = Api(tenant)
    yield talk
    talk.session.close()


@pytest.fixture
def talk() -> Iterator[Callable[..., Api]]:
    """Yield a function that makes callers for a test's own tenants, and close them."""
    made: list[Api] = []

    def make(tenant: LocalTenant, **options: Any) -> Api:
        made.append(Api(tenant, **options))
        return made[-1]

    yield make
    for one in made:
        one.session.close()
