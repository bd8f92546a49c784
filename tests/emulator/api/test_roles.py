"""Roles, permissions and members, as recorded by Auth0's own libraries."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from auth0_meta.emulator import LocalTenant

ANN = "auth0|ann"
PATH = f"/api/v2/users/{quote(ANN, safe='')}"
NOBODY = "/api/v2/users/auth0%7Cnobody"
READING = {"identifier": "https://api.example.com/", "name": "The API"}
PERMISSION = {"resource_server_identifier": READING["identifier"], "permission_name": "read:things"}


@pytest.fixture
def ann(api: Any) -> Any:
    """Add one user."""
    return api.tenant.users.add(user_id=ANN, email="ann@example.com", name="Ann", picture="https://x/y.png")


def role(api: Any, name: str = "admin") -> str:
    """Create a role, and return its id."""
    response = api("POST", "/api/v2/roles", json={"name": name, "description": "may all"})
    assert response.status_code == 200
    assert response.json() == {"id": response.json()["id"], "name": name, "description": "may all"}
    assert response.json()["id"].startswith("rol_")
    return str(response.json()["id"])


@pytest.mark.usefixtures("ann")
def test_roles_are_assigned_and_removed_as_recorded(api: Any) -> None:
    """go-auth0 assigns, lists, removes, lists, and deletes the role."""
    made = role(api)
    body = {"roles": [made]}
    shown = {"id": made, "name": "admin", "description": "may all"}
    given = api("POST", f"{PATH}/roles", json=body)
    assert (given.status_code, given.content) == (204, b"")
    envelope = f"{PATH}/roles?include_totals=true&per_page=50"
    assert api("GET", envelope).json() == {"roles": [shown], "start": 0, "limit": 50, "total": 1}
    assert api("GET", f"{PATH}/roles").json() == [shown]
    assert api("DELETE", f"{PATH}/roles", json=body).status_code == 204
    assert api("GET", envelope).json() == {"roles": [], "start": 0, "limit": 50, "total": 0}
    deleted = api("DELETE", f"/api/v2/roles/{made}", json={})
    assert (deleted.status_code, deleted.json()) == (200, {})
    gone = api("GET", f"/api/v2/roles/{made}")
    assert (gone.status_code, gone.json()) == (
        404,
        {"statusCode": 404, "error": "Not Found", "message": "The role does not exist."},
    )


@pytest.mark.usefixtures("ann")
def test_a_role_can_be_assigned_to_users_and_lists_them(api: Any) -> None:
    """The response is a 200 with `{}`; each listed user has four properties."""
    made = role(api)
    response = api("POST", f"/api/v2/roles/{made}/users", json={"users": [ANN]})
    assert (response.status_code, response.json()) == (200, {})
    shown = {"user_id": ANN, "email": "ann@example.com", "picture": "https://x/y.png", "name": "Ann"}
    found = api("GET", f"/api/v2/roles/{made}/users?include_totals=true&per_page=50").json()
    assert found == {"users": [shown], "start": 0, "limit": 50, "total": 1}
    assert api("GET", f"/api/v2/roles/{made}/users?take=10").json() == {"users": [shown]}
    changed = api("PATCH", f"/api/v2/roles/{made}", json={"name": "owner"}).json()
    assert api("GET", f"{PATH}/roles").json() == [changed]
    assert api("GET", "/api/v2/roles?name_filter=OWN").json() == [changed]
    assert api("GET", "/api/v2/roles?name_filter=admin").json() == []


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize("known", [True, False])
def test_users_and_roles_have_permissions(api: Any, known: bool) -> None:
    """Assigning is a 201 with `{}`; a permission is listed with what the API says about it, and the user's list includes those of their roles."""
    made = role(api)
    if known:
        scopes = [{"value": "read:things", "description": "Read"}]
        assert api("POST", "/api/v2/resource-servers", json={**READING, "scopes": scopes}).status_code == 201
    body = {"permissions": [PERMISSION]}
    shown = {
        "permission_name": "read:things",
        "description": "Read" if known else "",
        "resource_server_name": READING["name"] if known else READING["identifier"],
        "resource_server_identifier": READING["identifier"],
    }
    for path in (PATH, f"/api/v2/roles/{made}"):
        given = api("POST", f"{path}/permissions", json=body)
        assert (given.status_code, given.json()) == (201, {})
    found = api("GET", f"/api/v2/roles/{made}/permissions?include_totals=true").json()
    assert found == {"permissions": [shown], "start": 0, "limit": 50, "total": 1}
    direct = {"source_id": "", "source_name": "", "source_type": "DIRECT"}
    assert api("GET", f"{PATH}/permissions").json() == [{**shown, "sources": [direct]}]
    api("POST", f"{PATH}/roles", json={"roles": [made]})
    from_role = {"source_id": made, "source_name": "admin", "source_type": "ROLE"}
    assert api("GET", f"{PATH}/permissions").json() == [{**shown, "sources": [direct, from_role]}]
    assert api("DELETE", f"{PATH}/permissions", json=body).status_code == 204
    assert api("GET", f"{PATH}/permissions").json() == [{**shown, "sources": [from_role]}]
    assert api("DELETE", f"/api/v2/roles/{made}/permissions", json=body).status_code == 204
    assert api("GET", f"{PATH}/permissions").json() == []
    api("POST", f"/api/v2/roles/{made}/permissions", json=body)
    api("DELETE", f"/api/v2/roles/{made}")
    assert api("GET", f"{PATH}/permissions").json() == []


