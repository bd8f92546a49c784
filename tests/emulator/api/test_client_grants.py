"""Client grants: stored as documented, and found by client or API."""

from __future__ import annotations

from typing import Any

import pytest

PATH = "/api/v2/client-grants"
GRANT = {"client_id": "app", "audience": "https://api.example.com", "scope": ["read:x"]}


def test_a_grant_is_created_changed_and_deleted(api: Any) -> None:
    """Creating is 201 with an id, updating 200 with the whole grant, deleting 204; after that a GET is 404."""
    made = api("POST", PATH, json=GRANT)
    grant = made.json()
    assert (made.status_code, grant) == (201, {"id": grant["id"], **GRANT})
    assert grant["id"].startswith("cgr_")
    changed = api("PATCH", f"{PATH}/{grant['id']}", json={"scope": ["read:x", "write:x"]})
    assert (changed.status_code, changed.json()["scope"]) == (200, ["read:x", "write:x"])
    assert api("GET", f"{PATH}/{grant['id']}").json() == changed.json()
    assert api("DELETE", f"{PATH}/{grant['id']}").status_code == 204
    assert api("GET", f"{PATH}/{grant['id']}").json()["message"] == "The client grant does not exist."


def test_grants_are_found_by_client_and_by_api(api: Any) -> None:
    """The two filters can be combined; in the envelope and in checkpoints the list is called client_grants."""
    for client in ("one", "two"):
        for audience in ("https://a.example.com", "https://b.example.com"):
            api("POST", PATH, json={"client_id": client, "audience": audience})
    assert len(api("GET", PATH).json()) == 4
    assert len(api("GET", PATH, params={"client_id": "one"}).json()) == 2
    both = {"client_id": "two", "audience": "https://a.example.com"}
    (found,) = api("GET", PATH, params={**both, "include_totals": "true"}).json()["client_grants"]
    assert found == {"id": found["id"], **both}
    page = api("GET", PATH, params={"take": 3}).json()
    assert (len(page["client_grants"]), page["next"]) == (3, "3")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"client_id": "app"}, "Missing required property: audience"),
        ({**GRANT, "scope": "read:x"}, "'Expected type array but found type string' on property scope."),
        (
            {**GRANT, "organization_usage": "maybe"},
            "'No enum match for: maybe' on property organization_usage.",
        ),
        ({**GRANT, "scope": [""]}, "'String is too short (0 chars), minimum 1' on property scope."),
        ({**GRANT, "color": "red"}, "Additional properties not allowed: color"),
    ],
)
def test_a_bad_grant_is_refused(api: Any, body: dict[str, Any], message: str) -> None:
    """The response is a 400 with the validator's message, and nothing is stored."""
    response = api("POST", PATH, json=body)
    assert (response.status_code, response.json()["errorCode"]) == (400, "invalid_body")
    assert message in response.json()["message"]
    assert api("GET", PATH).json() == []


def test_a_second_grant_for_the_same_client_and_api_is_409(api: Any) -> None:
    """A PATCH can't move a grant to another client either."""
    grant = api("POST", PATH, json=GRANT).json()
    assert api("POST", PATH, json=GRANT).status_code == 409
    assert api("PATCH", f"{PATH}/{grant['id']}", json={"client_id": "other"}).status_code == 400


def test_a_token_of_the_tenant_has_the_scopes_of_grants(api: Any) -> None:
    """They come from the routes; a token without the scope is refused by name."""
    api.token = api.tenant.token()
    assert api("POST", PATH, json=GRANT).status_code == 201
    api.token = api.tenant.token(scopes=["read:users"])
    assert api("GET", PATH).json()["message"].endswith("expected any of: read:client_grants")
