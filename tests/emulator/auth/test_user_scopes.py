"""The tokens of users: what an API defines, the permissions of the user, and the application's grant decide their scopes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from jose import jwt
from support.app import App

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError

AUDIENCE = "https://api.example.com"
API = {"identifier": AUDIENCE, "name": "API", "scopes": [{"value": "read:x"}, {"value": "write:x"}]}
USER = "auth0|1"
Manage = Callable[..., Any]


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with one user."""
    with LocalTenant(
        users=[{"user_id": USER, "email": "ada@example.com", "password": "Correct-horse1"}]
    ) as served:
        yield served


@pytest.fixture
def app(tenant: LocalTenant, manage: Manage) -> Iterator[App]:
    """Yield an application that is registered."""
    manage("POST", "resource-servers", **API)
    tenant.add_client("app")
    with App(tenant) as one:
        yield one


def set_api(manage: Manage, **changed: Any) -> None:
    """Change the API."""
    manage("PATCH", "resource-servers/https%3A%2F%2Fapi.example.com", **changed)


def allow(manage: Manage, *names: str, holder: str = "users/auth0%7C1") -> None:
    """Give a user or a role permissions on the API."""
    permissions = [{"resource_server_identifier": AUDIENCE, "permission_name": name} for name in names]
    manage("POST", f"{holder}/permissions", permissions=permissions)


def test_a_user_may_have_any_scope_that_the_api_defines(app: App) -> None:
    """Others are left out; so are all but the standard ones without an API."""
    tokens = app.log_in(USER, audience=AUDIENCE, scope="openid email read:x other")
    assert tokens["scope"] == "openid email read:x"
    claims = app.claims(tokens["access_token"], AUDIENCE)
    assert claims["scope"] == "openid email read:x"
    assert "permissions" not in claims
    assert app.log_in(None, scope="openid read:x")["scope"] == "openid"


def test_policies_leave_the_users_permissions(app: App, manage: Manage) -> None:
    """Direct ones and those of roles; the token shows all of them, requested or not, if its dialect says so."""
    set_api(manage, enforce_policies=True)
    requested = {"audience": AUDIENCE, "scope": "openid read:x write:x"}
    assert app.log_in(USER, **requested)["scope"] == "openid"
    allow(manage, "read:x")
    assert app.log_in(None, **requested)["scope"] == "openid read:x"
    role = manage("POST", "roles", name="writer")["id"]
    allow(manage, "write:x", holder=f"roles/{role}")
    manage("POST", "users/auth0%7C1/roles", roles=[role])
    assert app.log_in(None, **requested)["scope"] == "openid read:x write:x"
    set_api(manage, token_dialect="access_token_authz")
    tokens = app.log_in(None, audience=AUDIENCE, scope="openid read:x")
    assert tokens["scope"] == "openid read:x"
    assert app.claims(tokens["access_token"], AUDIENCE)["permissions"] == ["read:x", "write:x"]


def test_a_trigger_has_the_last_word_on_scopes(app: App, manage: Manage, tenant: LocalTenant) -> None:
    """What it adds is there without the permission (documented)."""

    class Adding:
        added_scopes = ("write:x",)

    set_api(manage, enforce_policies=True)
    tenant.post_login = lambda event: Adding()
    assert app.log_in(USER, audience=AUDIENCE, scope="openid read:x write:x")["scope"] == "openid write:x"


def test_a_refresh_looks_at_permissions_again(app: App, manage: Manage) -> None:
    """Whoever loses a permission loses the scope at the next refresh."""
    set_api(manage, enforce_policies=True, allow_offline_access=True)
    allow(manage, "read:x", "write:x")
    scope = "openid offline_access read:x write:x"
    tokens = app.log_in(USER, audience=AUDIENCE, scope=scope)
    gone = [{"resource_server_identifier": AUDIENCE, "permission_name": "write:x"}]
    manage("DELETE", "users/auth0%7C1/permissions", permissions=gone)
    assert app.refresh(tokens["refresh_token"]).json()["scope"] == "openid offline_access read:x"


