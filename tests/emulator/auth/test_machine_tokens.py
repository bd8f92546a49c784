"""Client credentials: client grants decide which API a client may have tokens for, with which scopes and organization."""

from __future__ import annotations

from typing import Any

import pytest
from jose import jwt

from auth0_meta.emulator import LocalTenant, Switches

AUDIENCE = "https://api.example.com"
API = {
    "identifier": AUDIENCE,
    "scopes": [{"value": "read:x"}, {"value": "write:x"}],
    "token_lifetime": 600,
}


@pytest.fixture
def client(api: Any) -> dict[str, Any]:
    """Create an API and a client that has no grant yet."""
    assert api("POST", "/api/v2/resource-servers", json=API).status_code == 201
    made = api("POST", "/api/v2/clients", json={"name": "M2M", "app_type": "non_interactive"})
    assert made.status_code == 201
    document: dict[str, Any] = made.json()
    return document


def allow(api: Any, client: dict[str, Any], **grant: Any) -> dict[str, Any]:
    """Create a client grant."""
    body = {"client_id": client["client_id"], "audience": AUDIENCE, "scope": ["read:x"], **grant}
    made = api("POST", "/api/v2/client-grants", json=body)
    assert made.status_code == 201, made.text
    document: dict[str, Any] = made.json()
    return document


def request(api: Any, client: dict[str, Any] | None = None, **form: str) -> Any:
    """Ask for a token, as the tenant's own client unless another is given."""
    tenant = api.tenant
    known = client or {"client_id": tenant.client_id, "client_secret": tenant.client_secret}
    credentials = {name: known[name] for name in ("client_id", "client_secret")}
    data = {"grant_type": "client_credentials", "audience": AUDIENCE, **credentials, **form}
    return api("POST", "/oauth/token", data=data)


def claims_of(api: Any, response: Any, audience: str = AUDIENCE) -> dict[str, Any]:
    """Return the verified claims of a response's access token."""
    assert response.status_code == 200, response.text
    keys = api("GET", "/.well-known/jwks.json").json()
    claims: dict[str, Any] = jwt.decode(
        response.json()["access_token"], keys, algorithms=["RS256"], audience=audience
    )
    return claims


def test_a_client_needs_a_grant(api: Any, client: dict[str, Any]) -> None:
    """Without one it is refused as Auth0 refuses it, for the Management API too; with one it gets these scopes."""
    for audience in (AUDIENCE, f"{api.tenant.url}/api/v2/"):
        refused = request(api, client, audience=audience)
        assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
        assert 'You need to create a "client-grant"' in refused.json()["error_description"]
    allow(api, client)
    response = request(api, client)
    assert (response.json()["scope"], response.json()["expires_in"]) == ("read:x", 600)
    claims = claims_of(api, response)
    assert (claims["scope"], claims["gty"]) == ("read:x", "client-credentials")
    assert (claims["sub"], claims["azp"]) == (f"{client['client_id']}@clients", client["client_id"])
    assert claims["exp"] - claims["iat"] == 600
    assert "permissions" not in claims


def test_a_grant_for_the_management_api_opens_it(api: Any, client: dict[str, Any]) -> None:
    """With the granted scopes only."""
    own = f"{api.tenant.url}/api/v2/"
    allow(api, client, audience=own, scope=["read:users"])
    response = request(api, client, audience=own)
    assert response.json()["scope"] == "read:users"
    api.token = response.json()["access_token"]
    assert api.list().status_code == 200
    assert api.create(email="a@example.com", password="Correct-horse1").status_code == 403


def test_a_grant_may_be_for_all_scopes(api: Any, client: dict[str, Any]) -> None:
    """Those that the API defines later, too; scopes that it no longer defines are not granted."""
    grant = allow(api, client, scope=[], allow_all_scopes=True)
    assert request(api, client).json()["scope"] == "read:x write:x"
    api(
        "PATCH", f"/api/v2/client-grants/{grant['id']}", json={"scope": ["read:x"], "allow_all_scopes": False}
    )
    path = "/api/v2/resource-servers/https%3A%2F%2Fapi.example.com"
    assert api("PATCH", path, json={"scopes": [{"value": "other"}]}).status_code == 200
    response = request(api, client)
    assert "scope" not in response.json()
    assert "scope" not in claims_of(api, response)


