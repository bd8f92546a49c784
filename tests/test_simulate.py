"""`simulate`: a simulated login, and its result."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Consent

from auth0_meta import BadRequestError, InputError, MetadataWarning, StateError
from auth0_meta.actions import Event
from auth0_meta.emulator import LocalTenant
from auth0_meta.jwt import sign_hs256
from auth0_meta.testing import asimulate, simulate

USER = {"user_id": UID, "app_metadata": {"plan": "free"}, "user_metadata": {}}


def upgrade(event: Any, api: Any) -> None:
    """Stage two values, one of which makes no difference."""
    api.user.set_app_metadata("plan", "pro").user.set_app_metadata(
        "same", event.user.app_metadata.get("same")
    )


def test_a_login_is_simulated() -> None:
    """The simulation has the outcome, the staged changes, the requests and the resulting profile; its repr has no values."""
    login = simulate(upgrade, {"user": USER, "request": {"ip": "192.0.2.1"}})
    assert login.outcome.allowed
    assert login.staged == {"app_metadata": {"plan": "pro", "same": None}}
    assert [(r.method, r.body, r.status) for r in login.requests] == [
        ("PATCH", {"app_metadata": {"plan": "pro"}}, 200)
    ]
    assert login.user["app_metadata"] == {"plan": "pro"}
    assert "pro" not in repr(login)
    assert "1 request>" in repr(login)


def test_several_actions_and_settings() -> None:
    """A list of actions runs in order; the other arguments are the trigger's."""

    def fail(event: Any, api: Any) -> None:
        raise LookupError(event.secrets["S"])

    login = simulate(
        [upgrade, fail], Event.from_dict({"user": USER}), error_discards="this", secrets={"S": "x"}
    )
    assert isinstance(login.outcome.error, LookupError)
    assert login.user["app_metadata"] == {"plan": "pro"}


def test_a_redirect_is_resumed() -> None:
    """`resume` continues with the right state; its requests are only the new ones."""
    login = simulate(Consent(), {"user": USER})
    assert login.outcome.redirect is not None
    done = login.resume(query={"answer": "yes"})
    assert done.outcome.allowed
    assert [r.method for r in done.requests] == ["GET", "PATCH"]
    assert done.user["app_metadata"] == {"plan": "free", "asked": True, "consent": "yes"}
    with pytest.raises(StateError):
        done.resume()


def test_a_tenant_of_your_own_has_users_and_faults() -> None:
    """A fault fails the login; a user whom the tenant has is not created."""
    with LocalTenant(serve=False) as tenant:
        tenant.users.add(**USER)
        tenant.fail(method="PATCH", status=400)
        login = simulate(upgrade, Event.from_claims({"sub": UID}), tenant=tenant)
        assert isinstance(login.outcome.error, BadRequestError)
        assert [r.method for r in login.requests] == ["GET", "PATCH"]
        assert simulate(upgrade, {"user": USER}, tenant=tenant).outcome.allowed


def test_unknown_metadata_is_empty_for_a_new_user() -> None:
    """An event made from claims alone works as well."""
    login = simulate(upgrade, Event.from_claims({"sub": UID, "email": "ada@example.com"}))
    assert login.user["app_metadata"] == {"plan": "pro"}
    assert login.user["email"] == "ada@example.com"


