"""Sessions and refresh tokens of users can be seen and ended through the Management API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.app import App

from auth0_meta.emulator import LocalTenant

USER = "auth0|1"


@pytest.fixture
def app() -> Iterator[App]:
    """Yield an application of a tenant with one user."""
    with LocalTenant(users=[{"user_id": USER}]) as tenant, App(tenant) as one:
        yield one


def call(app: App, method: str, path: str) -> Any:
    """Call the Management API, and return the status and what the response holds."""
    header = {"Authorization": f"Bearer {app.tenant.token()}"}
    response = requests.request(method, f"{app.tenant.url}/api/v2/{path}", headers=header, timeout=10)
    return response.status_code, response.json() if response.content else None


def test_a_session_can_be_ended(app: App) -> None:
    """By its id, which is the ID token's `sid`, or with all of a user; refresh tokens stay."""
    for path in ("sessions/{sid}", "users/auth0%7C1/sessions"):
        tokens = app.log_in(USER, scope="openid offline_access")
        sid = app.claims(tokens["id_token"], "app")["sid"]
        status, session = call(app, "GET", f"sessions/{sid}")
        assert (status, session["user_id"]) == (200, USER)
        assert call(app, "GET", "users/auth0%7C1/sessions") == (200, {"sessions": [session]})
        for _ in range(2):
            assert call(app, "DELETE", path.format(sid=sid)) == (202, None)
        status, refused = call(app, "GET", f"sessions/{sid}")
        assert (status, refused["errorCode"]) == (404, "inexistent_session")
        assert app.refused(prompt="none")[0] == "login_required"
        assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_a_refresh_token_can_be_revoked(app: App) -> None:
    """By its id, or with all of a user; the session stays."""
    for path in ("refresh-tokens/{id}", "users/auth0%7C1/refresh-tokens"):
        token = app.log_in(USER, scope="openid offline_access", prompt="login")["refresh_token"]
        (listed,) = call(app, "GET", "users/auth0%7C1/refresh-tokens")[1]["tokens"]
        assert (listed["client_id"], listed["rotating"]) == ("app", False)
        assert call(app, "GET", f"refresh-tokens/{listed['id']}") == (200, listed)
        assert token not in str(listed)
        assert call(app, "DELETE", path.format(id=listed["id"])) == (202, None)
        assert app.refresh(token).status_code == 403
        assert call(app, "GET", f"refresh-tokens/{listed['id']}")[0] == 404
        assert "code" in app.ask(prompt="none").params


@pytest.mark.parametrize("path", ["users/auth0%7C2/sessions", "users/auth0%7C2/refresh-tokens"])
def test_the_user_must_exist(path: str, app: App) -> None:
    """Otherwise it is the usual 404."""
    for method in ("GET", "DELETE"):
        assert call(app, method, path)[1]["errorCode"] == "inexistent_user"
