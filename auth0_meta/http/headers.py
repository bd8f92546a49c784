"""The headers of a request: what the client sends by itself, what callers add, and where a custom domain is named; PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from auth0_meta.arguments import trimmed
from auth0_meta.errors import Auth0MetaError, ConfigError, InputError

NO_HEADERS: Mapping[str, str] = {}
CUSTOM_DOMAIN = "Auth0-Custom-Domain"
# What takes that header; `{}` is one segment.  Source: the lists in Auth0's own SDKs, and jobs/users-imports, which sends
# verification emails too.  Auth0 describes it for requests that notify somebody, so no GET carries it.
_NAMES_A_DOMAIN: tuple[tuple[str, str], ...] = (
    ("POST", "users"),
    ("PATCH", "users/{}"),
    ("POST", "tickets/{}"),
    ("POST", "jobs/verification-email"),
    ("POST", "jobs/users-imports"),
    ("POST", "organizations/{}/invitations"),
    ("POST", "guardian/enrollments/ticket"),
    ("POST", "self-service-profiles/{}/sso-ticket"),
)
_ROUTES = tuple((method, ("api", "v2", *template.split("/"))) for method, template in _NAMES_A_DOMAIN)

_OF_CONNECTION = "the client manages the connection"
_OF_BODY = "the client writes the body, which is JSON, and its length"
_OF_RESPONSE = "the client reads JSON only"
# Headers that a caller can't set -> why.
_OWN: dict[str, str] = {
    "authorization": "the client sends its own token: make one with token=, which may be a function",
    "host": "it is that of the client's domain",
    "content-length": _OF_BODY,
    "content-type": _OF_BODY,
    "content-encoding": _OF_BODY,
    "accept": _OF_RESPONSE,
    "accept-encoding": _OF_RESPONSE,
    "range": _OF_RESPONSE,
} | dict.fromkeys(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "expect"),
    ),
    _OF_CONNECTION,
)
# Servers refuse more: 8 KB is what most of them take in one request.
_MOST = 8192
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_HOST = re.compile(r"(?=.{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return all headers of several layers; of two that differ in case only, the later one counts.

    >>> merged({"Accept": "text/html", "X-Id": "1"}, {"accept": "application/json"})
    {'accept': 'application/json', 'X-Id': '1'}
    """
    found = {name.lower(): (name, value) for layer in layers for name, value in layer.items()}
    return dict(found.values())


def check_headers(given: object, /) -> Mapping[str, str]:
    """Return the headers that a caller passes for a request, None for none.

    Raises `InputError` for what can't be sent or is the client's own, without showing a value.
    """
    if given is None:
        return NO_HEADERS
    if not isinstance(given, Mapping):
        raise InputError(f"headers must map names to texts, not be {type(given).__name__} (nothing was sent)")
    headers: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            msg = "the name of a header must be ASCII letters, digits and hyphens, such as X-Correlation-ID (nothing was sent)"
            raise InputError(msg)
        if (reason := _OWN.get(name.lower())) is not None:
            raise InputError(f"the header {name} can't be set: {reason} (nothing was sent)")
        if not isinstance(value, str):
            msg = f"the header {name} must be a string, not {type(value).__name__} (nothing was sent)"
            raise InputError(msg)
        if not _VALUE.fullmatch(value) or value != value.strip():
            msg = f"the header {name} must be one line of ASCII, without white space around it (nothing was sent)"
            raise InputError(msg)
        is_domain = name.lower() == CUSTOM_DOMAIN.lower()
        headers[name] = _host(value, InputError) if is_domain else value
    if len({name.lower() for name in headers}) < len(headers):
        raise InputError("headers name one header twice, in upper and lower case (nothing was sent)")
    if (size := sum(len(name) + len(value) for name, value in headers.items())) > _MOST:
        raise InputError(f"the headers have {size} characters, and {_MOST} is the most (nothing was sent)")
    return headers


def check_custom_domain(given: object, /) -> str | None:
    """Return a custom domain as a host name in lower case, None if there is none; `https://` before it is left out.

    >>> check_custom_domain("https://Login.example.com/")
    'login.example.com'
    """
    text = trimmed(given) if isinstance(given, str) else given
    return None if text is None or text == "" else _host(text, ConfigError)


def _host(given: object, error: type[Auth0MetaError]) -> str:
    host = given.lower() if isinstance(given, str) else ""
    host = host.removeprefix("https://").removesuffix("/")
    if not _HOST.fullmatch(host):
        msg = (
            "the custom domain (custom_domain=, AUTH0_CUSTOM_DOMAIN) must be a host name such as login.example.com, without "
            "http://, port and path, and in ASCII (xn--...) if it is an international one (nothing was sent)"
        )
        raise error(msg)
    return host


def names_a_domain(method: str, path: str, /) -> bool:
    """Return whether Auth0 takes the header with the custom domain on this request; `path` is percent-encoded.

    >>> names_a_domain("PATCH", "/api/v2/users/auth0%7C1"), names_a_domain("GET", "/api/v2/users/auth0%7C1")
    (True, False)
    """
    parts = [unquote(part) for part in path.partition("?")[0].strip("/").split("/")]
    return any(
        method == known
        and len(parts) == len(template)
        and all(part and wanted in ("{}", part.lower()) for part, wanted in zip(parts, template, strict=True))
        for known, template in _ROUTES
    )
