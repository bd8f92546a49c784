"""Connections: what Auth0 adds to a new one, its clients, and its users when it is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.rules.profile import DATABASE_OPTIONS


def made(api: Any, name: str, strategy: str = "auth0", **body: Any) -> dict[str, Any]:
    """Create a connection."""
    response = api("POST", "/api/v2/connections", json={"name": name, "strategy": strategy, **body})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def test_a_new_connection_has_options_and_a_realm(api: Any) -> None:
    """A database has the recorded defaults, under what the body says; others have what the body says."""
    database = made(api, "mydb", options={"passwordPolicy": "low", "requires_username": True})
    assert database == {
        "id": database["id"],
        "name": "mydb",
        "strategy": "auth0",
        "is_domain_connection": False,
        "enabled_clients": [],
        "realms": ["mydb"],
        "options": DATABASE_OPTIONS | {"passwordPolicy": "low", "requires_username": True},
    }
    assert made(api, "g", "google-oauth2")["options"] == {}
    path = f"/api/v2/connections/{database['id']}"
    assert api("PATCH", path, json={"options": {"a": 1}}).json()["options"] == {"a": 1}
    assert api("PATCH", path, json={"options": []}).status_code == 400


def test_clients_are_enabled_and_disabled(api: Any) -> None:
    """Those that the body does not name stay; the list comes in pages."""
    connection = made(api, "mydb", enabled_clients=["a", "b"])
    path = f"/api/v2/connections/{connection['id']}/clients"
    changes = [{"client_id": "a", "status": False}, {"client_id": "c", "status": True}]
    assert api("PATCH", path, json=changes).status_code == 204
    assert api("GET", path).json() == {"clients": [{"client_id": "b"}, {"client_id": "c"}]}
    assert api("GET", f"{path}?take=1").json() == {"clients": [{"client_id": "b"}], "next": "1"}
    assert api("GET", path.removesuffix("/clients")).json()["enabled_clients"] == ["b", "c"]
    for bad in ([], [{"client_id": "a"}], {}):
        assert api("PATCH", path, json=bad).status_code == 400
    assert api("GET", "/api/v2/connections/con_x/clients").status_code == 404


@pytest.mark.parametrize("kept", [False, True])
def test_a_deleted_connection_takes_its_users_along(talk: Any, tmp_path: Any, kept: bool) -> None:
    """Those whose main identity is in it, as when they are deleted by email; all others stay."""
    tenant = LocalTenant(serve=False, db=tmp_path / "users.db" if kept else None)
    api = talk(tenant)
    connection = made(api, "mydb")
    gone = [api.create(connection="mydb", email=f"{n}@example.com").json()["user_id"] for n in range(5)]
    stays = api.create(email="0@example.com").json()["user_id"]
    linked = api.create(email="l@example.com").json()["user_id"]
    provider, _, local = gone[0].partition("|")
    api("POST", f"/api/v2/users/{linked}/identities", json={"provider": provider, "user_id": local})
    assert api("DELETE", f"/api/v2/connections/{connection['id']}").status_code == 202
    assert [user.user_id for user in tenant.users] == [stays, linked]
    assert tenant.diff().keys() >= {stays, linked}
    tenant.stop()