def test_a_strict_tenant_knows_its_apis(talk: Any) -> None:
    """A permission of an API that does not exist is 404."""
    tenant = LocalTenant(serve=False, strict=True, users=[{"user_id": ANN}])
    api = talk(tenant, token=tenant.token())
    assert api("POST", f"{PATH}/permissions", json={"permissions": [PERMISSION]}).status_code == 404


@pytest.mark.usefixtures("ann")
def test_an_organization_has_members(api: Any) -> None:
    """They are added, listed from both sides, given roles there and removed; deleting the user or the organization removes them too."""
    made = role(api)
    branding = {"logo_url": "https://example.com/logo.gif"}
    acme = api("POST", "/api/v2/organizations", json={"name": "acme", "branding": branding}).json()
    path = f"/api/v2/organizations/{acme['id']}"
    there = f"{path}/members/{quote(ANN, safe='')}/roles"
    assert api("GET", there).status_code == 404
    body = {"members": [ANN]}
    assert api("POST", f"{path}/members", json=body).status_code == 204
    shown = {"user_id": ANN, "email": "ann@example.com", "picture": "https://x/y.png", "name": "Ann"}
    found = api("GET", f"{path}/members?include_totals=true&per_page=50").json()
    assert found == {"members": [shown], "start": 0, "limit": 50, "total": 1}
    assert api("GET", f"{PATH}/organizations?include_totals=true").json()["organizations"] == [acme]
    assert api("POST", there, json={"roles": [made]}).status_code == 204
    assert [one["id"] for one in api("GET", there).json()] == [made]
    assert api("GET", f"{PATH}/roles").json() == []
    assert api("DELETE", there, json={"roles": [made]}).status_code == 204
    assert api("GET", f"{there}?include_totals=true").json()["total"] == 0
    api("POST", there, json={"roles": [made]})
    assert api("DELETE", f"{path}/members", json=body).status_code == 204
    assert api("GET", f"{path}/members").json() == []
    api("POST", f"{path}/members", json=body)
    assert api("GET", there).json() == []
    assert api("GET", "/api/v2/organizations/name/acme").json() == acme
    assert api("GET", "/api/v2/organizations/name/other").status_code == 404
    api("DELETE", path)
    assert api("GET", f"{PATH}/organizations").json() == []


@pytest.mark.parametrize("how", ["request", "live", "clear", "reset"])
def test_a_new_user_with_an_old_id_has_no_links(api: Any, ann: Any, how: str) -> None:
    """However a user is deleted, the next user with the same id starts with nothing; the role stays, unless the tenant is reset."""
    made = role(api)
    api("POST", f"{PATH}/roles", json={"roles": [made]})
    api("POST", f"{PATH}/permissions", json={"permissions": [PERMISSION]})
    gone = {
        "request": lambda: api.delete(ANN),
        "live": ann.delete,
        "clear": api.tenant.users.clear,
        "reset": api.tenant.reset,
    }
    gone[how]()
    api.tenant.users.add(user_id=ANN)
    assert api("GET", f"{PATH}/roles").json() == []
    assert api("GET", f"{PATH}/permissions").json() == []
    assert api("GET", f"/api/v2/roles/{made}").status_code == (404 if how == "reset" else 200)


