"""Hold the OpenAPI document to the routes, and the routes to never answering 500: Schemathesis tries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.routes import ROUTES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import schemathesis
    except ImportError:
        schemathesis = None  # type: ignore[assignment]

FAILED = 500


def test_every_route_is_described(tenant: LocalTenant) -> None:
    """Each with its parameters, its scopes, and a body where it takes one."""
    document = tenant.openapi()
    assert document["servers"] == [{"url": tenant.url}]
    for route in ROUTES:
        operation = document["paths"][route.template][route.method.lower()]
        assert operation["summary"].startswith(("Answer ", "Hand out "))
        ties = route.template.endswith(("/roles", "/permissions", "/members"))
        has_body = route.method in ("POST", "PUT", "PATCH") or (route.method == "DELETE" and ties)
        assert ("requestBody" in operation) is has_body
        assert ("security" in operation) is route.management
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def served() -> Iterator[LocalTenant]:
    """Serve a tenant with a user, so that some requests find what they ask for."""
    with LocalTenant(journal_limit=100) as tenant:
        tenant.users.add(user_id="auth0|1", email="ann@example.com", app_metadata={"a": 1})
        yield tenant


if schemathesis is None:

    def test_schemathesis() -> None:
        """Say so where it is not installed."""
        pytest.skip("schemathesis is not installed: tox -e openapi has it")

else:
    from hypothesis import HealthCheck, settings

    schema = schemathesis.openapi.from_dict(LocalTenant(serve=False).openapi())

    @pytest.mark.filterwarnings("ignore")
    @schema.parametrize()
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def test_no_request_makes_the_tenant_fail(served: LocalTenant, case: Any) -> None:
        """Whatever fits the description is answered, and whatever does not is refused: never 500."""
        answer = case.call(base_url=served.url, headers={"Authorization": "Bearer any"}, timeout=10)
        assert answer.status_code != FAILED, answer.text