def test_warnings_reach_the_test() -> None:
    """Reading a staged key warns, as in a real login."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro")
        assert event.user.app_metadata["plan"] == "free"

    with pytest.warns(MetadataWarning, match="plan"):
        simulate(action, {"user": USER})


def test_a_user_who_deletes_themselves_in_the_action_is_gone() -> None:
    """The resulting profile has only the id."""
    with LocalTenant(serve=False) as tenant:
        login = simulate(lambda event, api: tenant.users[UID].delete(), {"user": USER}, tenant=tenant)
        assert login.user == {"user_id": UID}


def test_an_id_that_auth0_never_makes_is_refused() -> None:
    """The local tenant would turn it into another id."""
    with pytest.raises(InputError, match=r"auth0\|1"):
        simulate(upgrade, {"user": {**USER, "user_id": "ada"}})


def test_an_attribute_may_have_any_name() -> None:
    """An identity provider may send an attribute with the name `self`."""
    login = simulate(upgrade, {"user": {**USER, "self": "x", "app": "y"}})
    assert login.outcome.allowed
    assert (login.user["self"], login.user["app"]) == ("x", "y")


def test_async_actions_are_simulated_in_a_running_loop() -> None:
    """In a running loop `asimulate` and `aresume` do what `simulate` and `resume` do elsewhere."""

    class Away:
        async def on_execute_post_login(self, event: Any, api: Any) -> None:
            api.redirect.send_user_to("https://example.com/")

        async def on_continue_post_login(self, event: Any, api: Any) -> None:
            api.user.set_app_metadata("answer", event.request.body["answer"])

    async def test() -> None:
        with pytest.raises(StateError, match="asimulate"):
            simulate(Away(), {"user": USER})
        login = await asimulate(Away(), {"user": USER})
        assert login.outcome.redirect is not None
        back = await login.aresume(body={"answer": "yes"})
        assert [request.body for request in back.requests if request.method == "PATCH"] == [
            {"app_metadata": {"answer": "yes"}}
        ]

    asyncio.run(test())


class Signed:
    """An action whose redirect comes back with a session token."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away."""
        api.redirect.send_user_to("https://consent.example.com/")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Check the token."""
        api.redirect.validate_token(secret="x" * 32)


def token_of(login: Any, *, at: float) -> str:
    """Return a session token that the other site signs at a time."""
    now = int(at)
    claims = {
        "sub": UID,
        "iss": "i",
        "iat": now,
        "exp": now + 60,
        "state": login.outcome.redirect.state,
    }
    return sign_hs256(claims, secret="x" * 32)


def test_a_login_takes_place_at_the_time_of_the_call() -> None:
    """A token that is signed by the machine's clock is valid, until the test lets its lifetime pass."""
    login = simulate(Signed(), {"user": USER})
    assert abs(login.clock.time() - time.time()) < 60
    again = simulate(Signed(), {"user": USER})
    token = token_of(login, at=time.time())
    assert login.resume(body={"session_token": token}).outcome.allowed
    token = token_of(again, at=time.time())
    again.clock.advance(120)
    error = again.resume(body={"session_token": token}).outcome.error
    assert str(error) == "The session token is invalid: Token has expired."


@pytest.mark.parametrize(
    "now",
    [
        86_400,
        86_400.0,
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(1970, 1, 2, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=["int", "float", "UTC", "another zone"],
)
def test_a_login_takes_place_when_the_test_says(now: Any) -> None:
    """`now` is the time of the trigger and of the tenant; it stands still."""
    login = simulate(upgrade, {"user": USER}, now=now)
    assert login.clock.time() == 86_400
    assert login.user["updated_at"].startswith("1970-01-02T00:00:00")
    later = asyncio.run(asimulate(upgrade, {"user": USER}, now=now))
    assert later.clock.time() == 86_400


@pytest.mark.parametrize(
    "now",
    ["2027-01-15", True, float("nan"), float("inf"), -1, 10**15, 10**400, datetime(2027, 1, 15)],  # noqa: DTZ001
    ids=["text", "bool", "NaN", "infinity", "negative", "milliseconds", "huge", "without a zone"],
)
def test_a_time_that_is_none_is_refused(now: Any) -> None:
    """The error is the package's own and names the argument."""
    with pytest.raises(InputError, match="now"):
        simulate(upgrade, {"user": USER}, now=now)


def test_a_tenant_of_your_own_has_its_own_clock() -> None:
    """Its time is not changed by a simulation."""
    with LocalTenant(serve=False) as tenant:
        with pytest.raises(InputError, match=r"tenant\.clock\.freeze"):
            simulate(upgrade, {"user": USER}, tenant=tenant, now=5)
        tenant.clock.freeze(at=86_400)
        assert simulate(upgrade, {"user": USER}, tenant=tenant).clock.time() == 86_400
