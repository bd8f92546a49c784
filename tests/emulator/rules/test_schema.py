"""Bodies and ids that are refused get the recorded or documented response, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.rules.user_schema import FORBIDDEN_NAMES

DOTTED = 'Fields with "." are not allowed, please remove all dotted fields. Example: '
HINT = (
    ' (consider storing them in app_metadata or user_metadata. See "Users Metadata" in '
    "https://auth0.com/docs/api/v2/changes for more details)'."
)


def refused(api: Any, body: Any, *, status: int = 400) -> dict[str, Any]:
    """PATCH a user with a bad body, check that nothing changed, and return the refusal."""
    user = api.tenant.users.add(app_metadata={"keep": 1})
    before = dict(user)
    response = api.patch(user.user_id, body)
    assert response.status_code == status
    assert dict(user) == before
    assert api.tenant.journal[-1].committed is False
    problem: dict[str, Any] = response.json()
    assert problem["statusCode"] == status
    return problem


@pytest.mark.parametrize("name", sorted(FORBIDDEN_NAMES))
def test_reserved_names_are_refused_in_app_metadata_only(api: Any, name: str) -> None:
    """A reserved name at app_metadata's first level gets a 400; deeper, or in user_metadata, it is allowed."""
    assert name in refused(api, {"app_metadata": {"ok": 1, name: 1}})["message"]
    user = api.tenant.users.add()
    assert (
        api.patch(user.user_id, {"user_metadata": {name: 1}, "app_metadata": {"in": {name: 1}}}).status_code
        == 200
    )


@pytest.mark.parametrize("bag", ["user_metadata", "app_metadata"])
@pytest.mark.parametrize("value", [{"a.b": 1}, {"$a": 1}, {"a": {"b$": 1}}, {"a": [{"x": [{"b.c": 1}]}]}])
def test_dots_and_dollars_are_refused_at_any_depth(api: Any, bag: str, value: dict[str, Any]) -> None:
    """A name with `.` or `$` gets the documented message, without an errorCode."""
    problem = refused(api, {bag: value})
    assert problem["message"].startswith(DOTTED)
    assert "errorCode" not in problem


def test_switches_decide_how_dotted_names_are_refused(talk: Any) -> None:
    """Switches set the depth that is checked and the errorCode."""
    api = talk(
        LocalTenant(serve=False, switches=Switches(dotted_depth="first", dotted_error_code="invalid_body"))
    )
    assert refused(api, {"app_metadata": {"a.b": 1}})["errorCode"] == "invalid_body"
    user = api.tenant.users.add()
    assert api.patch(user.user_id, {"app_metadata": {"a": {"b.c": 1}}}).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"app_metadata": [1]},
            "Payload validation error: 'Expected type object but found type array' on property app_metadata.",
        ),
        ({"user_metadata": "x"}, "'Expected type object but found type string' on property user_metadata."),
        ({"user_metadata": 1.5}, "found type number"),
        ({"email_verified": 1}, "'Expected type boolean but found type integer' on property email_verified."),
        ({"blocked": None}, "'Expected type boolean but found type null' on property blocked."),
        ({"given_name": True}, "'Expected type string but found type boolean' on property given_name."),
        ({"given_name": ""}, "too short"),
        ({"nickname": "n" * 301}, "too long"),
        ({"email": "nobody"}, "'Object didn't pass validation for format email: nobody' on property email."),
        ({"email": ""}, "format email"),
        ({"phone_number": "123"}, "does not match pattern"),
        (
            {"logins_count": 1, "last_login": "x"},
            f"Payload validation error: 'Additional properties not allowed: logins_count,last_login{HINT}",
        ),
        ({"user_id": "auth0|2"}, "Additional properties not allowed: user_id"),
        (None, "Payload validation error: 'Expected type object but found type null'."),
        ([], "Payload validation error: 'Expected type object but found type array'."),
    ],
)
def test_a_body_of_the_wrong_shape_is_invalid(api: Any, body: Any, message: str) -> None:
    """Wrong types, wrong lengths and unknown properties get a 400 invalid_body with the validator's message."""
    problem = refused(api, body) if body is not None else _raw(api, b"null").json()
    assert message in problem["message"]
    assert problem["errorCode"] == "invalid_body"


def test_a_profile_as_read_is_refused_as_a_patch(api: Any) -> None:
    """A PATCH with the body of a GET response is refused, as by the real API."""
    user = api.tenant.users.add()
    assert "Additional properties not allowed" in refused(api, dict(user))["message"]


def test_a_switch_ignores_unknown_properties(talk: Any) -> None:
    """With unknown_properties="accept" they are dropped, and the rest is written."""
    api = talk(LocalTenant(serve=False, switches=Switches(unknown_properties="accept")))
    user = api.tenant.users.add()
    document = api.patch(user.user_id, {"surprise": 1, "app_metadata": {"a": 1}}).json()
    assert "surprise" not in document
    assert document["app_metadata"] == {"a": 1}


