"""Clients, organizations, connections and APIs follow their own recorded rules, above all for metadata."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.rules.profile import DATABASE_OPTIONS

COUNT = iter(range(10_000))
DEFAULT = {
    "id": "con_localDatabase001",
    "strategy": "auth0",
    "name": "Username-Password-Authentication",
    "is_domain_connection": False,
    "enabled_clients": [],
    "realms": ["Username-Password-Authentication"],
    "options": DATABASE_OPTIONS,
}


def made(api: Any, kind: str, **body: Any) -> str:
    """Create a resource, and return its path."""
    more = {"strategy": "auth0"} if kind == "connections" else {}
    response = api("POST", f"/api/v2/{kind}", json={"name": f"it{next(COUNT)}", **more, **body})
    assert response.status_code == 201, response.text
    document = response.json()
    return f"/api/v2/{kind}/{document['client_id' if kind == 'clients' else 'id']}"


def write(api: Any, path: str, bag: str, *changes: Any) -> Any:
    """PATCH a bag and return what GET then shows of it ("absent" for nothing)."""
    for change in changes:
        response = api("PATCH", path, json={bag: change})
        assert response.status_code == 200, response.text
        assert response.json() == api("GET", path).json()
    return api("GET", path).json().get(bag, "absent")


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ([{"a": "1"}, {"b": "2"}], {"a": "1", "b": "2"}),
        ([{"a": "1", "b": "2"}, {"a": None}], {"b": "2"}),
        ([{"a": "1"}, {"a": None}], {}),
        ([{"a": "1"}, {}], {}),
        ([{"a": "1"}, {"unknown": None}], {"a": "1"}),
    ],
)
def test_client_metadata_is_merged(api: Any, changes: list[Any], left: Any) -> None:
    """It merges at the root; null deletes a key; `{}` clears it to `{}`."""
    assert write(api, made(api, "clients"), "client_metadata", *changes) == left


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ([{"a": "1"}, {"b": "2"}], {"b": "2"}),
        ([{"a": "1"}, {}], "absent"),
        ([{"a": "1"}, None], "absent"),
        ([{"a": "1", "b": None}], {"a": "1"}),
    ],
)
def test_organization_metadata_is_replaced(api: Any, changes: list[Any], left: Any) -> None:
    """It is replaced as a whole; null and `{}` remove it."""
    assert write(api, made(api, "organizations"), "metadata", *changes) == left


@pytest.mark.parametrize(("rule", "left"), [("replace", {"b": "2"}), ("merge", {"a": "1", "b": "2"})])
def test_a_switch_decides_how_connection_metadata_is_written(talk: Any, rule: Any, left: Any) -> None:
    """No recording settles it."""
    api = talk(LocalTenant(serve=False, switches=Switches(connection_metadata=rule)))
    assert write(api, made(api, "connections"), "metadata", {"a": "1"}, {"b": "2"}) == left


@pytest.mark.parametrize("kind", ["clients", "organizations", "connections"])
def test_resources_are_listed_changed_and_deleted(api: Any, kind: str) -> None:
    """They may be deleted twice; other attributes are kept as sent."""
    born = api("GET", f"/api/v2/{kind}").json()
    paths = [made(api, kind, display_name="one", description="d") for _ in range(3)]
    assert len(api("GET", f"/api/v2/{kind}").json()) == 3 + len(born)
    envelope = api("GET", f"/api/v2/{kind}?include_totals=true&per_page=2&page=1").json()
    total = 3 + len(born)
    assert (len(envelope.pop(kind)), envelope) == (
        min(2, total - 2),
        {"start": 2, "limit": 2, "total": total},
    )
    assert api("PATCH", paths[0], json={"display_name": "two"}).json()["display_name"] == "two"
    first = 202 if kind == "connections" else 204
    assert [api("DELETE", paths[0]).status_code for _ in range(2)] == [first, 204]
    gone = api("GET", paths[0])
    assert (gone.status_code, gone.json()["error"]) == (404, "Not Found")
    assert api("PATCH", paths[0], json={}).status_code == 404
    api.tenant.reset()
    assert api("GET", f"/api/v2/{kind}").json() == born


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({}, "Missing required property: name"),
        ({"name": 5}, "Expected type string but found type integer"),
        ({"name": ""}, "String is too short (0 chars), minimum 1"),
        ({"name": "x", "client_id": "y"}, "Additional properties not allowed: client_id"),
        ({"name": "x", "client_metadata": []}, "Expected type object but found type array"),
        ({"name": "x", "client_metadata": {"a": 1}}, "Expected type string but found type integer"),
        ({"name": "x", "client_metadata": {"a": "y" * 256}}, "String is too long (256 chars), maximum 255"),
        ({"name": "x", "client_metadata": {"y" * 256: ""}}, "String is too long (256 chars), maximum 255"),
        ({"name": "x", "client_metadata": {str(n): "" for n in range(11)}}, "Too many properties defined"),
    ],
)
def test_metadata_has_the_documented_limits(api: Any, body: dict[str, Any], rule: str) -> None:
    """Clients have at most ten keys of 255 characters, and values are text."""
    response = api("POST", "/api/v2/clients", json=body)
    assert (response.status_code, rule in response.json()["message"]) == (400, True)


def test_the_limit_counts_keys_after_merging(api: Any) -> None:
    """Eleven keys are too many even if they were sent in several PATCHes; the one that would add the eleventh changes nothing."""
    path = made(api, "clients", client_metadata={str(n): "" for n in range(10)})
    assert api("PATCH", path, json={"client_metadata": {"more": ""}}).status_code == 400
    assert api("PATCH", path, json={"client_metadata": {"more": "", "0": None}}).status_code == 200
    assert len(api("GET", path).json()["client_metadata"]) == 10


@pytest.mark.parametrize("kind", ["clients", "organizations", "connections"])
def test_fields_select_attributes(api: Any, kind: str) -> None:
    """`fields` and `include_fields` work for one document and for a list."""
    path = made(api, kind, display_name="one")
    assert api("GET", f"{path}?fields=display_name").json() == {"display_name": "one"}
    assert "display_name" not in api("GET", f"{path}?fields=display_name&include_fields=false").json()
    assert api("GET", f"/api/v2/{kind}?fields=display_name").json()[-1] == {"display_name": "one"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("organizations", {"name": "acme"}),
        ("connections", {"name": "acme", "strategy": "auth0"}),
        ("connections", {"name": "Username-Password-Authentication", "strategy": "auth0"}),
        ("roles", {"name": "admin"}),
        ("resource-servers", {"identifier": "https://api.example.com/"}),
    ],
)
def test_a_name_can_be_used_once(api: Any, kind: str, body: dict[str, str]) -> None:
    """A second resource of the same name is 409; a PATCH may repeat the resource's own name."""
    first = api("POST", f"/api/v2/{kind}", json=body)
    second = api("POST", f"/api/v2/{kind}", json=body)
    assert (second.status_code, second.json()["error"]) == (409, "Conflict")
    if kind in ("organizations", "roles"):
        path = f"/api/v2/{kind}/{first.json()['id']}"
        assert api("PATCH", path, json=body).status_code == 200
        other = api("POST", f"/api/v2/{kind}", json={"name": "other"}).json()["id"]
        assert api("PATCH", f"/api/v2/{kind}/{other}", json=body).status_code == 409


