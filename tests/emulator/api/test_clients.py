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
    assert [client["name"] for client in shown.values()] == ["All Applications", "local-client", "mine"]
    assert shown["local-client"]["client_secret"] == api.tenant.client_secret
    assert shown["mine"] == {
        "client_id": "mine",
        "name": "mine",
        "is_first_party": True,
        "callbacks": [CALLBACK],
        "client_authentication_methods": {
            "private_key_jwt": {"credentials": [{"id": "cred_mine", "credential_type": "public_key"}]}
        },
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


# What Auth0 adds -----------------------------------------------------------------------------------------------


def test_a_new_client_has_a_secret_and_the_recorded_defaults(api: Any) -> None:
    """A body of a name alone is enough, and the secret is right at once."""
    client = made(api)
    secret = client.pop("client_secret")
    assert (len(secret), len(client.pop("client_id"))) == (64, 32)
    assert client == {
        "name": "app",
        "is_first_party": True,
        "is_token_endpoint_ip_header_trusted": False,
        "oidc_conformant": False,
        "callbacks": [],
        "sso_disabled": False,
        "cross_origin_authentication": False,
        "custom_login_page_on": True,
        "jwt_configuration": {"secret_encoded": False, "lifetime_in_seconds": 36_000},
        "refresh_token": {
            "rotation_type": "non-rotating",
            "expiration_type": "non-expiring",
            "leeway": 0,
            "token_lifetime": 2_592_000,
            "infinite_token_lifetime": True,
            "infinite_idle_token_lifetime": True,
            "idle_token_lifetime": 1_296_000,
        },
        "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
        "token_endpoint_auth_method": "client_secret_post",
    }


@pytest.mark.parametrize("app_type", ["spa", "native"])
def test_a_browser_or_native_application_is_public(api: Any, app_type: str) -> None:
    """It has a secret too, which nothing asks for, and can't have machine tokens."""
    client = made(api, app_type=app_type)
    assert client["token_endpoint_auth_method"] == "none"
    assert client["grant_types"] == ["authorization_code", "implicit", "refresh_token"]
    form = {"grant_type": "client_credentials", "audience": f"{api.tenant.url}/api/v2/"}
    form |= {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    assert api("POST", "/oauth/token", data=form).status_code == 401


def test_what_the_body_says_wins_over_defaults(api: Any) -> None:
    """Objects are replaced and completed, when the client is made and when it is changed (recorded)."""
    client = made(api, jwt_configuration={"alg": "RS256"}, client_secret="mine", grant_types=[])
    assert (client["client_secret"], client["grant_types"]) == ("mine", [])
    assert client["jwt_configuration"] == {"secret_encoded": False, "alg": "RS256"}
    path = f"/api/v2/clients/{client['client_id']}"
    expiring = {"rotation_type": "rotating", "expiration_type": "expiring", "leeway": 5}
    changed = api("PATCH", path, json={"refresh_token": expiring}).json()
    assert changed["refresh_token"] == {
        **expiring,
        "token_lifetime": 2_592_000,
        "infinite_token_lifetime": False,
        "infinite_idle_token_lifetime": False,
        "idle_token_lifetime": 1_296_000,
    }
    assert changed["jwt_configuration"] == client["jwt_configuration"]
    assert api("PATCH", path, json={"refresh_token": None}).json()["refresh_token"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"callbacks": "https://app.test"},
        {"callbacks": [5]},
        {"grant_types": None},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"organization_usage": "sometimes"},
        {"jwt_configuration": {"lifetime_in_seconds": "long"}},
        {"refresh_token": {"rotation_type": "always"}},
        {"refresh_token": {"leeway": "5"}},
        {"client_authentication_methods": {"private_key_jwt": {"credentials": [{"pem": 1}]}}},
        {"client_authentication_methods": {"other": {"credentials": []}}},
        {"client_authentication_methods": {"private_key_jwt": {}}},
        {"client_authentication_methods": {"private_key_jwt": {"credentials": [{"id": "cred_unknown"}]}}},
    ],
)
def test_what_a_login_goes_by_is_checked(api: Any, body: dict[str, Any]) -> None:
    """Otherwise the mistake would only show as a refused login."""
    response = api("POST", "/api/v2/clients", json={"name": "app", **body})
    assert (response.status_code, response.json()["errorCode"]) == (400, "invalid_body")


