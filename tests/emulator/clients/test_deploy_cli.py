"""Copy a tenant's configuration with auth0-deploy-cli; `tox -e deploycli` installs it and says where it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant

MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "")
TENANT = """
tenant:
  friendly_name: "##FRIENDLY_NAME##"
resourceServers:
  - name: API
    identifier: https://api.test/
    scopes: [{value: "read:x", description: read}, {value: "write:x", description: write}]
    enforce_policies: true
    token_dialect: access_token_authz
clients:
  - name: Web
    app_type: regular_web
    callbacks: ["https://app.test/cb"]
    allowed_logout_urls: ["https://app.test/"]
    client_metadata: {tier: gold}
    organization_usage: allow
  - name: Machine
    app_type: non_interactive
    grant_types: [client_credentials]
databases:
  - name: Username-Password-Authentication
    strategy: auth0
    enabled_clients: [Web]
    options: {passwordPolicy: fair}
  - name: customers
    strategy: auth0
    enabled_clients: [Web, Machine]
    options: {brute_force_protection: true}
connections:
  - name: google
    strategy: google-oauth2
    enabled_clients: [Web]
    options: {email: true, profile: true}
clientGrants:
  - client_id: Machine
    audience: https://api.test/
    scope: ["read:x"]
roles:
  - name: Admin
    description: all of it
    permissions: [{permission_name: "read:x", resource_server_identifier: "https://api.test/"}]
organizations:
  - name: acme
    display_name: Acme
    metadata: {a: b}
    connections: [{name: customers, assign_membership_on_login: true, show_as_button: true}]
"""
KINDS = ("clients", "connections", "resource-servers", "client-grants", "roles", "organizations")


def deploy(tenant: LocalTenant, *arguments: str) -> None:
    """Run auth0-deploy-cli with its default settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AUTH0_")}
    settings = {
        "AUTH0_DOMAIN": tenant.domain,
        "AUTH0_CLIENT_ID": tenant.client_id,
        "AUTH0_CLIENT_SECRET": tenant.client_secret,
        "NODE_EXTRA_CA_CERTS": str(tenant.ca_file),
        "FRIENDLY_NAME": "Local",
    }
    for _ in range(3):
        ran = subprocess.run(
            ["node", str(Path(MODULES) / ".bin" / "a0deploy"), *arguments],
            env={**own, **settings},
            capture_output=True,
            text=True,
            timeout=600,
        )
        # Its checks keep its event loop busy for 15 s of processor time.  On a busy machine that is so long that its
        # connection has ended, and it does not notice before it sends the next request.
        if "fetch failed" not in ran.stdout:
            break
    assert ran.returncode == 0, ran.stdout + ran.stderr


def seen(tenant: LocalTenant) -> dict[str, Any]:
    """Return what requests show of the tenant."""
    with requests.Session() as session:
        session.mount("https://", tenant.adapter())
        session.headers["Authorization"] = "Bearer any"

        def get(path: str) -> Any:
            return session.get(f"{tenant.url}/api/v2/{path}").json()

        found = {kind: get(kind) for kind in KINDS}
        for role in found["roles"]:
            found[f"permissions of {role['name']}"] = get(f"roles/{role['id']}/permissions")
        for organization in found["organizations"]:
            found[f"connections of {organization['name']}"] = get(
                f"organizations/{organization['id']}/connections"
            )
        return {**found, "settings": get("tenants/settings")}


@pytest.mark.own_environment("deploycli")
@pytest.mark.timeout(1800)
def test_a_configuration_is_imported_twice_and_exported(tmp_path: Path) -> None:
    """The second import changes nothing; importing what was exported of the whole tenant changes its settings at most."""
    (tmp_path / "tenant.yaml").write_text(TENANT)
    with LocalTenant(tls=True) as tenant:
        deploy(tenant, "import", "--input_file", str(tmp_path / "tenant.yaml"))
        first, so_far = seen(tenant), len(tenant.journal)
        # It creates several at a time, in any order.
        assert {client["name"] for client in first["clients"]} >= {"Web", "Machine"}
        assert {one["name"] for one in first["connections"]} >= {"customers", "google"}
        assert [each["permission_name"] for each in first["permissions of Admin"]] == ["read:x"]
        assert [one["connection"]["name"] for one in first["connections of acme"]] == ["customers"]
        assert first["settings"]["friendly_name"] == "Local"

        deploy(tenant, "import", "--input_file", str(tmp_path / "tenant.yaml"))
        assert seen(tenant) == first
        # It sends each permission of a role again, and nothing else anew.
        created = [entry.path for entry in [*tenant.journal][so_far:] if entry.method == "POST"]
        assert {path.rpartition("/")[2] for path in created} <= {"token", "permissions"}

        folder = tmp_path / "exported"
        deploy(tenant, "export", "--format", "yaml", "--output_folder", str(folder))
        assert seen(tenant) == first
        deploy(tenant, "import", "--input_file", str(folder / "tenant.yaml"))
        # It writes settings of the tenant in other words than it has read them.
        assert {**seen(tenant), "settings": first["settings"]} == first
        assert all(name.startswith("GET ") for name in tenant.journal.not_served)