def test_checkpoints_win_over_totals(api: Any) -> None:
    """deploy-cli requests both: `take` returns the list and `next`, which the last page lacks."""
    names = [api("GET", made(api, "organizations")).json()["name"] for _ in range(3)]
    first = api("GET", "/api/v2/organizations?include_totals=true&take=2").json()
    assert ([one["name"] for one in first["organizations"]], sorted(first)) == (
        names[:2],
        ["next", "organizations"],
    )
    last = api("GET", f"/api/v2/organizations?take=2&from={first['next']}").json()
    assert ([one["name"] for one in last["organizations"]], list(last)) == (names[2:], ["organizations"])
    for bad in ("take=0", "take=101", "take=x", "from=x"):
        assert api("GET", f"/api/v2/organizations?{bad}").status_code == 400


def test_connections_are_found_by_name(api: Any) -> None:
    """Terraform and go-auth0 find their database this way; its name and strategy can't be changed."""
    path = made(api, "connections", name="social", strategy="google-oauth2")
    name = DEFAULT["name"]
    assert api("GET", f"/api/v2/connections?include_totals=true&name={name}").json()["connections"] == [
        DEFAULT
    ]
    assert len(api("GET", "/api/v2/connections?strategy=google-oauth2").json()) == 1
    assert api("PATCH", path, json={"strategy": "auth0"}).status_code == 400


@pytest.mark.parametrize("strict", [False, True])
def test_users_and_imports_agree_about_connections(talk: Any, strict: bool) -> None:
    """A new connection takes users by its name and imports by its id; unless it is a database, it takes no imports."""
    tenant = LocalTenant(serve=False, strict=strict)
    api = talk(tenant, token=tenant.token())

    def brought(path: str) -> int:
        files = [
            ("users", ("u.json", b'[{"email": "b@example.com"}]', "application/json")),
            ("connection_id", (None, path.rpartition("/")[2])),
        ]
        return int(api("POST", "/api/v2/jobs/users-imports", files=files).status_code)

    database = made(api, "connections", name="mydb")
    social = made(api, "connections", name="google", strategy="google-oauth2")
    mail = made(api, "connections", name="email", strategy="email")
    statuses = {
        name: api.create(connection=name, email="a@example.com").status_code
        for name in ("mydb", "google", "email", "sms", "nowhere")
    }
    assert statuses == {
        "mydb": 201,
        "google": 400,
        "email": 201,
        "sms": 201,
        "nowhere": 400 if strict else 201,
    }
    assert [brought(path) for path in (database, social, mail)] == [202, 400, 400]
    assert sorted(user.user_id.partition("|")[0] for user in tenant.users) == (
        ["auth0"] * (2 if strict else 3) + ["email", "sms"]
    )


