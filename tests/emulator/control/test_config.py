"""A tenant's configuration in the form of auth0-deploy-cli: what it makes, and what is refused before anything starts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, MetadataWarning

TENANT = """
tenant:
  friendly_name: "##ENVIRONMENT## tenant"
  allowed_logout_urls: @@LOGOUT@@
resourceServers:
  - name: API
    identifier: https://api.test/
    scopes: [{value: "read:x", description: read}, {value: "write:x"}]
clients:
  - name: Web
    client_id: web
    client_secret: ##WEB_SECRET##
    app_type: regular_web
    callbacks: ["https://app.test/cb"]
    client_metadata: {tier: gold}
  - name: Machine
    app_type: non_interactive
databases:
  - name: Username-Password-Authentication
    enabled_clients: [Web]
    options: {passwordPolicy: low}
  - name: customers
connections:
  - name: google
    strategy: google-oauth2
    enabled_clients: [Web, "of another tenant"]
clientGrants:
  - client_id: Machine
    audience: https://api.test/
    scope: ["read:x"]
roles:
  - name: Admin
    permissions: [{permission_name: "read:x", resource_server_identifier: "https://api.test/"}]
organizations:
  - name: acme
    display_name: Acme
    metadata: {a: b}
    connections: [{name: customers, assign_membership_on_login: true}]
    client_grants: [{client_id: Machine}]
