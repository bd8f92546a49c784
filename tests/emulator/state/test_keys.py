"""Key rotation as documented: current, next and previous, until it is revoked."""

from __future__ import annotations

import base64
from typing import Any

from auth0_meta.emulator import LocalTenant


def kids(api: Any) -> list[str]:
    """Return the ids of the published keys."""
    return [key["kid"] for key in api("GET", "/.well-known/jwks.json").json()["keys"]]


def test_rotation_keeps_the_previous_key(talk: Any) -> None:
    """The next key signs, a new next key appears, and the previous key stays valid and published."""
    tenant = LocalTenant(serve=False, strict=True)
    old = tenant.token()
    api = talk(tenant, token=old)
    before = kids(api)
    tenant.rotate_keys()
    after = kids(api)
    assert len(before) == 2
    assert (after[0], after[2]) == (before[1], before[0])
    assert after[1] not in before
    assert api.list().status_code == 200
    api.token = tenant.token()
    assert api.list().status_code == 200
    tenant.rotate_keys()
    assert before[0] not in kids(api)


def test_revoking_a_key_invalidates_its_tokens(talk: Any) -> None:
    """After a rotation with `revoke`, a strict tenant refuses the old tokens, and the key is gone."""
    tenant = LocalTenant(serve=False, strict=True)
    api = talk(tenant, token=tenant.token())
    before = kids(api)
    assert api.list().status_code == 200
    tenant.rotate_keys(revoke=True)
    assert before[0] not in kids(api)
    response = api.list()
    assert (response.status_code, response.json()["message"]) == (401, "Invalid token")
    api.token = tenant.token()
    assert api.list().status_code == 200


def test_a_token_of_a_key_from_before_the_previous_one_is_invalid(talk: Any) -> None:
    """After two rotations the tenant accepts only tokens that it remembers issuing; a token that it sees for the first time fails."""
    tenant = LocalTenant(serve=False, strict=True)
    token = tenant.token()
    for _ in range(2):
        tenant.rotate_keys(revoke=True)
    assert talk(tenant, token=token).list().status_code == 401


def test_a_token_that_is_nested_too_deeply_is_invalid(talk: Any) -> None:
    """A header or claims that the parser gives up on make a 401, as any other text that is not a token."""
    deep = base64.urlsafe_b64encode(b'{"a":' + b"[" * 100_000).rstrip(b"=").decode()
    plain = base64.urlsafe_b64encode(b"{}").rstrip(b"=").decode()
    for token in (f"{deep}.{plain}.x", f"{plain}.{deep}.x"):
        assert talk(LocalTenant(serve=False, strict=True), token=token).list().status_code == 401
