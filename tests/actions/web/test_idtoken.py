"""Verifying ID tokens without Authlib."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.web_adapters import (
    UID,
)

from auth0_meta.actions.web import SigningKeys, verify_id_token
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.state import keys as keys_of_the_emulator
from auth0_meta.emulator.state.keys import KeyRing
from auth0_meta.errors import AuthError, ConfigError, TransportError

JWKS = "/.well-known/jwks.json"


class Issuer(LocalTenant):
    """A tenant without a socket whose keys the test has, so that it can sign odd tokens too."""

    def __init__(self) -> None:
        super().__init__(serve=False)
        self.ring = KeyRing("tests")
        self.publish()

    def publish(self) -> None:
        """Publish the current keys."""
        self.fail(path=JWKS, status=200, body=self.ring.jwks(), times=None)

    def sign(self, **claims: Any) -> str:
        """Return a token; None leaves a claim out."""
        return self.ring.sign({name: value for name, value in claims.items() if value is not None})


@pytest.fixture
def tenant() -> Iterator[Issuer]:
    """Return a tenant that signs tokens."""
    with Issuer() as local:
        assert isinstance(local, Issuer)
        yield local


def signed(tenant: Issuer, **changed: Any) -> str:
    """Return an ID token of this tenant; None leaves a claim out."""
    now = int(tenant.now())
    claims = {
        "iss": f"{tenant.url}/",
        "sub": UID,
        "aud": "app",
        "iat": now,
        "exp": now + 60,
        "nonce": "the-nonce",
        **changed,
    }
    return tenant.sign(**claims)


def key_requests(tenant: Issuer) -> int:
    """Return how often the keys were fetched."""
    return tenant.journal.count("GET", path=JWKS)


def test_a_valid_id_token_is_accepted(tenant: Issuer) -> None:
    """Its claims are returned, and the keys are fetched once for all tokens."""
    with tenant.client() as client:
        keys = SigningKeys(client)
        for _ in range(3):
            claims = verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
            assert claims["sub"] == UID
        several = signed(
            tenant, aud=["app", "other"], azp="app", nonce=None, at_hash="of no access token here"
        )
        assert verify_id_token(several, keys=keys, audience="app", nonce=None)["azp"] == "app"
        odd = signed(tenant, nonce="\ud800")
        assert verify_id_token(odd, keys=keys, audience="app", nonce="\ud800")["sub"] == UID
        assert key_requests(tenant) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "app", "azp": "other"},
        {"aud": ["app"], "azp": "other"},
        {"azp": None, "aud": ["app"], "scope": "openid"},
        {"azp": "app", "permissions": []},
        {"gty": "password"},
        {"iat": None},
        {"iat": 9_999_999_999},
        {"iat": True},
        {"iat": "1"},
        {"iat": []},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["app", "other"]},
        {"aud": ["app", "other"], "azp": "other"},
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"nonce": "\ud800"},
        {"exp": float("inf")},
        {"exp": "soon"},
        {"iat": float("-inf")},
        {"nbf": float("nan")},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_an_invalid_id_token_is_refused(changed: dict[str, Any], tenant: Issuer) -> None:
    """It belongs to another application, issuer or browser, has expired, or names no user."""
    with tenant.client() as client, pytest.raises(AuthError, match="the token is invalid"):
        verify_id_token(
            signed(tenant, **changed), keys=SigningKeys(client), audience="app", nonce="the-nonce"
        )


@pytest.mark.parametrize("ahead", [2, 290])
def test_a_clock_that_is_a_little_ahead_stops_no_login(ahead: int, tenant: Issuer) -> None:
    """A token may have been issued up to five minutes in the future."""
    issued = int(tenant.now()) + ahead
    token = signed(tenant, iat=issued, exp=issued + 60, azp="app")
    with tenant.client() as client:
        claims = verify_id_token(token, keys=SigningKeys(client), audience="app", nonce="the-nonce")
    assert claims["iat"] == issued


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["x-unknown"]},
        {"crit": []},
        {"typ": "at+jwt"},
        {"typ": "application/at+jwt"},
        {"typ": "logout+jwt"},
    ],
    ids=["crit", "empty crit", "access token", "media type", "logout token"],
)
def test_a_header_that_asks_for_more_is_refused(header: dict[str, Any], tenant: Issuer) -> None:
    """A critical extension is not understood, and a token of another kind is not an ID token, with a nonce or without."""
    from jose import jwt as jose

    key = keys_of_the_emulator._key(tenant.ring._current).private
    kid = tenant.ring.jwks()["keys"][0]["kid"]
    for nonce in (None, "the-nonce"):
        claims = json.loads(_payload(signed(tenant, nonce=nonce)))
        token = jose.encode(claims, key, algorithm="RS256", headers={"kid": kid, **header})
        with tenant.client() as client, pytest.raises(AuthError, match="the token is invalid"):
            verify_id_token(token, keys=SigningKeys(client), audience="app", nonce=nonce)


def _payload(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    "settings",
    [
        {"leeway": float("nan")},
        {"leeway": float("inf")},
        {"leeway": 1e9},
        {"leeway": -1},
        {"leeway": True},
        {"leeway": "60"},
        {"leeway": None},
        pytest.param({"leeway": 10**400}, id="an int that no float can hold"),
        {"audience": ""},
        {"audience": None},
        {"audience": ["app"]},
        {"issuer": ""},
        {"issuer": ["https://evil.example/"]},
        {"nonce": 7},
        {"nonce": b"the-nonce"},
    ],
    ids=repr,
)
def test_arguments_that_would_accept_too_much_are_refused(settings: dict[str, Any], tenant: Issuer) -> None:
    """They raise `ConfigError` before a key is fetched, whatever the token is."""
    arguments: dict[str, Any] = {"audience": "app", "nonce": "the-nonce", **settings}
    with tenant.client() as client, pytest.raises(ConfigError, match=next(iter(settings))):
        verify_id_token(signed(tenant, aud=""), keys=SigningKeys(client), **arguments)
    assert key_requests(tenant) == 0


@pytest.mark.parametrize("between", [float("nan"), -1, "60", None], ids=repr)
def test_keys_need_a_time_between_two_requests(between: Any, tenant: Issuer) -> None:
    """With NaN, every made-up key id would be a request."""
    with tenant.client() as client, pytest.raises(ConfigError, match="between"):
        SigningKeys(client, between=between)


def test_only_rs256_with_a_named_key_is_accepted(tenant: Issuer) -> None:
    """Another algorithm, an unsigned token, or text that is not a token is refused before any key is fetched."""
    from jose import jwt as jose

    claims = {"iss": f"{tenant.url}/", "sub": UID, "aud": "app", "exp": int(tenant.now()) + 60}
    kid = {"kid": tenant.ring.jwks()["keys"][0]["kid"]}
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"x"}').rstrip(b"=").decode()
    forged = [
        jose.encode(claims, "secret", algorithm="HS256", headers=kid),
        f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.",
        "no token",
        "",
    ]
    with tenant.client() as client:
        for token in forged:
            with pytest.raises(AuthError, match="RS256"):
                verify_id_token(token, keys=SigningKeys(client), audience="app", nonce=None)
    assert key_requests(tenant) == 0


def test_a_new_key_is_fetched_at_most_once_a_minute(tenant: Issuer) -> None:
    """Rotated keys are found; made-up key ids can't make the application fetch again and again."""
    tenant.clock.freeze()
    with tenant.client() as client:
        keys = SigningKeys(client)
        verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        for _ in range(3):
            tenant.ring.rotate()
        tenant.reset()
        tenant.clock.freeze()
        tenant.publish()
        for _ in range(3):
            with pytest.raises(AuthError, match="no such signing key"):
                verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert key_requests(tenant) == 0
        tenant.clock.advance(60)
        verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert key_requests(tenant) == 1


