"""Signing keys: generated when first needed, published, and used to sign tokens.

The key material lives as long as the process and is shared by its tenants, because generating a key
takes tens of milliseconds; each tenant has its own names for the keys, so that it accepts only its own tokens.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import attrs

from auth0_meta.emulator.http.errors import unauthorized

_lock = threading.Lock()


@attrs.frozen
class _Key:
    """A key: `private` and `public` as `jose` expects them, and `shown`, the fields that the key set shows."""

    private: Any
    public: Any
    shown: dict[str, Any]


@cache
def _make(index: int) -> _Key:
    """Generate one RSA key with a self-signed certificate."""
    # The libraries load on use: a tenant that mints no token starts faster.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415
    from jose import jwk  # noqa: PLC0415

    key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"auth0-meta local tenant, not for production {index}")]
    )
    # A fixed span, so that the certificate is valid on any clock that a tenant may have.
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    # Parsed once: parsing and checking the PEM took 35 ms for each token.
    private: Any = jwk.construct(key, "RS256")
    public = private.public_key()
    thumbprint = hashlib.sha1(certificate, usedforsecurity=False).digest()
    shown = {
        **public.to_dict(),
        "x5t": base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode(),
        "x5c": [base64.b64encode(certificate).decode()],
    }
    return _Key(private, public, shown)


def _key(index: int) -> _Key:
    with _lock:
        return _make(index)


class KeyRing:
    """One tenant's current, next and previous signing keys, under names of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._current = 0
        self._oldest = 0

    def _kid(self, index: int) -> str:
        return f"local-{self._name}-{index + 1}"

    @property
    def _published(self) -> dict[str, int]:
        """Return the trusted keys by name: current, next, and the previous one until it is revoked."""
        now = self._current
        previous = range(max(self._oldest, now - 1), now)
        return {self._kid(index): index for index in (now, now + 1, *previous)}

    def rotate(self, *, revoke: bool = False) -> None:
        """Make the next key the current one; the previous one stays trusted, unless `revoke`."""
        self._current += 1
        if revoke:
            self._oldest = self._current

    def sign(self, claims: dict[str, Any], *, kind: str = "JWT", secret: str | None = None) -> str:
        """Return a JWT, RS256 by the current key or HS256 with a `secret`; `kind` is what its header says that it is."""
        from jose import jwt  # noqa: PLC0415

        if secret is not None:
            return str(jwt.encode(claims, secret_key(secret), algorithm="HS256", headers={"typ": kind}))
        key, kid = _key(self._current).private, self._kid(self._current)
        return str(jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid, "typ": kind}))

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as /.well-known/jwks.json shows them: current, next, previous."""
        return {
            "keys": [
                {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid} | _key(index).shown
                for kid, index in self._published.items()
            ]
        }

    def has_signed(self, token: str) -> bool:
        """Return whether a token names a key of this tenant that is trusted."""
        return token.count(".") == 2 and str(parse_unverified(token)[0].get("kid")) in self._published

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this tenant signed, expired or not; refuse others with 401."""
        header, claims = parse_unverified(token)
        index = self._published.get(str(header.get("kid")))
        if index is None:
            raise unauthorized("Invalid token")
        if not signed(token, _key(index).public, algorithms=("RS256",)):
            raise unauthorized("Invalid signature received for JSON Web Token validation")
        return claims


def secret_key(secret: str) -> dict[str, str]:
    """Return a secret as `jose` expects it; any text is one."""
    text = base64.urlsafe_b64encode(secret.encode("utf-8", "replace")).rstrip(b"=").decode()
    return {"kty": "oct", "k": text}


def parse_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a JWT's header and claims, unverified; two empty dicts if it is not a JWT."""
    from jose import JWTError, jwt  # noqa: PLC0415

    try:
        return jwt.get_unverified_header(token), jwt.get_unverified_claims(token)
    except (JWTError, RecursionError):
        return {}, {}


def signed(token: str, public_key: Any, *, algorithms: Iterable[str]) -> bool:
    """Return whether `public_key` (PEM, or a key of `jose`) verifies the signature; the caller checks times and audience."""
    from jose import JOSEError, jws  # noqa: PLC0415

    try:
        jws.verify(token, public_key, algorithms=list(algorithms))
    except JOSEError:
        return False
    return True
