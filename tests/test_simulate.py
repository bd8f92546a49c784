"""`simulate`: a simulated login, and its result."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Consent

from auth0_meta import BadRequestError, InputError, MetadataWarning, StateError
from auth0_meta.actions import Event
from auth0_meta.emulator import LocalTenant
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
