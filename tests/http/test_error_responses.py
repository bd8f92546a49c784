from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from support.scripted_server import Reply, ScriptedServer, boom, connect

from auth0_meta.errors import (
    AlreadyExistsError,
    ApiError,
    AuthError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PagingError,
    RateLimitError,
    ResourceConflictError,
    ScopeError,
    ServerError,
)
from auth0_meta.http.error_responses import TOKEN_PATH, error_from, is_import_jobs_limit, request_id
from auth0_meta.testing import FakeClock

_DOTTED = 'Fields with "." are not allowed, please remove all dotted fields. Example: a.b'
_SCOPES = "update:users,update:users_app_metadata,update:current_user_metadata"
_LIMIT_DOC = "https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation"
_EXPIRED = "Expired token received for JSON Web Token validation"

# Every error body seen on the wire or in bug reports: status, body, class, error code, message.
BODIES: list[tuple[int, Any, type[ApiError], str | None, str]] = [
    (
        404,
        {"error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user"},
        NotFoundError,
        "inexistent_user",
        "The user does not exist.",
    ),
    (
        400,
        {
            "error": "Bad Request",
            "message": "Object didn't pass validation for format user-id: 65",
            "errorCode": "invalid_uri",
        },
        BadRequestError,
        "invalid_uri",
        "Object didn't pass validation for format user-id: 65",
    ),
    (
        400,
        {
            "error": "Bad Request",
            "message": "Payload validation error: 'Expected type object but found type null'.",
            "errorCode": "invalid_body",
        },
        BadRequestError,
        "invalid_body",
        "Payload validation error: 'Expected type object but found type null'.",
    ),
    (
        400,
        {"error": "Bad Request", "message": "None of the valid schemas were met"},
        BadRequestError,
        None,
        "None of the valid schemas were met",
    ),
    (
        400,
        {
            "error": "Bad Request",
            "message": "Query validation error: 'Value'",
            "errorCode": "invalid_query_string",
        },
        BadRequestError,
        "invalid_query_string",
        "Query validation error: 'Value'",
    ),
    (400, {"error": "Bad Request", "message": _DOTTED}, BadRequestError, None, _DOTTED),
    (
        400,
        {
            "error": "Bad Request",
            "message": f"You can only page through the first 1000 records. See {_LIMIT_DOC}",
            "errorCode": "invalid_paging",
        },
        PagingError,
        "invalid_paging",
        f"You can only page through the first 1000 records. See {_LIMIT_DOC}",
    ),
    (
        400,
        {"error": "Bad Request", "message": "Bad HTTP authentication header format", "errorCode": "Bearer"},
        AuthError,
        "Bearer",
        "Bad HTTP authentication header format",
    ),
    (
        400,
        {"message": "Bad HTTP authentication header format"},
        AuthError,
        None,
        "Bad HTTP authentication header format",
    ),
    (
        401,
        {"error": "Unauthorized", "message": "Missing authentication"},
        AuthError,
        None,
        "Missing authentication",
    ),
    (
        401,
        {"error": "Unauthorized", "message": _EXPIRED, "attributes": {"error": _EXPIRED}},
        AuthError,
        None,
        _EXPIRED,
    ),
    (
        401,
        {"error": "Unauthorized", "message": "Bad audience: https://x/"},
        AuthError,
        None,
        "Bad audience: https://x/",
    ),
    (
        401,
        {"error": "Unauthorized", "message": "Client is not global"},
        AuthError,
        None,
        "Client is not global",
    ),
    (
        403,
        {
            "error": "Forbidden",
            "message": f"Insufficient scope, expected any of: {_SCOPES}",
            "errorCode": "insufficient_scope",
        },
        ScopeError,
        "insufficient_scope",
        f"Insufficient scope, expected any of: {_SCOPES}",
    ),
    (
        403,
        {
            "error": "Forbidden",
            "message": "You cannot update the following fields: password",
            "errorCode": "insufficient_scope",
        },
        ScopeError,
        "insufficient_scope",
        "You cannot update the following fields: password",
    ),
    (
        403,
        {
            "error": "Forbidden",
            "message": "User to be acted on does not match subject in bearer token.",
            "errorCode": "unowned_resource",
        },
        ForbiddenError,
        "unowned_resource",
        "User to be acted on does not match subject in bearer token.",
    ),
    (
        409,
        {"error": "Conflict", "message": "The user already exists.", "errorCode": "auth0_idp_error"},
        AlreadyExistsError,
        "auth0_idp_error",
        "The user already exists.",
    ),
    (
        409,
        {
            "error": "Conflict",
            "message": "The tenant has multiple verified custom domains.",
            "errorCode": "custom_domain_conflict",
        },
        ResourceConflictError,
        "custom_domain_conflict",
        "The tenant has multiple verified custom domains.",
    ),
    (
        413,
        {
            "error": "Request Entity Too Large",
            "message": "Payload content length greater than maximum allowed: 512000",
        },
        ApiError,
        None,
        "Payload content length greater than maximum allowed: 512000",
    ),
    (418, {"error": "I'm a teapot"}, ApiError, None, "I'm a teapot"),
    (302, {}, ApiError, None, "no message"),
    (503, {"error": "Service Unavailable", "message": "down"}, ServerError, None, "down"),
    (599, [], ServerError, None, "a response of 2 B that is not an error object"),
    (400, {"message": 5, "error": None, "errorCode": 7}, BadRequestError, None, "no message"),
]


