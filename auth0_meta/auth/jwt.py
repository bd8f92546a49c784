"""Sign client assertions and session tokens, verify tokens: the client's only use of python-jose, loaded on use.

The list of algorithms is always passed, and keys are PEM or JWK.  With neither, python-jose (3.5.0 included)
accepts a token that was signed with HS256 under an RSA public key in DER.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from auth0_meta.arguments import number
from auth0_meta.errors import AuthError, ConfigError
from auth0_meta.redact import discreet

_ASYMMETRIC = ("RS256", "RS384", "RS512")
_ASSERTION = ("RS256", "RS384")
_INVALID = "the token is invalid"
_LONGEST_LEEWAY = 600


@discreet
def client_assertion(
    *,
    client_id: str,
    issuer: str,
    private_key: str,
    algorithm: str = "RS256",
    key_id: str | None = None,
    now: int,
    jti: str,
) -> str:
    """Sign the assertion that replaces a client secret (private_key_jwt), valid for 60 s.

    `issuer`: the tenant's issuer identifier, `https://{domain}/`.  `private_key`: PEM.  `algorithm`: RS256 or
    RS384.  `now`: epoch seconds.  `jti`: an id that is used once.
    Source: Auth0 docs, "Authenticate with private key JWT": `aud` is one string, lifetime at most 5 minutes.
    Raises `ConfigError` if the key or the algorithm can't be used.
    """
    if algorithm not in _ASSERTION:
        raise ConfigError(f"algorithm must be {' or '.join(_ASSERTION)} for a private key, not {algorithm!r}")
    from jose import JOSEError, jwt  # noqa: PLC0415  # costs 20 ms: loaded on use

    claims = {"iss": client_id, "sub": client_id, "aud": issuer, "iat": now, "exp": now + 60, "jti": jti}
    headers = {"kid": key_id} if key_id else None
    try:
        return str(jwt.encode(claims, private_key, algorithm=algorithm, headers=headers))
    except (JOSEError, ValueError, TypeError) as error:
        msg = f"private_key must be an RSA private key in PEM: this one can't sign ({type(error).__name__})"
        raise ConfigError(msg) from None


@discreet
def verify(
    token: str,
    *,
    key: str | Mapping[str, Any],
    algorithms: tuple[str, ...] = ("RS256",),
    audience: str,
    issuer: str,
    leeway: float = 0,
) -> dict[str, Any]:
    """Return the claims of a token after checking its signature, audience, issuer and times.

    `key`: an RSA public key as PEM text, a JWK or a JWKS; bytes are refused.  `algorithms`: RS256, RS384 or RS512
    only.  `leeway`: seconds by which two clocks may differ, at most 600.  Raises `AuthError` if the token is invalid,
    `ConfigError` if it could not be checked safely.
    """
    if not algorithms or any(a not in _ASYMMETRIC for a in algorithms):
        msg = f"algorithms must be one or more of {', '.join(_ASYMMETRIC)}: others are not safe here"
        raise ConfigError(msg)
    if not isinstance(key, Mapping) and not (isinstance(key, str) and "-----BEGIN" in key):
        raise ConfigError("the verification key must be PEM text, a JWK or a JWKS")
    check_expectations(audience=audience, issuer=issuer, leeway=leeway)
    _refuse_critical(header(token))
    from jose import JOSEError, jwt  # noqa: PLC0415

    options = {"leeway": leeway, "require_exp": True, "require_aud": True, "require_iss": True}
    options["verify_at_hash"] = False  # only the access token could confirm it, which is not used here
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=list(algorithms), audience=audience, issuer=issuer, options=options
        )
    except (JOSEError, RecursionError) as error:
        raise AuthError(f"{_INVALID}: {error}", status=401, api_message=str(error)) from None
    except (ValueError, TypeError) as error:  # python-jose accepts a JWK that lacks its numbers
        raise ConfigError(f"the verification key can't be used ({type(error).__name__})") from None
    return claims


def check_expectations(*, audience: object, issuer: object, leeway: object) -> None:
    """Raise `ConfigError` for arguments of `verify` that would accept tokens which they must not.

    python-jose accepts an empty claim for an empty text and skips the check for None; and compared with NaN no token
    would ever have expired.
    """
    for name, text in (("audience", audience), ("issuer", issuer)):
        if not isinstance(text, str) or not text:
            raise ConfigError(
                f"{name} must be a non-empty string, not {type(text).__name__ if text else repr(text)}"
            )
    number("leeway", leeway, least=0, most=_LONGEST_LEEWAY, error=ConfigError)


@discreet
def sign_hs256(claims: Mapping[str, Any], *, secret: str) -> str:
    """Return a JWT signed with HS256 under a shared secret, header `{"alg":"HS256","typ":"JWT"}`.

    Raises `ConfigError` for a secret that is empty, not a string, or an asymmetric key, and for claims that JSON
    can't represent.

    >>> verify_hs256(sign_hs256({"sub": "auth0|1"}, secret="s3cret"), secret="s3cret")
    ({'alg': 'HS256', 'typ': 'JWT'}, {'sub': 'auth0|1'})
    """
    from jose import JOSEError, jws  # noqa: PLC0415

    key = _secret(secret)
    try:
        payload = json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
        return str(jws.sign(payload, key, algorithm="HS256"))
    except (JOSEError, ValueError, TypeError, RecursionError) as error:
        msg = f"the token can't be signed ({type(error).__name__}): the claims must be JSON"
        raise ConfigError(msg) from None


@discreet
def verify_hs256(token: str, *, secret: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT after checking its HS256 signature under a shared secret, and nothing else.

    Both must be plain JSON objects in UTF-8, without a byte order mark, NaN, Infinity, a number that no double can hold
    or the same name twice, and each part must be spelled as base64url spells it: what two readers could take for
    different things is refused.  Raises `AuthError` if the token is invalid, `ConfigError` for an unusable secret.
    """
    from jose import JOSEError, jws  # noqa: PLC0415

    key = _secret(secret)
    try:
        jws.verify(token, key, algorithms=["HS256"])
        head, body, signature = token.split(".")
        header, claims, _ = _object(head), _object(body), _decoded(signature)
    except (JOSEError, ValueError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{_INVALID}: its signature or form is wrong ({type(error).__name__})"
        raise AuthError(msg, status=401) from None
    _refuse_critical(header)
    return header, claims


def _decoded(part: str) -> bytes:
    """Return what a part of a token encodes; raise ValueError for one that base64url would spell differently."""
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise ValueError
    return data


def _object(part: str) -> dict[str, Any]:
    """Return the JSON object that a part of a token encodes; raise ValueError for anything else."""
    # Not json.loads, which guesses the encoding of bytes.
    value = _read(_decoded(part).decode())
    if not isinstance(value, dict):
        raise TypeError
    return value


def _finite(text: str) -> float:
    """Return a number, or raise ValueError if no double can hold it; NaN and Infinity come here too."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or raise ValueError if it has the same name twice: readers differ in which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


_read = json.JSONDecoder(
    parse_constant=_finite, parse_float=_finite, object_pairs_hook=_without_doubles
).decode


def _refuse_critical(header: Mapping[str, Any]) -> None:
    """Refuse a token that must not be accepted without understanding an extension: none is supported (RFC 7515, 4.1.11)."""
    if "crit" in header:
        raise AuthError(f"{_INVALID}: it has a critical extension (crit)", status=401)


def _secret(secret: object) -> Any:
    """Return a shared secret as a key; given as text, python-jose would parse one that looks like JSON."""
    from jose import JOSEError, jwk  # noqa: PLC0415

    msg = "the secret of a session token must be a non-empty string, and not a PEM key"
    if not isinstance(secret, str) or not secret or "-----BEGIN" in secret:
        raise ConfigError(msg)
    try:
        return jwk.construct(secret, "HS256")
    except (JOSEError, ValueError):
        raise ConfigError(msg) from None


def header(token: str) -> dict[str, Any]:
    """Return a token's header unverified, {} if it is not a JWT: for finding the key, never for trusting.

    >>> header(sign_hs256({}, secret="s3cret")), header("none")
    ({'alg': 'HS256', 'typ': 'JWT'}, {})
    """
    from jose import JOSEError, jwt  # noqa: PLC0415

    try:
        return dict(jwt.get_unverified_header(token))
    except (JOSEError, RecursionError):
        return {}


def peek(token: str) -> dict[str, Any]:
    """Return a token's claims unverified, {} if it is not a JWT: for showing, never for deciding."""
    from jose import JOSEError, jwt  # noqa: PLC0415

    try:
        return dict(jwt.get_unverified_claims(token))
    except (JOSEError, RecursionError):
        return {}
