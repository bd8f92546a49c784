"""What the adapters share: the event of a login, what is stored over a redirect, and how a login ends."""

from __future__ import annotations

import json

import pytest
from support.logins import Login as LocalLogin
from support.web_adapters import (
    CLAIMS,
    UID,
    Detour,
    Driver,
    Flask,
)

from auth0_meta.actions import LoginOutcome, MemoryStates, Redirect
from auth0_meta.actions.web import Login
from auth0_meta.actions.web.core import BrowserRedirect, BrowserRequest, LoginFlow
from auth0_meta.errors import InputError


def test_nothing_of_a_login_is_in_a_repr() -> None:
    """What is passed around shows no cookie, query, claim or address with a state."""
    request = BrowserRequest(
        method="GET",
        host="h",
        secure=True,
        ip=None,
        query={"a": "SECRET"},
        body={"b": "SECRET"},
        cookie="SECRET",
    )
    redirect = BrowserRedirect("https://x/?state=SECRET", "name", "SECRET", {})
    login = Login(outcome=LoginOutcome(user_id=UID), claims={"email": "SECRET"})
    assert "SECRET" not in repr((request, redirect, login))


def test_claims_that_are_gone_leave_the_user_id() -> None:
    """Where the store lost them alone, the user is known all the same: from the suspended login."""

    class Forgetful(MemoryStates):
        def put(self, key: str, data: str, **times: float) -> None:
            """Lose the claims."""
            if "aud" not in json.loads(data):
                super().put(key, data, **times)

    app = Driver(Flask, LocalLogin(), Detour(), states=Forgetful())
    away = app.get("/callback")
    done = json.loads(app.get(f"/continue?state={away.state}", away.cookie).body)
    assert done == {"allowed": True, "claims": {"sub": UID}}


def test_a_silent_login_is_one_that_sections_tell_of() -> None:
    """What /authorize was asked is not in the query of the callback: `prompt` comes from the session."""
    said: list[bool] = []
    trigger = LocalLogin().trigger(lambda event, api: said.append(api.redirect.can_redirect()))
    request = BrowserRequest(method="GET", host="h", secure=True, ip=None, query={"code": "x", "a": "b"})
    flow = LoginFlow(trigger, "/continue")
    for sections in (
        {},
        {"request": {"query": {"prompt": "none"}}},
        {"transaction": {"prompt": ["none"]}},
    ):
        event = flow.event(request, CLAIMS, sections)
        assert event.request.query["a"] == "b"
        assert event.transaction.protocol == "oidc-basic-profile"
        trigger.run(event)
    assert said == [True, False, False]
    with pytest.raises(InputError, match="sections="):
        flow.event(request, CLAIMS, [])  # type: ignore[arg-type]


def test_a_login_that_failed_ends_where_it_failed() -> None:
    """An error beside a redirect, or claims that can't be kept, let nobody go on."""

    class Broken(MemoryStates):
        def put(self, key: str, data: str, **times: float) -> None:
            """Keep nothing."""
            raise OSError("full")

    request = BrowserRequest(method="GET", host="h", secure=True, ip=None, query={})
    away = Redirect("https://example.com/?state=x", "x")
    flow = LoginFlow(LocalLogin().trigger(states=Broken()), "/continue")
    for outcome in (
        LoginOutcome(user_id=UID, redirect=away, error=LookupError()),
        LoginOutcome(user_id=UID, redirect=away),
    ):
        result = flow.after_actions(request, outcome, CLAIMS, "b" * 43)
        assert isinstance(result, Login)
        assert result.outcome.error is not None
        assert not result.outcome.allowed
