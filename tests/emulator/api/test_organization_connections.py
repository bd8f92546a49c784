"""The connections of organizations, as recorded by go-auth0."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def acme(api: Any) -> str:
    """Create an organization, and return its path."""
    made = api("POST", "/api/v2/organizations", json={"name": "acme"}).json()
    return f"/api/v2/organizations/{made['id']}"


@pytest.fixture
def connection(api: Any) -> str:
    """Create a connection, and return its id."""
    made = api("POST", "/api/v2/connections", json={"name": "staff", "strategy": "ad"})
    return str(made.json()["id"])


def test_a_connection_is_enabled_changed_and_disabled_as_recorded(
    api: Any, acme: str, connection: str
) -> None:
    """Enabling is 201, then it is listed, read and changed; disabling is 204, and after that it is 404 with the recorded message."""
    path = f"{acme}/enabled_connections"
    body = {"connection_id": connection, "assign_membership_on_login": True, "show_as_button": True}
    shown = {**body, "connection": {"name": "staff", "strategy": "ad"}}
    made = api("POST", path, json=body)
    assert (made.status_code, made.json()) == (201, shown)
    totals = api("GET", f"{path}?include_totals=true&per_page=50").json()
    assert totals == {"enabled_connections": [shown], "start": 0, "limit": 1, "total": 1}
    paged = api("GET", f"{path}?include_totals=true&page=0&per_page=50").json()
    assert paged == {**totals, "limit": 50}
    assert api("GET", path).json() == [shown]
    change = {"assign_membership_on_login": False, "show_as_button": False}
    changed = api("PATCH", f"{path}/{connection}", json=change)
    assert (changed.status_code, changed.json()) == (200, {**shown, **change})
    assert api("GET", f"{path}/{connection}").json() == {**shown, **change}
    gone = api("DELETE", f"{path}/{connection}")
    assert (gone.status_code, gone.content) == (204, b"")
    none = api("GET", f"{path}/{connection}")
    assert (none.status_code, none.json()) == (
        404,
        {"statusCode": 404, "error": "Not Found", "message": "No connection found by that id"},
    )
    assert api("PATCH", f"{path}/{connection}", json=change).status_code == 404
    assert api("GET", path).json() == []


def test_show_as_button_is_returned_only_if_it_was_set(api: Any, acme: str, connection: str) -> None:
    """assign_membership_on_login is always returned, and is false unless it was set."""
    made = api("POST", f"{acme}/enabled_connections", json={"connection_id": connection}).json()
    assert made["assign_membership_on_login"] is False
    assert "show_as_button" not in made


@pytest.mark.parametrize("gone", ["connection", "organization", "tenant"])
def test_a_connection_is_disabled_when_either_side_is_deleted(
    api: Any, acme: str, connection: str, gone: str
) -> None:
    """A deleted connection is enabled in no organization, and a deleted organization has no connections."""
    path = f"{acme}/enabled_connections"
    api("POST", path, json={"connection_id": connection})
    if gone == "connection":
        api("DELETE", f"/api/v2/connections/{connection}")
        assert api("GET", path).json() == []
    else:
        api.tenant.reset() if gone == "tenant" else api("DELETE", acme)
        assert api("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"connection_id": 5}, 400),
        ({"connection_id": "con_x", "more": 1}, 400),
        ({"connection_id": "con_x", "show_as_button": "yes"}, 400),
        ({"connection_id": "con_0123456789abcdef"}, 404),
    ],
)
def test_bad_requests_are_refused(api: Any, acme: str, body: dict[str, Any], status: int) -> None:
    """An incomplete body and a connection that does not exist are refused."""
    assert api("POST", f"{acme}/enabled_connections", json=body).status_code == status
    assert api("GET", f"{acme}/enabled_connections").json() == []
    nowhere = "/api/v2/organizations/org_x/enabled_connections"
    for verb, path in (("GET", nowhere), ("GET", f"{nowhere}/con_x"), ("DELETE", f"{nowhere}/con_x")):
        assert api(verb, path).status_code == 404


def test_the_newer_path_has_more_settings(api: Any) -> None:
    """It lists what is not enabled too, which the older one leaves out, and says what is."""
    organization = api("POST", "/api/v2/organizations", json={"name": "acme"}).json()["id"]
    every, enabled = (
        f"/api/v2/organizations/{organization}/{name}" for name in ("connections", "enabled_connections")
    )
    body = {"connection_id": "con_localDatabase001", "show_as_button": True}
    shown = {
        "connection_id": "con_localDatabase001",
        "is_enabled": True,
        "show_as_button": True,
        "assign_membership_on_login": False,
        "connection": {"name": "Username-Password-Authentication", "strategy": "auth0"},
    }
    assert api("POST", every, json=body).json() == shown
    assert api("GET", f"{every}?include_totals=true").json()["connections"] == [shown]
    older = {name: value for name, value in shown.items() if name != "is_enabled"}
    assert api("GET", enabled).json() == [older]
    one = f"{every}/con_localDatabase001"
    assert api("PATCH", one, json={"is_enabled": False}).json() == {**shown, "is_enabled": False}
    assert (api("GET", enabled).json(), api("GET", one).json()["is_enabled"]) == ([], False)
    assert api("PATCH", f"{enabled}/con_localDatabase001", json={"is_enabled": True}).status_code == 400
    assert api("DELETE", one).status_code == 204
    assert api("GET", every).json() == []


def test_an_organization_uses_client_grants(api: Any) -> None:
    """It is given them one by one; a grant that is deleted is gone here too."""
    organization = api("POST", "/api/v2/organizations", json={"name": "acme"}).json()["id"]
    path = f"/api/v2/organizations/{organization}/client-grants"
    grants = [
        api("POST", "/api/v2/client-grants", json={"client_id": "a", "audience": f"https://{n}.test"}).json()
        for n in range(2)
    ]
    for grant in grants:
        added = api("POST", path, json={"grant_id": grant["id"]})
        shown = {name: value for name, value in grant.items() if name != "id"}
        assert (added.status_code, added.json()) == (201, {"grant_id": grant["id"], **shown})
    assert api("GET", path).json() == grants
    assert api("DELETE", f"{path}/{grants[0]['id']}").status_code == 204
    assert api("GET", f"{path}?include_totals=true").json()["client_grants"] == grants[1:]
    api.tenant.users.clear()
    assert api("GET", path).json() == grants[1:]
    api("DELETE", f"/api/v2/client-grants/{grants[1]['id']}")
    assert api("GET", path).json() == []
    assert api("POST", path, json={"grant_id": "cgr_x"}).status_code == 404
