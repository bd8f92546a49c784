"""Injected faults and second writers do what they promise, in process and over sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock

ITEM = "/api/v2/users/{id}"


@pytest.fixture(params=["in process", "over sockets"])
def both(request: pytest.FixtureRequest, talk: Any, clock: FakeClock) -> Iterator[Any]:
    """Return an API caller for a tenant, once in process and once over sockets."""
    sockets = request.param == "over sockets"
    with LocalTenant(serve=sockets, clock=clock, rate_limit="50@16") as tenant:
        yield talk(tenant, sockets=sockets)


def test_a_drop_before_the_commit_writes_nothing(both: Any) -> None:
    """The connection closes without a response, nothing is applied, and the next request works."""
    user = both.tenant.users.add()
    fault = both.tenant.fail(method="patch", path=ITEM, drop="before_commit")
    with pytest.raises(requests.ConnectionError):
        both.patch(user.user_id, {"app_metadata": {"a": 1}})
    assert "app_metadata" not in user
    assert both.patch(user.user_id, {"app_metadata": {"a": 2}}).status_code == 200
    first, second = both.tenant.journal
    assert (first.status, first.outcome, first.fault, first.committed) == (
        None,
        "dropped_before_commit",
        fault,
        False,
    )
    assert (second.status, second.outcome, second.fault) == (200, "answered", None)
    assert fault.fired == 1


def test_a_drop_after_the_commit_has_written(both: Any) -> None:
    """The write is applied, and the connection closes without a response."""
    user = both.tenant.users.add()
    both.tenant.fail(method="PATCH", drop="after_commit")
    with pytest.raises(requests.ConnectionError):
        both.patch(user.user_id, {"app_metadata": {"a": 1}})
    assert user.app_metadata == {"a": 1}
    (entry,) = both.tenant.journal
    assert (entry.status, entry.outcome, entry.committed) == (None, "dropped_after_commit", True)
    assert entry.tokens == 49


def test_the_response_to_a_refused_request_may_be_dropped_too(both: Any) -> None:
    """A 404 whose response is lost commits nothing, and the journal says so."""
    both.tenant.fail(drop="after_commit")
    with pytest.raises(requests.ConnectionError):
        both.patch("auth0|gone", {})
    assert [(e.outcome, e.committed) for e in both.tenant.journal] == [("dropped_after_commit", False)]


def test_the_dropped_socket_really_closes() -> None:
    """Over TCP the client sees the end of the stream and not a single byte of a response."""
    with LocalTenant() as tenant:
        tenant.fail(method="GET", drop="before_commit")
        host, _, port = tenant.domain.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(
                f"GET /api/v2/users HTTP/1.1\r\nHost: {tenant.domain}\r\nAuthorization: Bearer x\r\n\r\n".encode()
            )
            try:
                received = sock.recv(1000)
            except ConnectionResetError:
                received = b""
            assert received == b""


def test_a_fault_replaces_the_response(both: Any) -> None:
    """An injected 503 has Auth0's error body, takes no token and writes nothing."""
    user = both.tenant.users.add()
    both.tenant.fail(user_id=user.user_id, status=503, headers={"X-Test": "1"})
    response = both.patch(user.user_id, {"app_metadata": {"a": 1}})
    assert (response.status_code, response.headers["X-Test"]) == (503, "1")
    assert response.json()["statusCode"] == 503
    assert "x-ratelimit-limit" not in response.headers
    assert "app_metadata" not in user
    assert both.get(user.user_id).headers["x-ratelimit-remaining"] == "49"


def test_a_fault_replaces_the_response_after_the_commit(both: Any) -> None:
    """commit=True applies the write; the response is the injected one all the same."""
    user = both.tenant.users.add()
    both.tenant.fail(method="PATCH", status=500, commit=True)
    assert both.patch(user.user_id, {"app_metadata": {"a": 1}}).status_code == 500
    assert user.app_metadata == {"a": 1}
    assert [(e.status, e.committed) for e in both.tenant.journal] == [(500, True)]


@pytest.mark.parametrize(
    ("body", "content", "kind"),
    [
        ({"message": "x"}, b'{"message":"x"}', "application/json; charset=utf-8"),
        ("<h1>Bad Gateway</h1>", b"<h1>Bad Gateway</h1>", "text/html; charset=utf-8"),
        (b'{"statusCode":5', b'{"statusCode":5', "text/html; charset=utf-8"),
        ("", b"", "text/html; charset=utf-8"),
    ],
)
def test_any_body_can_be_injected(both: Any, body: Any, content: bytes, kind: str) -> None:
    """A dict is sent as JSON, text and bytes as they are: HTML pages, truncated JSON, nothing."""
    both.tenant.fail(status=502, body=body)
    response = both.list()
    assert (response.content, response.headers["Content-Type"]) == (content, kind)


