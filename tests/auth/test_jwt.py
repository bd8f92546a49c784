"""Verifying tokens, and signing client assertions and session tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jose import jwk
from jose import jws as jose_jws
from jose import jwt as jose_jwt
from support.scripted_server import Reply, ScriptedServer, connect, token

from auth0_meta import ManagementClient
from auth0_meta.auth import jwt
from auth0_meta.errors import AuthError, ConfigError
from auth0_meta.testing import FakeClock

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(PEM, SPKI).decode()
PUBLIC_DER = KEY.public_key().public_bytes(DER, SPKI)
JWK = jwk.construct(PUBLIC, "RS256").to_dict()
AUDIENCE, ISSUER = "https://api.example/", "https://tenant.example/"


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "iat": now, "exp": now + 60}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _signed(algorithm: str = "RS256", key: str = PRIVATE, **changes: Any) -> str:
    return str(jose_jwt.encode(_claims(**changes), key, algorithm=algorithm))


def _verified(text: str, key: Any = PUBLIC, **settings: Any) -> dict[str, Any]:
    return jwt.verify(text, key=key, audience=AUDIENCE, issuer=ISSUER, **settings)


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _forged(secret: bytes, header: dict[str, str]) -> str:
    """Sign with HMAC by hand: python-jose would refuse the key."""
    text = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(_claims()).encode())}"
    return f"{text}.{_part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


# Verifying -------------------------------------------------------------------------------------------


def test_a_critical_extension_is_refused() -> None:
    """`crit` says that a token must not be accepted by whoever doesn't know the extension; python-jose ignores it."""
    crit = {"crit": ["x-unknown"], "x-unknown": True}
    with pytest.raises(AuthError, match="crit"):
        _verified(str(jose_jwt.encode(_claims(), PRIVATE, algorithm="RS256", headers=crit)))
    with pytest.raises(AuthError, match="crit"):
        jwt.verify_hs256(str(jose_jws.sign({}, "s3cret", headers=crit, algorithm="HS256")), secret="s3cret")


@pytest.mark.parametrize("key", [PUBLIC, JWK, {"keys": [JWK]}], ids=["PEM", "JWK", "JWKS"])
@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_valid_token_returns_its_claims(key: Any, algorithm: str) -> None:
    """A token signed by the key is accepted, whatever form the key has."""
    assert _verified(_signed(algorithm), key, algorithms=(algorithm,))["sub"] == "x"


@pytest.mark.parametrize(
    "key",
    [PUBLIC_DER, PUBLIC.encode(), b"", "", "MIIB", None, PUBLIC_DER.decode("latin-1")],
    ids=["DER", "PEM as bytes", "no bytes", "no text", "not PEM", "None", "DER as text"],
)
def test_only_pem_text_and_jwks_are_keys(key: Any) -> None:
    """Bytes, DER above all, are refused before the token is parsed."""
    forged = _forged(PUBLIC_DER, {"alg": "HS256", "typ": "JWT"})
    with pytest.raises(ConfigError):
        _verified(forged, key)


@pytest.mark.parametrize("algorithms", [(), ("HS256",), ("RS256", "HS256"), ("none",), ("ES256",)])
def test_only_rsa_signatures_are_accepted(algorithms: tuple[str, ...]) -> None:
    """The list of algorithms can't be empty and can't contain a symmetric one."""
    with pytest.raises(ConfigError):
        _verified(_signed(), algorithms=algorithms)


@pytest.mark.parametrize(
    "secret", [PUBLIC_DER, PUBLIC.encode(), PUBLIC.strip().encode()], ids=["DER", "PEM", "PEM, cut"]
)
@pytest.mark.parametrize("key", [PUBLIC, JWK, {"keys": [JWK]}], ids=["PEM", "JWK", "JWKS"])
def test_a_token_forged_with_the_public_key_is_refused(secret: bytes, key: Any) -> None:
    """With the default algorithms, HS256 under the bytes of the RSA public key is refused."""
    with pytest.raises(AuthError):
        _verified(_forged(secret, {"alg": "HS256", "typ": "JWT"}), key)
    with pytest.raises(AuthError):
        _verified(_forged(secret, {"alg": "RS256", "typ": "JWT"}), key)