@pytest.mark.parametrize(("status", "body", "kind", "code", "message"), BODIES)
def test_every_known_body_becomes_its_typed_error(
    status: int, body: Any, kind: type[ApiError], code: str | None, message: str
) -> None:
    """Each body raises its error class, with status, code, message, request id and user."""
    sent = {"statusCode": status} | body if isinstance(body, dict) else body
    reply = Reply(status, sent, {"x-auth0-requestid": "req-42"})
    with ScriptedServer(reply) as server, connect(server, max_wait=0, clock=FakeClock()) as client:
        with pytest.raises(ApiError) as caught:
            client.users.update("auth0|1", {"name": "whatever"})
        error = caught.value
        assert type(error) is kind
        assert (error.status, error.error_code, error.api_message) == (status, code, message)
        assert (error.request_id, error.user_id) == ("req-42", "auth0|1")
        assert "users/auth0|1" in str(error)
        assert "req-42" in str(error)
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    "obeyed", ["\x1b[31m", "\nERROR forged", "\r", "\x9b31m", "\u202e", "\u2028", "\x00", "\ud800"], ids=ascii
)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429, 500])
def test_what_a_server_says_can_be_printed_and_logged(status: int, obeyed: str) -> None:
    """Nothing in the error, its attributes or its hint moves the cursor, begins a line or turns the text around."""
    body = {
        **{"statusCode": status, "error": f"a{obeyed}b", "errorCode": f"c{obeyed}d"},
        "message": f"Insufficient scope{obeyed}, expected any of: read:users{obeyed}x",
    }
    for data in (body, {"error": f"a{obeyed}b", "error_description": f"c{obeyed}d"}):
        error = error_from(
            status,
            {"x-request-id": f"r{obeyed}s", "Location": f"https://h{obeyed}.example/"},
            json.dumps(data).encode(),
            method="GET",
            path="users",
        )
        texts = [
            str(error),
            error.api_message,
            error.error_code,
            error.request_id,
            *getattr(error, "expected", ()),
        ]
        assert all(text.isprintable() for text in texts if text is not None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"Insufficient scope, expected any of: {_SCOPES}", tuple(_SCOPES.split(","))),
        (
            "Insufficient scope, expected any of: read:users, read:current_user ,",
            ("read:users", "read:current_user"),
        ),
        ("You cannot update the following fields: connection", ()),
    ],
)
def test_a_scope_error_lists_the_expected_scopes(body: str, expected: tuple[str, ...]) -> None:
    """The error lists the scopes that Auth0 names, even if values of the request look like scopes."""
    data = json.dumps({"error": "Forbidden", "message": body, "errorCode": "insufficient_scope"}).encode()
    error = error_from(403, {}, data, method="PATCH", path="users/x", sent={"a": "users", "b": ["update"]})
    assert isinstance(error, ScopeError)
    assert error.expected == expected


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (400, {"message": "x", "errorCode": "invalid_paging"}, "export"),
        (400, {"message": _DOTTED}, "rename"),
        (401, {"message": "Bad audience: x"}, "canonical"),
        (401, {"message": _EXPIRED}, "renewed"),
        (401, {"error": "access_denied", "error_description": "Unauthorized"}, "client_secret"),
        (401, {"message": "Invalid token"}, "Check the token"),
        (403, {"error": "access_denied", "error_description": 'create a "client-grant"'}, "Authorize"),
        (403, {"message": "x", "errorCode": "insufficient_scope"}, "Grant the scope"),
        (
            403,
            {"message": "x, expected any of: a:b", "errorCode": "insufficient_scope"},
            "Grant one of these",
        ),
        (
            403,
            {"message": "You cannot update the following fields: name", "errorCode": "insufficient_scope"},
            "Grant update:users to",
        ),
        (400, {"error": "unauthorized_client", "error_description": "no"}, "Enable"),
        (403, {"error": "unauthorized_client", "error_description": "no"}, "Enable"),
        (404, {"message": "x", "errorCode": "inexistent_user"}, "user id"),
        (409, {"message": "x", "errorCode": "custom_domain_conflict"}, "Auth0-Custom-Domain"),
        (409, {"message": "x", "errorCode": "organization_locked"}, "does not say that something exists"),
        (409, {}, "does not say that something exists"),
        (413, {"message": "x"}, "Send less"),
    ],
)
def test_an_error_says_what_to_do_next(status: int, body: dict[str, str], hint: str) -> None:
    """If the remedy is known, the message ends with it."""
    error = error_from(status, {}, json.dumps(body).encode(), method="PATCH", path="users")
    assert hint in str(error).split("Nothing was written")[1]