def test_a_grant_for_users_is_none_for_machines(api: Any, client: dict[str, Any]) -> None:
    """Each `subject_type` needs its own."""
    allow(api, client, subject_type="user")
    assert request(api, client).status_code == 403
    allow(api, client, subject_type="client")
    assert request(api, client).status_code == 200


def test_the_scopes_are_all_that_are_granted(api: Any, talk: Any, client: dict[str, Any]) -> None:
    """Whatever was requested (reported by Auth0's support); a switch limits them to what was requested."""
    allow(api, client, scope=["read:x", "write:x"])
    assert request(api, client, scope="read:x other").json()["scope"] == "read:x write:x"
    other = talk(LocalTenant(serve=False, switches=Switches(machine_scopes="requested")))
    other("POST", "/api/v2/resource-servers", json=API)
    assert request(other, scope="read:x other").json()["scope"] == "read:x"
    assert request(other).json()["scope"] == "read:x write:x"


def test_an_api_may_refuse_all_machines(api: Any, client: dict[str, Any]) -> None:
    """Its policy counts more than a grant."""
    allow(api, client)
    path = "/api/v2/resource-servers/https%3A%2F%2Fapi.example.com"
    api("PATCH", path, json={"subject_type_authorization": {"client": {"policy": "deny_all"}}})
    assert request(api, client).status_code == 403


def test_an_unknown_api_is_refused_to_registered_clients_only(
    api: Any, talk: Any, client: dict[str, Any]
) -> None:
    """The tenant's own client and unregistered ones get a token for anything, unless the tenant is strict."""
    refused = request(api, client, audience="https://nobody.example.com")
    assert (refused.status_code, refused.json()) == (
        403,
        {
            "error": "access_denied",
            "error_description": "Service not enabled within domain: https://nobody.example.com",
        },
    )
    assert request(api, audience="https://nobody.example.com").status_code == 200
    strict = talk(LocalTenant(serve=False, strict=True))
    assert request(strict, audience="https://nobody.example.com").status_code == 403


def test_the_tenants_own_client_gets_what_the_api_defines(api: Any, client: dict[str, Any]) -> None:
    """So do unregistered ones; a client that Python code registered for some scopes needs a grant for other APIs."""
    assert request(api).json()["scope"] == "read:x write:x"
    anybody = {"client_id": "anybody", "client_secret": "any"}
    assert request(api, anybody).json()["scope"] == "read:x write:x"
    api.tenant.add_client("all", client_secret="s")
    assert request(api, {"client_id": "all", "client_secret": "s"}).json()["scope"] == "read:x write:x"
    api.tenant.add_client("some", client_secret="s", scopes=["read:users"])
    some = {"client_id": "some", "client_secret": "s"}
    assert request(api, some, audience=f"{api.tenant.url}/api/v2/").json()["scope"] == "read:users"
    assert request(api, some).status_code == 403


def test_a_dialect_with_permissions_shows_the_scopes_as_permissions(api: Any, client: dict[str, Any]) -> None:
    """For machines they are the same (reported)."""
    allow(api, client)
    path = "/api/v2/resource-servers/https%3A%2F%2Fapi.example.com"
    api("PATCH", path, json={"enforce_policies": True, "token_dialect": "access_token_authz"})
    assert claims_of(api, request(api, client))["permissions"] == ["read:x"]


