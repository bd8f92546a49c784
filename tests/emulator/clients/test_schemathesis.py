"""Let Schemathesis try every route: no request gets a 500.  `tox -e openapi` installs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from auth0_meta.emulator import LocalTenant

schemathesis = pytest.importorskip(
    "schemathesis", reason="Schemathesis is not installed: tox -e openapi has it"
)

FAILED = 500
EXAMPLES = int(os.environ.get("AUTH0_META_EXAMPLES", "40"))  # for each route; `tests/run` takes fewer
schema = schemathesis.openapi.from_dict(LocalTenant(serve=False).openapi())


@pytest.fixture(scope="module")
def served() -> Iterator[LocalTenant]:
    """Serve a tenant with a user, so that some requests find one."""
    with LocalTenant(journal_limit=100) as tenant:
        tenant.users.add(user_id="auth0|1", email="ann@example.com", app_metadata={"a": 1})
        yield tenant


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_makes_the_tenant_fail(served: LocalTenant, case: Any) -> None:
    """Requests that fit the description are served, others are refused, and none gets a 500."""
    response = case.call(base_url=served.url, headers={"Authorization": "Bearer any"}, timeout=10)
    assert response.status_code != FAILED, response.text