@pytest.mark.parametrize(
    ("code", "message", "exists"),
    [
        ("auth0_idp_error", "The user already exists.", True),
        (None, "The user already exists.", True),
        (None, "A role with this name already exists.", True),
        ("organization_conflict", "An organization with this name already exists.", True),
        ("user_exists", "Conflict", True),
        ("already_exists", "no message", True),
        ("conflict", "The email address is already in use", True),
        ("auth0_idp_error", "The identity provider is busy", False),
        ("custom_domain_conflict", "The tenant has multiple verified custom domains.", False),
        ("operation_not_supported", "The user does not exist in this connection", False),
        ("job_conflict", "Another job is already running", False),
        (None, "Conflict", False),
    ],
)
def test_a_409_is_told_apart(code: str | None, message: str, exists: bool) -> None:
    """Only a conflict with something that exists is `AlreadyExistsError`; all are `ResourceConflictError`."""
    body = {"statusCode": 409, "error": "Conflict", "message": message, "errorCode": code}
    error = error_from(409, {}, json.dumps(body).encode(), method="POST", path="users")
    assert isinstance(error, ResourceConflictError)
    assert isinstance(error, AlreadyExistsError) is exists
    assert error.error_code == code
    assert "Nothing was written" in str(error)


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("https://user:pw@Other.example:8443/x?token=canary", " to other.example, "),
        ("/login?token=canary", "redirects, and"),
        ("https://[canary", "redirects, and"),
        (None, "redirects, and"),
    ],
)
def test_a_redirect_says_where_it_leads(location: str | None, to: str) -> None:
    """A redirect is never followed: the error says so and names the target's host, but nothing else of its URL."""
    headers = {} if location is None else {"Location": location}
    text = str(error_from(302, headers, b"", method="PATCH", path="users/x"))
    assert to in text
    assert text.endswith("never followed: pass the tenant's own host as the domain")
    assert not {"canary", "pw"} & set(re.findall("canary|pw", text))


def test_values_are_removed_from_title_and_code() -> None:
    """A code that only contains a value as one of its words stays whole, and so does a word of Auth0's own sentence."""
    body = {"error": "Bad 4711-x", "message": "no 4711-x for user", "errorCode": "inexistent_user"}
    sent = {"role": "user", "number": "4711-x"}
    error = error_from(404, {}, json.dumps(body).encode(), method="PATCH", path="x", sent=sent)
    assert (error.error_code, error.api_message) == ("inexistent_user", "no *** for user")
    assert "404 Bad ***: " in str(error)
    body["errorCode"] = "no_4711-x"
    error = error_from(404, {}, json.dumps(body).encode(), method="PATCH", path="x", sent=sent)
    assert error.error_code == "no_***"


def test_an_error_without_a_remedy_promises_none() -> None:
    """The message for an unknown status ends with what was written, or with what was received."""
    assert str(error_from(418, {}, b"", method="PATCH", path="users")).endswith("Nothing was written")
    assert str(error_from(418, {}, b"", method="GET", path="users")).endswith("418: an empty response")


@pytest.mark.parametrize(
    ("method", "status", "written"),
    [
        *(("PATCH", status, "It may have been applied") for status in (302, 408, 425, 499, 500, 503)),
        *(("PATCH", status, "Nothing was written") for status in (400, 401, 403, 404, 409, 413, 422, 429)),
        ("POST", 500, "It may have been applied"),
        ("DELETE", 409, "Nothing was written"),
    ],
)
def test_an_error_says_whether_anything_was_written(method: str, status: int, written: str) -> None:
    """After a status that a gateway may send once it has forwarded a write, the outcome is open; any other 4xx refused it."""
    assert written in str(error_from(status, {}, b"{}", method=method, path="users"))


