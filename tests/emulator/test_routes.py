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
        ("PUT", "/api/v2/users/auth0%7C" + "1" * 99, "GET, PATCH, DELETE /api/v2/users/{id}"),
    ],
)
def test_the_nearest_route_is_named(api: Any, method: str, path: str, nearest: str) -> None:
    """The response says which route may have been meant."""
    response = api(method, path)
    assert response.status_code == 404
    assert response.json()["message"].startswith(f"The local tenant does not serve {method} {path}.")
    assert response.json()["message"].endswith(f"The nearest route that it serves is {nearest}.")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("sockets", [True, False])
def test_every_method_gets_the_same_refusal(talk: Callable[..., Any], method: str, sockets: bool) -> None:
    """SDKs send a request again after a 501, but not after a 404."""
    with LocalTenant(serve=sockets) as tenant:
        response = talk(tenant, sockets=sockets)(method, "/api/v2/stats/daily")
        assert response.status_code == 404
        if method != "HEAD":
            assert response.json() == {
                "statusCode": 404,
                "error": "Not Found",
                "message": f"The local tenant does not serve {method} /api/v2/stats/daily.",
                "errorCode": "not_served_by_local_tenant",
            }
        assert tenant.journal[-1].not_served == f"{method} /api/v2/stats/daily"


@pytest.mark.parametrize(
    ("path", "accept", "form"),
    [
        ("/oauth/par", "*/*", "oauth"),
        ("/oauth/par", "text/html", "oauth"),
        ("/userinfos", "application/json", "oauth"),
        ("/nowhere", "text/html,*/*", "page"),
        ("/u/mfa-otp-challenge", "*/*", "page"),
        ("/api/v2/xyz", "text/html", "management"),
    ],
)
def test_the_refusal_has_the_form_that_its_caller_reads(api: Any, path: str, accept: str, form: str) -> None:
    """OAuth libraries read `error` and `error_description`, browsers show a page."""
    response = api("GET", path, headers={"Accept": accept})
    said = f"The local tenant does not serve GET {path}."
    assert response.status_code == 404
    if form == "page":
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert said in response.text
        return
    body = response.json()
    assert body["errorCode"] == "not_served_by_local_tenant"
    assert body["error"] == ("not_served_by_local_tenant" if form == "oauth" else "Not Found")
    assert body["error_description" if form == "oauth" else "message"].startswith(said)


def test_what_is_not_served_is_gathered(api: Any) -> None:
    """`verify` names each once, whatever the ids in it, and the journal counts them; a reset forgets them."""
    told: list[str] = []
    api.tenant.journal.on_not_served = told.append
    for number in range(3):
        api("GET", f"/api/v2/users/auth0%7C{number}/xyz")
    api(
        "POST",
        "/api/v2/users",
        data="blocked=true",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    api("GET", "/api/v2/stubbed" + "x" * 1000)
    found = api.tenant.journal.not_served
    first, form, long = found
    assert told == [first, form, long]
    assert (first, form) == ("GET /api/v2/users/auth0%7C0/xyz", "form bodies on the users endpoints")
    assert (found[first], found[form], len(long)) == (3, 1, 300)
    with pytest.raises(
        AssertionError, match=r"^not served: GET /api/v2/users/auth0%7C0/xyz\nnot served: form"
    ):
        api.tenant.verify()
    for number in range(600):
        api("GET", "/api/v2/" + "ab"[number % 2] * (number // 2 + 1))
    assert len(api.tenant.journal.not_served) == 500
    api.tenant.reset()
    assert api.tenant.journal.not_served == {}
    api.tenant.verify()


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
