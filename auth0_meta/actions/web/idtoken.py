"""Verify ID tokens for applications without an OpenID Connect library: RS256, with the tenant's published keys."""

from __future__ import annotations

import hmac
import json
import math
import threading
from collections.abc import Mapping
from typing import Any

from auth0_meta.arguments import number
from auth0_meta.auth import jwt
from auth0_meta.errors import AuthError, ConfigError, TransportError
from auth0_meta.forks import renew_after_fork
from auth0_meta.http.channel import HasChannel
from auth0_meta.redact import discreet

_PATH = "/.well-known/jwks.json"
_OK = 200
_RETRY_AFTER = 2.0
_TIMES = ("exp", "iat", "nbf")
_CLOCK_AHEAD = 300
"""Seconds by which Auth0's clock may be ahead of ours, whatever the leeway: a server's clock often runs a little late."""
# An ID token has none of these: Auth0 does not let an Action set them (docs, "Create custom claims").
_OF_ACCESS_TOKENS = ("scope", "permissions", "gty")


@discreet
class SigningKeys:
    """The signing keys of a tenant, fetched on first use, and again for an unknown key id.  Thread-safe.

    Endpoint: `GET /.well-known/jwks.json`, which needs no token.

    `between`: seconds between two requests, so that tokens with made-up key ids can't flood the tenant;
    logins with known keys never wait for one.  After a failed request the next one may follow in 2 seconds.
    Make one object per application.
    """

    def __init__(self, client: HasChannel, /, *, between: float = 60.0) -> None:
        self._channel = client._channel
        self._between = number("between", between, least=0, error=ConfigError)
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._next = float("-inf")
        self._failure: str | None = None
        self._renew_locks()
        renew_after_fork(self)

    def _renew_locks(self) -> None:
        """Start over with a new lock."""
        # Reentrant: a signal handler or a finalizer may need a key while this thread fetches.
        self._lock = threading.RLock()

    @property
    def issuer(self) -> str:
        """Return the `iss` of this tenant's tokens."""
        return f"{self._channel.transport.base}/"

    def now(self) -> float:
        """Return the time of the client's clock, in epoch seconds."""
        return self._channel.clock.time()

    def get(self, key_id: str, /) -> Mapping[str, Any]:
        """Return the key with this id as a JWK.

        Raises `AuthError` if the tenant has no such key, `TransportError` if the keys can't be fetched.
        """
        # Without the lock, which a thread may hold while it fetches: the dict is never changed, only
        # replaced.
        key = self._keys.get(key_id)
        if key is None:
            with self._lock:
                self._renew(key_id)
                key = self._keys.get(key_id)
        if key is None:
            raise _invalid("the tenant has no such signing key")
        return key

    def _renew(self, key_id: str) -> None:
        """Fetch the keys, unless another thread has just done so or it is too early."""
        clock = self._channel.clock
        if key_id in self._keys:
            return
        if clock.monotonic() < self._next:
            if self._failure is not None:
                raise TransportError(self._failure)
            return
        try:
            self._keys, self._failure = self._fetch(), None
            self._next = clock.monotonic() + self._between
        except TransportError as error:
            self._failure = str(error)
            self._next = clock.monotonic() + min(_RETRY_AFTER, self._between)
            raise

    def _fetch(self) -> dict[str, Mapping[str, Any]]:
        transport = self._channel.transport
        # With a limit, since others wait for the lock meanwhile.
        timeout = self._channel.timeout
        seconds = self._channel.budget().request_time(*timeout)
        response = transport.send(
            "GET", _PATH, headers={"Accept": "application/json"}, seconds=seconds, timeout=timeout
        )
        try:
            if response.status != _OK:
                raise ValueError
            keys = response.json()["keys"]
            return {key["kid"]: key for key in keys if key.get("kty") == "RSA"}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            msg = f"the tenant's signing keys could not be read: {_PATH} answered {response.status}"
            raise TransportError(msg) from None


@discreet
def verify_id_token(
    token: str,
    /,
    *,
    keys: SigningKeys,
    audience: str,
    nonce: str | None,
    issuer: str | None = None,
    leeway: float = 0,
) -> dict[str, Any]:
    """Return the claims of an ID token if its signature (RS256 only), `iss`, `aud`, `azp`, `exp`, `iat` and `nonce` are valid.

    `audience`: the application's client id.
    `nonce`: the one that was sent to /authorize, from the browser's session; None if none was sent.  A token
    with a nonce is then refused, because it belongs to another login.
    `issuer`: None is the domain of the keys' client; pass `https://your.domain/` if users log in at a custom
    domain.
    `leeway`: seconds of clock difference to tolerate, from 0 to 600.  The token may have been issued up to 300 seconds
    in the future in any case.

    An access token is refused, and so is any other kind that its header or its claims show.  Raises `AuthError` for an
    invalid token, `TransportError` if the keys can't be fetched, and `ConfigError` for an argument that would make the
    check unsafe, such as an empty audience.
    """
    issuer = keys.issuer if issuer is None else issuer
    jwt.check_expectations(audience=audience, issuer=issuer, leeway=leeway)
    if not isinstance(nonce, str | None):
        raise ConfigError(f"nonce must be a string, or None if none was sent, not {type(nonce).__name__}")
    header = jwt.header(token)
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise _invalid("it is not signed with RS256 and a named key")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise _invalid("its header says that it is not an ID token")
    times = [value for name, value in jwt.peek(token).items() if name in _TIMES]
    # Checked here, because for such times python-jose raises errors that are not its own.
    if not all(type(value) in (int, float) and -math.inf < value < math.inf for value in times):
        raise _invalid("its times must be numbers")
    claims = jwt.verify(token, key=keys.get(key_id), audience=audience, issuer=issuer, leeway=leeway)
    if "iat" not in claims or claims["iat"] > keys.now() + max(leeway, _CLOCK_AHEAD):
        raise _invalid("it does not say when it was issued, or it was issued in the future")
    several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != audience:
        raise _invalid("it was issued to another application")
    if any(name in claims for name in _OF_ACCESS_TOKENS):
        raise _invalid("it is an access token")
    # Compared as JSON, which is ASCII for every text, and in which a missing nonce (null) equals no text.
    if not hmac.compare_digest(json.dumps(claims.get("nonce")), json.dumps(nonce)):
        raise _invalid("its nonce is not the one of this browser")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _invalid("it names no user")
    return claims


def _invalid(reason: str) -> AuthError:
    return AuthError(f"the token is invalid: {reason}", status=401)