@pytest.mark.parametrize("body", ["no JSON", [], {"keys": 7}, {"keys": [{"kty": "RSA"}]}, {"keys": [7]}])
def test_keys_that_cannot_be_read_are_an_error(body: Any, tenant: Issuer) -> None:
    """Whatever is wrong with the response, the error says so, and every token is refused."""
    tenant.reset()
    tenant.fail(path=JWKS, status=200, body=body)
    with tenant.client() as client, pytest.raises(TransportError, match="could not be read"):
        SigningKeys(client).get("any")


def test_keys_that_cannot_be_read_are_not_fetched_for_each_token(tenant: Issuer) -> None:
    """JSON that is nested too deeply for the parser is an error like any other: typed, and the next request waits."""
    tenant.clock.freeze()
    tenant.reset()
    tenant.clock.freeze()
    tenant.fail(path=JWKS, status=200, body="[" * 100_000 + "]" * 100_000, times=None)
    with tenant.client() as client:
        keys = SigningKeys(client)
        for _ in range(3):
            with pytest.raises(TransportError, match="could not be read"):
                keys.get("any")
    assert key_requests(tenant) == 1


def test_a_tenant_that_does_not_return_keys_is_an_error(tenant: Issuer) -> None:
    """The error has the status of the response."""
    tenant.reset()
    tenant.fail(path=JWKS, status=503)
    with tenant.client() as client, pytest.raises(TransportError, match="answered 503"):
        SigningKeys(client).get("any")


