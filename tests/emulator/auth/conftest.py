"""What tests of logins share: a function that calls the tenant's Management API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant

Manage = Callable[..., Any]


@pytest.fixture
def manage(tenant: LocalTenant) -> Manage:
    """Return a function that calls the tenant's Management API."""
    header = {"Authorization": f"Bearer {tenant.token()}"}

    def call(method: str, path: str, **body: Any) -> Any:
        response = requests.request(
            method, f"{tenant.url}/api/v2/{path}", json=body, headers=header, timeout=10
        )
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    return call
