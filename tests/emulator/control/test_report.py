"""What a client sees of the rarer faults: probabilities, predicates, slow and truncated bodies, expiring tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock


def test_a_predicate_picks_requests(api: Any) -> None:
    """`when` gets method, path and body, and only the requests that it accepts count."""
    user = api.tenant.users.add()
    fault = api.tenant.fail(when=lambda method, path, body: b"plan" in body, status=503)
    assert api.patch(user.user_id, {"app_metadata": {"n": 1}}).status_code == 200
    assert api.patch(user.user_id, {"app_metadata": {"plan": 1}}).status_code == 503
    assert (fault.seen, fault.fired) == (1, 1)


def test_a_probability_is_seeded(talk: Any) -> None:
    """The same seed strikes the same requests, even after a reset, and about as many as the probability says."""

    def strikes(tenant: LocalTenant) -> list[int]:
        tenant.fail(method="GET", probability=0.3, times=None, status=500)
        return [number for number in range(200) if talk(tenant).list().status_code == 500]

    one, two = LocalTenant(serve=False, seed=1), LocalTenant(serve=False, seed=2)
    first = strikes(one)
    assert 40 <= len(first) <= 80
    one.reset()
    assert strikes(one) == first != strikes(two)


def test_a_fault_may_be_the_html_page_of_a_proxy(api: Any) -> None:
    """It is a 502 without JSON, whatever was requested."""
    api.tenant.fail(status=502, html=True)
    response = api.list()
    assert (response.status_code, response.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert "<h1>502 Bad Gateway</h1>" in response.text
    api.tenant.fail(status=520, html=True)
    assert "<h1>520 Error</h1>" in api.list().text


def cut_short(response: Callable[[], requests.Response]) -> bool:
    """Return whether a body ends early."""
    try:
        found = response()
    except requests.exceptions.ChunkedEncodingError:
        return True
    return len(found.content) < int(found.headers["Content-Length"])


@pytest.mark.parametrize("sockets", [True, False])
class TestTruncatedAndSlowBodies:
    """These faults work over sockets and in process."""

    def test_a_body_is_truncated(self, talk: Any, sockets: bool) -> None:
        """The write takes effect, and the client gets a part of the body; the next response is complete."""
        with LocalTenant(serve=sockets) as tenant:
            user = tenant.users.add()
            api = talk(tenant, sockets=sockets)
            fault = tenant.fail(method="PATCH", truncate=20)
            assert cut_short(lambda: api.patch(user.user_id, {"user_metadata": {"a": 1}}))
            assert (user.user_metadata, fault.fired) == ({"a": 1}, 1)
            assert tenant.journal[-1].committed is True
            tenant.fail(method="GET", truncate=0)
            assert cut_short(lambda: api.get(user.user_id))
            assert not cut_short(lambda: api.get(user.user_id))
            assert api.get(user.user_id).status_code == 200

    def test_a_body_is_slow(self, talk: Any, sockets: bool) -> None:
        """The body comes in pieces; a piece that takes longer than the read timeout raises an error, otherwise it is only late."""
        with LocalTenant(serve=sockets) as tenant:
            user = tenant.users.add()
            api = talk(tenant, sockets=sockets)
            tenant.fail(slow=0.2, times=2)
            started = time.monotonic()
            assert (
                api.get(
                    user.user_id,
                ).json()
                == user
            )
            assert time.monotonic() - started >= 0.2
            assert api("GET", "/api/v2/users", timeout=0.15).status_code == 200
            tenant.fail(slow=5.0)
            with pytest.raises((requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError)):
                api("GET", "/api/v2/users", timeout=0.1)

    def test_a_connection_is_reset(self, talk: Any, sockets: bool) -> None:
        """This happens before the request takes effect."""
        with LocalTenant(serve=sockets) as tenant:
            user = tenant.users.add()
            api = talk(tenant, sockets=sockets)
            fault = tenant.fail(method="PATCH", drop="reset")
            with pytest.raises(requests.ConnectionError):
                api.patch(user.user_id, {"user_metadata": {"a": 1}})
            assert ("user_metadata" in user, fault.fired) == (False, 1)
            assert tenant.journal[-1].outcome == "dropped_before_commit"


def test_a_response_of_a_fault_can_be_truncated(api: Any) -> None:
    """`truncate` can be combined with a status."""
    api.tenant.fail(status=500, truncate=5)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.list()


@pytest.mark.parametrize("own", [True, False])
def test_a_token_expires_midway(api: Any, own: bool) -> None:
    """From the nth request on the token is expired; other tokens are not."""
    api.token = api.tenant.token() if own else "anything"
    fault = api.tenant.fail(nth=3, expire_token=True)
    assert [api.list().status_code for _ in range(5)] == [200, 200, 401, 401, 401]
    assert api.list().json()["message"] == "Expired token received for JSON Web Token validation"
    assert fault.fired == 1
    api.token = api.tenant.token()
    assert api.list().status_code == 200


def test_a_missing_token_can_not_expire(api: Any) -> None:
    """Without an Authorization header the response is the usual 401."""
    api.tenant.fail(expire_token=True)
    api.token = None
    assert api.list().json()["message"] == "Missing authentication"


def test_our_client_gets_a_new_token_midway() -> None:
    """The client's one retry with a new token succeeds."""
    tenant = LocalTenant(serve=False, clock=FakeClock())
    user = tenant.users.add()
    with tenant.client() as client:
        client.users.get(user.user_id)
        tenant.fail(expire_token=True)
        client.users.get(user.user_id)
    tenant.journal.assert_called("POST", "/oauth/token", times=2)


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"probability": 0.5},
        {"status": 500, "probability": 0},
        {"status": 500, "probability": 1.1},
        {"truncate": -1},
        {"truncate": True},
        {"rows": 1.5},
        {"slow": -1},
        {"delay": float("inf")},
        {"html": True, "delay": 1},
        {"drop": "softly"},
    ],
)
def test_faults_without_effect_or_with_contradictions_are_refused(
    tenant: LocalTenant, plan: dict[str, Any]
) -> None:
    """`fail` raises an InputError."""
    with pytest.raises(InputError):
        tenant.fail(**plan)


def test_realistic_latency_is_close_to_the_recordings(clock: FakeClock, talk: Any) -> None:
    """Medians and tails are close to the recorded ones, such as 125 ms for a PATCH, by the tenant's clock."""
    tenant = LocalTenant(serve=False, clock=clock, latency="realistic")
    user = tenant.users.add()
    api = talk(tenant)
    spent = []
    for _ in range(201):
        before = clock.monotonic()
        api.patch(user.user_id, {})
        spent.append(clock.monotonic() - before)
    median, p90 = sorted(spent)[100], sorted(spent)[180]
    assert 0.115 < median < 0.135
    assert 0.15 < p90 < 0.19
