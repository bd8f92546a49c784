"""Interrupt a login for a page of another site, and check what that site sends back: `api.redirect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import frozen_json
from auth0_meta.actions.staging import Staging, require_text
from auth0_meta.arguments import number
from auth0_meta.auth import jwt
from auth0_meta.changes.jsonvalue import JSONObject
from auth0_meta.clock import Clock
from auth0_meta.errors import AuthError, InputError, RedirectError, StateError
from auth0_meta.http.plain_http import ALLOW_HTTP, may_be_plain
from auth0_meta.redact import discreet
from auth0_meta.warn import notice

# Source: `canRedirect` of Auth0's SDK.
_PROTOCOLS_WITHOUT_BROWSER = (
    "oauth2-resource-owner",
    "oauth2-refresh-token",
    "oauth2-password",
    "oauth2-webauthn",
)
_STANDARD_CLAIMS = ("sub", "iss", "exp", "iat")
# RFC 7518, 3.2: a key of the size of the hash or larger must be used.
_SHORTEST_SECRET = 32


def can_redirect(event: Event) -> bool:
    """Return whether this login can be interrupted: it has a browser, and `prompt=none` was not requested."""
    silent = event.request.query.get("prompt") == "none" or "none" in (event.transaction.prompt or ())
    return not silent and event.transaction.protocol not in _PROTOCOLS_WITHOUT_BROWSER


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return `url` with parameters set; each replaces one of the same name.

    >>> with_query("https://example.com/consent?a=1&b=2#top", {"a": "x y"})
    'https://example.com/consent?b=2&a=x+y#top'
    """
    parts = urlsplit(url)
    others = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in query]
    return urlunsplit(parts._replace(query=urlencode([*others, *query.items()])))


def is_clean(url: object) -> bool:
    r"""Return whether browsers read a URL as it stands: they take `\` for `/`, and skip line ends and control characters."""
    return isinstance(url, str) and not any(c.isspace() or not c.isprintable() or c == "\\" for c in url)


