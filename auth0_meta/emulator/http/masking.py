"""Mask secrets by name wherever the journal shows them: in JSON and forms at any depth, URLs, headers and cookies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

MASK = "<masked>"
# How the names of secrets end, as lower-case letters and digits only: client_secret, newPassword, X-Emulator-Token.
_ENDS = (
    *("secret", "password", "passwd", "passwordhash", "token", "assertion"),
    *("privatekey", "apikey", "accesskey"),
)
_SECRETS = frozenset(
    (
        *("authorization", "proxyauthorization", "cookie", "linkwith", "encryptionkey", "signingkeys"),
        *("codeverifier", "idtokenhint", "ticket", "otp", "oobcode", "bindingcode", "recoverycode"),
        *("recoverycodes", "barcodeuri", "verificationcode", "smtppass", "dpop"),
    )
)
# Metadata stays readable: tests compare it with what they sent.
_METADATA = frozenset(("user_metadata", "app_metadata", "client_metadata", "metadata"))
# What a request to /oauth/ may show: whatever else it has may be a credential.
_OAUTH_PLAIN = frozenset(
    (
        *("grant_type", "client_id", "audience", "scope", "redirect_uri", "organization", "connection"),
        *("realm", "username", "client_assertion_type", "subject_token_type", "token_type_hint"),
    )
)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    plain = "".join(filter(str.isalnum, name.lower()))
    return plain in _SECRETS or plain.endswith(_ENDS)


def masked(value: Any) -> Any:
    """Return a parsed body with every secret replaced; a body without secrets is returned unchanged, not copied.

    >>> masked({"name": "app", "client_secret": "x", "client_metadata": {"password": "y"}})
    {'name': 'app', 'client_secret': '<masked>', 'client_metadata': {'password': 'y'}}
    """
    if isinstance(value, list):
        items = [masked(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    shown = {name: _masked_member(name, inner) for name, inner in value.items()}
    return shown if any(shown[name] is not value[name] for name in value) else value


def _masked_member(name: str, value: Any) -> Any:
    if name in _METADATA or value is None or isinstance(value, bool):
        return value
    if name == "refresh_token" and isinstance(value, dict):  # the settings of a client
        return masked(value)
    return MASK if _is_secret(name) else masked(value)


def masked_oauth(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request to /oauth/; only those known to be no credentials stay readable.

    >>> masked_oauth({"grant_type": "authorization_code", "code": "x"})
    {'grant_type': 'authorization_code', 'code': '<masked>'}
    """
    return {name: value if name in _OAUTH_PLAIN else MASK for name, value in form.items()}


def masked_url(text: str) -> str:
    """Return a URL, or a query alone, with every secret in its query and fragment replaced.

    >>> masked_url("/callback?code=abc&next=1#access_token=xyz")
    '/callback?code=<masked>&next=1#access_token=<masked>'
    """
    return "".join(_masked_pair(part) for part in re.split("([&?#])", text)) if "=" in text else text


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    plain = unquote_plus(name)
    # In a URL `code` is an authorization code; in JSON it is the name of an error.
    return f"{name}={MASK}" if equals and (plain == "code" or _is_secret(plain)) else pair


def masked_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with names in lower case and every secret replaced; repeated ones are joined.

    >>> masked_headers([("Authorization", "Bearer x"), ("Set-Cookie", "sid=1; Path=/")])
    {'authorization': '<masked>', 'set-cookie': 'sid=<masked>; Path=/'}
    """
    shown: dict[str, str] = {}
    for original, value in headers:
        name, mask = _header(original)
        plain = value if mask is None else mask(value)
        shown[name] = f"{shown[name]}, {plain}" if name in shown else plain
    return shown


@lru_cache(maxsize=1024)
def _header(name: str) -> tuple[str, Callable[[str], str] | None]:
    """Return a header's name in lower case, and what masks its value; every request asks for several of them."""
    name = name.lower()
    if name == "set-cookie":
        return name, _masked_cookie
    if name in ("location", "referer"):
        return name, masked_url
    return name, (lambda _: MASK) if _is_secret(name) else None


def _masked_cookie(value: str) -> str:
    return re.sub("=[^;]*", f"={MASK}", value, count=1)
