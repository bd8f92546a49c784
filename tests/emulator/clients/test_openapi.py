"""Compare the OpenAPI document with the routes that it describes."""

from __future__ import annotations

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.routes import ROUTES


def test_every_route_is_described(tenant: LocalTenant) -> None:
    """Each has its parameters, its scopes, and a body if it takes one."""
    document = tenant.openapi()
    assert document["servers"] == [{"url": tenant.url}]
    for route in ROUTES:
        operation = document["paths"][route.template][route.method.lower()]
        assert operation["summary"].endswith((".", ";"))
        assert operation["description"] == f"Evidence: {route.evidence}."
        links = route.template.endswith(("/roles", "/permissions", "/members"))
        has_body = route.method in ("POST", "PUT", "PATCH") or (route.method == "DELETE" and links)
        assert ("requestBody" in operation) is has_body
        assert ("security" in operation) is route.management
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))