@pytest.mark.parametrize(("algorithm", "allowed"), [("RS384", ("RS256",)), ("RS256", ("RS384", "RS512"))])
def test_only_the_listed_algorithms_are_accepted(algorithm: str, allowed: tuple[str, ...]) -> None:
    """A correct signature by an algorithm that is not on the list is refused."""
    with pytest.raises(AuthError):
        _verified(_signed(algorithm), algorithms=allowed)


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(name: str) -> None:
    """`alg: none` is not a signature."""
    text = f"{_part(json.dumps({'alg': name}).encode())}.{_part(json.dumps(_claims()).encode())}."
    with pytest.raises(AuthError):
        _verified(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other/"},
        {"aud": None},
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"exp": None},
        {"exp": int(time.time()) - 100},
        {"nbf": int(time.time()) + 10**6},  # far off: it is computed long before the test runs
    ],
    ids=[
        "another audience",
        "no audience",
        "another issuer",
        "no issuer",
        "no expiry",
        "expired",
        "not yet valid",
    ],
)
def test_wrong_or_missing_claims_are_refused(changes: dict[str, Any]) -> None:
    """Audience, issuer and expiry must be present and right."""
    with pytest.raises(AuthError) as caught:
        _verified(_signed(**changes))
    assert caught.value.status == 401


def test_another_key_is_refused() -> None:
    """A token signed by another key is invalid, and its text is not in the error."""
    other = OTHER.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    text = _signed(key=other)
    with pytest.raises(AuthError) as caught:
        _verified(text)
    assert text.split(".")[1] not in str(caught.value)


def test_leeway_is_in_seconds() -> None:
    """An expiry within the leeway is accepted, an older one is not."""
    text = _signed(exp=int(time.time()) - 20)
    assert _verified(text, leeway=30)["sub"] == "x"
    with pytest.raises(AuthError):
        _verified(text, leeway=5)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA"},
        {"kty": "RSA", "n": 5, "e": 5},
        {"keys": [{"kty": "RSA"}]},
        {"kty": "RSA", "n": None, "e": "AQAB"},
    ],
)
def test_a_jwk_without_its_numbers_is_a_config_error(key: dict[str, Any]) -> None:
    """A broken verification key is not mistaken for a broken token."""
    with pytest.raises(ConfigError):
        _verified(_signed(), key)


@given(st.text() | st.lists(st.binary(max_size=20).map(_part), min_size=3, max_size=3).map(".".join))
def test_garbage_is_refused_and_shows_nothing(text: str) -> None:
    """Verifying any text that is not a token raises AuthError; peeking at it returns {} or claims."""
    with pytest.raises(AuthError):
        _verified(text)
    assert isinstance(jwt.peek(text), dict)


def test_peeking_reads_without_a_key() -> None:
    """`peek` returns the claims of any JWT, and {} for an opaque token."""
    assert jwt.peek(_signed())["iss"] == ISSUER
    assert jwt.peek("opaque") == {}


# Client assertions -----------------------------------------------------------------------------------


def test_an_assertion_names_client_tenant_and_expiry() -> None:
    """iss and sub are the client id, aud is one string, and the assertion is valid for a minute."""
    text = jwt.client_assertion(
        client_id="abc", issuer=ISSUER, private_key=PRIVATE, key_id="k1", now=1_800_000_000, jti="once"
    )
    assert jose_jwt.get_unverified_header(text) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert jwt.peek(text) == {
        "iss": "abc",
        "sub": "abc",
        "aud": ISSUER,
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "jti": "once",
    }


@pytest.mark.parametrize("algorithm", ["HS256", "none", "PS256", "RS512", "ES256", ""])
def test_assertions_are_signed_with_two_algorithms(algorithm: str) -> None:
    """Only RS256 and RS384 are accepted, at construction."""
    with pytest.raises(ConfigError, match="RS256"):
        ManagementClient("tenant.invalid", client_id="c", private_key=PRIVATE, algorithm=algorithm)


def _ec_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    "key",
    ["hunter2", PUBLIC, _ec_pem(), PRIVATE[:200], b"\x00", 5],
    ids=["text", "public", "EC", "cut", "bytes", "int"],
)
def test_a_key_that_cannot_sign_fails_at_construction(key: Any) -> None:
    """Anything but an RSA private key is refused before any request, and is not shown."""
    with pytest.raises(ConfigError) as caught:
        ManagementClient("tenant.invalid", client_id="c", private_key=key)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384"])
def test_the_token_request_carries_an_assertion(algorithm: str) -> None:
    """It has a fresh signed assertion in place of a secret."""
    clock = FakeClock(start=time.time())
    with ScriptedServer(token("t1", expires_in=100), Reply(), token("t2"), Reply()) as server:
        with connect(
            server, client_id="abc", private_key=PRIVATE, key_id="k1", algorithm=algorithm, clock=clock
        ) as client:
            client.users.get("auth0|1")
            clock.advance(95)
            client.users.get("auth0|1")
        forms = [s.form for s in server.seen if s.path == "/oauth/token"]
        jtis = set()
        for form in forms:
            text = form.pop("client_assertion")
            claims = jwt.verify(
                text,
                key=PUBLIC,
                algorithms=(algorithm,),
                audience=f"{server.url}/",
                issuer="abc",
            )
            assert form == {
                "grant_type": "client_credentials",
                "client_id": "abc",
                "audience": client.audience,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            }
            assert (claims["sub"], claims["aud"]) == ("abc", f"{server.url}/")
            assert claims["exp"] - claims["iat"] == 60
            assert len(claims["jti"]) <= 64
            assert len(text) <= 2048
            jtis.add(claims["jti"])
        assert len(jtis) == len(forms) == 2


