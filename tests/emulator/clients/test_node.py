"""Use the tenant with npm packages of Auth0's; `tox -e node` installs them and says where they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import requests

from auth0_meta.emulator import LocalTenant

MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "")
API = "https://api.example.com/"

pytestmark = pytest.mark.own_environment("node")


def node(tenant: LocalTenant, script: str, *arguments: str) -> None:
    """Run a script that prints "ok" unless something is wrong; it trusts the tenant's certificate."""
    trust = {"NODE_EXTRA_CA_CERTS": str(tenant.ca_file)} if tenant.ca_file else {}
    ran = subprocess.run(
        ["node", str(Path(__file__).with_name(script)), *arguments],
        env={**os.environ, "NODE_PATH": MODULES, **trust},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (0, "ok\n"), ran.stderr


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_the_npm_package_works(tls: bool) -> None:
    """It gets a token with client credentials, writes users and metadata, searches, and runs jobs; over TLS unchanged."""
    with LocalTenant(strict=True, rate_limit="enterprise", tls=tls) as tenant:
        node(tenant, "sdk.cjs", tenant.url, tenant.client_id, tenant.client_secret)
        assert [user["email"] for user in tenant.users] == ["bob@example.com"]


@pytest.mark.parametrize("module", ["auth0-4", "auth0/legacy"])
def test_its_authentication_classes_log_users_in(module: str) -> None:
    """Those of version 4, which version 7 has as `auth0/legacy`: sign-up, password, refresh, revocation, machine tokens."""
    with LocalTenant(strict=True, tls=True) as tenant:
        grant_read(tenant, tenant.client_id)
        node(tenant, "authentication.cjs", module, tenant.domain, tenant.client_id, tenant.client_secret, API)


def test_an_api_checks_scopes_and_permissions() -> None:
    """express-oauth2-jwt-bearer accepts a machine's token by the scopes of its grant, and by its permissions."""
    with LocalTenant(strict=True) as tenant:
        tenant.add_client("reader", client_secret="s3cret")
        tenant.add_client("writer", client_secret="s3cret")
        grant_read(tenant, "reader")
        make(tenant, "client-grants", client_id="writer", audience=API, scope=["write:x"])
        tokens = []
        for client_id in ("reader", "writer"):
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "s3cret"}
            response = requests.post(f"{tenant.url}/oauth/token", data={**form, "audience": API}, timeout=10)
            tokens.append(response.json()["access_token"])
        # A token without permissions is refused as such, one with others as insufficient.
        node(tenant, "api.cjs", tenant.url, API, *tokens)


def grant_read(tenant: LocalTenant, client_id: str) -> None:
    """Make the API, with permissions in its tokens, and grant the client to read."""
    scopes = [{"value": "read:x"}, {"value": "write:x"}]
    rbac = {"enforce_policies": True, "token_dialect": "access_token_authz"}
    make(tenant, "resource-servers", name="API", identifier=API, scopes=scopes, **rbac)
    make(tenant, "client-grants", client_id=client_id, audience=API, scope=["read:x"])


def make(tenant: LocalTenant, path: str, **body: object) -> None:
    """Make something with the Management API."""
    url, token = f"{tenant.url}/api/v2/{path}", tenant.token()
    trust = str(tenant.ca_file) if tenant.ca_file else True
    made = requests.post(
        url, json=body, headers={"Authorization": f"Bearer {token}"}, verify=trust, timeout=10
    )
    assert made.status_code == 201, made.text