def _checked_url(url: str) -> str:
    """Return `url` if it is absolute, and https or http where that is allowed; otherwise raise `InputError`."""
    try:
        # In a URL that is not clean, what a browser skips might be followed by another host.
        parts = urlsplit(url if is_clean(url) else "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
        msg = "a redirect needs an absolute URL, such as https://host/path, without credentials. Nothing was written"
        raise InputError(msg)
    if parts.scheme == "http" and not may_be_plain(host, port):
        msg = f"a redirect to {host} needs https: http is for loopback and the names in {ALLOW_HTTP}. Nothing was written"
        raise InputError(msg)
    return url


@discreet
class RedirectApi:
    """Interrupt a login for a page of your own: consent, a second factor, a form."""

    __slots__ = ("_clock", "_staging")

    def __init__(self, staging: Staging, clock: Clock) -> None:
        self._staging = staging
        self._clock = clock

    def can_redirect(self) -> bool:
        """Return whether `send_user_to` is possible: False for `prompt=none` and for protocols without a browser."""
        return can_redirect(self._staging.event)

    def send_user_to(self, url: str, /, *, query: Mapping[str, str] | None = None) -> None:
        """Suspend the login after this action and send the browser to `url`; what is staged is written first.

        `url`: absolute, https, or http on loopback (and for the names in AUTH0_META_ALLOW_HTTP).  `query`: parameters to set, such as `session_token`;
        `state` is added.  The action still runs to its end, and its `on_continue_post_login` runs when the
        browser comes back.  A later call wins over an earlier one, `api.access.deny` over both.

        Raises `InputError` for any other URL, `StateError` if the login can't be interrupted or this action
        has no `on_continue_post_login`.  Source: Auth0 docs, "Redirect with Actions".
        """
        staging = self._staging
        staging.require_open()
        if staging.no_redirect is not None:
            raise StateError(staging.no_redirect)
        if not self.can_redirect():
            raise StateError(
                "interaction_required: this login is silent (prompt=none) or has no browser; "
                "check api.redirect.can_redirect() first"
            )
        parameters = dict(query or {})
        for name, value in parameters.items():
            require_text(name, "a query parameter's name")
            if not isinstance(value, str):
                raise InputError(f"the query parameter {name!r} must be a string, not {type(value).__name__}")
        staging.redirect_url = with_query(_checked_url(url), parameters)

    def encode_token(
        self, *, secret: str, payload: JSONObject | None = None, expires_in_seconds: float = 900
    ) -> str:
        """Return a JWT, signed with HS256 and `secret`, that identifies the user to the other site.

        Claims: `iat`, `iss` (the request's host name), `sub` (the user id), `exp`, `ip`, then `payload`,
        which may override them; what the event does not know is left out.  The token is signed, not
        encrypted: don't put personal data into it.  Raises `InputError` if the lifetime is not positive or
        JSON can't represent the payload, `ConfigError` for an unusable secret; warns of one of less than 32 bytes.
        """
        seconds = number("expires_in_seconds", expires_in_seconds, above=0)
        if not isinstance(payload, Mapping | None):
            raise InputError(f"payload must be a dict, not {type(payload).__name__}")
        event, now = self._staging.event, int(self._clock.time())
        standard = {
            "iat": now,
            "iss": event.request.hostname,
            "sub": event.user.user_id,
            "exp": now + int(seconds),
            "ip": event.request.ip,
        }
        known = {name: value for name, value in standard.items() if value is not None}
        claims = known | frozen_json(payload or {}, path="payload").copy()
        token = jwt.sign_hs256(claims, secret=secret)
        _warn_of_short(secret)
        return token

    def validate_token(
        self,
        *,
        secret: str,
        token_parameter_name: str = "session_token",  # noqa: S107  # a parameter's name
        issuer: str | None = None,
    ) -> dict[str, Any]:
        """Return the claims of the token that the other site sent back, if the token is valid.

        The token is a parameter of the body of /continue, or of its query.  The checks, with Auth0's reasons and in its
        order: the `state` claim is the state of this redirect; the signature is HS256 with `secret`; `sub`, `iss`, `exp`
        and `iat` are present; the header's `typ` is JWT; `sub` is this user; `iss` is `issuer`, if you pass
        one; `exp` is in the future.  (Whether Auth0 compares `iss` with anything is not known.)  Raises
        `RedirectError`; warns of a secret of less than 32 bytes.
        """
        params = {**self._staging.event.request.query, **self._staging.event.request.body}
        token = params.get(token_parameter_name)
        if not isinstance(token, str) or not token:
            # This message and the reasons below are Auth0's own, so that a search for them finds the right
            # pages.
            msg = (
                f"There is no parameter called '{token_parameter_name}' available in either the POST body "
                "or query string."
            )
            raise RedirectError(msg, reason=msg)
        expected = self._staging.state
        other_state = _invalid("State in the token does not match the /continue state.")
        try:
            header, claims = jwt.verify_hs256(token, secret=secret)
        except AuthError:
            # Auth0 looks at the state first.  What is not verified only chooses between two reasons to refuse.
            unverified = jwt.peek(token)
            if unverified and unverified.get("state") != expected:
                raise other_state from None
            raise _invalid("Failed signature validation") from None
        _warn_of_short(secret)
        if expected is None or claims.get("state") != expected:
            raise other_state
        missing = any(claims.get(name) is None for name in _STANDARD_CLAIMS)
        if missing or type(claims["exp"]) not in (int, float):
            raise _invalid("Missing or invalid standard claims")
        if header.get("typ") != "JWT":
            raise _invalid("Unexpected token payload type")
        if claims["sub"] != self._staging.event.user.user_id:
            raise _invalid("The sub claim does not match the user_id.")
        if issuer is not None and claims["iss"] != issuer:
            raise _invalid("The iss claim does not match the issuer.")
        if not claims["exp"] > self._clock.time():
            raise _invalid("Token has expired.")
        return claims


def _warn_of_short(secret: str) -> None:
    """Warn of a shared secret that can be guessed from a single token, without asking anybody."""
    if len(secret.encode()) < _SHORTEST_SECRET:
        notice(
            f"the secret of the session tokens has {len(secret)} characters, and HS256 needs at least {_SHORTEST_SECRET} "
            "random bytes, or whoever sees a token can guess it: use secrets.token_urlsafe(32)"
        )


def _invalid(reason: str) -> RedirectError:
    return RedirectError(f"The session token is invalid: {reason}", reason=reason)
