"""Refusals: the recorded bodies of errors in one place, raised as `Refusal`."""

from __future__ import annotations

from typing import Any

from werkzeug.http import HTTP_STATUS_CODES

# Auth0 and werkzeug spell one of them differently.
_REASONS = {**HTTP_STATUS_CODES, 414: "Request-URI Too Long"}


class Refusal(Exception):
    """An error response: `status`, `body` (a JSON object) and extra `headers`."""

    def __init__(self, status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def reason_of(status: int) -> str:
    """Return the reason that Auth0 puts beside a status in a body.

    >>> reason_of(413)
    'Request Entity Too Large'
    """
    return _REASONS.get(status, "Error")


def problem(status: int, message: str, error_code: str | None = None, **more: Any) -> dict[str, Any]:
    """Build the Management API's error body; None leaves the code out.

    >>> problem(404, "The user does not exist.", "inexistent_user")["error"]
    'Not Found'
    """
    code = {} if error_code is None else {"errorCode": error_code}
    return {"statusCode": status, "error": reason_of(status), "message": message, **code, **more}


def refused(status: int, message: str, error_code: str | None = None, **more: Any) -> Refusal:
    """Refuse with the Management API's error body."""
    return Refusal(status, problem(status, message, error_code, **more))


def bad_request(message: str, error_code: str | None = "invalid_body") -> Refusal:
    """Refuse with 400."""
    return refused(400, message, error_code)


def payload_error(rule: str, where: str | None = None) -> Refusal:
    """Refuse a body in the words of Auth0's schema validator."""
    place = f" on property {where}" if where else ""
    return bad_request(f"Payload validation error: '{rule}'{place}.")


def query_error(rule: str, where: str, about: str) -> Refusal:
    """Refuse a query parameter in the words of Auth0's schema validator."""
    return bad_request(
        f"Query validation error: '{rule}' on property {where} ({about}).", "invalid_query_string"
    )


def bad_header() -> Refusal:
    """Refuse an Authorization header that holds no bearer token (400, recorded)."""
    return bad_request("Bad HTTP authentication header format", "Bearer")


MISSING_AUTHENTICATION = (401, problem(401, "Missing authentication"), (("WWW-Authenticate", "Bearer"),))


def unauthorized(message: str) -> Refusal:
    """Refuse a token with 401."""
    return refused(401, message)


def expired_token() -> Refusal:
    """Refuse an expired token with 401."""
    message = "Expired token received for JSON Web Token validation"
    return refused(401, message, attributes={"error": message})


def insufficient_scope(expected: tuple[str, ...]) -> Refusal:
    """Refuse a token that has none of the expected scopes."""
    message = f"Insufficient scope, expected any of: {','.join(expected)}"
    return refused(403, message, "insufficient_scope")


def no_such_user() -> Refusal:
    """Refuse an id that no user has (404, recorded)."""
    return refused(404, "The user does not exist.", "inexistent_user")


def not_served(what: str, nearest: str = "") -> Refusal:
    """Refuse, by name, what this tenant does not model: never a silent 200."""
    hint = f"  The nearest route that it serves is {nearest}." if nearest else ""
    return refused(501, f"The local tenant does not serve {what}.{hint}")


def oauth_error(status: int, error: str, description: str, **more: Any) -> Refusal:
    """Refuse in the Authentication API's shape."""
    return Refusal(status, {"error": error, "error_description": description, **more})
