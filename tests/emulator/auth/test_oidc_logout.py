"""OpenID Connect's logout: it ends the session, and leads to an address that the client or the tenant lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from support.app import App

from auth0_meta.emulator import LocalTenant

USER = "auth0|1"
BYE = "https://app.example.com/bye"


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with one user and a client that lists addresses."""
    with LocalTenant(users=[{"user_id": USER}]) as served:
        served.add_client("app", logout_urls=[BYE, "https://app.example.com/other"])
        yield served


@pytest.fixture
def app(tenant: LocalTenant) -> Iterator[App]:
    """Yield that client."""
    with App(tenant) as one:
        yield one


def log_out(app: App, **params: str) -> requests.Response:
    """Visit the endpoint that discovery names; the address that it leads to is not visited."""
    found = requests.get(f"{app.tenant.url}/.well-known/openid-configuration", timeout=10).json()
    return app.visitor.session.get(
        found["end_session_endpoint"], params=params, allow_redirects=False, timeout=10
    )


def signed_in(app: App) -> bool:
    """Return whether the browser has a session."""
    return "code" in app.ask(prompt="none").params


def test_an_id_token_says_which_client_logs_out(app: App, tenant: LocalTenant) -> None:
    """An expired one does too; `state` comes back."""
    tenant.clock.freeze()
    token = app.log_in(USER)["id_token"]
    tenant.clock.advance(40_000)
    assert signed_in(app)
    response = log_out(app, id_token_hint=token, post_logout_redirect_uri=BYE, state="s&1")
    assert (response.status_code, response.headers["Location"]) == (302, f"{BYE}?state=s%261")
    assert not signed_in(app)


def test_a_client_id_does_too(app: App) -> None:
    """Without an address it leads to the first that the client lists."""
    app.log_in(USER)
    assert log_out(app, client_id="app").headers["Location"] == BYE
    assert not signed_in(app)
    assert log_out(app, client_id="app", post_logout_redirect_uri=BYE).headers["Location"] == BYE


def test_without_a_client_the_session_ends_here(app: App) -> None:
    """Or on loopback, as the tenant lists no addresses."""
    app.log_in(USER)
    assert log_out(app).text == "OK"
    assert not signed_in(app)
    bye = "http://127.0.0.1:9/bye"
    assert log_out(app, post_logout_redirect_uri=bye).headers["Location"] == bye


def test_an_address_must_be_listed(app: App) -> None:
    """Otherwise the browser stays, and so does the session."""
    token = app.log_in(USER)["id_token"]
    for params in (
        {"id_token_hint": token, "post_logout_redirect_uri": "https://evil.example"},
        {"client_id": "app", "post_logout_redirect_uri": "http://127.0.0.1:9/bye"},
        {"post_logout_redirect_uri": "https://evil.example"},
    ):
        response = log_out(app, **params)
        assert (response.status_code, "Location" in response.headers) == (400, False)
    assert signed_in(app)


def test_the_tenants_own_addresses_count_too(app: App, tenant: LocalTenant) -> None:
    """For any client; and the endpoint can be left out of discovery."""
    listed = {"allowed_logout_urls": ["https://tenant.example.com/bye"]}
    url, header = f"{tenant.url}/api/v2/tenants/settings", {"Authorization": f"Bearer {tenant.token()}"}
    assert requests.patch(url, json=listed, headers=header, timeout=10).status_code == 200
    for params in ({}, {"client_id": "app"}):
        response = log_out(app, post_logout_redirect_uri=listed["allowed_logout_urls"][0], **params)
        assert response.status_code == 302
    hidden = {"oidc_logout": {"rp_logout_end_session_endpoint_discovery": False}}
    assert requests.patch(url, json=hidden, headers=header, timeout=10).status_code == 200
    found = requests.get(f"{tenant.url}/.well-known/openid-configuration", timeout=10).json()
    assert "end_session_endpoint" not in found


def test_hints_must_agree(app: App, tenant: LocalTenant) -> None:
    """The token must be this tenant's, and client and session must be those of the token."""
    tokens = app.log_in(USER)
    token = tokens["id_token"]
    sid = app.claims(token, "app")["sid"]
    assert log_out(app, id_token_hint=token, client_id="another").status_code == 400
    assert log_out(app, id_token_hint=token, logout_hint="another").status_code == 400
    for wrong in ("x", token[:-8] + "AAAAAAAA", tokens["access_token"], tenant.token()):
        assert log_out(app, id_token_hint=wrong).status_code == 400
    assert log_out(app, id_token_hint=token, client_id="app", logout_hint=sid).status_code == 302


def test_a_form_of_the_application_logs_out_too(app: App) -> None:
    """It comes from another origin; a frame or an image of another site logs nobody out."""
    app.log_in(USER)
    url = f"{app.tenant.url}/oidc/logout"
    session = app.visitor.session
    unseen = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    assert session.get(url, headers=unseen, timeout=10).status_code == 403
    assert signed_in(app)
    origin = {"Origin": "https://app.example.com"}
    form = {"client_id": "app", "post_logout_redirect_uri": BYE}
    response = session.post(url, data=form, headers=origin, allow_redirects=False, timeout=10)
    assert response.headers["Location"] == BYE
    assert not signed_in(app)
