"""Refresh tokens: rotation with reuse detection, lifetimes, narrowed scopes, and revocation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from support.app import App

from auth0_meta.emulator import LocalTenant

USER = "auth0|1"
SCOPE = "openid email offline_access"
ROTATING = {"rotation_type": "rotating", "expiration_type": "expiring", "leeway": 0}
UNKNOWN = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with two users, whose clock stands still."""
    users = [{"user_id": USER, "email": "ada@example.com"}, {"user_id": "auth0|2"}]
    with LocalTenant(users=users) as served:
        served.clock.freeze()
        yield served


@pytest.fixture
def app(tenant: LocalTenant) -> Iterator[App]:
    """Yield an application that the Management API has created."""
    body = {
        "name": "App",
        "callbacks": ["http://127.0.0.1:9/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    with App(tenant, manage(tenant, "POST", "clients", body)["client_id"]) as one:
        yield one


def manage(tenant: LocalTenant, method: str, path: str, body: dict[str, Any]) -> Any:
    """Call the Management API."""
    header = {"Authorization": f"Bearer {tenant.token()}"}
    response = requests.request(method, f"{tenant.url}/api/v2/{path}", json=body, headers=header, timeout=10)
    assert response.status_code < 300, response.text
    return response.json()


def configure(app: App, **settings: Any) -> None:
    """Change how the client's refresh tokens behave."""
    manage(app.tenant, "PATCH", f"clients/{app.client_id}", {"refresh_token": settings})


def first(app: App, user_id: str = USER) -> str:
    """Log in and return the refresh token."""
    return str(app.log_in(user_id, scope=SCOPE, prompt="login")["refresh_token"])


def exchange(app: App, token: str) -> str:
    """Exchange a refresh token for the next one."""
    response = app.refresh(token)
    assert response.status_code == 200, response.text
    return str(response.json()["refresh_token"])


def test_without_rotation_a_token_stays_valid(app: App) -> None:
    """The response has no other one."""
    token = first(app)
    for _ in range(2):
        response = app.refresh(token)
        assert response.status_code == 200
        assert "refresh_token" not in response.json()


def test_rotation_replaces_each_token_once(app: App, tenant: LocalTenant) -> None:
    """Using one again revokes the whole family, which is logged; another login is not concerned."""
    configure(app, **ROTATING)
    other = first(app)
    token = first(app)
    second = exchange(app, token)
    third = exchange(app, second)
    refused = app.refresh(token)
    assert (refused.status_code, refused.json()) == (403, UNKNOWN)
    assert "ferrt" in [log["type"] for log in tenant.logs]
    assert app.refresh(third).json() == UNKNOWN
    assert app.refresh(other).status_code == 200


def test_leeway_allows_the_previous_token_again(app: App, tenant: LocalTenant) -> None:
    """For a while and for the previous one only; it does not grow with each use."""
    configure(app, **ROTATING | {"leeway": 10})
    token = first(app)
    exchange(app, token)
    tenant.clock.advance(9)
    second = exchange(app, token)
    exchange(app, second)
    assert app.refresh(token).json() == UNKNOWN
    token = first(app)
    exchange(app, token)
    tenant.clock.advance(9)
    exchange(app, token)
    tenant.clock.advance(9)
    assert app.refresh(token).json() == UNKNOWN


def test_of_requests_at_the_same_time_one_gets_the_next_token(app: App) -> None:
    """The others are a reuse."""
    configure(app, **ROTATING)
    token = first(app)
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda _: app.refresh(token).status_code, range(4)))
    assert statuses == [200, 403, 403, 403]


def test_a_refused_refresh_uses_no_token_up(app: App, tenant: LocalTenant) -> None:
    """Whether the trigger refuses or the user is blocked."""
    configure(app, **ROTATING)
    token = first(app)

    class Denied:
        denied = "not now"

    tenant.post_login = lambda event: Denied()
    assert app.refresh(token).json()["error_description"] == "not now"
    tenant.post_login = None
    assert exchange(app, token)


def test_a_changed_setting_ends_the_tokens_of_the_other_kind(app: App) -> None:
    """The first exchange afterwards does it (documented)."""
    token, same_grant = first(app), first(app)
    configure(app, **ROTATING)
    rotated = exchange(app, token)
    assert app.refresh(same_grant).json() == UNKNOWN
    configure(app, rotation_type="non-rotating", expiration_type="non-expiring")
    still = exchange(app, rotated)
    assert app.refresh(rotated).json() == UNKNOWN
    assert "refresh_token" not in app.refresh(still).json()


