"""Passwords are judged by the policy of their connection, and a refusal says what one lacks."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.rules.passwords import weakness
from tests.emulator.conftest import DATABASE, PASSWORD

WEAK = "PasswordStrengthError: Password is too weak"


@pytest.mark.parametrize(
    ("policy", "strong", "weak"),
    [
        ("none", ["a", "111"], [""]),
        ("low", ["abcdef"], ["abcde"]),
        ("fair", ["Abcdefg1"], ["Abcdef1", "abcdefg1", "Abcdefgh", "ABCDEFG1", "abcdef1!"]),
        ("good", ["Abcdefg1", "abcdef1!", "ABCDEF1 "], ["Abcde1!", "abcdefg1", "correct-horse-battery"]),
        ("excellent", ["Abcdefgh1!", "aabbAABB11"], ["Abcdefg1!", "Abcdeeef1!"]),
        (None, ["a"], [""]),
    ],
    ids=str,
)
def test_each_policy_accepts_and_refuses(policy: str | None, strong: list[str], weak: list[str]) -> None:
    """The five levels of the documentation; null is the lowest."""
    options = {"passwordPolicy": policy}
    assert [password for password in strong if weakness(password, options)] == []
    assert [password for password in weak if not weakness(password, options)] == []


def test_the_shortest_length_of_a_connection_wins() -> None:
    """It replaces the policy's own, whether it is longer or shorter; nonsense is ignored."""
    longer = {"password_complexity_options": {"min_length": 20}}
    shorter: dict[str, Any] = {
        "passwordPolicy": "excellent",
        "password_complexity_options": {"min_length": 4},
    }
    assert weakness(PASSWORD, longer) is not None
    assert weakness("aB1!", shorter) is None
    for odd in ({"min_length": "x"}, {"min_length": 0}, {}, 5):
        assert weakness(PASSWORD, {"password_complexity_options": odd}) is None


def test_a_sign_up_says_what_a_password_lacks(api: Any) -> None:
    """The response is the recorded one: each rule, whether the password meets it, and all of them as text."""
    body = {
        "email": "ann@example.com",
        "password": "special--characters",
        "connection": DATABASE,
        "client_id": "a",
    }
    response = api("POST", "/dbconnections/signup", json=body)
    assert (response.status_code, response.json()) == (
        400,
        {
            "name": "PasswordStrengthError",
            "message": "Password is too weak",
            "code": "invalid_password",
            "description": {
                "rules": [
                    {
                        "message": "At least %d characters in length",
                        "format": [8],
                        "code": "lengthAtLeast",
                        "verified": True,
                    },
                    {
                        "message": "Contain at least %d of the following %d types of characters:",
                        "format": [3, 4],
                        "code": "containsAtLeast",
                        "items": [
                            {"message": "lower case letters (a-z)", "code": "lowerCase", "verified": True},
                            {"message": "upper case letters (A-Z)", "code": "upperCase", "verified": False},
                            {"message": "numbers (i.e. 0-9)", "code": "numbers", "verified": False},
                            {
                                "message": "special characters (e.g. !@#$%^&*)",
                                "code": "specialCharacters",
                                "verified": True,
                            },
                        ],
                        "verified": False,
                    },
                ],
                "verified": False,
            },
            "policy": "* At least 8 characters in length\n"
            "* Contain at least 3 of the following 4 types of characters:\n"
            " * lower case letters (a-z)\n * upper case letters (A-Z)\n"
            " * numbers (i.e. 0-9)\n * special characters (e.g. !@#$%^&*)",
            "statusCode": 400,
        },
    )
    assert len(api.tenant.users) == 0


def test_the_management_api_refuses_a_weak_password(api: Any) -> None:
    """It does so when a user is created and when one is updated, by the policy of the user's database; nothing is written."""
    refused = api.create(email="ann@example.com", password="a")
    assert (refused.status_code, refused.json()["message"]) == (400, WEAK)
    ann = api.tenant.users.add(email="ann@example.com", password="a")
    before = dict(ann)
    refused = api.patch(ann.user_id, {"password": "b", "user_metadata": {"a": 1}})
    assert (refused.status_code, refused.json()["message"], dict(ann)) == (400, WEAK, before)
    made = api(
        "POST",
        "/api/v2/connections",
        json={"name": "own", "strategy": "auth0", "options": {"passwordPolicy": "low"}},
    )
    assert made.status_code == 201
    assert api.create(connection="own", email="bob@example.com", password="abcdef").status_code == 201
    assert api.create(connection="own", email="eve@example.com", password="abc").status_code == 400
    bob = next(user for user in api.tenant.users if user["email"] == "bob@example.com")
    assert api.patch(bob.user_id, {"password": "ghijkl"}).status_code == 200
    assert api.patch(bob.user_id, {"password": "abc"}).status_code == 400
    sms = api.create(connection="sms", phone_number="+358401234567").json()["user_id"]
    assert api.patch(sms, {"password": "c"}).status_code == 200


@pytest.mark.parametrize("missing", ["email", "password", "username"])
def test_a_database_requires_an_email_and_a_password(talk: Any, missing: str) -> None:
    """And a username where the connection says so; without a database, or by the switch, nothing is required."""
    api = talk(LocalTenant(serve=False))
    connection = {"name": "own", "strategy": "auth0", "options": {"requires_username": True}}
    assert api("POST", "/api/v2/connections", json=connection).status_code == 201
    body = {"email": "ann@example.com", "username": "ann", "password": PASSWORD, "connection": "own"}
    del body[missing]
    refused = api("POST", "/api/v2/users", json=body)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body")
    assert missing in refused.json()["message"]
    default = api("POST", "/api/v2/users", json={**body, "connection": DATABASE})
    assert default.status_code == (201 if missing == "username" else 400)
    lenient = talk(LocalTenant(serve=False, switches=Switches(new_user_credentials="accept")))
    assert lenient("POST", "/api/v2/users", json={**body, "connection": DATABASE}).status_code == 201
    assert (
        api("POST", "/api/v2/users", json={"connection": "email", "email": "a@example.com"}).status_code
        == 201
    )
