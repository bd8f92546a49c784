"""Password grants and sign-ups get the recorded responses, and no password is shown anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from jose import jwt

from auth0_meta.emulator import LocalTenant
from tests.emulator.conftest import DATABASE

SECRET = "Correct-Horse-Battery"
REALM = "http://auth0.com/oauth/grant-type/password-realm"


def grant(api: Any, **changes: Any) -> Any:
    """Request tokens as ruby-auth0 does; None leaves a parameter out."""
    form = {
        "grant_type": "password",
        "username": "ann@example.com",
        "password": SECRET,
        "client_id": "app",
        "client_secret": "s",
        "scope": "openid",
        **changes,
    }
    return api(
        "POST", "/oauth/token", json={name: value for name, value in form.items() if value is not None}
    )


def sign_up(api: Any, **changes: Any) -> Any:
    """Sign somebody up as ruby-auth0 does."""
    body = {"email": "Ann@example.com", "password": SECRET, "connection": DATABASE, "client_id": "app"}
    return api("POST", "/dbconnections/signup", json={**body, **changes})


def test_sign_up_and_login_follow_the_recording(api: Any) -> None:
    """Sign up, sign in, fail twice, request another password."""
    made = sign_up(api)
    local = made.json()["_id"]
    assert (made.status_code, made.json()) == (
        200,
        {"_id": local, "email_verified": False, "email": "ann@example.com"},
    )
    response = grant(api)
    assert response.status_code == 200
    assert response.json()["scope"] == "openid profile email address phone"
    assert jwt.get_unverified_claims(response.json()["id_token"])["sub"] == f"auth0|{local}"
    assert api.tenant.users[f"auth0|{local}"]["logins_count"] == 1
    wrong = {"error": "invalid_grant", "error_description": "Wrong email or password."}
    for changes in ({"password": "x"}, {"username": "bob@example.com"}, {"password": None}):
        refused = grant(api, **changes)
        assert (refused.status_code, refused.json()) == (403, wrong)
    refused = grant(api, audience="https://example.com/invalid/api/v1/")
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "error": "invalid_request",
            "error_description": "invalid audience specified for password grant exchange",
        },
    )
    asked = {"email": "ann@example.com", "connection": DATABASE, "client_id": "app"}
    sent = api("POST", "/dbconnections/change_password", json=asked)
    assert (sent.status_code, sent.text) == (200, "We've just sent you an email to reset your password.")
    assert sent.headers["content-type"] == "text/html; charset=utf-8"


def test_no_password_is_shown(api: Any) -> None:
    """A password is in no profile and not in the journal, however it was sent."""
    sign_up(api)
    api.create(email="bob@example.com", password=SECRET)
    (ann, bob) = api.tenant.users
    bob.patch(password=f"{SECRET}2")
    ticket = {"user_id": ann.user_id, "new_password": SECRET}
    assert api("POST", "/api/v2/tickets/password-change", json=ticket).status_code == 400
    grant(api)
    assert SECRET not in repr([dict(ann), dict(bob), list(api.tenant.journal)])
    assert SECRET not in repr(vars(api.tenant._state.resources))


@pytest.mark.parametrize("way", ["create", "patch", "add", "live"])
def test_a_password_can_be_set_in_several_ways(api: Any, way: str) -> None:
    """The latest one counts, and it is deleted with its user."""
    if way == "create":
        api.create(email="ann@example.com", password=SECRET)
    else:
        api.tenant.users.add(email="ann@example.com", password=SECRET if way == "add" else "old")
    (ann,) = api.tenant.users
    if way == "patch":
        api.patch(ann.user_id, {"password": SECRET})
    if way == "live":
        ann.patch(password=SECRET)
    assert grant(api).status_code == 200
    assert grant(api, password="old").status_code == 403
    ann.delete()
    api.tenant.users.add(user_id=ann.user_id, email="ann@example.com")
    assert grant(api).status_code == 403


def test_a_password_grant_takes_realm_username_audience_and_scope(api: Any) -> None:
    """The realm is a connection; the audience is the Management API or an API that was created."""
    api.create(email="ann@example.com", username="ann", password=SECRET)
    assert grant(api, username="ann", grant_type=REALM, realm=DATABASE).status_code == 200
    assert grant(api, grant_type=REALM, realm="other").status_code == 403
    own = f"{api.tenant.url}/api/v2/"
    assert grant(api, audience=own, scope="read:current_user").json()["scope"] == "read:current_user"
    api("POST", "/api/v2/resource-servers", json={"identifier": "https://api.example.com/"})
    token = grant(api, audience="https://api.example.com/", scope="read:things").json()["access_token"]
    assert jwt.get_unverified_claims(token)["aud"] == "https://api.example.com/"
    assert "refresh_token" in grant(api, scope="openid offline_access").json()
    assert "id_token" in grant(api, scope=None).json()
    assert "password" in api("GET", "/.well-known/openid-configuration").json()["grant_types_supported"]


def test_a_password_grant_is_refused_by_the_trigger_or_for_a_blocked_user(api: Any) -> None:
    """The application gets either error; the trigger runs as at any login."""
    api.create(email="ann@example.com", password=SECRET)
    (ann,) = api.tenant.users

    class Outcome:
        denied = "not today"

    protocols: list[str] = []

    def trigger(event: dict[str, Any]) -> Outcome:
        protocols.append(event["transaction"]["protocol"])
        return Outcome()

    api.tenant.post_login = trigger
    refused = grant(api)
    assert (refused.status_code, refused.json()["error_description"]) == (403, "not today")
    assert protocols == ["oauth2-password"]
    ann.patch(blocked=True)
    refused = grant(api)
    assert (refused.status_code, refused.json()["error_description"]) == (403, "user is blocked")


def test_a_strict_tenant_refuses_unknown_clients(talk: Any) -> None:
    """An unknown client can neither sign users in nor sign them up."""
    tenant = LocalTenant(serve=False, strict=True, users=[{"email": "ann@example.com", "password": SECRET}])
    api = talk(tenant)
    assert grant(api).status_code == 401
    assert sign_up(api, email="b@example.com").status_code == 400
    mine = {"client_id": tenant.client_id, "client_secret": tenant.client_secret}
    assert grant(api, **mine).status_code == 200
    assert grant(api, **mine, audience="https://x.eu.auth0.com/api/v2/").status_code == 400
    assert sign_up(api, email="b@example.com", client_id=tenant.client_id).status_code == 200


@pytest.mark.slow
def test_each_endpoint_has_its_own_bucket(talk: Any, clock: Any) -> None:
    """As recorded: 100 a day, 50 a minute, and 10 with one more a minute."""
    api = talk(LocalTenant(serve=False, rate_limit="enterprise", clock=clock))

    def seen(response: Any) -> tuple[int, int, int]:
        limit, left, reset = (
            int(response.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset")
        )
        return limit, left, reset - int(clock.time())

    assert seen(grant(api)) == (100, 99, 864)
    assert seen(grant(api)) == (100, 98, 1728)
    assert seen(sign_up(api)) == (50, 49, 2)
    sent = api("POST", "/dbconnections/change_password", json={"email": "a@b.io", "connection": DATABASE})
    assert seen(sent) == (10, 9, 60)
    statuses = [grant(api).status_code for _ in range(99)]
    assert (statuses[:98], statuses[98]) == ([200] * 98, 429)


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "no"},
        {"email": 5},
        {"password": ""},
        {"connection": ""},
        {"connection": "google"},
        {"user_metadata": []},
        {"user_metadata": {"a": 1}},
        {"user_metadata": {"a": "x" * 501}},
        {"user_metadata": {str(n): "" for n in range(11)}},
    ],
)
def test_bad_sign_ups_are_refused(api: Any, changes: dict[str, Any]) -> None:
    """Each gets a 400, and no user is created."""
    api("POST", "/api/v2/connections", json={"name": "google", "strategy": "google-oauth2"})
    assert sign_up(api, **changes).status_code == 400
    assert len(api.tenant.users) == 0


def test_a_sign_up_stores_names_and_metadata_once(api: Any) -> None:
    """The error for an email or username that is taken does not say who has it."""
    shown = sign_up(api, username="ann", given_name="Ann", user_metadata={"theme": "dark"}).json()
    assert (shown["given_name"], shown["user_metadata"]) == ("Ann", {"theme": "dark"})
    (ann,) = api.tenant.users
    assert ann.user_metadata == {"theme": "dark"}
    for email, username in (("ann@example.com", "other"), ("other@example.com", "ann")):
        refused = sign_up(api, email=email, username=username)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_signup")
    form = {"email": "c@example.com", "password": SECRET, "connection": DATABASE}
    assert api("POST", "/dbconnections/signup", data=form).status_code == 200
    assert api("POST", "/dbconnections/signup", data=b"[]").status_code == 400
    for body in ({"connection": DATABASE}, {"email": "a@b.io"}):
        assert api("POST", "/dbconnections/change_password", json=body).status_code == 400


def test_a_strict_tenant_refuses_a_sign_up_for_an_unknown_connection(talk: Any) -> None:
    """Nobody can sign up at a connection that does not exist."""
    tenant = LocalTenant(serve=False, strict=True)
    response = sign_up(talk(tenant), connection="nowhere", client_id=tenant.client_id)
    assert response.status_code == 400
