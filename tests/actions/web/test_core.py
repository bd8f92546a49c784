"""What the adapters share: the event of a login, what is stored during a redirect, and how a login ends."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.logins import Login as LocalLogin
from support.web_adapters import (
    CLAIMS,
    UID,
    Driver,
    Flask,
    RepeatedRedirect,
)

from auth0_meta.actions import LoginOutcome, MemoryStates, Redirect
from auth0_meta.actions.web import Login
from auth0_meta.actions.web.browser import BrowserRedirect, BrowserRequest, Callback
from auth0_meta.actions.web.core import LoginFlow, Return
from auth0_meta.errors import InputError, RedirectError


def test_reprs_show_nothing_of_a_login() -> None:
    """The reprs show no cookie, query, claim, or URL with a state."""
    request = BrowserRequest(
        method="GET",
        host="h",
        secure=True,
        ip=None,
        query={"a": "SECRET"},
        body={"b": "SECRET"},
        cookie="SECRET",
    )
    redirect = BrowserRedirect("https://x/?state=SECRET", request.cookie_with("SECRET"))
    flow = LoginFlow(LocalLogin().trigger(), "/continue")
    back = Return(
        flow, request, "SECRET", "SECRET", {"email": "SECRET"}, Callback("GET", "/SECRET", "a=SECRET")
    )
    login = Login(outcome=LoginOutcome(user_id=UID), claims={"email": "SECRET"})
    assert "SECRET" not in repr((request, redirect, login, back))


def test_if_the_claims_are_lost_the_user_id_is_still_known() -> None:
    """If the store has lost only the claims, the id comes from the suspended login."""

    class Forgetful(MemoryStates):
        def put(self, key: str, data: str, **times: float) -> None:
            """Lose the claims."""
            if "aud" not in json.loads(data):
                super().put(key, data, **times)

    app = Driver(Flask, LocalLogin(), RepeatedRedirect(), states=Forgetful())
    away = app.get("/callback")
    done = json.loads(app.get(f"/continue?state={away.state}", away.cookie).body)
    assert done == {"allowed": True, "claims": {"sub": UID}}


def test_sections_make_a_login_silent() -> None:
    """The callback's query lacks the parameters of /authorize: `prompt` comes from the application's session."""
    possible: list[bool] = []
    trigger = LocalLogin().trigger(lambda event, api: possible.append(api.redirect.can_redirect()))
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
    assert possible == [True, False, False]
    with pytest.raises(InputError, match="sections="):
        flow.event(request, CLAIMS, [])  # type: ignore[arg-type]


def test_a_login_that_failed_is_not_redirected() -> None:
    """After an error together with a redirect, or with claims that can't be stored, no login continues."""

    class Broken(MemoryStates):
        def put(self, key: str, data: str, **times: float) -> None:
            """Store nothing."""
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


@pytest.mark.parametrize(
    "stored",
    ["gone", "{", "[]", "null", "7", '{"auth0_meta:callback": 7}', '{"auth0_meta:callback": ["GET"]}'],
)
def test_claims_that_cannot_be_had_back_fail_the_login(stored: str) -> None:
    """A store that fails, and claims that are damaged, are the login's error: nothing is raised or written."""

    class Damaged(MemoryStates):
        def take(self, key: str, **times: float) -> str | None:
            """Fail, or return something else."""
            if stored == "gone":
                raise OSError("disk gone")
            return stored

    local = LocalLogin()
    request = BrowserRequest(
        method="GET", host="h", secure=True, ip=None, query={"state": "x"}, cookie="b" * 43
    )
    flow = LoginFlow(local.trigger(RepeatedRedirect(), states=Damaged()), "/continue")
    for result in (flow.resume(flow.take(request)), asyncio.run(flow.aresume(flow.take(request)))):
        assert isinstance(result, Login)
        assert isinstance(result.outcome.error, OSError if stored == "gone" else RedirectError)
        assert (result.outcome.allowed, result.claims) == (False, {})
    assert local.bodies == []


def test_claims_of_another_user_fail_the_login() -> None:
    """What the actions wrote is in the outcome, and what only an allowed login gets is not."""
    request = BrowserRequest(method="GET", host="h", secure=True, ip=None, query={}, cookie="b" * 43)
    flow = LoginFlow(LocalLogin().trigger(), "/continue")
    ended = LoginOutcome(user_id=UID, id_token_claims={"a": 1}, staged={"app_metadata": {"b": 1}})
    back = Return(flow, request, "state", "b" * 43, {"sub": "auth0|other"})
    result = flow.after_continue(back, ended)
    assert isinstance(result, Login)
    assert isinstance(result.outcome.error, RedirectError)
    assert (result.outcome.allowed, result.outcome.id_token_claims, result.claims) == (
        False,
        {},
        {"sub": UID},
    )
    assert result.outcome.staged == ended.staged
    result = flow.after_continue(back, LoginOutcome(user_id=UID, error=LookupError()))
    assert isinstance(result, Login)
    assert isinstance(result.outcome.error, LookupError)
    assert flow.renewed_cookie(back) is None


BITS = ["a" * 43, "b" * 43]


@pytest.mark.parametrize(
    "cookie",
    [None, "", "x", f"{BITS[0]}.", f"{BITS[0]}.b", "a.b.c", f"{BITS[0]}.{BITS[1]}.c", "é" * 43],
    ids=["none", "empty", "short", "half", "short second", "short parts", "three parts", "not ASCII"],
)
def test_a_cookie_that_cannot_be_ours_is_replaced(cookie: str | None) -> None:
    """The browser gets 256 new random bits."""
    request = BrowserRequest(method="GET", host="h", secure=True, ip=None, query={}, cookie=cookie)
    browser = LoginFlow.browser_id(request)
    assert len(browser) == 43
    assert browser not in (cookie or "")


def test_a_return_is_used_by_one_call_of_its_own_callback() -> None:
    """Another PostLogin's callback, or a second call from inside the view, is a login of its own."""
    trigger = LocalLogin().trigger()
    flows = [LoginFlow(trigger, "/continue"), LoginFlow(trigger, "/other")]
    back = flows[0].take(BrowserRequest(method="GET", host="h", secure=True, ip=None, query={}))
    with flows[0].returning(back):
        assert flows[1].returned() is None
        assert flows[0].returned() is back
        assert flows[0].returned() is None
    back.used = False
    assert flows[0].returned() is None
