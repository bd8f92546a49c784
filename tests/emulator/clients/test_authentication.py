"""Use the authentication classes of auth0-python, which version 4 to 6 have in common, as their READMEs do: over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant

authentication = pytest.importorskip("auth0.authentication", reason="auth0-python is not installed")
verifying = pytest.importorskip("auth0.authentication.token_verifier")
try:
    from auth0.authentication import exceptions as errors
except ImportError:
    from auth0 import exceptions as errors  # version 4

DATABASE = "Username-Password-Authentication"
EMAIL, PASSWORD = "ann@example.com", "Analytical-1842"
API = "https://api.example.com/"


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a strict tenant, whose certificate this process trusts."""
    with LocalTenant(tls=True, strict=True) as tenant:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.setenv(name, str(tenant.bundle_file))
        yield tenant


@pytest.fixture
def client(tenant: LocalTenant) -> tuple[str, str, str]:
    """Return what each class is made with: domain, client id, secret."""
    return tenant.domain, tenant.client_id, tenant.client_secret


def test_a_user_signs_up_and_logs_in(tenant: LocalTenant, client: tuple[str, str, str]) -> None:
    """With a password, a refresh token, /userinfo and the SDK's own check of the ID token; a wrong password is an error."""
    domain, client_id, secret = client
    database, get_token = authentication.Database(domain, client_id), authentication.GetToken(*client)
    assert database.signup(email=EMAIL, password=PASSWORD, connection=DATABASE)["email"] == EMAIL
    assert "sent you an email" in database.change_password(email=EMAIL, connection=DATABASE)
    tokens = get_token.login(
        username=EMAIL, password=PASSWORD, realm=DATABASE, scope="openid offline_access", audience=None
    )
    verifier = verifying.TokenVerifier(
        signature_verifier=verifying.AsymmetricSignatureVerifier(f"{tenant.url}/.well-known/jwks.json"),
        issuer=f"{tenant.url}/",
        audience=client_id,
    )
    claims = verifier.verify(tokens["id_token"])
    assert authentication.Users(domain).userinfo(tokens["access_token"])["sub"] == claims["sub"]
    again = get_token.refresh_token(tokens["refresh_token"])
    assert verifier.verify(again["id_token"])["sub"] == claims["sub"]
    authentication.RevokeToken(domain, client_id, client_secret=secret).revoke_refresh_token(
        tokens["refresh_token"]
    )
    with pytest.raises(errors.Auth0Error):
        get_token.refresh_token(tokens["refresh_token"])
    with pytest.raises(errors.Auth0Error) as caught:
        get_token.login(username=EMAIL, password="Wrong-1842", realm=DATABASE)
    assert (caught.value.status_code, caught.value.error_code) == (403, "invalid_grant")
    with pytest.raises(errors.Auth0Error) as caught:
        database.signup(email="bob@example.com", password="weak", connection=DATABASE)
    assert (caught.value.status_code, caught.value.error_code) == (400, "invalid_password")


def test_a_machine_gets_what_its_client_grant_allows(
    tenant: LocalTenant, client: tuple[str, str, str]
) -> None:
    """A token for one's own API has the scopes of the grant."""
    header = {"Authorization": f"Bearer {tenant.token()}"}

    def make(path: str, **body: Any) -> None:
        made = requests.post(f"{tenant.url}/api/v2/{path}", json=body, headers=header, timeout=10)
        assert made.status_code == 201, made.text

    make("resource-servers", name="API", identifier=API, scopes=[{"value": "read:x"}, {"value": "write:x"}])
    make("client-grants", client_id=tenant.client_id, audience=API, scope=["read:x"])
    tokens = authentication.GetToken(*client).client_credentials(audience=API)
    assert tokens["scope"] == "read:x"


def test_what_is_not_served_fails_at_once(tenant: LocalTenant, client: tuple[str, str, str]) -> None:
    """The SDK raises after one request, with the name of the route."""
    with pytest.raises(errors.Auth0Error, match="does not serve POST /passwordless/start") as caught:
        authentication.Passwordless(*client[:2]).email(EMAIL, send="code")
    assert caught.value.error_code == "not_served_by_local_tenant"
    assert tenant.journal.count("POST", "/passwordless/start") == 1
