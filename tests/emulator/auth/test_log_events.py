"""Logins, sign-ups, token requests and API writes leave log events with Auth0's types, and no secret in any of them."""

from __future__ import annotations

from typing import Any

import pytest
from support.app import App

from auth0_meta.emulator import LocalTenant
from tests.emulator.conftest import DATABASE, PASSWORD

AGENT = {"User-Agent": "test/1"}


def kinds(tenant: LocalTenant) -> list[str]:
    """Return the types of the tenant's log events, oldest first."""
    return [event["type"] for event in tenant.logs]


def token(api: Any, **form: str) -> Any:
    """Request a token."""
    return api(
        "POST", "/oauth/token", data={"client_id": "app", "client_secret": "s3cret", **form}, headers=AGENT
    )


def test_a_login_in_a_browser_is_logged() -> None:
    """The login, the exchange of its code, a refresh, a silent login by the session, and a logout."""
    with LocalTenant() as tenant, App(tenant) as app:
        ann = tenant.users.add(email="ann@example.com", name="Ann")
        tokens = app.log_in(ann.user_id, scope="openid offline_access")
        app.tokens(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        app.log_in(None, prompt="none")
        app.visitor.get(f"{tenant.url}/v2/logout", client_id="app")
        app.visitor.get(f"{tenant.url}/v2/logout")
        assert kinds(tenant) == ["s", "seacft", "sertft", "ssa", "seacft", "slo"]
        about = {
            "user_id": ann.user_id,
            "user_name": "ann@example.com",
            "connection": DATABASE,
            "strategy": "auth0",
            "strategy_type": "database",
            "client_id": "app",
            "ip": "127.0.0.1",
        }
        for event in tenant.logs:
            assert {name: event.get(name) for name in about} == about
            assert event["user_agent"].startswith("python-requests/")
        assert tenant.logs[1]["description"] == "Authorization Code for Access Token"
        assert tenant.logs[1]["scope"] == "openid offline_access"


def test_failed_logins_in_a_browser_are_logged() -> None:
    """Without a session, with a wrong password or name, and as a blocked user."""
    with LocalTenant() as tenant, App(tenant) as app:
        tenant.users.add(email="ann@example.com", password=PASSWORD)
        bob = tenant.users.add(email="bob@example.com", blocked=True)
        assert app.refused(prompt="none")[0] == "login_required"
        app.ask()
        for name in ("ann@example.com", "eve@example.com"):
            app.visitor.fill(username=name, password="Wrong-Secret-1")
        app.visitor.press(bob.user_id)
        assert kinds(tenant) == ["fsa", "fp", "fu", "f"]
        assert [event["user_name"] for event in tenant.logs] == [
            *("", "ann@example.com", "eve@example.com", "bob@example.com")
        ]
        assert "Wrong-Secret-1" not in repr(tenant.logs)


def test_failed_token_requests_are_logged(api: Any) -> None:
    """Each grant has a type of its own; a wrong password and a wrong name are told apart, as in Auth0."""
    tenant = api.tenant
    tenant.add_client("app", client_secret="s3cret")
    ann = tenant.users.add(email="ann@example.com", password=PASSWORD)
    audience = f"{tenant.url}/api/v2/"
    assert token(api, grant_type="client_credentials", audience=audience).status_code == 200
    assert (
        token(api, grant_type="client_credentials", audience=audience, client_secret="x").status_code == 401
    )
    assert token(api, grant_type="authorization_code", code="made up").status_code == 403
    assert token(api, grant_type="refresh_token", refresh_token="made up").status_code == 403
    for name in ("ann@example.com", "eve@example.com"):
        assert token(api, grant_type="password", username=name, password="Wrong-Secret-1").status_code == 403
    assert token(api, grant_type="password", username="ann@example.com", password=PASSWORD).status_code == 200
    ann.patch(blocked=True)
    assert token(api, grant_type="password", username="ann@example.com", password=PASSWORD).status_code == 403
    assert token(api, grant_type="urn:example:not-served").status_code == 404
    assert kinds(tenant) == ["seccft", "feccft", "feacft", "fertft", "fp", "fu", "s", "f"]
    wrong, unknown = tenant.logs[4:6]
    assert (wrong["user_id"], wrong["user_name"]) == (ann.user_id, "ann@example.com")
    assert (unknown["user_id"], unknown["user_name"]) == ("", "eve@example.com")
    assert wrong["description"] == unknown["description"] == "Wrong email or password."
    assert tenant.logs[0]["audience"] == audience
    assert all(event["user_agent"] == "test/1" and event["client_id"] == "app" for event in tenant.logs)
    for secret in ("s3cret", PASSWORD, "Wrong-Secret-1", "made up"):
        assert secret not in repr(tenant.logs)


@pytest.mark.parametrize("value", [["x"], {"a": 1}, 5, True, None], ids=repr)
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret", "audience", "scope", "code"])
def test_a_token_request_may_hold_anything(api: Any, name: str, value: Any) -> None:
    """What is no text counts as absent; the refusal is the emulator's own rule."""
    for kind in ("client_credentials", "authorization_code"):
        body = {"grant_type": kind, "client_id": "app", "client_secret": "x", "audience": "a", "code": "b"}
        assert api("POST", "/oauth/token", json={**body, name: value}).status_code in (200, 400, 401, 403)


def test_sign_ups_are_logged(api: Any) -> None:
    """A sign-up, a refused one, a weak password, and requests for a new password."""
    body = {"client_id": "app", "email": "ann@example.com", "connection": DATABASE}
    for password in (PASSWORD, PASSWORD, "weak"):
        api(
            "POST",
            "/dbconnections/signup",
            json={**body, "password": password, "user_metadata": {"a": "b3ta"}},
        )
    api("POST", "/dbconnections/change_password", json=body)
    api("POST", "/dbconnections/change_password", json={**body, "connection": "none"})
    api("POST", "/dbconnections/change_password", json={"connection": DATABASE})
    assert kinds(api.tenant) == ["ss", "fs", "fs", "scpr", "scpr", "fcpr"]
    (ann,) = api.tenant.users
    assert api.tenant.logs[0]["user_id"] == ann.user_id
    assert [event.get("description") for event in api.tenant.logs[1:3]] == [
        "Invalid sign up",
        "Password is too weak",
    ]
    names = [event["user_name"] for event in api.tenant.logs]
    assert names == ["ann@example.com"] * 5 + [""]
    assert PASSWORD not in repr(api.tenant.logs)
    assert "b3ta" not in repr(api.tenant.logs)


def test_writes_of_the_management_api_are_logged(api: Any) -> None:
    """Each names what was done, by which client or user; reads and refusals leave none, and no body is kept."""
    api.token = api.tenant.token(client_id="job")
    made = api.create(email="ann@example.com", user_metadata={"a": "b3ta"}).json()
    api.patch(made["user_id"], {"app_metadata": {"a": "g4mma"}})
    api.patch(made["user_id"], {"app_metadata": 5})
    api.get(made["user_id"])
    api.token = api.tenant.token(subject=made["user_id"], scopes=["update:current_user_metadata"])
    api.patch(made["user_id"], {"user_metadata": {"a": "d5lta"}})
    api.token = "opaque"
    logs = api("GET", "/api/v2/logs").json()
    assert [(log["type"], log["description"], log["client_id"]) for log in logs] == [
        ("sapi", "Update a user", ""),
        ("sapi", "Update a user", "job"),
        ("sapi", "Create a user", "job"),
    ]
    assert logs[1]["details"]["request"]["method"] == "patch"
    assert api("GET", f"/api/v2/users/{made['user_id']}/logs").json() == [logs[0]]
    assert api("GET", "/api/v2/logs?q=type:sapi AND client_id:job").json() == logs[1:]
    for value in ("b3ta", "g4mma", "d5lta", PASSWORD):
        assert value not in repr(logs)
    assert kinds(api.tenant) == []


def test_each_event_has_an_id_of_its_own(api: Any) -> None:
    """Even those of one instant; `from` and `take` walk through all of them once, from the oldest to the newest."""
    api.tenant.clock.freeze()
    for number in range(7):
        api("POST", "/api/v2/roles", json={"name": f"role {number}"})
        token(api, grant_type="refresh_token", refresh_token="x")
    logs = api("GET", "/api/v2/logs?per_page=100").json()
    ids = [log["log_id"] for log in logs]
    assert len(set(ids)) == 14
    assert ids == sorted(ids, reverse=True)
    for log in logs:
        assert api("GET", f"/api/v2/logs/{log['log_id']}").json() == log
    seen = api("GET", f"/api/v2/logs?from={ids[-1]}&take=5").json()
    assert [log["log_id"] for log in seen] == ids[8:13]
    assert [log["log_id"] for log in api("GET", "/api/v2/logs?per_page=3&page=1").json()] == ids[3:6]
    api.tenant.reset()
    assert api("GET", "/api/v2/logs").json() == []


@pytest.mark.parametrize("writes", [1500])
def test_api_writes_do_not_displace_logins(api: Any, writes: int) -> None:
    """The latest thousand of both are kept, each in its own right."""
    token(api, grant_type="refresh_token", refresh_token="x")
    user = api.tenant.users.add()
    for _ in range(writes):
        api.patch(user.user_id, {})
    assert kinds(api.tenant) == ["fertft"]
    assert api("GET", "/api/v2/logs?include_totals=true").json()["total"] == 1001
