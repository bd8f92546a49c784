"""User sub-resources, mostly empty here, have their recorded form: factors, sessions, blocks, logs, tickets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.emulator.conftest import DATABASE

PATH = "/api/v2/users/auth0%7Cann"
BLOCKS = "/api/v2/user-blocks"


@pytest.fixture
def ann(api: Any) -> Any:
    """Add one user who can sign in."""
    return api.tenant.users.add(user_id="auth0|ann", email="ann@example.com", password="a secret")


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"{PATH}/enrollments", 200, []),
        ("GET", f"{PATH}/authentication-methods", 200, []),
        (
            "GET",
            f"{PATH}/authentication-methods?include_totals=true&per_page=50",
            200,
            {"authenticators": [], "start": 0, "limit": 50},
        ),
        ("GET", f"{PATH}/sessions", 200, {"sessions": []}),
        ("GET", f"{PATH}/logs?per_page=2", 200, []),
        ("DELETE", f"{PATH}/multifactor/google-authenticator", 204, None),
        ("POST", f"{PATH}/multifactor/actions/invalidate-remember-browser", 204, None),
        ("GET", f"{BLOCKS}/auth0%7Cann", 200, {"blocked_for": []}),
        ("DELETE", f"{BLOCKS}/auth0%7Cann", 204, None),
        ("GET", f"{BLOCKS}?identifier=ann@example.com", 200, {"blocked_for": []}),
        ("DELETE", f"{BLOCKS}?identifier=ann@example.com", 204, None),
    ],
)
def test_empty_sub_resources_have_their_recorded_form(
    api: Any, method: str, path: str, status: int, body: Any
) -> None:
    """Sub-resources that the tenant does not fill get a response as if there were none, and not the refusal of what is not served."""
    response = api(method, path)
    assert (response.status_code, response.json() if response.content else None) == (status, body)


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", f"{PATH}/multifactor/nokia", 400),
        ("DELETE", "/api/v2/users/auth0%7Cnobody/multifactor/duo", 404),
        ("GET", f"{BLOCKS}/auth0%7Cnobody", 404),
        ("GET", BLOCKS, 400),
        ("DELETE", BLOCKS, 400),
        ("GET", "/api/v2/logs/none", 404),
    ],
)
def test_bad_paths_are_refused(api: Any, method: str, path: str, status: int) -> None:
    """A bad path is 400, and what does not exist is 404."""
    assert api(method, path).status_code == status


@pytest.mark.parametrize(
    ("kind", "page"), [("email-verification", "email-verification"), ("password-change", "reset-password")]
)
@pytest.mark.usefixtures("ann")
def test_a_ticket_has_a_link(api: Any, kind: str, page: str) -> None:
    """The response is a 201 with a link of the recorded form."""
    body = {"user_id": "auth0|ann", "result_url": "https://example.com/", "ttl_sec": 3600}
    response = api("POST", f"/api/v2/tickets/{kind}", json=body)
    assert response.status_code == 201
    pattern = rf"{re.escape(api.tenant.url)}/u/{page}\?ticket=[A-Za-z0-9]{{32}}#"
    assert re.fullmatch(pattern, response.json()["ticket"])
    assert api("POST", f"/api/v2/tickets/{kind}", json={**body, "user_id": "auth0|no"}).status_code == 404
    assert api("POST", f"/api/v2/tickets/{kind}", json={**body, "user_id": "no"}).status_code == 400
    assert api("POST", f"/api/v2/tickets/{kind}", json={}).status_code == 400


@pytest.mark.usefixtures("ann")
def test_a_password_ticket_may_name_an_email(api: Any) -> None:
    """The connection's id and an address are enough."""
    made = api("POST", "/api/v2/connections", json={"name": "other", "strategy": "auth0"}).json()["id"]
    default = api("GET", f"/api/v2/connections?name={DATABASE}").json()[0]["id"]
    for connection, status in ((default, 201), (made, 404)):
        body = {"connection_id": connection, "email": "Ann@example.com"}
        assert api("POST", "/api/v2/tickets/password-change", json=body).status_code == status


def test_a_login_leaves_a_log(api: Any, ann: Any) -> None:
    """A login with a trigger leaves one; logs come newest first, and can be read by id, by user and by query."""
    api.tenant.post_login = lambda event: None
    bob = api.tenant.users.add(user_id="auth0|bob", email="bob@example.com", password="a secret")
    for name in ("ann", "bob", "ann"):
        form = {"grant_type": "password", "password": "a secret", "client_id": "x"}
        assert (
            api("POST", "/oauth/token", data={**form, "username": f"{name}@example.com"}).status_code == 200
        )
        api.tenant.clock.advance(1)
    logs = api("GET", "/api/v2/logs").json()
    assert [log["user_id"] for log in logs] == [ann.user_id, bob.user_id, ann.user_id]
    assert logs[0]["date"] > logs[-1]["date"]
    assert api("GET", f"/api/v2/logs/{logs[1]['log_id']}").json() == logs[1]
    assert api("GET", f"{PATH}/logs").json() == [logs[0], logs[2]]
    assert api("GET", f"{PATH}/logs?include_totals=true").json()["total"] == 2
    assert api("GET", '/api/v2/logs?q=user_id:"auth0|bob"').json() == [logs[1]]
    assert api("GET", f"/api/v2/logs?from={logs[2]['log_id']}&take=1").json() == [logs[1]]
    assert api("GET", "/api/v2/logs?take=10").json() == logs
