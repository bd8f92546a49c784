"""The users endpoints return the recorded profiles, ids and pages."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.testing import FakeClock

NOT_FOUND = {
    "statusCode": 404,
    "error": "Not Found",
    "message": "The user does not exist.",
    "errorCode": "inexistent_user",
}


def test_a_create_fills_in_auth0s_defaults(api: Any) -> None:
    """A database user has exactly the recorded defaults, in the newest recorded order."""
    response = api.create(email="Ann.Lee@example.com", password="Analytical-1842")
    document = response.json()
    assert response.status_code == 201
    assert list(document) == [
        *("user_id", "created_at", "email", "email_verified", "identities"),
        *("name", "nickname", "picture", "updated_at"),
    ]
    assert re.fullmatch(r"auth0\|[0-9a-f]{24}", document["user_id"])
    assert document["email"] == document["name"] == "ann.lee@example.com"
    assert (document["nickname"], document["email_verified"]) == ("ann.lee", False)
    digest = hashlib.md5(b"ann.lee@example.com", usedforsecurity=False).hexdigest()
    avatar = "https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fan.png"
    assert document["picture"] == f"https://s.gravatar.com/avatar/{digest}?s=480&r=pg&d={avatar}"
    assert document["identities"] == [
        {
            "connection": "Username-Password-Authentication",
            "user_id": document["user_id"].partition("|")[2],
            "provider": "auth0",
            "isSocial": False,
        }
    ]
    assert document["created_at"] == document["updated_at"] == "2027-01-15T08:00:00.000Z"
    assert api.get(document["user_id"]).json() == document


@pytest.mark.parametrize(
    ("connection", "given", "stored"),
    [
        ("Username-Password-Authentication", "testaccuser", "auth0|testaccuser"),
        ("Username-Password-Authentication", "a#b", "auth0|a#b"),
        ("email", "1", "email|1"),
        ("sms", "2", "sms|2"),
        ("another-database", "3", "auth0|3"),
    ],
)
def test_a_given_id_gets_the_providers_prefix(api: Any, connection: str, given: str, stored: str) -> None:
    """The identity keeps the id without it."""
    document = api.create(connection=connection, user_id=given, email="x@example.com").json()
    assert document["user_id"] == stored
    assert document["identities"][0]["user_id"] == given
    assert document["identities"][0]["connection"] == connection


def test_a_user_without_an_email_gets_a_name(talk: Any) -> None:
    """A phone number or a username becomes the name; no picture is made up."""
    api = talk(LocalTenant(serve=False, switches=Switches(new_user_credentials="accept")))
    phone = api.create(connection="sms", phone_number="+358401234567").json()
    assert (phone["name"], "picture" in phone, "email_verified" in phone) == ("+358401234567", False, False)
    assert api.create(username="ann").json()["nickname"] == "ann"


def test_the_same_seed_makes_the_same_ids(talk: Any) -> None:
    """Generated ids depend only on the seed."""
    made = [
        [
            talk(LocalTenant(serve=False, seed=seed)).create(email=f"{n}@example.com").json()["user_id"]
            for n in range(2)
        ]
        for seed in (7, 7, 8)
    ]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("same", [{"email": "ANN@example.com"}, {"user_id": "one"}, {"username": "ann"}])
def test_a_second_user_with_the_same_name_is_refused(api: Any, same: dict[str, str]) -> None:
    """An id, email or username that is taken on the connection is a 409."""
    assert api.create(email="ann@example.com", user_id="one", username="ann").status_code == 201
    response = api.create(**({"email": "b@example.com"} | same))
    assert response.status_code == 409
    assert response.json() == {
        "statusCode": 409,
        "error": "Conflict",
        "message": "The user already exists.",
        "errorCode": "auth0_idp_error",
    }
    assert len(api.tenant.users) == 1


def test_the_same_email_on_another_connection_is_another_user(api: Any) -> None:
    """An email may occur once per connection, and users-by-email then finds both."""
    for connection in ("Username-Password-Authentication", "other"):
        assert api.create(connection=connection, email="ann@example.com").status_code == 201
    assert len(api("GET", "/api/v2/users-by-email?email=ann@example.com").json()) == 2


def test_every_patch_and_no_read_moves_updated_at(api: Any, clock: FakeClock) -> None:
    """updated_at grows by at least a millisecond, even when nothing changes and time stands still."""
    user = api.tenant.users.add(app_metadata={"a": 1})
    seen = [user["updated_at"]]
    for _ in range(3):
        seen.append(api.patch(user.user_id, {"app_metadata": {"a": 1}}).json()["updated_at"])
        api.get(user.user_id)
        api.list()
        assert user["updated_at"] == seen[-1]
    clock.step(-60)
    seen.append(api.patch(user.user_id, {}).json()["updated_at"])
    assert seen == sorted(set(seen))
    assert seen[-1] == "2027-01-15T08:00:00.004Z"
    assert user["created_at"] == "2027-01-15T08:00:00.000Z"


def test_a_password_change_shows_only_its_time(api: Any) -> None:
    """A PATCH of the password sets last_password_reset just before updated_at, and the password is never shown."""
    user = api.tenant.users.add()
    body = {"connection": "Username-Password-Authentication", "password": "Analytical-1842"}
    document = api.patch(user.user_id, body).json()
    assert document["last_password_reset"] < document["updated_at"]
    assert not {"password", "connection"} & set(document)
    assert api.tenant.journal[-1].body == {**body, "password": "<masked>"}
    assert "Analytical" not in repr(api.tenant.journal[-1])


def test_null_removes_a_root_attribute(api: Any) -> None:
    """null removes given_name; blocked=false is shown once it was set."""
    user = api.tenant.users.add(given_name="Ann")
    document = api.patch(user.user_id, {"given_name": None, "blocked": False}).json()
    assert "given_name" not in document
    assert document["blocked"] is False


def test_a_new_email_is_in_lower_case_and_unverified(api: Any) -> None:
    """It is stored and found in lower case, and no longer verified."""
    user = api.tenant.users.add(email="old@example.com", email_verified=True)
    assert api.patch(user.user_id, {"email": "New@Example.com"}).json()["email_verified"] is False
    assert [u["user_id"] for u in api("GET", "/api/v2/users-by-email?email=new@example.com").json()] == [
        user.user_id
    ]
    assert api("GET", "/api/v2/users-by-email?email=New@example.com").json() == []
    assert api("GET", "/api/v2/users-by-email?email=old@example.com").json() == []


def test_an_email_of_somebody_else_is_refused_with_400(api: Any) -> None:
    """PATCH has no 409: an email that is taken gets a 400 and changes nothing."""
    api.tenant.users.add(email="ann@example.com")
    bob = api.tenant.users.add(email="bob@example.com")
    assert api.patch(bob.user_id, {"email": "ann@example.com"}).status_code == 400
    assert bob["email"] == "bob@example.com"


def test_delete_is_idempotent(api: Any) -> None:
    """DELETE gets a 204 without a body, even for a user who is gone; a GET then gets a 404."""
    user = api.tenant.users.add()
    for _ in range(2):
        response = api.delete(user.user_id)
        assert (response.status_code, response.content) == (204, b"")
    assert [entry.committed for entry in api.tenant.journal] == [True, False]
    missing = api.get(user.user_id)
    assert (missing.status_code, missing.json()) == (404, NOT_FOUND)
    assert api.patch(user.user_id, {"app_metadata": {}}).json() == NOT_FOUND


@pytest.mark.parametrize(
    "user_id", ["auth0|a/b", "oauth2|siwe|eip155%3A5", "samlp|acme|Ann+Lee@x.io", "waad|ä|ö", "a|b?c#d"]
)
def test_any_id_works_when_encoded_once(api: Any, user_id: str) -> None:
    """Slashes, percent signs and other special characters in an id survive the path."""
    api.tenant.users.add(user_id=user_id)
    assert api.get(user_id).json()["user_id"] == user_id
    assert api.patch(user_id, {"app_metadata": {"a": 1}}).status_code == 200
    assert api.tenant.journal[-1].user_id == user_id


@pytest.mark.parametrize(
    ("user_id", "connection", "social"),
    [
        ("google-oauth2|10", "google-oauth2", True),
        ("samlp|acme|bob", "acme", False),
        ("auth0|1", None, False),
    ],
)
def test_the_identity_of_an_added_user_follows_from_its_id(
    api: Any, user_id: str, connection: str | None, social: bool
) -> None:
    """The provider and the connection come from the prefix."""
    (identity,) = api.tenant.users.add(user_id=user_id)["identities"]
    assert identity["connection"] == (connection or "Username-Password-Authentication")
    assert (identity["user_id"], identity["isSocial"]) == (user_id.partition("|")[2], social)


def test_fields_select_or_leave_out_attributes(api: Any) -> None:
    """fields=email returns only the email; include_fields=false returns everything else; PATCH ignores both."""
    user = api.tenant.users.add(email="ann@example.com", app_metadata={"a": 1})
    assert api.get(user.user_id, fields="email", include_fields="true").json() == {"email": "ann@example.com"}
    assert api.list(fields="email").json() == [{"email": "ann@example.com"}]
    assert "email" not in api.get(user.user_id, fields="email", include_fields="false").json()
    by_email = api("GET", "/api/v2/users-by-email?email=ann@example.com&fields=app_metadata").json()
    assert by_email == [{"app_metadata": {"a": 1}}]
    assert api.patch(user.user_id, {"app_metadata": {"b": 2}}, fields="email").json() == dict(user)


def test_a_list_is_an_array_or_the_envelope(api: Any) -> None:
    """Without totals it is an array of at most 50 users; with totals the envelope, in its recorded order."""
    ids = [api.tenant.users.add().user_id for _ in range(60)]
    assert [u["user_id"] for u in api.list().json()] == ids[:50]
    envelope = api.list(include_totals="true", page=2, per_page=25).json()
    assert list(envelope) == ["start", "limit", "length", "users", "total"]
    assert [envelope[name] for name in ("start", "limit", "length", "total")] == [50, 25, 10, 60]
    assert [u["user_id"] for u in envelope["users"]] == ids[50:]
    assert api.list(per_page=0).json() == []


@pytest.mark.parametrize(
    ("params", "message", "code"),
    [
        (
            {"per_page": 1000},
            "Query validation error: 'Value 1000 is greater than maximum 100' on property per_page "
            "(Number of results per page. Defaults to 50).",
            "invalid_query_string",
        ),
        (
            {"page": 10, "per_page": 100},
            "You can only page through the first 1000 records. See "
            "https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation",
            "invalid_paging",
        ),
        ({"page": -1}, "less than minimum 0", "invalid_query_string"),
        ({"page": "one"}, "Expected type integer", "invalid_query_string"),
        ({"include_totals": "yes"}, "Expected type boolean", "invalid_query_string"),
    ],
)
def test_a_bad_page_is_refused_as_recorded(api: Any, params: dict[str, Any], message: str, code: str) -> None:
    """More than 100 users per page, and anything past the first 1000, get the recorded 400."""
    response = api.list(**params)
    assert response.status_code == 400
    assert message in response.json()["message"]
    assert response.json()["errorCode"] == code


def test_the_last_page_within_the_limit_is_served(api: Any) -> None:
    """Page 9 of 100 users each ends at 1000."""
    assert api.list(page=9, per_page=100).status_code == 200


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('email:"ANN@example.com"', ["ann"]),
        ('app_metadata.plan:"pro"', ["ann", "bob"]),
        ('app_metadata.plan:"PRO"', []),
        ('user_metadata.addresses.city:"Paris"', ["bob"]),
        ('user_id:"auth0|bob"', ["bob"]),
        ('identities.connection:"Username-Password-Authentication"', ["ann", "bob"]),
        ('nothing.here:"x"', []),
        ('user_metadata.quote:"a \\"b\\""', ["ann"]),
    ],
)
def test_q_finds_one_exact_value(api: Any, q: str, found: list[str]) -> None:
    """One field with one quoted value matches exactly, in arrays too, and ignores case in the five name fields."""
    api.tenant.users.add(
        user_id="ann",
        email="ann@example.com",
        app_metadata={"plan": "pro"},
        user_metadata={"quote": 'a "b"', "n": 1},
    )
    addresses = [{"city": "Paris"}, {"city": "Oslo"}]
    api.tenant.users.add(
        user_id="bob", app_metadata={"plan": ["pro"]}, user_metadata={"addresses": addresses}
    )
    envelope = api.list(q=q, include_totals="true").json()
    assert [u["user_id"] for u in envelope["users"]] == [f"auth0|{name}" for name in found]
    assert envelope["total"] == len(found)


def test_a_list_is_sorted_by_a_root_attribute(api: Any) -> None:
    """sort=field:1 and :-1 order the whole list before it is paged."""
    for name in ("b", "c", "a"):
        api.tenant.users.add(email=f"{name}@example.com")
    assert [u["email"][0] for u in api.list(sort="email:1", per_page=2).json()] == ["a", "b"]
    assert [u["email"][0] for u in api.list(sort="email:-1").json()] == ["c", "b", "a"]


def test_users_by_email_needs_an_email(api: Any) -> None:
    """Without an address it is a query error."""
    assert api("GET", "/api/v2/users-by-email").json()["errorCode"] == "invalid_query_string"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/hooks"),
        ("PUT", "/api/v2/users/auth0%7C1"),
        ("GET", "/nowhere"),
        ("DELETE", "/api/v2/users/"),
        ("GET", "/api/v2/users/auth0%7C1/connected-accounts"),
    ],
)
def test_a_route_that_is_not_served_is_named(api: Any, method: str, path: str) -> None:
    """It is never an invented success, nor a status that SDKs take for an outage."""
    response = api(method, path)
    assert response.status_code == 404
    assert response.json()["errorCode"] == "not_served_by_local_tenant"
    assert f"{method} {path}" in response.json()["message"]


def test_a_fault_can_stand_in_for_a_route_that_is_not_served(api: Any) -> None:
    """Its path must be exact, not a prefix; afterwards the route is not served again."""
    everything = api.tenant.fail(path="/api/v2/", status=500, times=None)
    stub = api.tenant.fail(method="GET", path="/api/v2/xyz", status=200, body=[])
    response = api("GET", "/api/v2/xyz")
    assert (response.status_code, response.json(), stub.fired) == (200, [], 1)
    assert api.tenant.journal[0].route == "/api/v2/xyz"
    assert api("GET", "/api/v2/xyz").status_code == 404
    assert api("POST", "/api/v2/xyz").status_code == 404
    late = api.tenant.fail(path="/api/v2/abc", delay=0.001)
    assert (api("GET", "/api/v2/abc").status_code, late.fired, everything.fired) == (404, 1, 0)
    api.tenant.fail(path="/api/v2/cut", status=200, body={"a": "b" * 99}, truncate=5)
    with pytest.raises(requests.RequestException):
        api("GET", "/api/v2/cut")


@pytest.mark.parametrize(
    ("user_id", "body", "status"),
    [
        ("google-oauth2|1", {"name": "Ann", "picture": "https://x"}, 400),
        ("google-oauth2|1", {"app_metadata": {"a": 1}, "blocked": True}, 200),
        ("samlp|kept|1", {"nickname": "Ann"}, 200),
        ("email|1", {"name": "Ann"}, 200),
        ("auth0|1", {"name": "Ann"}, 200),
    ],
)
def test_names_from_other_providers_can_not_be_patched(
    api: Any, user_id: str, body: dict[str, Any], status: int
) -> None:
    """A login updates these attributes, unless the connection's sync is off."""
    off = {"set_user_root_attributes": "on_first_login"}
    api("POST", "/api/v2/connections", json={"name": "kept", "strategy": "samlp", "options": off})
    api.tenant.users.add(user_id=user_id)
    response = api.patch(user_id, body)
    assert response.status_code == status, response.text
    if status == 400:
        assert "attributes cannot be updated: name, picture. The connection (google-oauth2)" in response.text


def test_include_fields_without_fields_changes_nothing(api: Any) -> None:
    """The response is the whole profile; an empty q finds everybody."""
    user = api.tenant.users.add()
    assert api.get(user.user_id, include_fields="true").json() == dict(user)
    assert len(api.list(q="").json()) == 1


def test_deleting_frees_email_and_username(api: Any) -> None:
    """A new user can have the email and username of a deleted one."""
    for _ in range(2):
        made = api.create(email="ann@example.com", username="ann")
        assert made.status_code == 201
        api.delete(made.json()["user_id"])
    assert api("GET", "/api/v2/users-by-email?email=ann@example.com").json() == []