@pytest.mark.parametrize(
    "path", ["roles", "permissions", "organizations", "logs", "enrollments", "authentication-methods"]
)
def test_the_sub_resources_of_a_missing_user_are_404(api: Any, path: str) -> None:
    """Each responds as the user's own path does."""
    response = api("GET", f"{NOBODY}/{path}")
    assert (response.status_code, response.json()["errorCode"]) == (404, "inexistent_user")
    assert api("GET", f"/api/v2/users/nobody/{path}").status_code == 400


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{PATH}/roles", {}, 400),
        (f"{PATH}/roles", {"roles": []}, 400),
        (f"{PATH}/roles", {"roles": [5]}, 400),
        (f"{PATH}/roles", {"roles": "x"}, 400),
        (f"{PATH}/roles", {"roles": ["rol_x"], "more": 1}, 400),
        (f"{PATH}/roles", {"roles": ["rol_x"]}, 404),
        (f"{NOBODY}/roles", {"roles": ["rol_x"]}, 404),
        ("/api/v2/roles/rol_x/users", {"users": [ANN]}, 404),
        ("/api/v2/organizations/org_x/members", {"members": [ANN]}, 404),
        (f"{PATH}/permissions", {"permissions": []}, 400),
        (f"{PATH}/permissions", {"permissions": [5]}, 400),
        (f"{PATH}/permissions", {"permissions": [{"permission_name": "x"}]}, 400),
        (f"{PATH}/permissions", {"permissions": [{**PERMISSION, "permission_name": 5}]}, 400),
    ],
)
def test_incomplete_requests_are_refused(api: Any, path: str, body: dict[str, Any], status: int) -> None:
    """An incomplete request links nothing."""
    assert api("POST", path, json=body).status_code == status
    assert api("GET", f"{PATH}/roles").json() == []


@pytest.mark.usefixtures("ann")
def test_an_unknown_user_is_refused_before_anything_is_linked(api: Any) -> None:
    """The other user in the request gets no role either."""
    made = role(api)
    body = {"users": [ANN, "auth0|nobody"]}
    assert api("POST", f"/api/v2/roles/{made}/users", json=body).status_code == 404
    assert api("GET", f"/api/v2/roles/{made}/users").json() == []


@pytest.mark.usefixtures("ann")
def test_the_trigger_sees_the_roles(api: Any) -> None:
    """`event.authorization.roles` has their names."""
    made = role(api)
    api("POST", f"{PATH}/roles", json={"roles": [made]})
    api.tenant.users[ANN].patch(password="a secret")
    seen: list[Any] = []
    api.tenant.post_login = lambda event: seen.append(event["authorization"]["roles"])
    form = {"grant_type": "password", "username": "ann@example.com", "password": "a secret", "client_id": "x"}
    assert api("POST", "/oauth/token", data=form).status_code == 200
    assert seen == [["admin"]]


@pytest.mark.usefixtures("ann")
def test_removing_a_role_that_does_not_exist_is_404(api: Any) -> None:
    """As recorded by Terraform: there is no errorCode, and the user's other role stays."""
    gone, stays = role(api, "owner"), role(api, "admin")
    api("POST", f"{PATH}/roles", json={"roles": [gone, stays]})
    api("DELETE", f"/api/v2/roles/{gone}")
    response = api("DELETE", f"{PATH}/roles", json={"roles": [stays, gone]})
    assert (response.status_code, response.json()) == (
        404,
        {"statusCode": 404, "error": "Not Found", "message": "The role does not exist."},
    )
    assert [one["id"] for one in api("GET", f"{PATH}/roles").json()] == [stays]


@pytest.mark.usefixtures("ann")
def test_roles_and_permissions_are_sorted_by_name(api: Any) -> None:
    """As recorded by Terraform, whatever the order in which they were assigned."""
    for name in ("owner", "admin", "reader"):
        api("POST", f"{PATH}/roles", json={"roles": [role(api, name)]})
        body = {"permissions": [{**PERMISSION, "permission_name": f"{name}:foo"}]}
        api("POST", f"{PATH}/permissions", json=body)
    assert [one["name"] for one in api("GET", f"{PATH}/roles").json()] == ["admin", "owner", "reader"]
    assert [one["name"] for one in api("GET", f"{PATH}/roles?per_page=1&page=2").json()] == ["reader"]
    names = [one["permission_name"] for one in api("GET", f"{PATH}/permissions").json()]
    assert names == ["admin:foo", "owner:foo", "reader:foo"]
