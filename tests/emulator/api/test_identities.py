"""Linking accounts, as recorded by go-auth0."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.emulator.conftest import DATABASE

GIVEN = {"given_name": "Ann", "family_name": "S", "nickname": "Annie", "picture": "https://x/y.png"}


def user(api: Any, email: str, **more: Any) -> str:
    """Create a user as the recording does, and return its id."""
    response = api.create(email=email, email_verified=True, **GIVEN, **more)
    assert response.status_code == 201
    return str(response.json()["user_id"])


def identity(user_id: str, email: str) -> dict[str, Any]:
    """Return the identity as the recording shows it."""
    return {
        "profileData": {"email": email, **GIVEN, "email_verified": True},
        "connection": DATABASE,
        "user_id": user_id.partition("|")[2],
        "provider": "auth0",
        "isSocial": False,
    }


def path_of(user_id: str) -> str:
    """Return the path of a user's identities."""
    return f"/api/v2/users/{quote(user_id, safe='')}/identities"


@pytest.mark.parametrize("bare", [False, True])
def test_users_are_linked_and_unlinked_as_recorded(api: Any, bare: bool) -> None:
    """Linking is 201 with both identities; the second user's metadata is deleted, and unlinking restores the user without it."""
    first, second = user(api, "a@example.com"), user(api, "b@example.com", app_metadata={"plan": "pro"})
    given = second.partition("|")[2] if bare else second
    before = api.get(first).json()["updated_at"]
    body = {"connection_id": "con_0123456789abcdef", "user_id": given, "provider": "auth0"}
    linked = api("POST", path_of(first), json=body)
    assert linked.status_code == 201
    assert linked.json() == [identity(first, "a@example.com"), identity(second, "b@example.com")]
    profile = api.get(first).json()
    assert "profileData" not in profile["identities"][0]
    assert profile["identities"][1] == linked.json()[1]
    assert profile["updated_at"] > before
    assert "app_metadata" not in profile
    assert api.get(second).status_code == 404

    unlinked = api("DELETE", f"{path_of(first)}/auth0/{second.partition('|')[2]}")
    assert (unlinked.status_code, unlinked.json()) == (200, [identity(first, "a@example.com")])
    again = api.get(second).json()
    assert (again["email"], again["given_name"]) == ("b@example.com", "Ann")
    assert "app_metadata" not in again
    assert "profileData" not in again["identities"][0]
    assert len(api.get(first).json()["identities"]) == 1
    assert [api.delete(one).status_code for one in (second, first)] == [204, 204]


def test_users_can_be_linked_by_an_id_token(api: Any) -> None:
    """`link_with` names the second user with a token of this tenant, and is not in the journal."""
    api.create(email="b@example.com", password="A secret 1")
    form = {"grant_type": "password", "username": "b@example.com", "password": "A secret 1", "client_id": "x"}
    token = api("POST", "/oauth/token", data=form).json()["id_token"]
    first = user(api, "a@example.com")
    assert api("POST", path_of(first), json={"link_with": token}).status_code == 201
    assert api.tenant.journal[-1].body == {"link_with": "<masked>"}
    assert api("POST", path_of(first), json={"link_with": "x.y.z"}).status_code == 401


def test_impossible_links_are_refused(api: Any) -> None:
    """A user can't be linked to itself or to a missing user, an incomplete body is refused, and the main identity can't be unlinked."""
    first = user(api, "a@example.com")
    local = first.partition("|")[2]
    for body, status in (
        ({"provider": "auth0", "user_id": first}, 400),
        ({"provider": "auth0", "user_id": "nobody"}, 404),
        ({"provider": "auth0"}, 400),
        ({"user_id": local}, 400),
        ({"provider": 5, "user_id": local}, 400),
    ):
        assert api("POST", path_of(first), json=body).status_code == status, body
    assert api("DELETE", f"{path_of(first)}/auth0/{local}").status_code == 400
    assert len(api.get(first).json()["identities"]) == 1


def test_unlinking_does_not_touch_a_new_user_with_the_same_id(api: Any) -> None:
    """Another user may have taken the id in the meantime."""
    first, second = user(api, "a@example.com"), user(api, "b@example.com")
    api("POST", path_of(first), json={"provider": "auth0", "user_id": second})
    api.tenant.users.add(user_id=second, email="new@example.com")
    assert api("DELETE", f"{path_of(first)}/auth0/{second.partition('|')[2]}").status_code == 200
    assert api.tenant.users[second]["email"] == "new@example.com"


@pytest.mark.parametrize("imported", [False, True])
def test_profile_data_has_no_defaults(api: Any, imported: bool) -> None:
    """As recorded by ruby-auth0: a user created with name, email and password shows these and whether the email is verified."""
    ids = []
    for name in ("one", "two"):
        response = api.create(email=f"{name}@example.com", name=f"the {name}", password="A secret 1")
        ids.append(response.json()["user_id"])
        if imported:
            picture = response.json()["picture"].replace("//s.", "//secure.")
            api.tenant.users[ids[-1]].patch(picture=picture)
    api.patch(ids[0], {"name": "somebody else"})
    linked = api("POST", path_of(ids[0]), json={"provider": "auth0", "user_id": ids[1]}).json()
    assert [one["profileData"] for one in linked] == [
        {"name": "somebody else", "email": "one@example.com", "email_verified": False},
        {"name": "the two", "email": "two@example.com", "email_verified": False},
    ]


def test_a_phone_number_sets_defaults_too(api: Any) -> None:
    """It becomes the name and nickname of a user without an email."""
    made = api.create(connection="sms", phone_number="+358401234567").json()
    first = user(api, "a@example.com")
    body = {"provider": "sms", "user_id": made["user_id"]}
    linked = api("POST", path_of(first), json=body).json()
    assert linked[1]["profileData"] == {"phone_number": "+358401234567"}


@pytest.mark.parametrize("other", ["auth0/{prefixed}", "google-oauth2/1"])
def test_unlinking_an_identity_that_is_not_linked_does_nothing(api: Any, other: str) -> None:
    """As recorded by ruby-auth0: an id with its prefix gets a 200, and nothing is unlinked or written."""
    first, second = user(api, "a@example.com"), user(api, "b@example.com")
    linked = api("POST", path_of(first), json={"provider": "auth0", "user_id": second}).json()
    before = api.get(first).json()
    response = api("DELETE", f"{path_of(first)}/{other.format(prefixed=quote(second, safe=''))}")
    assert (response.status_code, response.json()) == (200, linked)
    assert api.get(first).json() == before
    assert api.get(second).status_code == 404