def test_tokens_expire_when_idle_and_at_the_end(app: App, tenant: LocalTenant) -> None:
    """An exchange begins the idle time anew, and the family's end stays."""
    configure(app, **ROTATING | {"token_lifetime": 100, "idle_token_lifetime": 40})
    token = first(app)
    for _ in range(3):
        tenant.clock.advance(30)
        token = exchange(app, token)
    tenant.clock.advance(11)
    assert app.refresh(token).json() == UNKNOWN
    idle = first(app)
    tenant.clock.advance(41)
    assert app.refresh(idle).json() == UNKNOWN
    configure(app, **ROTATING | {"infinite_token_lifetime": True, "infinite_idle_token_lifetime": True})
    token = first(app)
    tenant.clock.advance(1e9)
    assert exchange(app, token)


def test_scopes_can_be_narrowed(app: App) -> None:
    """For one exchange; a scope that was not granted is not added."""
    token = first(app)
    narrow = app.refresh(token, scope="openid offline_access read:all").json()
    assert narrow["scope"] == "openid offline_access"
    assert "email" not in app.claims(narrow["id_token"], app.client_id)
    without = app.refresh(token, scope="email").json()
    assert without["scope"] == "email"
    assert "id_token" not in without
    assert app.refresh(token).json()["scope"] == SCOPE


def test_a_refresh_for_another_api_is_not_served(app: App) -> None:
    """Nor are policies of the client for that; naming the same API, or none, changes nothing."""
    manage(
        app.tenant, "POST", "resource-servers", {"identifier": "https://a.test", "allow_offline_access": True}
    )
    token = app.log_in(USER, scope=SCOPE, audience="https://a.test")["refresh_token"]
    assert app.refresh(token, audience="https://b.test").json()["error"] == "not_served_by_local_tenant"
    for audience in ("https://a.test", ""):
        assert app.refresh(token, audience=audience).status_code == 200
    configure(app, policies=[{"audience": "https://b.test", "scope": ["read:x"]}])
    assert app.refresh(token).json()["error"] == "not_served_by_local_tenant"


def test_a_token_can_be_revoked(app: App) -> None:
    """The response is empty, for an unknown token too; other tokens stay."""
    token, other = first(app), first(app)
    for revoked in (token, token, "made up"):
        response = app.post("/oauth/revoke", client_id=app.client_id, token=revoked)
        assert (response.status_code, response.content) == (200, b"")
    assert app.refresh(token).json() == UNKNOWN
    assert app.refresh(other).status_code == 200


def test_revoking_may_end_the_whole_grant(app: App) -> None:
    """With a setting of the tenant: every token of the same user, client and API; tokens of others stay."""
    token, other, of_bob = first(app), first(app), first(app, "auth0|2")
    manage(app.tenant, "PATCH", "tenants/settings", {"flags": {"revoke_refresh_token_grant": True}})
    app.post("/oauth/revoke", client_id=app.client_id, token=token)
    assert app.refresh(other).json() == UNKNOWN
    assert app.refresh(of_bob).status_code == 200


def test_revoking_a_rotated_token_revokes_its_successors(app: App) -> None:
    """They belong to the same login."""
    configure(app, **ROTATING)
    token = first(app)
    second = exchange(app, token)
    app.post("/oauth/revoke", client_id=app.client_id, token=token)
    assert app.refresh(second).json() == UNKNOWN


def test_only_its_client_can_revoke_a_token(app: App, tenant: LocalTenant) -> None:
    """A confidential client needs its secret, and the parameter is required."""
    token = first(app)
    assert app.post("/oauth/revoke", client_id="another", token=token).status_code == 400
    assert app.refresh(token).status_code == 200
    assert app.post("/oauth/revoke", client_id=app.client_id).json()["error"] == "invalid_request"
    tenant.add_client("safe", client_secret="s")
    for secret, status in (("", 401), ("wrong", 401), ("s", 200)):
        response = app.post("/oauth/revoke", client_id="safe", client_secret=secret, token="x")
        assert response.status_code == status
    listed = requests.get(f"{tenant.url}/.well-known/openid-configuration", timeout=10).json()
    assert listed["revocation_endpoint"] == f"{tenant.url}/oauth/revoke"


def test_a_client_without_the_grant_gets_none(app: App) -> None:
    """Reported: it is the same as without `offline_access`."""
    manage(app.tenant, "PATCH", f"clients/{app.client_id}", {"grant_types": ["authorization_code"]})
    assert "refresh_token" not in app.log_in(USER, scope=SCOPE)
