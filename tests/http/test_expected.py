"""What makes a response the one that was asked for, at the limits of each rule; `endpoints/test_odd_answers.py` has the methods."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_meta.changes.jsonvalue import ABSENT
from auth0_meta.errors import TransportError
from auth0_meta.http import expected
from auth0_meta.http.request import Request, Target
from auth0_meta.http.transport import Response

ID = "auth0|1"
TARGET = Target.user(ID)
USERS = [{"user_id": "a"}, {"user_id": "b"}]
EMAIL = "ada@example.com"


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        ({"statusCode": 400, "error": "Bad Request"}, True),
        ({"statusCode": 503, "message": "down"}, True),
        ({"statusCode": 399, "message": "?"}, False),
        ({"statusCode": 200, "error": "none"}, False),
        ({"statusCode": 503}, False),
        ({"statusCode": "503", "message": "down"}, False),
        ({"statusCode": True, "message": "down"}, False),
        ({"message": "down"}, False),
        ([{"statusCode": 503, "message": "down"}], False),
    ],
)
def test_an_error_with_a_2xx_is_not_data(body: Any, *, is_error: bool) -> None:
    """It has the status of an error, and says what is wrong."""
    request = Request("GET", "/api/v2/clients", group="other", repeat=True)
    response = Response(200, {}, json.dumps(body).encode())
    if not is_error:
        assert expected.believed(response, request, expected.anything) == body
        return
    with pytest.raises(TransportError, match="an error with the status") as caught:
        expected.believed(response, request, expected.anything, user_id=ID)
    assert caught.value.user_id == ID


GOOD: dict[str, tuple[expected.Expected, Any]] = {
    "what was not written may be anything": (
        expected.the_object(TARGET, {"name": "x"}),
        {"user_id": ID, "name": "x", "app_metadata": 7},
    ),
    "emptied metadata may be absent": (
        expected.the_object(TARGET, {"app_metadata": {}}),
        {"user_id": ID, "app_metadata": None},
    ),
    "nothing of what was deleted": (expected.nothing(TARGET), ABSENT),
    "what was deleted": (expected.nothing(TARGET), {"user_id": ID}),
    "a whole id": (expected.new_user({"user_id": "auth0|1"}), {"user_id": "auth0|1"}),
    "the provider before an id": (expected.new_user({"user_id": "1"}), {"user_id": "auth0|1"}),
    "an id that is no text": (expected.new_user({"user_id": 7}), {"user_id": "auth0|1"}),
    "a username in lower case": (
        expected.new_user({"username": " Ada "}),
        {"user_id": ID, "username": "ada"},
    ),
    "an address with spaces": (expected.users_by_email(f" {EMAIL}\n"), [{"user_id": ID, "email": EMAIL}]),
    "a page as a list": (expected.users_page(3, 2), USERS),
    "the last page": (
        expected.users_page(1, 2),
        {"users": USERS, "start": 2, "limit": 2, "length": 2, "total": 4},
    ),
    "a page past the end": (expected.users_page(2, 2), {"users": [], "start": 4, "total": 4}),
    "a smaller page": (expected.users_page(2, 50), {"users": USERS, "limit": 2, "start": 4}),
    "a smaller page that does not say where it starts": (
        expected.users_page(2, 50),
        {"users": USERS, "limit": 2},
    ),
    "no users at all": (expected.users_page(0, 2), {"users": [], "start": 0, "total": 0}),
    "a job of no type": (expected.the_job("j"), {"id": "j", "status": "pending"}),
    "a new job that does not say for what": (
        expected.new_job("users_export", "con_1"),
        {"id": "j", "status": "pending"},
    ),
    "a new job for every connection": (
        expected.new_job("users_export", None),
        {"id": "j", "status": "pending", "connection_id": "con_1"},
    ),
    "no errors of a job": (expected.job_errors("j"), ABSENT),
}
ODD: dict[str, tuple[expected.Expected, Any]] = {
    "metadata that was written and is no object": (
        expected.the_object(TARGET, {"app_metadata": {}}),
        {"user_id": ID, "app_metadata": "x"},
    ),
    "another user than was deleted": (expected.nothing(TARGET), {"user_id": "auth0|2"}),
    "a user without an id": (expected.new_user({}), {"user_id": ""}),
    "another id that ends alike": (expected.new_user({"user_id": "1"}), {"user_id": "auth0|11"}),
    "another username": (expected.new_user({"username": "ada"}), {"user_id": ID, "username": "eve"}),
    "a page of no limit": (expected.users_page(0, 2), {"users": [], "limit": 0}),
    "more users than the limit": (expected.users_page(0, 2), {"users": USERS, "limit": 1}),
    "a limit past what was asked for": (expected.users_page(0, 2), {"users": USERS, "limit": 3}),
    "a start of the pages that were asked for": (
        expected.users_page(2, 50),
        {"users": USERS, "limit": 2, "start": 100},
    ),
    "a start that is true": (expected.users_page(1, 1), {"users": USERS[:1], "start": True, "total": 2}),
    "a length that is true": (expected.users_page(0, 2), {"users": USERS[:1], "length": True}),
    "a total below its users": (expected.users_page(0, 2), {"users": USERS, "total": 1}),
    "a total below 0": (expected.users_page(2, 2), {"users": [], "total": -1}),
    "a total and no users": (expected.users_page(0, 2), {"users": [], "total": 1}),
    "a job of another type": (
        expected.new_job("users_export", None),
        {"id": "j", "status": "pending", "type": "users_import"},
    ),
    "a job without a status": (expected.the_job("j"), {"id": "j", "status": ""}),
    "a job whose type is no text": (expected.the_job("j"), {"id": "j", "status": "x", "type": None}),
    "another job than the one that failed": (expected.job_errors("j"), {"id": "k", "status": "failed"}),
    "errors that are no objects": (expected.job_errors("j"), [{"user": {}, "errors": ["x"]}]),
    "no errors of a row": (expected.job_errors("j"), [{"user": {}}]),
}


@pytest.mark.parametrize(("rule", "data"), GOOD.values(), ids=GOOD)
def test_what_was_asked_for(rule: expected.Expected, data: Any) -> None:
    """Auth0 may leave things out, add the provider, change case, and limit pages more than was asked for."""
    assert rule(data) is None


@pytest.mark.parametrize(("rule", "data"), ODD.values(), ids=ODD)
def test_what_something_else_has_answered(rule: expected.Expected, data: Any) -> None:
    """What nearly fits is something else, and the reason says so without showing it."""
    what = rule(data)
    assert what is not None
    assert what.startswith(("not ", "a "))
