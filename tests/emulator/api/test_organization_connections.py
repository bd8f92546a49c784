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