def test_an_api_may_allow_no_refresh_tokens(app: App, manage: Manage) -> None:
    """By default it does not (documented); without an API there is one."""
    scope = "openid offline_access"
    tokens = app.log_in(USER, audience=AUDIENCE, scope=scope)
    assert "refresh_token" not in tokens
    assert tokens["scope"] == "openid"
    assert "refresh_token" in app.log_in(None, scope=scope)
    set_api(manage, allow_offline_access=True)
    assert "refresh_token" in app.log_in(None, audience=AUDIENCE, scope=scope)


def test_an_api_sets_the_lifetime_of_its_tokens(app: App, manage: Manage) -> None:
    """In the claims and in the response; the ID token has the client's."""
    set_api(manage, token_lifetime=600)
    tokens = app.log_in(USER, audience=AUDIENCE, scope="openid")
    claims = app.claims(tokens["access_token"], AUDIENCE)
    assert (tokens["expires_in"], claims["exp"] - claims["iat"]) == (600, 600)
    assert app.log_in(None)["expires_in"] == 86_400


def test_a_registered_client_can_ask_for_apis_that_exist(app: App, tenant: LocalTenant) -> None:
    """Otherwise the callback gets Auth0's error; a client that is not registered may ask for any."""
    refused = ("access_denied", "Service not found: https://nobody.example.com")
    assert app.refused(audience="https://nobody.example.com") == refused
    with App(tenant, "nobody") as other:
        tokens = other.log_in(USER, audience="https://nobody.example.com", scope="openid any:x")
        assert tokens["scope"] == "openid any:x"
    with LocalTenant(strict=True) as strict, App(strict, strict.client_id) as own:
        assert own.refused(audience="https://nobody.example.com") == refused


def test_userinfo_is_an_audience(app: App, tenant: LocalTenant) -> None:
    """Naming it is the same as naming none."""
    own = f"{tenant.url}/userinfo"
    tokens = app.log_in(USER, audience=own, scope="openid email read:x")
    assert tokens["scope"] == "openid email"
    assert app.claims(tokens["access_token"], own)["aud"] == own


def test_an_api_may_ask_for_a_grant_for_users(app: App, manage: Manage) -> None:
    """Then the grant limits the scopes, and without one there is no token; or the API lets nobody in."""
    set_api(manage, subject_type_authorization={"user": {"policy": "require_client_grant"}})
    refused = ("invalid_request", f'Client "app" is not authorized to access resource server "{AUDIENCE}".')
    assert app.refused(audience=AUDIENCE) == refused
    grant = {"client_id": "app", "audience": AUDIENCE, "scope": ["read:x"], "subject_type": "user"}
    manage("POST", "client-grants", **grant)
    requested = {"audience": AUDIENCE, "scope": "openid read:x write:x"}
    assert app.log_in(USER, **requested)["scope"] == "openid read:x"
    set_api(manage, subject_type_authorization={"user": {"policy": "deny_all"}})
    assert app.refused(audience=AUDIENCE) == refused


def test_a_password_grant_follows_the_same_rules(app: App, manage: Manage) -> None:
    """Without `scope` it gets all that the API defines (documented), limited by permissions; the claims say the grant."""
    form = {"grant_type": "password", "username": "ada@example.com", "password": "Correct-horse1"}
    tokens = app.tokens(**form, audience=AUDIENCE).json()
    assert tokens["scope"] == "openid profile email address phone read:x write:x"
    assert app.claims(tokens["access_token"], AUDIENCE)["gty"] == "password"
    assert "scope" not in app.tokens(**form, scope="extra-scope").json()
    set_api(manage, enforce_policies=True, token_dialect="access_token_authz")
    allow(manage, "write:x")
    tokens = app.tokens(**form, audience=AUDIENCE, scope="read:x write:x").json()
    assert tokens["scope"] == "write:x"
    assert app.claims(tokens["access_token"], AUDIENCE)["permissions"] == ["write:x"]