def test_the_secret_is_rotated(api: Any) -> None:
    """The old one is wrong from then on; the rest stays."""
    client = made(api, grant_types=["password"])
    path = f"/api/v2/clients/{client['client_id']}"
    rotated = api("POST", f"{path}/rotate-secret", json=None)
    assert rotated.status_code == 200
    new = rotated.json()["client_secret"]
    assert new != client["client_secret"]
    assert rotated.json() == {**client, "client_secret": new} == api("GET", path).json()
    form = {"client_id": client["client_id"], "grant_type": "password", "username": "x", "password": "y"}
    answers = [
        api("POST", "/oauth/token", data={**form, "client_secret": secret}).json()["error"]
        for secret in (client["client_secret"], new)
    ]
    assert answers == ["access_denied", "invalid_grant"]
    assert api("POST", "/api/v2/clients/unknown/rotate-secret").status_code == 404


@pytest.mark.parametrize(
    ("scope", "shown"),
    [("read:clients", False), ("read:client_keys", True), ("read:client_credentials", True)],
)
def test_reading_a_secret_takes_a_scope_of_its_own(talk: Any, scope: str, shown: bool) -> None:
    """The response to the request that makes it has it in any case, or nobody would know it."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant, token=tenant.token(scopes=["create:clients", scope]))
    client = made(api)
    one, listed = api("GET", f"/api/v2/clients/{client['client_id']}"), api("GET", "/api/v2/clients")
    assert "client_secret" in client
    assert [("client_secret" in each) for each in (one.json(), listed.json()[-1])] == [shown, shown]


def test_a_client_may_prove_itself_with_a_key(api: Any) -> None:
    """Its responses have the key's id but never the key, which a PATCH may name again."""
    key = {
        "credential_type": "public_key",
        "name": "one",
        "alg": "RS256",
        "pem": "-----BEGIN PUBLIC KEY-----",
    }
    client = made(api, client_authentication_methods={"private_key_jwt": {"credentials": [key]}})
    assert "token_endpoint_auth_method" not in client
    methods = client["client_authentication_methods"]
    (shown,) = methods["private_key_jwt"]["credentials"]
    assert shown.keys() == {"id", "credential_type", "name", "alg", "created_at", "updated_at"}
    path = f"/api/v2/clients/{client['client_id']}"
    assert api("GET", f"{path}/credentials").json() == [shown]
    again = {"private_key_jwt": {"credentials": [{"id": shown["id"]}]}}
    changed = api("PATCH", path, json={"client_authentication_methods": again}).json()
    assert changed["client_authentication_methods"] == methods
    gone = api("PATCH", path, json={"client_authentication_methods": None}).json()
    assert gone["client_authentication_methods"] is None
    assert api("GET", f"{path}/credentials").json() == []


def test_the_global_client_is_found_by_its_flag(api: Any) -> None:
    """Tools that copy a tenant look for it; nobody can log in with it."""
    made(api)
    (found,) = api("GET", "/api/v2/clients?is_global=true").json()
    assert (found["name"], found["global"]) == ("All Applications", True)
    rest = api("GET", "/api/v2/clients?is_global=false&is_first_party=true").json()
    assert [client["name"] for client in rest] == ["local-client", "app"]
    assert ask(api, found["client_id"], "http://localhost/cb") == 403


def test_a_deleted_client_leaves_nothing_behind(api: Any) -> None:
    """Its grants and its place among a connection's clients go with it."""
    client_id = made(api)["client_id"]
    path = "/api/v2/connections/con_localDatabase001/clients"
    assert api("PATCH", path, json=[{"client_id": client_id, "status": True}]).status_code == 204
    assert api("GET", path).json() == {"clients": [{"client_id": client_id}]}
    enabled = api("GET", f"/api/v2/clients/{client_id}/connections?take=50").json()
    assert [one["id"] for one in enabled["connections"]] == ["con_localDatabase001"]
    grant = {"client_id": client_id, "audience": "https://api.test", "scope": []}
    assert api("POST", "/api/v2/client-grants", json=grant).status_code == 201
    api("DELETE", f"/api/v2/clients/{client_id}")
    assert api("GET", path).json() == {"clients": []}
    assert api("GET", "/api/v2/client-grants").json() == []
