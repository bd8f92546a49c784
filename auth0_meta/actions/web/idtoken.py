"""Verify ID tokens where no OpenID Connect library does: RS256 by the tenant's published keys."""

from __future__ import annotations

import hmac
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auth0_meta.auth import jwt
from auth0_meta.errors import AuthError, TransportError

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

__all__ = ["SigningKeys", "verify_id_token"]

_PATH = "/.well-known/jwks.json"
_OK = 200
_BETWEEN = 60.0
_AFTER_FAILURE = 2.0
_TIMES = ("exp", "iat", "nbf")


class SigningKeys:
    """Hold a tenant's signing keys: fetched on use, and again for a key id that is not among them.

    Whoever sends a made-up key id makes this ask at most once in `between` seconds (60), and keeps nobody with a known
    one waiting.  A tenant that did not answer is asked again after 2 seconds.  Safe for many threads; make one per application.
    """

    def __init__(self, client: ManagementClient, /, *, between: float = _BETWEEN) -> None:
        self._client = client
        self._between = between
        self._lock = threading.Lock()
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._next = float("-inf")
        self._failure: str | None = None

    @property
    def issuer(self) -> str:
        """Return what `iss` is in the tokens of this tenant."""
        return f"{self._client.sender.transport.base}/"

    def get(self, key_id: str, /) -> Mapping[str, Any]:
        """Return the key with this id as a JWK.

        Raises `AuthError` where the tenant has none, `TransportError` where it does not answer.
        """
        key = self._keys.get(key_id)  # the dict is never changed, only exchanged
        if key is None:
            with self._lock:
                self._renew(key_id)
                key = self._keys.get(key_id)
        if key is None:
            msg = "the token does not hold: the tenant has no such signing key"
            raise AuthError(msg, status=401)
        return key

    def _renew(self, key_id: str) -> None:
        """Ask the tenant, unless another thread just has, or it is too early to ask again."""
        clock = self._client.clock
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
            self._next = clock.monotonic() + min(_AFTER_FAILURE, self._between)
            raise

    def _fetch(self) -> dict[str, Mapping[str, Any]]:
        answer = self._client.sender.transport.send("GET", _PATH, headers={"Accept": "application/json"})
        try:
            if answer.status != _OK:
                raise ValueError
            keys = answer.json()["keys"]
            return {key["kid"]: key for key in keys if key.get("kty") == "RSA"}
        except (ValueError, TypeError, KeyError, AttributeError):
            msg = f"the tenant's signing keys could not be read: {_PATH} answered {answer.status}"
            raise TransportError(msg) from None


def verify_id_token(
    token: str,
    /,
    *,
    keys: SigningKeys,
    audience: str,
    nonce: str | None,
    issuer: str | None = None,
    leeway: int = 0,
) -> dict[str, Any]:
    """Return the claims of an ID token once signature (RS256 only), `iss`, `aud`, `exp` and `nonce` hold.

    `audience`: the application's client id.  `nonce`: what /authorize was sent, kept in the browser's session; None
    only where none was sent, and then a token that has one is refused: it belongs to another login.  `issuer`: None is the domain of the keys' client; with a custom domain say which.
    `leeway`: seconds of clock difference to bear.  Raises `AuthError` for a token that does not hold.
    """
    header = jwt.header(token)
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        msg = "the token does not hold: it is not signed with RS256 by a named key"
        raise AuthError(msg, status=401)
    # Refused here, as python-jose raises what is no error of its own for such times.
    if any(not _is_time(value) for name, value in jwt.peek(token).items() if name in _TIMES):
        msg = "the token does not hold: its times are no numbers"
        raise AuthError(msg, status=401)
    claims = jwt.verify(
        token, key=keys.get(key_id), audience=audience, issuer=issuer or keys.issuer, leeway=leeway
    )
    several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
    if several and claims.get("azp") != audience:
        msg = "the token does not hold: it was issued to another application"
        raise AuthError(msg, status=401)
    if not _same(claims.get("nonce"), nonce):
        msg = "the token does not hold: its nonce is not that of this browser"
        raise AuthError(msg, status=401)
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        msg = "the token does not hold: it names no user"
        raise AuthError(msg, status=401)
    return claims


def _is_time(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _same(given: object, nonce: str | None) -> bool:
    """Tell whether a token's nonce is the one that was sent; without one, the token must have none either."""
    if not isinstance(given, str) or nonce is None:
        return given is None and nonce is None
    parts = (text.encode("utf-8", "surrogatepass") for text in (given, nonce))
    return hmac.compare_digest(*parts)