rules: []
emailTemplates: []
attackProtection: {captcha: {}, botDetection: {enabled: false}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file, with the environment that its keywords need."""
    mappings = {"LOGOUT": ["https://app.test/bye"], "ENVIRONMENT": "from the mappings"}
    monkeypatch.setenv("AUTH0_KEYWORD_REPLACE_MAPPINGS", json.dumps(mappings))
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setenv("WEB_SECRET", "web-secret")
    path = tmp_path / "tenant.yaml"
    path.write_text(TENANT)
    return path


def seen(api: Any) -> dict[str, Any]:
    """Return what requests show of the tenant."""

    def get(path: str) -> Any:
        return api("GET", f"/api/v2/{path}").json()

    kinds = ("clients", "connections", "resource-servers", "client-grants", "roles", "organizations")
    found = {kind: get(kind) for kind in kinds}
    found["clients"] = [client for client in found["clients"] if client["client_id"] != "local-client"]
    (organization,), (role,) = found["organizations"], found["roles"]
    paths = (
        *(f"organizations/{organization['id']}/{name}" for name in ("connections", "client-grants")),
        *(f"roles/{role['id']}/permissions", "tenants/settings"),
    )
    return {**found, **{path.rpartition("/")[2] + " of it": get(path) for path in paths}}


def test_a_configuration_makes_what_a_login_goes_by(config: Path, talk: Any) -> None:
    """Clients, connections, APIs, grants, roles, organizations and settings, with names resolved."""
    api = talk(LocalTenant(serve=False, config=config, strict=True))
    api.token = api.tenant.token()
    found = seen(api)
    _, web, machine = found["clients"]
    assert (web["client_id"], web["client_secret"]) == ("web", "web-secret")
    assert web["client_metadata"] == {"tier": "gold"}
    database, customers, google = found["connections"]
    assert (database["enabled_clients"], database["options"]) == (["web"], {"passwordPolicy": "low"})
    assert (customers["strategy"], customers["options"]["passwordPolicy"]) == ("auth0", "good")
    assert google["enabled_clients"] == ["web", "of another tenant"]
    assert [grant["client_id"] for grant in found["client-grants"]] == [machine["client_id"]]
    assert found["client-grants of it"] == found["client-grants"]
    assert [each["permission_name"] for each in found["permissions of it"]] == ["read:x"]
    (enabled,) = found["connections of it"]
    assert (enabled["connection"]["name"], enabled["assign_membership_on_login"]) == ("customers", True)
    assert found["settings of it"]["friendly_name"] == "dev tenant"
    assert found["settings of it"]["allowed_logout_urls"] == ["https://app.test/bye"]
    query = {"client_id": "web", "response_type": "code", "redirect_uri": "https://app.test/cb"}
    assert api("GET", "/authorize", params=query, allow_redirects=False).status_code == 302
    form = {"grant_type": "client_credentials", "audience": "https://api.test/"}
    form |= {"client_id": machine["client_id"], "client_secret": machine["client_secret"]}
    assert api("POST", "/oauth/token", data=form).json()["scope"] == "read:x"


def test_a_reset_makes_it_again(config: Path, talk: Any) -> None:
    """With the same ids and secrets, whatever has happened to it."""
    api = talk(LocalTenant(serve=False, config=config))
    before = seen(api)
    api("PATCH", "/api/v2/clients/web", json={"callbacks": []})
    api("DELETE", f"/api/v2/clients/{before['clients'][-1]['client_id']}")
    api("PATCH", "/api/v2/tenants/settings", json={"friendly_name": "other"})
    api.tenant.reset()
    assert seen(api) == before


def test_a_kept_tenant_gets_it_again(config: Path, talk: Any, tmp_path: Path) -> None:
    """What exists under the same name is changed, and keeps its id."""
    first = LocalTenant(serve=False, config=config, db=tmp_path / "kept.db")
    api = talk(first)
    before = seen(api)
    api("PATCH", "/api/v2/clients/web", json={"callbacks": [], "description": "by hand"})
    first.stop()
    after = seen(talk(LocalTenant(serve=False, config=config, db=tmp_path / "kept.db")))
    assert after["clients"][1].pop("description") == "by hand"
    assert after == before


def test_a_mapping_is_a_configuration_too(talk: Any) -> None:
    """The tenant's own client can be configured like any other, and keeps its secret."""
    config = {"clients": [{"name": "local-client", "callbacks": ["https://app.test/cb"]}]}
    tenant = LocalTenant(serve=False, config=config)
    client = talk(tenant)("GET", "/api/v2/clients/local-client").json()
    assert (client["callbacks"], client["client_secret"]) == (["https://app.test/cb"], tenant.client_secret)
    assert config == {"clients": [{"name": "local-client", "callbacks": ["https://app.test/cb"]}]}


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ([], "config: expected sections such as clients and roles"),
        (
            {"client": []},
            "config: client is not a section of auth0-deploy-cli's tenant.yaml; did you mean clients?",
        ),
        ({"clients": {}}, None),
        ({"clients": {"a": 1}}, "config: clients is not a list of objects"),
        ({"clients": ["a"]}, "config: clients is not a list of objects"),
        ({"tenant": [1]}, "config: tenant is not an object"),
        (
            {"clients": [{"name": "A"}, {"name": "B", "callbacks": "https://b.test"}]},
            "config: clients, item 2 (B): Payload validation error: 'Expected type array but found type string' on "
            "property callbacks.",
        ),
        (
            {"clients": [{"app_type": "spa"}]},
            "config: clients, item 1: Payload validation error: 'Missing required property: name'.",
        ),
        (
            {"roles": [{"name": "A", "permissions": [{"permission_name": "x"}]}]},
            "config: roles, item 1 (A): Payload validation error: 'Missing required property: "
            "resource_server_identifier'",
        ),
        (
            {"clientGrants": [{"client_id": "nobody", "audience": "https://api.test"}]},
            "config: clientGrants, item 1 (nobody): client_id is not the name or id of a client",
        ),
        (
            {"organizations": [{"name": "acme", "connections": [{"name": "nowhere"}]}]},
            "config: organizations, item 1 (acme): connections has a name that no connection has",
        ),
        (
            {"organizations": [{"name": "acme", "client_grants": [{"client_id": "nobody"}]}]},
            "config: organizations, item 1 (acme): client_grants has a client that has no client grant",
        ),
        (
            {"organizations": [{"name": "acme", "discovery_domains": [{"domain": "a.test"}]}]},
            "config: organizations, item 1 (acme): the local tenant does not serve discovery_domains of organizations",
        ),
        ({"organizations": [{"name": "acme", "connections": ["x"]}]}, "it has a value of the wrong type"),
        ({"clients": [{"name": "A", "client_id": 5}]}, "it has a value of the wrong type"),
        (
            {"clients": [{"name": "A"}, {"name": "A"}]},
            "config: clients, item 2: an earlier one has the same name",
        ),
        (
            {"resourceServers": [{"name": name, "identifier": "https://a.test"} for name in "ab"]},
            "config: resourceServers, item 2: an earlier one has the same identifier",
        ),
        ({"databases": [{"name": "a", "enabled_clients": 5}]}, "it has a value of the wrong type"),
        ({"tenant": {"flags": 5}}, "config: tenant: Payload validation error"),
        ({"tenant": {"n": float("nan")}}, "config has a value that JSON can't represent"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_named_before_anything_starts(config: Any, problem: str | None) -> None:
    """By section, item and key."""
    if problem is None:
        LocalTenant(serve=False, config=config)
        return
    with pytest.raises(ConfigError) as raised:
        LocalTenant(serve=False, config=config)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clients: [", "not valid YAML"),
        ("a", "expected sections"),
        ("", "expected sections"),
        ("clients:\n- name: ##UNKNOWN_KEYWORD##", "the keyword UNKNOWN_KEYWORD on line 2 has no value"),
        ("clients: " + "[" * 2000, "nest"),
        (b"\xff", "not UTF-8"),
        ("clients: []\nroles: []\nclients: []", "a key is there twice on line 3"),
    ],
    ids=["yaml", "text", "empty", "keyword", "deep", "bytes", "repeated"],
)
def test_a_file_that_can_not_be_read_is_named(text: str | bytes, problem: str, tmp_path: Path) -> None:
    """With its path, and the line where there is one."""
    path = tmp_path / "tenant.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=problem) as raised:
        LocalTenant(serve=False, config=path)
    assert str(raised.value).count(str(path)) == 1


def test_json_is_read_and_errors_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, bad JSON, and bad mappings too."""
    path = tmp_path / "tenant.json"
    with pytest.raises(ConfigError, match="can't read the configuration"):
        LocalTenant(serve=False, config=path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"not valid JSON: .* on line 1"):
        LocalTenant(serve=False, config=path)
    path.write_text('{"roles": [{"name": "##ROLE##"}], "tenant": {"enabled_locales": "@@LOCALES@@"}}')
    monkeypatch.setenv("ROLE", "Admin")
    monkeypatch.setenv("AUTH0_KEYWORD_REPLACE_MAPPINGS", '{"LOCALES": ["fi"]}')
    tenant = LocalTenant(serve=False, config=path)
    assert [role["name"] for role in tenant._state.resources.of("roles").values()] == ["Admin"]
    for bad in ("[]", "{"):
        monkeypatch.setenv("AUTH0_KEYWORD_REPLACE_MAPPINGS", bad)
        with pytest.raises(ConfigError, match="AUTH0_KEYWORD_REPLACE_MAPPINGS is not a JSON object"):
            LocalTenant(serve=False, config=path)


def test_sections_that_are_not_served_are_named() -> None:
    """Unless they are empty, as in an export of a tenant that does not use them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LocalTenant(
            serve=False, config={"rules": [], "prompts": {"customText": {}}, "branding": {"a": False}}
        )
    with pytest.warns(MetadataWarning, match="does not serve rules, emailProvider: left out") as caught:
        LocalTenant(serve=False, config={"rules": [{"name": "x"}], "emailProvider": {"name": "y"}})
    assert caught[0].filename == __file__
