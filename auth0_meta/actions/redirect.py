"""Send a user elsewhere in the middle of a login, and trust what comes back: `api.redirect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import freeze
from auth0_meta.actions.staging import Asked, text
from auth0_meta.auth import jwt
from auth0_meta.clock import Clock
from auth0_meta.errors import AuthError, InputError, RedirectError, StateError
from auth0_meta.http.transport import is_loopback

_NO_BROWSER = ("oauth2-resource-owner", "oauth2-refresh-token", "oauth2-password", "oauth2-webauthn")
_STANDARD_CLAIMS = ("sub", "iss", "exp", "iat")


def can_redirect(event: Event) -> bool:
    """Tell whether this login can be interrupted: there is a browser, and it was not asked to be silent."""
    silent = event.request.query.get("prompt") == "none" or "none" in (event.transaction.prompt or ())
    return not silent and event.transaction.protocol not in _NO_BROWSER


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return `url` with parameters set; one of the same name is replaced.

    >>> with_query("https://example.com/consent?a=1&b=2#top", {"a": "x y"})
    'https://example.com/consent?b=2&a=x+y#top'
    """
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))


def checked_target(url: str) -> str:
    """Return an absolute https URL, or http on loopback, or refuse it."""
    clean = isinstance(url, str) and not any(c.isspace() or not c.isprintable() or c == "\\" for c in url)
    try:
        parts = urlsplit(url if clean else "")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
        msg = "a redirect needs an absolute URL, https://host/path, without credentials (nothing was sent)"
        raise InputError(msg)
    if parts.scheme == "http" and not is_loopback(host):
        msg = f"a redirect to {host} needs https: plain http is for loopback only (nothing was sent)"
        raise InputError(msg)
    return url


class RedirectApi:
    """Interrupt a login for a page of yours: consent, a second factor, a form."""

    __slots__ = ("_asked", "_clock")

    def __init__(self, asked: Asked, clock: Clock) -> None:
        self._asked = asked
        self._clock = clock

    def can_redirect(self) -> bool:
        """Tell whether `send_user_to` is possible: False for `prompt=none` and for flows without a browser."""
        return can_redirect(self._asked.event)

    def send_user_to(self, url: str, /, *, query: Mapping[str, str] | None = None) -> None:
        """Suspend the login after this action and send the browser to `url`; what is staged is written first.

        `url`: absolute, https, or http on loopback.  `query`: parameters to set, such as `session_token`;
        `state` is added.  The action still runs to its end, and its `on_continue_post_login` runs when the
        browser comes back.  A later call wins; `api.access.deny` wins over it.

        Raises `InputError` for another kind of URL, `StateError` where the flow can't be interrupted or this
        action has no `on_continue_post_login`.  Source: Auth0 docs, "Redirect with Actions".
        """
        asked = self._asked
        asked.require_open()
        if asked.may_redirect is not None:
            raise StateError(asked.may_redirect)
        if not self.can_redirect():
            msg = (
                "interaction_required: this login is silent (prompt=none) or has no browser; "
                "ask api.redirect.can_redirect() before"
            )
            raise StateError(msg)
        given = dict(query or {})
        for name, value in given.items():
            text(name, "a query parameter's name")
            if not isinstance(value, str):
                msg = f"the query parameter {name!r} is {type(value).__name__}: pass a string"
                raise InputError(msg)
        asked.target = with_query(checked_target(url), given)

    def encode_token(
        self, *, secret: str, payload: Mapping[str, Any] | None = None, expires_in_seconds: float = 900
    ) -> str:
        """Return a JWT, signed with HS256 under `secret`, that tells the other site who is coming.

        Claims: `iat`, `iss` (the request's host name), `sub` (the user id), `exp`, `ip`, then `payload`,
        which may override them; what the event does not know is left out.  Signed and not encrypted:
        keep personal data out.  Raises `InputError` for a lifetime that is none and a payload that JSON can't
        hold, `ConfigError` for an unusable secret.
        """
        if not _is_number(expires_in_seconds) or not 0 < expires_in_seconds < float("inf"):
            msg = "expires_in_seconds is a number of seconds above 0"
            raise InputError(msg)
        if not isinstance(payload, Mapping | None):
            msg = f"payload is {type(payload).__name__}, where a token has an object: pass a dict"
            raise InputError(msg)
        event, now = self._asked.event, int(self._clock.time())
        standard = {
            "iat": now,
            "iss": event.request.hostname,
            "sub": event.user.user_id,
            "exp": now + int(expires_in_seconds),
            "ip": event.request.ip,
        }
        known = {name: value for name, value in standard.items() if value is not None}
        return jwt.sign_hs256(known | freeze(payload or {}, path="payload").copy(), secret=secret)

    def validate_token(
        self,
        *,
        secret: str,
        token_parameter_name: str = "session_token",  # noqa: S107  # a parameter's name
        issuer: str | None = None,
    ) -> dict[str, Any]:
        """Return the claims of the token that the other site sent back, once they hold.

        It is looked for in the body of /continue, then in the query.  Checked in Auth0's order: the `state` claim
        is this redirect's, the signature is HS256 under `secret`, `sub`, `iss`, `exp` and `iat` are there, the
        header's `typ` is JWT, `sub` is this user, `exp` is ahead.  `issuer`: None asks for an
        `iss` only, a string for that one (which of them Auth0 does is not known).  Raises `RedirectError`.
        """
        params = {**self._asked.event.request.query, **self._asked.event.request.body}
        token = params.get(token_parameter_name)
        if not isinstance(token, str) or not token:
            msg = (
                f"There is no parameter called '{token_parameter_name}' available in either the POST body "
                "or query string."
            )
            raise RedirectError(msg, reason=msg)
        return self._claims(token, secret, issuer)

    def _claims(self, token: str, secret: str, issuer: str | None) -> dict[str, Any]:
        seen = jwt.peek(token)
        if seen and (self._asked.state is None or seen.get("state") != self._asked.state):
            raise _invalid("State in the token does not match the /continue state.")
        try:
            header, claims = jwt.verify_hs256(token, secret=secret)
        except AuthError:
            raise _invalid("Failed signature validation") from None
        if any(claims.get(name) is None for name in _STANDARD_CLAIMS) or not _is_number(claims["exp"]):
            raise _invalid("Missing or invalid standard claims")
        if header.get("typ") != "JWT":
            raise _invalid("Unexpected token payload type")
        if claims["sub"] != self._asked.event.user.user_id:
            raise _invalid("The sub claim does not match the user_id.")
        if issuer is not None and claims["iss"] != issuer:
            raise _invalid("The iss claim does not match the issuer.")
        if not claims["exp"] > self._clock.time():
            raise _invalid("Token has expired.")
        return claims


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(reason: str) -> RedirectError:
    return RedirectError(f"The session token is invalid: {reason}", reason=reason)