@pytest.mark.parametrize("status", [302, 400, 404, 408, 429, 503])
@pytest.mark.parametrize(("method", "path"), [("GET", "users"), ("HEAD", "users"), ("POST", TOKEN_PATH)])
def test_an_error_of_a_read_says_nothing_about_writing(method: str, path: str, status: int) -> None:
    """Reads and token requests write nothing, however they fail."""
    text = str(error_from(status, {}, b"{}", method=method, path=path))
    assert "written" not in text
    assert "applied" not in text


# Values of the request -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "canary-1",
        ["canary-1"],
        {"k": {"deep": ["canary-1"]}},
        {"k": ("x", "canary-1")},
        [{"a": None, "b": True, "c": "canary-1"}],
    ],
)
def test_values_are_removed_from_messages(value: Any) -> None:
    """No value of the request is in the error's message or attributes; names stay."""
    body = json.dumps(
        {"message": "'canary-1' is not allowed on property plan", "errorCode": "invalid_body"}
    ).encode()
    error = error_from(400, {}, body, method="PATCH", path="users/x", sent={"app_metadata": {"plan": value}})
    assert "canary-1" not in str(error) + error.api_message
    assert "property plan" in error.api_message


@pytest.mark.parametrize(
    ("value", "echo"),
    [
        (123456, "Value 123456 is too much"),
        (12.75, "12.75 is no integer"),
        ('say "hi"', 'got say \\"hi\\" here'),
        ("long canary", "canary: long canary"),
    ],
)
def test_numbers_and_escaped_text_count_as_values(value: Any, echo: str) -> None:
    """Numbers, and strings in their JSON form, are removed too, the longest first."""
    error = error_from(
        400, {}, json.dumps({"message": echo}).encode(), method="PATCH", path="x", sent=[value, "canary"]
    )
    assert str(value) not in error.api_message
    assert "hi" not in error.api_message
    assert "***" in error.api_message


def test_a_search_query_counts_as_a_value() -> None:
    """Errors do not repeat the search query."""
    echo = boom(400, "Bad Request", "Query validation error: 'canary@example.com' on property q")
    with ScriptedServer(echo) as server, connect(server) as client:
        for call in (
            lambda: client.users.by_email("canary@example.com"),
            lambda: client.users.page(q="canary@example.com"),
            lambda: client.request("GET", "logs", params={"q": "canary@example.com"}),
        ):
            with pytest.raises(BadRequestError) as caught:
                call()
            assert "canary" not in str(caught.value)


def test_a_deep_body_does_not_break_its_error() -> None:
    """A request nested as deep as JSON allows still gets its typed error."""
    deep: Any = "canary"
    for _ in range(5000):
        deep = [deep]
    assert "canary" not in str(
        error_from(400, {}, b'{"message":"canary"}', method="PATCH", path="x", sent=deep)
    )


def test_a_deep_response_does_not_break_its_error() -> None:
    """A response that is nested too deeply to parse counts as one that is not JSON."""
    error = error_from(500, {}, b"[" * 200_000, method="GET", path="x")
    assert isinstance(error, ServerError)


# Any response ----------------------------------------------------------------------------------------


@given(
    status=st.integers(300, 599),
    body=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(st.sampled_from(["error", "message", "errorCode", "error_description"]), v)
        ),
    ).map(lambda v: json.dumps(v).encode()),
    path=st.sampled_from(["/oauth/token", "users/x"]),
)
def test_every_response_has_an_error(status: int, body: bytes, path: str) -> None:
    """Any response results in one typed error with the response's status."""
    error = error_from(status, {}, body, method="PATCH", path=path)
    assert isinstance(error, ApiError)
    assert error.status == status
    assert isinstance(error.api_message, str)
    assert error.error_code is None or isinstance(error.error_code, str)
    assert isinstance(error, ServerError) == (status >= 500)
    if path == "/oauth/token" and 400 <= status < 500:
        assert isinstance(error, RateLimitError if status == 429 else AuthError)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-auth0-requestid": ""}, None),
        ({"X-Auth0-RequestId": "a", "CF-Ray": "b"}, "a"),
        ({"ot-baggage-auth0-request-id": "a"}, "a"),
        ({"x-request-id": "a"}, "a"),
        ({"CF-RAY": "b"}, "b"),
    ],
)
def test_the_request_id_is_found_under_any_name(headers: dict[str, str], expected: str | None) -> None:
    """The request id, which Auth0's support asks for, comes from the first header that has one."""
    assert request_id(CaseInsensitiveDict(headers)) == expected


def test_the_import_limit_is_recognized_by_its_message() -> None:
    """Every 429 is a rate limit, except the one for two active import jobs."""
    assert is_import_jobs_limit(b'{"message":"There are 2 active import users jobs, please wait"}')
    assert not is_import_jobs_limit(b'{"message":"Global limit has been reached"}')
    assert not is_import_jobs_limit(b"")