@pytest.mark.parametrize(
    ("reset", "header"),
    [
        (None, "1800000001"),
        (0, "1800000000"),
        (7, "1800000007"),
        (-60, "1799999940"),
        ("soon", "soon"),
        ("", ""),
    ],
)
def test_an_injected_429_has_the_given_reset(talk: Any, reset: Any, header: str) -> None:
    """`reset` counts from the second in the response's Date; text is sent as it is; the body is Auth0's own."""
    api = talk(LocalTenant(serve=False, clock=FakeClock(start=1_800_000_000.75)))
    api.tenant.fail(status=429, reset=reset)
    response = api.list()
    assert response.json()["errorCode"] == "too_many_requests"
    assert response.headers["x-ratelimit-reset"] == header
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert response.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


def test_headers_of_a_429_can_be_removed_or_added(both: Any) -> None:
    """None removes a rate-limit header; naming Retry-After adds it; the limit is the bucket's."""
    gone = dict.fromkeys(("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"))
    both.tenant.fail(status=429, headers=gone)
    both.tenant.fail(status=429, nth=2, headers={"Retry-After": "3"})
    assert not [name for name in both.list().headers if name.lower().startswith("x-rate")]
    response = both.list()
    assert (response.headers["Retry-After"], response.headers["x-ratelimit-limit"]) == ("3", "50")


def test_a_header_of_a_fault_replaces_the_one_of_that_name(both: Any) -> None:
    """In whatever case it is written: nothing is sent twice, and None removes it, even one that every response has."""
    sent = {"X-RateLimit-Reset": "5", "CONTENT-TYPE": "text/x", "Date": None, "X-RateLimit-Limit": None}
    both.tenant.fail(status=429, headers=sent)
    headers = both.list().headers
    assert (headers["x-ratelimit-reset"], headers["content-type"]) == ("5", "text/x")
    assert not {"date", "x-ratelimit-limit"} & {name.lower() for name in headers}
    assert "x-ratelimit-remaining" in headers


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {name: "x"}
            for name in ("Na:me", "", "a b", "na\nme", "n\xe4me", "Content-Length", "transfer-encoding")
        ),
        {"A": "x", "a": "y"},
        *({"X-A": value} for value in ("a\r\nb", "\xe4", 5, b"x")),
    ],
    ids=str,
)
def test_a_header_that_no_server_can_send_is_refused(headers: Any) -> None:
    """Its name, its value, or that it says where the message ends; and no fault is added."""
    tenant = LocalTenant(serve=False)
    with pytest.raises(InputError, match="header"):
        tenant.fail(status=500, headers=headers)
    assert tenant.faults_unfired() == []


