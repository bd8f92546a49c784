"""An entry of the journal: one request, with secrets masked by name at any depth, except inside metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.message import from_json

MASK = "<masked>"
# Names of secrets in clients, connections, users and grants.
_SECRET = frozenset(
    (
        *("password", "client_secret", "client_assertion", "access_token", "refresh_token", "id_token"),
        *("new_password", "old_password", "totp_secret", "link_with", "password_hash", "api_key"),
        *("custom_password_hash", "private_key", "encryption_key", "signing_keys"),
    )
)
_SECRET_HEADERS = frozenset(("authorization", "proxy-authorization", "cookie", "x-emulator-token"))
# Metadata stays readable: tests compare it with what they sent.
_METADATA = frozenset(("user_metadata", "app_metadata", "client_metadata", "metadata"))


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
    shown = {
        name: MASK if name in _SECRET else inner if name in _METADATA else masked(inner)
        for name, inner in value.items()
    }
    return shown if any(shown[name] is not value[name] for name in value) else value


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a request's headers with every secret replaced.

    >>> masked_headers({"authorization": "Bearer x", "auth0-custom-domain": "login.example.com"})
    {'authorization': '<masked>', 'auth0-custom-domain': 'login.example.com'}
    """
    return {name: MASK if name in _SECRET_HEADERS else value for name, value in headers.items()}


@attrs.frozen(kw_only=True)
class Entry:
    """One request; the repr leaves out the body, the query and the headers.

    `path` is as it was sent, without the query; `headers` have names in lower case, and no token; `route` is the template that matched, "" if none did;
    `user_id` is decoded, None if the route has none; `status` is None if the connection was closed
    without a response; `outcome` is "answered", "dropped_before_commit", "dropped_after_commit", or
    "plan_raised" if a second writer or predicate raised; `fault` is the fault that struck, else None;
    `committed` says whether the request wrote anything; `tokens` is how many were left in its bucket,
    None without a limit; `time` is when it arrived, by the tenant's clock.
    """

    method: str
    path: str
    query: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    route: str
    user_id: str | None
    _body: bytes | dict[str, Any] | None = attrs.field(repr=False)
    status: int | None
    outcome: str
    fault: Any = attrs.field(repr=False)
    committed: bool
    tokens: int | None
    time: float

    @property
    def size(self) -> int:
        """How many bytes of text the entry holds, about."""
        body = self._body if isinstance(self._body, bytes) else str(self._body)
        return len(self.path) + len(self.query) + len(body) + sum(map(len, self.headers.values()))

    @property
    def body(self) -> Any:
        """The parsed JSON as it was sent, even if the request was refused, with secrets such as passwords masked.

        None if there is no JSON body, if it exceeds the size limit, and for requests to /oauth/token.
        """
        body = self._body
        if isinstance(body, bytes):
            # Read on demand: most entries are never looked at.
            try:
                body = from_json(body)
            except (ValueError, RecursionError):
                return None
        return masked(body)
