"""Everything that is derived from the table of routes agrees with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.openapi import coverage
from auth0_meta.emulator.routes import ALL_SCOPES, TABLE, find

PAGE = Path(__file__).parents[2] / "docs" / "emulator-routes.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside the tests")
def test_the_documentation_lists_every_route() -> None:
    """docs/emulator-routes.md is exactly what `coverage` returns, and says how to generate it again."""
    assert PAGE.read_text(encoding="utf-8") == coverage()


def test_a_tenants_token_has_every_scope() -> None:
    """All scopes come from the table, except those that only users' own tokens may have."""
    for route in TABLE:
        assert route.management is bool(route.scopes), route
        assert not route.scopes or not set(ALL_SCOPES).isdisjoint(route.scopes), route
        assert route.evidence, route
    assert not any(":current_user" in scope for scope in ALL_SCOPES)


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.template}")
def test_every_route_is_found_by_its_path(route: Any) -> None:
    """This also holds with encoded parameters, with a slash at the end, and for HEAD."""
    path = route.template.replace("{", "%7C%2F").replace("}", "")
    found = find(route.method, path)
    assert found is not None
    assert found[0] is route
    assert found[1] == {name: f"|/{name}" for name in route.parameters}
    assert find(route.method, f"{path}/") == found
    if route.method == "GET":
        assert find("HEAD", path) == found
    assert find("OPTIONS", path) is None
    assert find(route.method, f"{path}/more/than/that") is None


def test_a_literal_segment_wins_but_hides_no_other_route() -> None:
    """The id of a job may be a word that is a literal segment of another route."""
    literal, job = find("POST", "/api/v2/jobs/users-imports"), find("GET", "/api/v2/jobs/users-imports")
    assert literal is not None
    assert job is not None
    assert (literal[0].template, job[0].template) == ("/api/v2/jobs/users-imports", "/api/v2/jobs/{id}")
    assert find("GET", "/api/v2/users//roles") is None


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [
        ("GET", "/api/v2/user", "GET /api/v2/users"),
        ("POST", "/api/v2/users/auth0%7C1/role", "POST /api/v2/users/{id}/roles"),
        ("PUT", "/api/v2/client-grants", "POST, GET /api/v2/client-grants"),
    ],
)
def test_the_nearest_route_is_named(api: Any, method: str, path: str, nearest: str) -> None:
    """A 501 says which route may have been meant."""
    response = api(method, path)
    assert response.status_code == 501
    assert response.json()["message"].startswith(f"The local tenant does not serve {method} {path}.")
    assert response.json()["message"].endswith(f"The nearest route that it serves is {nearest}.")


def test_second_writers_run_after_the_body_is_checked(tenant: LocalTenant, talk: Callable[..., Any]) -> None:
    """A body or scope that is refused triggers none; logins and token requests have none."""
    api, seen = talk(tenant), []
    tenant.users.add(user_id="auth0|1")
    for method in ("PATCH", "POST"):
        tenant.before(method, None, lambda _, method=method: seen.append(method), times=None)
    api.patch("auth0|1", {"app_metadata": 5})
    api("POST", "/oauth/token", json={"grant_type": "client_credentials"})
    api("POST", "/api/v2/users/auth0%7C1/roles", json={"roles": []})
    assert seen == []
    api.patch("auth0|1", {})
    api("POST", "/api/v2/roles", json={"name": "x"})
    assert seen == ["PATCH", "POST"]
