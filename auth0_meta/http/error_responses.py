"""Turn a response other than 2xx into the typed error to raise; PURE.

Auth0 echoes parts of a request in its messages, so the values in the request are cut out of them before they reach
an error (`sent_values.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from auth0_meta.auth.advice import Advice
from auth0_meta.changes.json_reader import NotReadable, read_json
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
from auth0_meta.http.sent_values import SentValues
from auth0_meta.redact import printable

TOKEN_PATH = "/oauth/token"  # noqa: S105  # a path
_REQUEST_IDS = ("x-auth0-requestid", "ot-baggage-auth0-request-id", "x-request-id", "cf-ray")
# A 408, 425 or 499 comes from a gateway, which may have passed the request on before it gave up.
_NOT_MODIFIED = 304  # the response to an If-None-Match, and not a redirect
_FROM_A_GATEWAY = (408, 425, 499)

_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ResourceConflictError,
    429: RateLimitError,
}
# By status and error code, or by status and message where Auth0 sends no code.
_BY_SIGN: dict[tuple[int, str | None], type[ApiError]] = {
    (400, "invalid_paging"): PagingError,
    (400, "Bearer"): AuthError,
    (400, "Bad HTTP authentication header format"): AuthError,
    (403, "insufficient_scope"): ScopeError,
}


_CONFLICT = 409
# Creating a user is refused with the code auth0_idp_error, which means many things: the message tells which.  For roles,
# organizations and others the code differs or is missing, and the message says the same.
_EXISTS = re.compile(
    r"already[ _](?:\w+[ _])?(?:exist|in use|taken)|(?:^|_)exists?$|\bduplicate", re.IGNORECASE
)

# (status or None for any, what the message or error code contains) -> what to do next; the first that fits.  A name in
# braces stands for that part of the client's own advice.
_REMEDIES: tuple[tuple[int | None, str, str], ...] = (
    (
        400,
        "invalid_paging",
        "A search returns at most 1000 results: use a users-exports job for more, or a narrower query",
    ),
    (
        400,
        "Bad HTTP authentication header format",
        "The token is not a Management API token (a JWT in three parts)",
    ),
    (400, "Fields with", "Metadata keys may not contain '.' or '$': rename the key, or set a path"),
    # The first two are the token endpoint's, whose status nobody has documented; after "found:" follows the audience.
    (None, "Service not enabled within domain", "{audience}"),
    (None, "Service not found: http", "{audience}"),
    (401, "Bad audience", "{audience}"),
    (401, "Expired token", "Get a new token, or pass client_id and client_secret so that tokens are renewed"),
    (None, "unauthorized_client", "Enable the Client Credentials grant for the application"),
    (None, "invalid_client", "{credentials}"),
    (401, "access_denied", "{credentials}"),
    (401, "", "{token}"),
    (
        403,
        "client-grant",
        "Authorize the application for the Auth0 Management API, with the scopes that you need",
    ),
    (403, "expected any of", "Grant one of these scopes to the application"),
    (403, "You cannot update the following fields", "Grant update:users to the application"),
    (403, "insufficient_scope", "Grant the scope that this endpoint needs to the application"),
    (404, "inexistent_user", "Check the user id"),
    (
        404,
        "not_served_by_local_tenant",
        "Auth0 may serve it: give the local tenant a response of its own, tenant.fail(path=...)",
    ),
    (
        409,
        "custom_domain_conflict",
        "Pass custom_domain= (AUTH0_CUSTOM_DOMAIN) to the client, which sends it as Auth0-Custom-Domain where Auth0 takes it, "
        "or choose a default custom domain in the tenant's settings",
    ),
    (413, "", "Send less at once"),
)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that Auth0's support asks for, None if no header has one."""
    return next((printable(headers[name]) for name in _REQUEST_IDS if headers.get(name)), None)


def leaves_open(status: int) -> bool:
    """Return whether a write with this status may have been applied nevertheless.

    Every other 4xx is a definite refusal.  Auth0 sends no redirects here, so one comes from something in between.

    >>> [status for status in (200, 302, 400, 404, 408, 409, 425, 429, 499, 500, 503) if leaves_open(status)]
    [302, 408, 425, 499, 500, 503]
    """
    return status >= 500 or 300 <= status < 400 or status in _FROM_A_GATEWAY


def is_import_jobs_limit(body: bytes) -> bool:
    """Return whether a 429 refuses a third active import job; waiting until Reset does not help then."""
    return b"active import users jobs" in body