def test_users_of_a_connection_are_deleted_by_email(api: Any) -> None:
    """The response is 204 even if there is none; a user with the same address on another connection stays."""
    path = f"{made(api, 'connections', name='mydb')}/users"
    for connection in ("mydb", DEFAULT["name"]):
        api.create(connection=connection, email="a@example.com")
    assert [api("DELETE", f"{path}?email=A@example.com").status_code for _ in range(2)] == [204, 204]
    (left,) = api.tenant.users
    assert left["identities"][0]["connection"] == DEFAULT["name"]
    assert api("DELETE", path).status_code == 400
    assert api("DELETE", "/api/v2/connections/con_x/users?email=a@example.com").status_code == 404


def test_bad_changes_are_refused(api: Any) -> None:
    """An id can't be changed, numbers must fit into JSON, and its levels are limited."""
    path = made(api, "organizations")
    assert api("PATCH", path, json={"id": "org_other"}).status_code == 400
    assert api("PATCH", path, data=b'{"n": 1e999}').status_code == 400
    for depth, status in ((150, 200), (900, 400), (100_000, 400)):
        deep = b'{"n":' * depth + b"1" + b"}" * depth
        assert api("PATCH", path, data=deep).status_code == status


def test_an_import_may_go_to_a_new_connection(talk: Any) -> None:
    """Its users sign in there, in a strict tenant too."""
    tenant = LocalTenant(serve=False, strict=True)
    api = talk(tenant, token=tenant.token())
    connection = made(api, "connections", name="customers").rpartition("/")[2]
    files = [
        ("users", ("u.json", b'[{"email": "a@example.com"}]', "application/json")),
        ("connection_id", (None, connection)),
    ]
    assert api("POST", "/api/v2/jobs/users-imports", files=files).json()["connection"] == "customers"
    (user,) = tenant.users
    assert user["identities"][0]["connection"] == "customers"


def test_each_kind_has_its_own_scopes(talk: Any) -> None:
    """A token for users may not read clients."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant, token=tenant.token(scopes=["read:users"]))
    for kind in ("clients", "organizations", "connections"):
        assert f"any of: read:{kind}" in api("GET", f"/api/v2/{kind}").json()["message"]


def test_a_path_may_name_an_api_by_its_identifier(talk: Any) -> None:
    """As recorded by Terraform: GET and PATCH with the encoded identifier find the API; so does DELETE."""
    tenant = LocalTenant()
    with tenant:
        api = talk(tenant, sockets=True)
        identifier = "https://api.example.com/v1"
        document = api("POST", "/api/v2/resource-servers", json={"identifier": identifier}).json()
        by_id = f"/api/v2/resource-servers/{document['id']}"
        by_name = f"/api/v2/resource-servers/{quote(identifier, safe=':')}"
        assert api("GET", by_name).json() == document
        changed = api("PATCH", by_name, json={"scopes": [{"value": "read:foo"}]}).json()
        assert changed == {**document, "scopes": [{"value": "read:foo"}]}
        assert api("GET", by_id).json() == changed
        assert api("GET", "/api/v2/resource-servers").json() == [changed]
        assert api("DELETE", by_name).status_code == 204
        assert [api("GET", path).status_code for path in (by_id, by_name)] == [404, 404]
        assert api("DELETE", by_name).status_code == 204


def test_an_api_has_defaults_and_no_nulls(api: Any) -> None:
    """As recorded by go-auth0: five attributes are always shown, the body overrides them, and null removes an attribute."""
    defaults = {
        "allow_offline_access": False,
        "skip_consent_for_verifiable_first_party_clients": False,
        "token_lifetime": 86_400,
        "token_lifetime_for_web": 7_200,
        "signing_alg": "RS256",
    }
    body = {"identifier": "https://a/", "token_lifetime": 60, "authorization_details": [{"type": "x"}]}
    document = api("POST", "/api/v2/resource-servers", json=body).json()
    assert document == {"id": document["id"], **defaults, **body}
    path = f"/api/v2/resource-servers/{document['id']}"
    change = {"authorization_details": None, "token_lifetime": None, "allow_offline_access": True}
    response = api("PATCH", path, json=change)
    left = {"id": document["id"], "identifier": "https://a/", **defaults, "allow_offline_access": True}
    assert response.json() == api("GET", path).json() == left


def test_deleting_a_connection_returns_the_time(api: Any) -> None:
    """As recorded by ruby-auth0 and go-auth0: the response is a 202 with the time of deletion, and the connection is gone at once."""
    path = made(api, "connections")
    response = api("DELETE", path)
    assert (response.status_code, response.json()) == (202, {"deleted_at": "2027-01-15T08:00:00.000Z"})
    assert api("GET", path).status_code == 404