# Session tokens --------------------------------------------------------------------------------------


# A secret that looks like an asymmetric key is refused, which Hypothesis knows how to make.
SECRETS = st.text(min_size=1).filter(lambda text: "-----BEGIN" not in text and "ssh-rsa" not in text)


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()), SECRETS)
def test_a_session_token_survives_the_round_trip(claims: dict[str, Any], secret: str) -> None:
    """A token signed with a shared secret can be read only with that secret; its claims are not checked."""
    text = jwt.sign_hs256(claims, secret=secret)
    assert jwt.verify_hs256(text, secret=secret) == ({"alg": "HS256", "typ": "JWT"}, claims)
    with pytest.raises(AuthError):
        jwt.verify_hs256(text, secret=secret + "x")


@pytest.mark.parametrize(
    "secret", ["NaN", "true", "null", "123456", '"quoted"', "[1]", '{"keys": []}', "\u00e5", " "]
)
def test_a_secret_that_looks_like_json_is_still_text(secret: str) -> None:
    """A shared secret is its characters, not the value that they are in JSON."""
    text = jwt.sign_hs256({"a": 1}, secret=secret)
    assert text == jose_jws.sign(b'{"a":1}', jwk.construct(secret, "HS256"), algorithm="HS256")
    assert jwt.verify_hs256(text, secret=secret)[1] == {"a": 1}


@pytest.mark.parametrize(
    "secret",
    ["", None, b"bytes", 5, PUBLIC, PRIVATE, "ssh-rsa AAAA", "\ud800"],
    ids=["empty", "None", "bytes", "int", "public key", "private key", "ssh key", "surrogate"],
)
def test_a_shared_secret_is_text_and_not_a_key(secret: Any) -> None:
    """An empty secret, bytes and PEM keys are refused when signing and when verifying, and are not shown."""
    with pytest.raises(ConfigError) as caught:
        jwt.sign_hs256({}, secret=secret)
    with pytest.raises(ConfigError):
        jwt.verify_hs256("a.b.c", secret=secret)
    assert "MII" not in str(caught.value)


@pytest.mark.parametrize("claims", [{"a": float("nan")}, {"a": {1}}, {"a": b"x"}])
def test_claims_that_json_cannot_represent_are_refused(claims: dict[str, Any]) -> None:
    """A session token carries JSON."""
    with pytest.raises(ConfigError):
        jwt.sign_hs256(claims, secret="hunter2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        _signed(),
        ".".join([_part(b'{"alg":"none"}'), _part(b"{}"), ""]),
        str(jose_jws.sign(b"[]", "hunter2", algorithm="HS256")),
        str(jose_jws.sign(b"{", "hunter2", algorithm="HS256")),
        str(jose_jws.sign(b"{}", "hunter2", algorithm="HS512")),
    ],
    ids=["empty", "not base64", "RS256", "none", "a list", "not JSON", "HS512"],
)
def test_only_hs256_over_an_object_is_accepted(text: str) -> None:
    """Other algorithms, `none`, and claims that are not a JSON object are refused."""
    with pytest.raises(AuthError) as caught:
        jwt.verify_hs256(text, secret="hunter2")
    assert caught.value.status == 401


# Loaded on use ---------------------------------------------------------------------------------------


def test_python_jose_is_imported_only_on_use() -> None:
    """Neither the package nor a client with a secret or a token loads jose or cryptography."""
    code = (
        "import sys, auth0_meta\n"
        "auth0_meta.ManagementClient('tenant.invalid', client_id='c', client_secret='s').close()\n"
        "auth0_meta.ManagementClient('tenant.invalid', token='t').close()\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] == 'jose'))\n"
        "from auth0_meta.auth import jwt; jwt.peek('x'); print('jose' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[:2] == ["[]", "True"]


def test_a_token_that_is_nested_too_deeply_is_refused() -> None:
    """A token that is meant to exhaust the parser is invalid."""

    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    depth = 100_000
    deep = part('{"alg":"HS256","x":' + "[" * depth + "]" * depth + "}")
    pem = "-----BEGIN PUBLIC KEY-----\nMIGf\n-----END PUBLIC KEY-----"
    with pytest.raises(AuthError):
        jwt.verify_hs256(f"{deep}.{part('{}')}.x", secret="s3cret")
    with pytest.raises(AuthError):
        jwt.verify(f"{deep}.{part('{}')}.x", key=pem, audience="a", issuer="i")
    assert (jwt.header(f"{deep}.x.x"), jwt.peek(f"x.{deep}.x")) == ({}, {})
