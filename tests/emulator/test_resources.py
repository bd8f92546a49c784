"""Hold the metadata of clients, organizations and connections to their own recorded rules."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant, Switches


def made(api: Any, kind: str, **body: Any) -> str:
    """Create one of a kind; returns its path."""
    more = {"strategy": "auth0"} if kind == "connections" else {}
    answer = api("POST", f"/api/v2/{kind}", json={"name": "it", **more, **body})
    assert answer.status_code == 201, answer.text
    document = answer.json()
    return f"/api/v2/{kind}/{document['client_id' if kind == 'clients' else 'id']}"


def write(api: Any, path: str, bag: str, *changes: Any) -> Any:
    """PATCH a bag and return what GET then shows of it ("absent" for nothing)."""
    for change in changes:
        answer = api("PATCH", path, json={bag: change})
        assert answer.status_code == 200, answer.text
        assert answer.json() == api("GET", path).json()
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
def test_client_metadata(api: Any, changes: list[Any], left: Any) -> None:
    """Merges at the root; null deletes; `{}` clears to `{}`."""
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
def test_organization_metadata(api: Any, changes: list[Any], left: Any) -> None:
    """Is replaced whole; null and `{}` take it away."""
    assert write(api, made(api, "organizations"), "metadata", *changes) == left


@pytest.mark.parametrize(("rule", "left"), [("replace", {"b": "2"}), ("merge", {"a": "1", "b": "2"})])
def test_connection_metadata_is_open(talk: Any, rule: Any, left: Any) -> None:
    """A switch decides."""
    api = talk(LocalTenant(serve=False, switches=Switches(connection_metadata=rule)))
    assert write(api, made(api, "connections"), "metadata", {"a": "1"}, {"b": "2"}) == left


@pytest.mark.parametrize("kind", ["clients", "organizations", "connections"])
def test_the_rest_of_their_life(api: Any, kind: str) -> None:
    """Listed, changed, deleted twice, gone; other attributes are kept as sent."""
    paths = [made(api, kind, display_name="one", description="d") for _ in range(3)]
    assert len(api("GET", f"/api/v2/{kind}").json()) == 3
    envelope = api("GET", f"/api/v2/{kind}?include_totals=true&per_page=2&page=1").json()
    assert [envelope[name] for name in ("start", "limit", "length", "total")] == [2, 2, 1, 3]
    assert api("PATCH", paths[0], json={"display_name": "two"}).json()["display_name"] == "two"
    assert [api("DELETE", paths[0]).status_code for _ in range(2)] == [204, 204]
    gone = api("GET", paths[0])
    assert (gone.status_code, gone.json()["error"]) == (404, "Not Found")
    assert api("PATCH", paths[0], json={}).status_code == 404
    api.tenant.reset()
    assert api("GET", f"/api/v2/{kind}").json() == []


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({}, "Missing required property: name"),
        ({"name": "x", "client_id": "y"}, "Additional properties not allowed: client_id"),
        ({"name": "x", "client_metadata": []}, "Expected type object but found type array"),
        ({"name": "x", "client_metadata": {"a": 1}}, "Expected type string but found type integer"),
        ({"name": "x", "client_metadata": {"a": "y" * 256}}, "String is too long (256 chars), maximum 255"),
        ({"name": "x", "client_metadata": {"y" * 256: ""}}, "String is too long (256 chars), maximum 255"),
        ({"name": "x", "client_metadata": {str(n): "" for n in range(11)}}, "Too many properties defined"),
    ],
)
def test_documented_limits(api: Any, body: dict[str, Any], rule: str) -> None:
    """Ten keys of 255 characters for clients, text only."""
    answer = api("POST", "/api/v2/clients", json=body)
    assert (answer.status_code, rule in answer.json()["message"]) == (400, True)


def test_bad_changes(api: Any) -> None:
    """An id can't be changed, and numbers must fit into JSON."""
    path = made(api, "organizations")
    assert api("PATCH", path, json={"id": "org_other"}).status_code == 400
    assert api("PATCH", path, data=b'{"n": 1e999}').status_code == 400


def test_an_import_goes_to_a_connection_that_was_made(talk: Any) -> None:
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


def test_each_has_scopes_of_its_own(talk: Any) -> None:
    """A token for users may not read clients."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant, token=tenant.token(scopes=["read:users"]))
    for kind in ("clients", "organizations", "connections"):
        assert api("GET", f"/api/v2/{kind}").json()["message"].endswith(f"any of: read:{kind}")
