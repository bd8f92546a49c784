"""Organizations in a login: which one, who is a member, and what tokens and the trigger's event say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support.app import App

from auth0_meta.emulator import LocalTenant

USER = "auth0|1"
AUDIENCE = "https://api.example.com"
Manage = Callable[..., Any]


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with one user."""
    with LocalTenant(users=[{"user_id": USER, "email": "ada@example.com"}]) as served:
        yield served


@pytest.fixture
def app(tenant: LocalTenant) -> Iterator[App]:
    """Yield an application that is not registered, and so may use organizations."""
    with App(tenant) as one:
        yield one


@pytest.fixture
def acme(manage: Manage) -> str:
    """Create an organization whose only member is the user."""
    made = manage("POST", "organizations", name="acme", display_name="Acme Inc.", metadata={"tier": "gold"})
    manage("POST", f"organizations/{made['id']}/members", members=[USER])
    return str(made["id"])


def test_a_member_logs_in_to_an_organization(app: App, tenant: LocalTenant, acme: str) -> None:
    """Both tokens name it, after a refresh too, and so does the event."""
    events: list[Any] = []
    tenant.post_login = events.append
    tokens = app.log_in(USER, organization=acme, audience=AUDIENCE, scope="openid offline_access")
    assert app.claims(tokens["id_token"], "app")["org_id"] == acme
    claims = app.claims(tokens["access_token"], AUDIENCE)
    assert claims["org_id"] == acme
    assert "org_name" not in claims
    again = app.refresh(tokens["refresh_token"]).json()
    assert app.claims(again["id_token"], "app")["org_id"] == acme
    shown = {"id": acme, "name": "acme", "display_name": "Acme Inc.", "metadata": {"tier": "gold"}}
    assert [event["organization"] for event in events] == [shown, shown]
    app.log_in(None)
    assert "organization" not in events[-1]


def test_others_are_refused_before_the_trigger_runs(app: App, tenant: LocalTenant, acme: str) -> None:
    """At the login and, once they are no members any more, at a refresh."""
    events: list[Any] = []
    tenant.post_login = events.append
    tenant.users.add(user_id="auth0|2", email="bob@example.com")
    refused = ("access_denied", f"user auth0|2 is not part of the {acme} organization")
    assert app.refused("auth0|2", organization=acme) == refused
    assert events == []
    tokens = app.log_in(USER, organization=acme, prompt="login", scope="openid offline_access")
    path = f"{tenant.url}/api/v2/organizations/{acme}/members"
    header = {"Authorization": f"Bearer {tenant.token()}"}
    requests.delete(path, json={"members": [USER]}, headers=header, timeout=10)
    response = app.refresh(tokens["refresh_token"])
    assert (response.status_code, response.json()["error"]) == (403, "access_denied")


def test_an_organization_must_exist(app: App, acme: str) -> None:
    """Its name counts only where the tenant's settings allow names."""
    for name in ("org_nobody", "acme"):
        assert app.refused(organization=name) == (
            "invalid_request",
            f"parameter organization is invalid: {name}",
        )


def test_names_are_a_setting_of_the_tenant(app: App, manage: Manage, acme: str) -> None:
    """Then both tokens have the name, however the organization was named in the request."""
    manage("PATCH", "tenants/settings", allow_organization_name_in_authentication_api=True)
    for name in ("acme", "ACME", acme):
        claims = app.claims(app.log_in(USER, organization=name, prompt="login")["id_token"], "app")
        assert (claims["org_id"], claims["org_name"]) == (acme, "acme")


def test_a_client_says_whether_it_uses_organizations(tenant: LocalTenant, manage: Manage, acme: str) -> None:
    """By default it does not; it may also require one."""
    callbacks = ["http://127.0.0.1:9/callback"]
    client = manage("POST", "clients", name="B2B", callbacks=callbacks, token_endpoint_auth_method="none")
    key = client["client_id"]
    with App(tenant, key) as app:
        wrong = ("invalid_request", "parameter organization is not allowed for this client")
        assert app.refused(organization=acme) == wrong
        manage("PATCH", f"clients/{key}", organization_usage="require")
        assert app.refused() == ("invalid_request", "parameter organization is required for this client")
        assert "org_id" in app.claims(app.log_in(USER, organization=acme)["id_token"], key)
        manage("PATCH", f"clients/{key}", organization_require_behavior="pre_login_prompt")
        assert app.ask().page.status_code == 404
        assert "the prompt for an organization" in app.visitor.page.text
        manage("PATCH", f"clients/{key}", organization_usage="allow")
        assert "org_id" not in app.claims(app.log_in(None)["id_token"], key)