def test_a_tenant_may_have_a_default_audience(app: App, manage: Manage) -> None:
    """It stands in for a missing one, in logins and in password grants."""
    manage("PATCH", "tenants/settings", default_audience=AUDIENCE, default_directory="nowhere")
    assert app.log_in(USER, scope="openid read:x")["scope"] == "openid read:x"
    form = {"grant_type": "password", "username": "ada@example.com", "password": "Correct-horse1"}
    assert app.tokens(**form).status_code == 403, "the default directory is another connection"
    manage("PATCH", "tenants/settings", default_directory="Username-Password-Authentication")
    assert app.tokens(**form, scope="read:x").json()["scope"] == "read:x"
    manage("PATCH", "tenants/settings", default_audience=None)
    assert app.log_in(None, scope="openid read:x")["scope"] == "openid"


# When somebody logged in -----------------------------------------------------------------------------------


def test_a_session_may_be_too_old(app: App, tenant: LocalTenant) -> None:
    """With max_age the user logs in again, and the ID token says when; without a page it is login_required."""
    assert "auth_time" not in app.claims(app.log_in(USER)["id_token"], "app")
    began = tenant.now()
    tenant.clock.freeze()
    tenant.clock.advance(100)
    young = app.claims(app.log_in(None, max_age="200")["id_token"], "app")
    assert young["auth_time"] <= began
    assert app.refused(max_age="50", prompt="none")[0] == "login_required"
    again = app.claims(app.log_in(USER, max_age="50")["id_token"], "app")
    assert again["auth_time"] == int(tenant.now())
    assert "Log in" in app.ask(max_age="0").page.text
    for odd in ("soon", "-1", "9" * 5000, "\uff11"):
        assert app.refused(max_age=odd)[0] == "invalid_request"


@pytest.mark.parametrize("prompt", ["login", "consent login"])
def test_prompt_login_has_auth_time_too(app: App, tenant: LocalTenant, prompt: str) -> None:
    """So that an application can see that the user really logged in (documented), whoever is signed in."""
    tenant.clock.freeze()
    for _ in range(2):
        claims = app.claims(app.log_in(USER, prompt=prompt)["id_token"], "app")
        assert claims["auth_time"] == int(tenant.now())
        tenant.clock.advance(60)


# Which connection --------------------------------------------------------------------------------------------


def test_a_connection_limits_who_may_log_in(app: App, tenant: LocalTenant, manage: Manage) -> None:
    """One that does not exist is an error; a user or a session of another one does not do."""
    assert app.refused(connection="nowhere") == ("invalid_request", "the connection was not found")
    manage("POST", "connections", name="other-db", strategy="auth0")
    tenant.users.add(user_id="auth0|2", email="bob@example.com", connection="other-db")
    app.log_in(USER, connection="Username-Password-Authentication")
    app.ask(connection="other-db")
    app.visitor.press(USER)
    assert "not in the connection" in app.visitor.page.text
    app.visitor.press("auth0|2")
    assert "code" in app.visitor.params
    manage("POST", "connections", name="google-oauth2", strategy="google-oauth2")
    app.ask(connection="google-oauth2").fill(username="ada@example.com")
    assert "code" in app.visitor.params
    (social,) = [user for user in tenant.users if user.user_id.startswith("google-oauth2|")]
    assert (social["email"], social["identities"][0]["connection"]) == ("ada@example.com", "google-oauth2")
    with App(tenant, "nobody") as other:
        assert other.log_in(USER, connection="not-created")


@pytest.mark.parametrize("name", ["request", "request_uri", "invitation", "authorization_details"])
def test_parameters_of_authorize_that_are_not_served_say_so(name: str, app: App, tenant: LocalTenant) -> None:
    """On a page that names them, and verify() does too."""
    assert app.ask(**{name: "x"}).page.status_code == 404
    assert f"the parameter {name} of /authorize" in app.visitor.page.text
    with pytest.raises(AssertionError, match=name):
        tenant.verify()
    found = requests.get(f"{tenant.url}/.well-known/openid-configuration", timeout=10).json()
    assert found["request_parameter_supported"] is found["request_uri_parameter_supported"] is False


def test_an_api_of_ones_own_may_look_like_auth0s(app: App, manage: Manage) -> None:
    """Whatever its identifier ends in, its scopes are its own; only the tenant's own Management API is Auth0's."""
    shop = "https://shop.example.com/api/v2/"
    manage("POST", "resource-servers", identifier=shop, scopes=[{"value": "read:x"}])
    assert app.log_in(USER, audience=shop, scope="openid read:x update:users")["scope"] == "openid read:x"
    own = f"{app.tenant.url}/api/v2/"
    tokens = app.log_in(None, audience=own, scope="openid read:current_user update:users")
    assert tokens["scope"] == "openid read:current_user"