def test_a_time_that_is_null_is_refused(tenant: Issuer) -> None:
    """The token is refused, and the key is not even fetched."""
    token = tenant.ring.sign({"iss": f"{tenant.url}/", "sub": UID, "aud": "app", "exp": None})
    with tenant.client() as client, pytest.raises(AuthError, match="times"):
        verify_id_token(token, keys=SigningKeys(client), audience="app", nonce=None)


def test_a_nonce_that_was_not_sent_is_refused(tenant: Issuer) -> None:
    """A token with a nonce does not belong to a login that sent none."""
    with tenant.client() as client, pytest.raises(AuthError, match="nonce"):
        verify_id_token(signed(tenant), keys=SigningKeys(client), audience="app", nonce=None)


def test_after_a_failure_the_keys_are_fetched_again_soon(tenant: Issuer) -> None:
    """For two seconds the same error is raised without a request; then the keys are fetched."""
    tenant.clock.freeze()
    tenant.reset()
    tenant.clock.freeze()
    tenant.fail(path=JWKS, status=503)
    tenant.publish()
    with tenant.client() as client:
        keys = SigningKeys(client)
        for _ in range(3):
            with pytest.raises(TransportError, match="answered 503"):
                verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert key_requests(tenant) == 1
        tenant.clock.advance(2)
        assert verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")["sub"] == UID
        assert key_requests(tenant) == 2


def test_a_made_up_key_id_delays_no_login(tenant: Issuer) -> None:
    """While it is looked up, logins with known keys continue; two lookups of the same id are one request."""
    fetching, may_answer = threading.Event(), threading.Event()
    tenant.clock.freeze()
    with tenant.client() as client, ThreadPoolExecutor(2) as pool:
        keys = SigningKeys(client, between=1.0)
        known = signed(tenant)
        verify_id_token(known, keys=keys, audience="app", nonce="the-nonce")
        tenant.clock.advance(1)
        fetch = keys._fetch

        def slowly() -> Any:
            fetching.set()
            assert may_answer.wait(20)
            return fetch()

        keys._fetch = slowly  # type: ignore[method-assign]
        made_up = [pool.submit(keys.get, "made up") for _ in range(2)]
        assert fetching.wait(20)
        verify_id_token(known, keys=keys, audience="app", nonce="the-nonce")
        may_answer.set()
        assert all(isinstance(lookup.exception(20), AuthError) for lookup in made_up)