def test_a_callback_may_contain_the_organizations_name(
    tenant: LocalTenant, manage: Manage, acme: str
) -> None:
    """That of the login's organization and no other."""
    callbacks = ["https://{organization_name}.app.test/cb"]
    client = manage("POST", "clients", name="B2B", callbacks=callbacks, organization_usage="allow")
    asked = {"client_id": client["client_id"], "response_type": "code", "scope": "openid"}
    for name, organization, status in (("acme", acme, 302), ("other", acme, 403), ("acme", None, 403)):
        params = {**asked, "redirect_uri": f"https://{name}.app.test/cb", "organization": organization}
        url = f"{tenant.url}/authorize"
        assert requests.get(url, params=params, allow_redirects=False, timeout=10).status_code == status


def test_a_connection_may_make_members(app: App, tenant: LocalTenant, manage: Manage, acme: str) -> None:
    """An organization with connections lets in their users only; with auto-membership they become members."""
    tenant.users.add(user_id="auth0|2", email="bob@example.com")
    other = manage("POST", "connections", name="other", strategy="auth0")["id"]
    path = f"organizations/{acme}/enabled_connections"
    manage("POST", path, connection_id=other)
    assert app.refused(USER, organization=acme)[0] == "access_denied"
    listed = manage("GET", "connections")
    database = next(one["id"] for one in listed if one["name"] == "Username-Password-Authentication")
    manage("POST", path, connection_id=database)
    assert app.refused("auth0|2", organization=acme, prompt="login")[0] == "access_denied"
    manage("PATCH", f"{path}/{database}", assign_membership_on_login=True)
    assert app.log_in("auth0|2", organization=acme, prompt="login")
    assert "auth0|2" in [member["user_id"] for member in manage("GET", f"organizations/{acme}/members")]


def test_roles_in_the_organization_count_in_its_tokens(app: App, manage: Manage, acme: str) -> None:
    """Their permissions and names are there in this organization only."""
    manage(
        "POST",
        "resource-servers",
        identifier=AUDIENCE,
        scopes=[{"value": "read:x"}],
        enforce_policies=True,
        token_dialect="access_token_authz",
    )
    role = manage("POST", "roles", name="reader")["id"]
    permission = {"resource_server_identifier": AUDIENCE, "permission_name": "read:x"}
    manage("POST", f"roles/{role}/permissions", permissions=[permission])
    manage("POST", f"organizations/{acme}/members/auth0%7C1/roles", roles=[role])
    events: list[Any] = []
    app.tenant.post_login = events.append
    requested = {"audience": AUDIENCE, "scope": "openid read:x"}
    inside = app.log_in(USER, organization=acme, **requested)
    outside = app.log_in(None, **requested)
    assert (inside["scope"], outside["scope"]) == ("openid read:x", "openid")
    claims = [app.claims(tokens["access_token"], AUDIENCE) for tokens in (inside, outside)]
    assert [each["permissions"] for each in claims] == [["read:x"], []]
    assert [event["authorization"]["roles"] for event in events] == [["reader"], []]


def test_an_event_knows_client_and_connection(app: App, tenant: LocalTenant, manage: Manage) -> None:
    """By name, with metadata, and with the connection's real id."""
    made = manage(
        "POST",
        "clients",
        name="Shop",
        client_metadata={"team": "blue"},
        callbacks=["http://127.0.0.1:9/callback"],
        token_endpoint_auth_method="none",
    )
    database = next(
        one for one in manage("GET", "connections") if one["name"] == "Username-Password-Authentication"
    )
    manage("PATCH", f"connections/{database['id']}", metadata={"region": "eu"})
    events: list[Any] = []
    tenant.post_login = events.append
    with App(tenant, made["client_id"]) as shop:
        shop.log_in(USER)
    expected = {"client_id": made["client_id"], "name": "Shop", "metadata": {"team": "blue"}}
    assert events[0]["client"] == expected
    assert events[0]["connection"] == {
        "id": database["id"],
        "name": "Username-Password-Authentication",
        "strategy": "auth0",
        "metadata": {"region": "eu"},
    }