def test_a_dialect_of_rfc9068_changes_the_claims(api: Any, client: dict[str, Any]) -> None:
    """The type is in the header, the client is `client_id`, and there is no `gty` (documented)."""
    allow(api, client)
    path = "/api/v2/resource-servers/https%3A%2F%2Fapi.example.com"
    api("PATCH", path, json={"token_dialect": "rfc9068_profile"})
    response = request(api, client)
    claims = claims_of(api, response)
    assert jwt.get_unverified_header(response.json()["access_token"])["typ"] == "at+jwt"
    assert claims["client_id"] == client["client_id"]
    assert claims["jti"]
    assert claims.keys().isdisjoint({"azp", "gty"})


# Organizations ---------------------------------------------------------------------------------------------


def organization(api: Any, name: str = "acme") -> str:
    """Create an organization and return its id."""
    made = api("POST", "/api/v2/organizations", json={"name": name})
    assert made.status_code == 201
    return str(made.json()["id"])


def test_a_grant_says_whether_an_organization_is_needed(api: Any, client: dict[str, Any]) -> None:
    """By default none can be named; one that is allowed is in the claims."""
    acme = organization(api)
    grant = allow(api, client)
    path = f"/api/v2/client-grants/{grant['id']}"
    assert request(api, client, organization=acme).json()["error"] == "invalid_request"
    api("PATCH", path, json={"organization_usage": "require", "allow_any_organization": True})
    assert request(api, client).json()["error"] == "invalid_request"
    assert request(api, client, organization="org_nobody").json()["error"] == "invalid_request"
    claims = claims_of(api, request(api, client, organization=acme))
    assert claims["org_id"] == acme
    assert "org_name" not in claims
    api("PATCH", path, json={"organization_usage": "allow"})
    assert "org_id" not in claims_of(api, request(api, client))


def test_a_grant_may_be_for_some_organizations(api: Any, client: dict[str, Any]) -> None:
    """Without `allow_any_organization` each of them has to be given the grant."""
    acme, other = organization(api), organization(api, "other")
    grant = allow(api, client, organization_usage="require")
    body = {"grant_id": grant["id"]}
    assert api("POST", f"/api/v2/organizations/{acme}/client-grants", json=body).status_code == 201
    assert claims_of(api, request(api, client, organization=acme))["org_id"] == acme
    refused = request(api, client, organization=other)
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")


def test_a_default_organization_stands_in_where_one_is_required(api: Any, client: dict[str, Any]) -> None:
    """For clients that can't send the parameter (documented)."""
    acme = organization(api)
    allow(api, client, organization_usage="require", allow_any_organization=True)
    default = {"organization_id": acme, "flows": ["client_credentials"]}
    changed = api("PATCH", f"/api/v2/clients/{client['client_id']}", json={"default_organization": default})
    assert changed.status_code == 200
    assert claims_of(api, request(api, client))["org_id"] == acme


def test_the_tenants_own_client_may_name_any_organization(api: Any) -> None:
    """For an API that nobody has created too (recorded)."""
    body = request(api, audience="my-api", organization="org_test").json()
    assert sorted(body) == ["access_token", "expires_in", "token_type"]
    assert jwt.get_unverified_claims(body["access_token"])["org_id"] == "org_test"


# What is not served -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "http://auth0.com/oauth/grant-type/passwordless/otp",
        "http://auth0.com/oauth/grant-type/mfa-otp",
        "x",
    ],
)
def test_a_grant_that_is_not_served_says_so(api: Any, kind: str) -> None:
    """It is never Auth0's own refusal, and verify() names it."""
    refused = request(api, grant_type=kind)
    assert refused.status_code == 404
    assert refused.json()["error"] == "not_served_by_local_tenant"
    assert kind in refused.json()["error_description"]
    with pytest.raises(AssertionError, match="not served"):
        api.tenant.verify()


def test_parameters_that_are_not_served_say_so(api: Any) -> None:
    """They would change the token; ignoring them would be a wrong answer."""
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "audience": AUDIENCE}
    with_proof = api("POST", "/oauth/token", data=form, headers={"DPoP": "proof"})
    assert with_proof.json()["error"] == "not_served_by_local_tenant"
    of_user = request(api, grant_type="password", organization="org_1")
    assert of_user.json()["error"] == "not_served_by_local_tenant"