def test_an_api_may_have_a_secret_that_signs_its_tokens(
    app: App, manage: Manage, tenant: LocalTenant
) -> None:
    """It gets one if it names none; such tokens are not for /userinfo, and the ID token is signed as ever."""
    manage("PATCH", "resource-servers/https%3A%2F%2Fapi.example.com", signing_alg="HS256")
    made = manage("GET", "resource-servers/https%3A%2F%2Fapi.example.com")["signing_secret"]
    for secret in (made, "a secret of my own, with ü", "-----BEGIN PUBLIC KEY-----"):
        set_api(manage, signing_secret=secret)
        tokens = app.log_in(USER, audience=AUDIENCE, scope="openid read:x", prompt="login")
        token = tokens["access_token"]
        assert jwt.decode(token, oct_key(secret), algorithms=["HS256"], audience=AUDIENCE)["aud"] == AUDIENCE
        assert jwt.get_unverified_header(tokens["id_token"])["alg"] == "RS256"
        header = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).status_code == 401
        machine = tenant.token(audience=AUDIENCE)
        assert jwt.decode(machine, oct_key(secret), algorithms=["HS256"], audience=AUDIENCE)["scope"]
        form = {"grant_type": "client_credentials", "client_id": tenant.client_id}
        form["client_secret"] = tenant.client_secret
        granted = requests.post(f"{tenant.url}/oauth/token", data={**form, "audience": AUDIENCE}, timeout=10)
        assert jwt.get_unverified_header(granted.json()["access_token"])["alg"] == "HS256"


@pytest.mark.parametrize("algorithm", ["PS256", "RS512"])
def test_other_algorithms_are_not_served(
    app: App, manage: Manage, tenant: LocalTenant, algorithm: str
) -> None:
    """They are named, and no token is signed otherwise."""
    set_api(manage, signing_alg=algorithm)
    answer = app.log_in(USER, audience=AUDIENCE, scope="openid")
    assert answer["error"] == "not_served_by_local_tenant"
    assert algorithm in answer["error_description"]
    with pytest.raises(InputError, match=algorithm):
        tenant.token(USER, audience=AUDIENCE)


@pytest.mark.parametrize("method", ["client_secret_post", "none"])
def test_a_client_may_have_id_tokens_signed_with_its_secret(
    manage: Manage, tenant: LocalTenant, method: str
) -> None:
    """A public client has no secret to verify them; both can be hints at the logout."""
    body = {
        "name": "app",
        "callbacks": ["http://127.0.0.1:9/callback"],
        "allowed_logout_urls": ["https://app.test/bye"],
        "token_endpoint_auth_method": method,
        "jwt_configuration": {"alg": "HS256"},
    }
    made = manage("POST", "clients", **body)
    secret = made["client_secret"] if method != "none" else None
    with App(tenant, made["client_id"], secret) as app:
        token = app.log_in(USER)["id_token"]
        assert jwt.get_unverified_header(token)["alg"] == ("HS256" if secret else "RS256")
        if secret:
            jwt.decode(token, oct_key(secret), algorithms=["HS256"], audience=made["client_id"])
        logout = {"id_token_hint": token, "post_logout_redirect_uri": "https://app.test/bye"}
        forged = jwt.encode(jwt.get_unverified_claims(token), "another", algorithm="HS256")
        for hint, status in ((forged, 400), (token, 302)):
            response = requests.get(
                f"{tenant.url}/oidc/logout",
                params={**logout, "id_token_hint": hint},
                allow_redirects=False,
                timeout=10,
            )
            assert response.status_code == status
        manage("PATCH", f"clients/{made['client_id']}", jwt_configuration={"alg": "PS256"})
        assert app.log_in(None)["error"] == "not_served_by_local_tenant"


def oct_key(secret: str) -> dict[str, str]:
    """Return a secret as a key, so that no text is taken for anything else."""
    return {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode()}