def test_nth_and_times_choose_among_matching_requests(api: Any) -> None:
    """The fault first strikes the nth matching request, and strikes `times` in all; other requests are not counted."""
    user = api.tenant.users.add()
    fault = api.tenant.fail(method="PATCH", nth=2, times=2, status=500)
    for _ in range(3):
        api.get(user.user_id)
    assert [api.patch(user.user_id, {}).status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.fired == 2


def test_a_fault_may_strike_every_time(api: Any) -> None:
    """times=None sets no limit."""
    fault = api.tenant.fail(path="/api/v2/", times=None, status=500)
    assert {api.list().status_code for _ in range(5)} == {500}
    assert fault.fired == 5


def test_of_two_due_faults_the_first_strikes(api: Any) -> None:
    """Each fault counts all requests that match it, but only one strikes at a time."""
    api.tenant.fail(status=500)
    api.tenant.fail(status=502)
    api.tenant.fail(status=503, nth=3)
    assert [api.list().status_code for _ in range(4)] == [500, 502, 503, 200]


def test_a_fault_may_strike_the_token_endpoint(api: Any) -> None:
    """A path prefix matches /oauth/token, and the body may be the test's own."""
    disguised = {"error": "access_denied", "error_description": "Global limit has been reached"}
    api.tenant.fail(path="/oauth/", status=500, body=disguised)
    assert api("POST", "/oauth/token", data={}).json() == disguised


def test_a_fault_at_the_token_endpoint_has_its_error_body(api: Any) -> None:
    """Unless the test gives a body, /oauth/token fails as the Authentication API does."""
    api.tenant.fail(path="/oauth/token", status=429)
    api.tenant.fail(path="/oauth/token", status=503)
    assert [api("POST", "/oauth/token").json()["error"] for _ in range(2)] == [
        "too_many_requests",
        "access_denied",
    ]


def test_unfired_faults_are_listed(api: Any) -> None:
    """faults_unfired lists faults and second writers that never acted, and reset removes them."""
    fired = api.tenant.fail(method="GET", status=500)
    idle = api.tenant.fail(method="DELETE", status=500)
    hook = api.tenant.before("PATCH", "auth0|1", lambda tenant: None)
    api.list()
    assert fired.fired == 1
    assert api.tenant.faults_unfired() == [idle, hook]
    api.tenant.reset()
    assert api.tenant.faults_unfired() == []
    assert api.list().status_code == 200


def test_a_delay_passes_on_the_tenants_clock(api: Any, clock: FakeClock) -> None:
    """The response comes after the delay; if that is longer than the client's read timeout, the client raises a timeout."""
    user = api.tenant.users.add()
    api.tenant.fail(method="PATCH", delay=5.0)
    assert api.patch(user.user_id, {"app_metadata": {"a": 1}}).status_code == 200
    assert clock.slept == [5.0]
    api.tenant.fail(method="GET", delay=5.0)
    with pytest.raises(requests.ReadTimeout):
        api("GET", "/api/v2/users", timeout=(3, 4))
    api.tenant.fail(method="GET", delay=5.0)
    assert api("GET", "/api/v2/users", timeout=6).status_code == 200


def test_the_write_comes_before_the_delay_of_a_late_response(api: Any, clock: FakeClock) -> None:
    """This holds for a status with commit=True and for a drop after the commit."""
    user = api.tenant.users.add()
    for plan in ({"status": 504, "commit": True}, {"drop": "after_commit"}):
        api.tenant.fail(method="PATCH", delay=5.0, **plan)
        before = clock.time()
        try:
            api.patch(user.user_id, {"app_metadata": {"a": 1}})
        except requests.ConnectionError:
            assert "drop" in plan
        assert clock.time() == before + 5
    assert user["updated_at"] == "2027-01-15T08:00:05.000Z"


@pytest.mark.parametrize(
    "plan",
    [
        *({}, {"status": 500, "drop": "before_commit"}, {"status": 99}, {"drop": "sometimes"}, {"delay": -1}),
        *({"status": 500, "nth": 0}, {"status": 500, "times": 0}, {"status": 500, "times": True}),
        *({"drop": "after_commit", "body": {}}, {"delay": 1, "commit": True}, {"delay": 1, "reset": 1}),
    ],
)
def test_an_empty_or_contradictory_fault_is_refused(tenant: LocalTenant, plan: dict[str, Any]) -> None:
    """It is an InputError, and no fault is added."""
    with pytest.raises(InputError):
        tenant.fail(**plan)
    assert tenant.faults_unfired() == []


def test_a_second_writer_runs_just_before_the_request(both: Any) -> None:
    """before() acts once; its write takes no token and is not in the journal."""
    user = both.tenant.users.add(app_metadata={"n": 0})

    def other(tenant: LocalTenant) -> None:
        tenant.users[user.user_id].patch(app_metadata={"other": True})

    hook = both.tenant.before("PATCH", user.user_id, other)
    both.get(user.user_id)
    assert hook.fired == 0
    document = both.patch(user.user_id, {"app_metadata": {"n": 1}}).json()
    assert document["app_metadata"] == {"n": 1, "other": True}
    both.patch(user.user_id, {"app_metadata": {"other": None}})
    assert user.app_metadata == {"n": 1}
    assert (hook.fired, len(both.tenant.journal)) == (1, 3)


def test_a_second_writer_does_not_run_before_a_refused_request(both: Any) -> None:
    """An injected 429 or a bad body is refused first; the second writer then waits for the next request."""
    user = both.tenant.users.add()
    hook = both.tenant.before("PATCH", None, lambda tenant: tenant.users[user.user_id].delete())
    both.tenant.fail(method="PATCH", status=429)
    assert both.patch(user.user_id, {}).status_code == 429
    assert both.patch(user.user_id, {"app_metadata": []}).status_code == 400
    assert hook.fired == 0
    assert both.patch(user.user_id, {}).status_code == 404
    assert user.user_id not in both.tenant.users


def test_a_second_writer_may_run_several_times(api: Any) -> None:
    """`times` lets it act before several requests."""
    user = api.tenant.users.add(app_metadata={"n": 0})
    hook = api.tenant.before(
        "GET",
        user.user_id,
        lambda tenant: user.patch(app_metadata={"n": user.app_metadata["n"] + 1}),
        times=2,
    )
    seen = [json.loads(api.get(user.user_id).content)["app_metadata"]["n"] for _ in range(3)]
    assert (seen, hook.fired) == ([1, 2, 2], 2)