@pytest.mark.parametrize(
    "pair",
    [
        *(("password", "email"), ("password", "email_verified"), ("username", "email")),
        *(("username", "email_verified"), ("username", "password")),
    ],
)
def test_pairs_that_one_patch_may_not_contain(api: Any, pair: tuple[str, str]) -> None:
    """A PATCH with both attributes is refused, and the message names both."""
    body = {name: True if name == "email_verified" else f"{name}@example.com" for name in pair}
    message = refused(api, body)["message"]
    assert all(name in message for name in pair)


def _raw(api: Any, body: bytes, **headers: str) -> Any:
    user = api.tenant.users.add(user_id=f"auth0|{len(api.tenant.users)}")
    path = f"/api/v2/users/{user.user_id.replace('|', '%7C')}"
    return api("PATCH", path, data=body, headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b'{"app_metadata":{"a":NaN}}', b'{"app_metadata":{"a":Infinity}}', b"\xff\xfe"),
        *(b"[" * 100_000, b'{"app_metadata":{"a":1e999}}'),
    ],
)
def test_a_body_that_is_not_json_is_refused(api: Any, body: bytes) -> None:
    """Broken JSON, NaN, a number that is too large, bytes that are not UTF-8 and absurd nesting get a 400."""
    assert _raw(api, body).status_code == 400


def test_a_lone_surrogate_is_returned_as_it_was_sent(api: Any) -> None:
    """Text that UTF-8 can't encode is stored, and returned as an escape."""
    response = _raw(api, b'{"app_metadata":{"a":"\\ud800"}}')
    assert response.status_code == 200
    assert rb'"a":"\ud800"' in response.content


def test_a_form_body_is_not_served(api: Any) -> None:
    """A form body on the users endpoints is refused as not served."""
    assert (
        _raw(api, b"blocked=true", **{"Content-Type": "application/x-www-form-urlencoded"}).status_code == 404
    )


def test_a_request_of_more_than_one_megabyte_is_refused(api: Any) -> None:
    """A request of exactly 1 MB passes the size check; one more byte gets a 413 (a switch)."""
    frame = len(json.dumps({"app_metadata": {"a": ""}}))
    limit = 1_048_576
    assert _raw(api, json.dumps({"app_metadata": {"a": "x" * (limit - frame)}}).encode()).status_code == 400
    response = _raw(api, json.dumps({"app_metadata": {"a": "x" * (limit - frame + 1)}}).encode())
    assert response.status_code == 413
    assert response.json()["error"] == "Request Entity Too Large"


def test_a_profile_that_is_too_large_is_refused_and_not_written(talk: Any) -> None:
    """The whole serialized profile counts; switches set the limit and the status, and None removes the limit."""
    small = talk(LocalTenant(serve=False, switches=Switches(profile_limit=1000, profile_limit_status=413)))
    assert "1000 bytes" in refused(small, {"app_metadata": {"a": "x" * 1000}}, status=413)["message"]
    free = talk(LocalTenant(serve=False, switches=Switches(profile_limit=None)))
    user = free.tenant.users.add()
    assert free.patch(user.user_id, {"app_metadata": {"a": "x" * 200_000}}).status_code == 200


@pytest.mark.parametrize("user_id", ["6560cd0f", "auth0|a b", "auth0|a\tb"])
def test_a_bad_id_is_refused_before_the_body_is_checked(api: Any, user_id: str) -> None:
    """An id without a provider, or with whitespace, gets a 400 invalid_uri."""
    response = api.patch(user_id, {"app_metadata": []})
    assert response.status_code == 400
    assert response.json() == {
        "statusCode": 400,
        "error": "Bad Request",
        "message": f"Object didn't pass validation for format user-id: {user_id}",
        "errorCode": "invalid_uri",
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"connection": None}, "found type null"),
        ({"email": None}, "found type null"),
        ({"user_id": "a b"}, "pattern"),
        ({"client_id": "x"}, "Additional properties"),
        ({"app_metadata": {"user_id": 1}}, "user_id"),
    ],
)
def test_the_body_of_a_create_is_checked_too(api: Any, body: dict[str, Any], message: str) -> None:
    """A bad POST gets a 400 and adds no user."""
    response = api.create(**({"email": "a@example.com"} | body))
    assert response.status_code == 400
    assert message in response.json()["message"]
    assert len(api.tenant.users) == 0


def test_a_create_needs_a_connection(api: Any) -> None:
    """A POST without `connection` is refused."""
    response = api("POST", "/api/v2/users", json={"email": "a@example.com"})
    assert "Missing required property: connection" in response.json()["message"]
