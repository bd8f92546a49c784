"""Error responses with the wording of recorded ones, raised as `Refusal`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from auth0_meta.redact import printable

NOT_SERVED = "not_served_by_local_tenant"
"""The errorCode, or OAuth's error, of whatever the emulator does not model.  Auth0 itself never sends it."""
_LONGEST_NAME = 300  # of what is not served: part of it may be a path or a value that the client made up
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {
    # Later versions of Python have other words for these.
    **{413: "Request Entity Too Large", 414: "Request-URI Too Long", 416: "Requested Range Not Satisfiable"},
    422: "Unprocessable Entity",
}


class Refusal(Exception):
    """An error response: `status`, `body` (a JSON object) and extra `headers`."""

    def __init__(self, status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers
        self.logged = False
        """Whether the tenant's log says already what happened."""


class NotServed(Refusal):
    """The refusal of what the emulator does not model; `what` names it, and `message` says so."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(404, problem(404, message, NOT_SERVED))
        self.what, self.message = what, message


def reason_of(status: int) -> str:
    """Return the reason phrase that Auth0 puts next to a status in a body.

    >>> reason_of(413)
    'Request Entity Too Large'
    """
    return _REASONS.get(status, "Error")


def problem(status: int, message: str, error_code: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the Management API's error body, without `errorCode` if `error_code` is None.

    >>> problem(404, "The user does not exist.", "inexistent_user")["error"]
    'Not Found'
    """
    code = {} if error_code is None else {"errorCode": error_code}
    return {"statusCode": status, "error": reason_of(status), "message": message, **code, **more}


def refused(status: int, message: str, error_code: str | None = None, **more: Any) -> Refusal:
    """Return a refusal with the Management API's error body."""
    return Refusal(status, problem(status, message, error_code, **more))


def bad_request(message: str, error_code: str | None = "invalid_body") -> Refusal:
    """Return a refusal with status 400."""
    return refused(400, message, error_code)


def payload_error(rule: str, where: str | None = None) -> Refusal:
    """Return the refusal of a body, worded as by Auth0's schema validator."""
    place = f" on property {where}" if where else ""
    return bad_request(f"Payload validation error: '{rule}'{place}.")


def query_error(rule: str, where: str, about: str) -> Refusal:
    """Return the refusal of a query parameter, worded as by Auth0's schema validator."""
    return bad_request(
        f"Query validation error: '{rule}' on property {where} ({about}).", "invalid_query_string"
    )


def bad_header() -> Refusal:
    """Return the refusal of an Authorization header without a bearer token (400, recorded)."""
    return bad_request("Bad HTTP authentication header format", "Bearer")


MISSING_AUTHENTICATION = (401, problem(401, "Missing authentication"), (("WWW-Authenticate", "Bearer"),))


def unauthorized(message: str) -> Refusal:
    """Return the refusal of a token (401)."""
    return refused(401, message)


def expired_token() -> Refusal:
    """Return the refusal of an expired token (401)."""
    message = "Expired token received for JSON Web Token validation"
    return refused(401, message, attributes={"error": message})


def insufficient_scope(expected: tuple[str, ...]) -> Refusal:
    """Return the refusal of a token that has none of the expected scopes (403)."""
    message = f"Insufficient scope, expected any of: {','.join(expected)}"
    return refused(403, message, "insufficient_scope")


def no_such_user() -> Refusal:
    """Return the refusal of an id that no user has (404, recorded)."""
    return refused(404, "The user does not exist.", "inexistent_user")


def not_served(what: str, nearest: str = "") -> NotServed:
    """Return the refusal of what the emulator does not model: it names it, and is never a silent 200.

    It is a 404, because SDKs send a request again that got a 501: for three seconds each, or for minutes.
    """
    what = printable(what[:_LONGEST_NAME])
    hint = f" The nearest route that it serves is {nearest}." if nearest else ""
    return NotServed(what, f"The local tenant does not serve {what}.{hint}")


def oauth_error(status: int, error: str, description: str, **more: Any) -> Refusal:
    """Return a refusal in the form of the Authentication API."""
    return Refusal(status, {"error": error, "error_description": description, **more})
