"""Clients made by the Management API, and what a login makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant

CALLBACK = "https://app.test/cb"


def made(api: Any, **body: Any) -> dict[str, Any]:
    """Create a client."""
    response = api("POST", "/api/v2/clients", json={"name": "app", **body})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def ask(api: Any, client_id: str, redirect_uri: str) -> int:
    """Return the status of a request to log in."""
    query = {"client_id": client_id, "redirect_uri": redirect_uri, "response_type": "code"}
    status: int = api("GET", "/authorize", params=query, allow_redirects=False).status_code
    return status


@pytest.mark.parametrize("strict", [True, False])
def test_a_client_of_the_api_is_a_client_of_the_login(talk: Any, strict: bool) -> None:
    """What it lists is enforced, loopback or not, from the next request on; a deleted one is unknown again."""
    api = talk(LocalTenant(serve=False, strict=strict))
    api.token = api.tenant.token()
    client_id = made(api, callbacks=[CALLBACK])["client_id"]
    assert [ask(api, client_id, url) for url in (CALLBACK, "http://localhost/cb")] == [302, 403]
    api("PATCH", f"/api/v2/clients/{client_id}", json={"callbacks": ["https://*.app.test/cb"]})
    assert [ask(api, client_id, url) for url in (CALLBACK, "https://a.app.test/cb")] == [403, 302]
    assert api("DELETE", f"/api/v2/clients/{client_id}").status_code == 204
    assert ask(api, client_id, "http://localhost/cb") == (400 if strict else 302)


def test_the_tenants_own_clients_are_in_the_list(api: Any) -> None:
    """They can be read and changed like any other, and are as they were after a reset."""
    api.tenant.add_client("mine", callbacks=[CALLBACK], public_key="a PEM")
    shown = {client["client_id"]: client for client in api("GET", "/api/v2/clients").json()}
    assert list(shown) == ["local-client", "mine"]
    assert shown["local-client"]["client_secret"] == api.tenant.client_secret
    assert shown["mine"] == {
        "client_id": "mine",
        "name": "mine",
        "callbacks": [CALLBACK],
        "client_authentication_methods": {"private_key_jwt": {"credentials": [{"id": "cred_mine"}]}},
    }
    assert api("GET", "/api/v2/clients/mine").json() == shown["mine"]
    changed = api("PATCH", "/api/v2/clients/mine", json={"callbacks": []})
    assert changed.json() == {**shown["mine"], "callbacks": []}
    assert api("PATCH", "/api/v2/clients/mine", json={"local_tenant": {}}).status_code == 400
    assert ask(api, "mine", CALLBACK) == 403
    api.tenant.reset()
    assert ask(api, "mine", CALLBACK) == 302


def test_a_grant_that_a_client_does_not_list_is_refused(api: Any) -> None:
    """The answer is Auth0's."""
    client = made(api, grant_types=["password"], token_endpoint_auth_method="none")
    form = {"client_id": client["client_id"], "grant_type": "refresh_token", "refresh_token": "x"}
    refused = api("POST", "/oauth/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (403, "unauthorized_client")
    assert (
        api("POST", "/oauth/token", data={**form, "grant_type": "password"}).json()["error"]
        == "invalid_grant"
    )


def test_a_client_of_the_api_needs_a_grant_for_machine_tokens(api: Any) -> None:
    """Without a client grant it is refused; with one it gets the scopes of the grant."""
    client = made(api, client_secret="s" * 40, grant_types=["client_credentials"])
    audience = f"{api.tenant.url}/api/v2/"
    form = {"grant_type": "client_credentials", "audience": audience, "client_secret": "s" * 40}
    form["client_id"] = client["client_id"]
    refused = api("POST", "/oauth/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
    grant = {"client_id": client["client_id"], "audience": audience, "scope": ["read:users"]}
    assert api("POST", "/api/v2/client-grants", json=grant).status_code == 201
    assert api("POST", "/oauth/token", data=form).json()["scope"] == "read:users"


def test_a_logout_without_a_client_goes_where_the_tenant_allows(api: Any) -> None:
    """An unknown client of a strict tenant has no addresses."""
    logout = "/v2/logout?returnTo=http://localhost:3000/bye"
    assert api("GET", logout, allow_redirects=False).status_code == 302
    assert api("GET", f"{logout}&client_id=unknown", allow_redirects=False).status_code == 302
