"""Refusals: the recorded bodies of errors in one place, raised as `Refusal`."""

from __future__ import annotations

from typing import Any

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


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


def problem(status: int, message: str | None, error_code: str | None = None, **more: Any) -> dict[str, Any]:
    """Build the Management API's error body; None leaves it out.

    >>> problem(404, "The user does not exist.", "inexistent_user")["error"]
    'Not Found'
    """
    body: dict[str, Any] = {"statusCode": status, "error": reason_of(status)}
    if message is not None:
        body["message"] = message
    if error_code is not None:
        body["errorCode"] = error_code
    return body | more


def bad_request(message: str, error_code: str | None = "invalid_body") -> Refusal:
    """Refuse with 400."""
    return Refusal(400, problem(400, message, error_code))


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
    return Refusal(401, problem(401, message))


def expired_token() -> Refusal:
    """Refuse an expired token with 401."""
    message = "Expired token received for JSON Web Token validation"
    return Refusal(401, problem(401, message, attributes={"error": message}))


def forbidden(message: str, error_code: str) -> Refusal:
    """Refuse with 403."""
    return Refusal(403, problem(403, message, error_code))


def insufficient_scope(expected: tuple[str, ...]) -> Refusal:
    """Refuse a token that has none of the expected scopes."""
    return forbidden(f"Insufficient scope, expected any of: {','.join(expected)}", "insufficient_scope")


def no_such_user() -> Refusal:
    """Refuse an id that no user has (404, recorded)."""
    return Refusal(404, problem(404, "The user does not exist.", "inexistent_user"))


def not_served(what: str, nearest: str = "") -> Refusal:
    """Refuse, by name, what this tenant does not model: never a silent 200."""
    hint = f"  The nearest route that it serves is {nearest}." if nearest else ""
    return Refusal(501, problem(501, f"The local tenant does not serve {what}.{hint}"))


def oauth_error(status: int, error: str, description: str, **more: Any) -> Refusal:
    """Refuse in the Authentication API's shape."""
    return Refusal(status, {"error": error, "error_description": description, **more})