def _parse(body: bytes) -> tuple[str, str | None, str | None]:
    """Return (message, error code, error title) from any of Auth0's error bodies."""
    try:
        data, what = read_json(body), "an error object"
    except NotReadable:
        data, what = None, "JSON"
    if not isinstance(data, dict):
        return f"a response of {len(body)} B that is not {what}" if body else "an empty response", None, None
    if "error_description" in data:  # the Authentication API: {"error", "error_description"}
        return str(data["error_description"]), _text(data.get("error")), None
    message = _text(data.get("message")) or _text(data.get("error")) or "no message"
    return message, _text(data.get("errorCode")), _text(data.get("error"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _remedy(status: int, code: str | None, message: str, advice: Advice) -> str:
    said = message.lower()
    for known, sign, remedy in _REMEDIES:
        if known in (status, None) and (sign.lower() in said or sign == code):
            return f". {remedy.format(**advice._asdict())}"
    return ""


def _about_redirect(status: int, headers: Mapping[str, str]) -> str:
    """Return, for a redirect, advice that names the host it leads to; the rest of the URL may be a secret."""
    if not 300 <= status < 400 or status == _NOT_MODIFIED:
        return ""
    try:
        host = urlsplit(headers.get("Location", "")).hostname or ""
    except ValueError:
        host = ""
    to = f" to {host}" if host.isprintable() and host else ""
    return f". This host redirects{to}, and redirects are never followed: pass the tenant's own host as the domain"


def error_from(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    sent: Any = None,
    user_id: str | None = None,
    wait: float | None = None,
    retry_at: float | None = None,
    waited: float = 0.0,
    advice: Advice = Advice(),  # noqa: B008  # immutable
) -> ApiError:
    """Return the error for a response; its message says what failed, whether it was written, and what to do.

    `wait`: the seconds that a rate limit asks for if they are more than the caller may wait, else None.  `sent`: the
    request's parsed body and its token, whose values are cut out of what Auth0 says.  Every 4xx of the token endpoint but
    429 is an `AuthError`.  `advice`: the client's own, about credentials.
    """
    message, code, title = _parse(body)
    kind = api_error(status, error_code=code, message=message)
    if path == TOKEN_PATH and 400 <= status < 500 and kind is not RateLimitError:
        kind = AuthError
        advice = advice._replace(token=advice.credentials)  # no token was sent
    remedy = _remedy(status, code, message, advice) or _about_redirect(status, headers)
    facts: dict[str, Any] = {}
    if issubclass(kind, RateLimitError):
        facts = {"retry_at": retry_at, "waited": waited}
        if wait is not None:
            remedy = f". The rate limit asks to wait {wait:.1f} s, past max_wait: try again at retry_at, or allow a longer max_wait"
    if issubclass(kind, ScopeError):
        named = message.partition("expected any of:")[2].split(",")
        facts = {"expected": tuple(printable(scope.strip()) for scope in named if scope.strip())}
    values = SentValues(sent)
    message, title, code = values.cut(message), values.cut(title), values.cut_from_code(code) or None
    if kind is ResourceConflictError and not remedy:
        remedy = ". This does not say that something exists already: the message and errorCode tell what it conflicts with"
    ident = request_id(headers)
    notes = [n for n in (f"errorCode {code}" if code else "", f"request id {ident}" if ident else "") if n]
    name = f"{status} {title}" if title else str(status)
    aside = f" ({', '.join(notes)})" if notes else ""
    written = ""
    if method not in ("GET", "HEAD") and path != TOKEN_PATH:  # nothing else could have been written
        written = ". It may have been applied" if leaves_open(status) else ". Nothing was written"
    return kind(
        f"{method} {path} was refused: {name}: {message}{aside}{written}{remedy}",
        status=status,
        error_code=code,
        api_message=message,
        request_id=ident,
        user_id=user_id,
        **facts,
    )


def api_error(status: int, *, error_code: str | None = None, message: str = "") -> type[ApiError]:
    """Return the class for a response; every status has one.

    >>> api_error(404).__name__, api_error(418).__name__, api_error(503).__name__
    ('NotFoundError', 'ApiError', 'ServerError')
    >>> api_error(409).__name__, api_error(409, message="The user already exists.").__name__
    ('ResourceConflictError', 'AlreadyExistsError')
    """
    for sign in (error_code, message):
        if (status, sign) in _BY_SIGN:
            return _BY_SIGN[status, sign]
    if status == _CONFLICT and any(_EXISTS.search(sign or "") for sign in (error_code, message)):
        return AlreadyExistsError
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
