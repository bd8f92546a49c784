"""Tokens: issue them, recognize them, and decide from the Authorization header who may call."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from auth0_meta.emulator.http.errors import (
    MISSING_AUTHENTICATION,
    Refusal,
    bad_header,
    expired_token,
    insufficient_scope,
    unauthorized,
)
from auth0_meta.emulator.http.message import Grant, Request
from auth0_meta.emulator.rules.loopback import is_served
from auth0_meta.emulator.state.keys import KeyRing

_K = TypeVar("_K")
_V = TypeVar("_V")
LIFETIME = 86_400
_MOST = 10_000
"""How many tokens are remembered of each kind; those issued here are recognized by their signatures after that."""
_MOST_USED = 100_000
_JTI = "local-"


class Access:
    """Issue and check tokens for one tenant.

    If `strict`, only tokens issued here are accepted, with signature, audience and expiry checked.  Otherwise
    any bearer token is accepted, unless it was revoked, or was issued here and has expired or is for another API.
    `token` is accepted in any case; with it, others are checked as if `strict`.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        strict: bool,
        token: str | None,
        all_scopes: tuple[str, ...],
        hosts: frozenset[str],
    ) -> None:
        self.keys = keys
        self.hosts = hosts
        self.all_scopes = all_scopes
        self.strict, self.token = strict, token
        self.url = ""
        self.public = False
        """Whether `url` is the only one, whatever name a caller used."""
        self._lock = threading.Lock()
        self._issued = 0
        self._grants: dict[str, Grant] = {}
        self._seen: dict[str, Grant] = {}
        """What tokens from elsewhere allow; the latest of them, as there may be any number."""
        self._revoked: dict[str, Callable[[], Refusal]] = {}
        self._used: dict[tuple[str, str], None] = {}
        self._expired = 0
        """How many of the tokens that were issued first `expire` has made to expire."""

    def url_for(self, request: Request) -> str:
        """Return the tenant's URL with the name that a request used.

        It depends on the name, as with Auth0's custom domains, so that each name has an issuer of its own.
        """
        host = request.headers.get("host", "").lower()
        return self.url if self.public or not host else f"{self.url.partition('://')[0]}://{host}"

    def is_own(self, url: str) -> bool:
        """Return whether `url` is the tenant's own, by any of its names, and by http or https."""
        scheme, _, netloc = url.partition("://")
        return scheme in ("http", "https") and is_served(netloc, self.hosts)

    def issue(
        self,
        now: float,
        *,
        client_id: str,
        scopes: Iterable[str] | None = None,
        expires_in: float = LIFETIME,
        audience: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        more: Mapping[str, Any] | None = None,
        rfc9068: bool = False,
        secret: str | None = None,
    ) -> str:
        """Return a signed token with Auth0's claims and `more` of them, by default those of a machine's token."""
        granted = self.all_scopes if scopes is None else tuple(scopes)
        claims = {
            "iss": f"{issuer or self.url}/",
            "sub": subject or f"{client_id}@clients",
            "aud": audience or f"{self.url}/api/v2/",
            "iat": int(now),
            "exp": int(now + expires_in),
            "azp": client_id,
            **({"scope": " ".join(granted)} if granted else {}),
            **({"gty": "client-credentials"} if subject is None else {}),
            **(more or {}),
        }
        return self.issue_claims(claims, _grant(claims), rfc9068=rfc9068, secret=secret)

    def issue_claims(
        self, claims: dict[str, Any], grant: Grant, *, rfc9068: bool = False, secret: str | None = None
    ) -> str:
        """Sign a token with these claims, of Auth0's profile or of RFC 9068's, and remember what it allows.

        An API with a `secret` of its own verifies its tokens with that.
        """
        with self._lock:
            self._issued += 1
            # Without a `jti`, two tokens of the same second would be the same string, and be revoked together.
            claims = {**claims, "jti": f"{_JTI}{self._issued}"}
        if rfc9068:
            claims["client_id"] = claims.pop("azp")
            claims.pop("gty", None)
        # Outside of the lock: signing takes more than half a millisecond, and several threads can do it at once.
        token = self.keys.sign(claims, kind="at+jwt" if rfc9068 else "JWT", secret=secret)
        with self._lock:
            _remember(self._grants, token, grant, _MOST)
        return token

    def is_revoked(self, token: str) -> bool:
        """Return whether a token was revoked or made to expire early."""
        return token in self._revoked

    def first_use(self, client_id: str, jti: Any) -> bool:
        """Return whether a client's assertion id is new, and remember it; False if it is not a string."""
        if not isinstance(jti, str) or not jti:
            return False
        with self._lock:
            known = (client_id, jti) in self._used
            _remember(self._used, (client_id, jti), None, _MOST_USED)
        return not known

    def revoke(self, token: str) -> None:
        """Refuse `token` with 401 from now on."""
        with self._lock:
            self._revoked[token] = lambda: unauthorized("Invalid token")

    def expire(self) -> None:
        """Refuse every token that was issued or seen so far as expired."""
        with self._lock:
            self._revoked = dict.fromkeys((*self._grants, *self._seen), expired_token) | self._revoked
            self._expired = self._issued

    def expire_one(self, header: str | None) -> None:
        """Refuse the token in an Authorization header as expired from now on."""
        token = (header or "").partition(" ")[2]
        if token:
            with self._lock:
                self._revoked[token] = expired_token

    def forget(self) -> None:
        """Forget every token, so that strict checks verify signatures again."""
        with self._lock:
            self._grants, self._seen = {}, {}

    def reset(self) -> None:
        """Forget which tokens were revoked or made to expire; they are valid again until they expire by themselves."""
        with self._lock:
            self._revoked, self._expired = {}, 0

    def authenticate(self, header: str | None, now: float) -> Grant:
        """Return what the Authorization header allows, or refuse as recorded: with 401, or with 400 if it is malformed."""
        if header is None:
            raise Refusal(*MISSING_AUTHENTICATION)
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token or " " in token:
            raise bad_header()
        grant = self._grants.get(token) or self._seen.get(token) or self._unseen(token)
        if token in self._revoked:
            raise self._revoked[token]()
        if grant.expires_at is not None and now >= grant.expires_at:
            raise expired_token()
        if grant.audience is not None and not self.is_management(grant.audience):
            raise unauthorized(f"Bad audience: {grant.audience}")
        return grant

    def is_management(self, audience: str) -> bool:
        """Return whether this audience means the Management API: this tenant's or, unless strict, any tenant's."""
        base = audience.removesuffix("/api/v2/")
        return base != audience and (not self.strict or self.is_own(base))

    @property
    def checks_clients(self) -> bool:
        """Return whether a caller needs a token of this tenant, and so a client that is registered."""
        return self.strict or self.token is not None

    def _unseen(self, token: str) -> Grant:
        own = self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())
        if self.checks_clients and not own:
            if token.count(".") != 2:
                raise bad_header()
            grant = self._verified(token)
        elif not own and self.keys.has_signed(token):
            grant = self._verified(token)  # issued here, but so long ago that it is no longer remembered
        else:
            grant = Grant("unknown", None, None)
        with self._lock:
            return _remember(self._seen, token, grant, _MOST)

    def _verified(self, token: str) -> Grant:
        claims = self.keys.verify(token)
        number = str(claims.get("jti", "")).removeprefix(_JTI)
        if number.isdigit() and int(number[:18]) <= self._expired:
            raise expired_token()
        return _grant(claims)


def _remember(known: dict[_K, _V], key: _K, value: _V, most: int) -> _V:
    """Add a value, unless there is one, in place of the oldest if there are too many; the caller holds the lock."""
    while len(known) >= most:
        del known[next(iter(known))]
    return known.setdefault(key, value)


def _grant(claims: dict[str, Any]) -> Grant:
    audience = claims["aud"]
    audience = audience[0] if isinstance(audience, list) else audience
    return Grant(claims["sub"], frozenset(claims.get("scope", "").split()), claims["exp"], audience)


def require(grant: Grant, expected: tuple[str, ...]) -> None:
    """Refuse with 403 unless the grant has one of the `expected` scopes."""
    if grant.scopes is not None and grant.scopes.isdisjoint(expected):
        raise insufficient_scope(expected)
