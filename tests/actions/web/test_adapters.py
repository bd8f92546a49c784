"""The trigger in login callbacks: cookies, /continue, and what the adapters refuse."""

from __future__ import annotations

import asyncio
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from django.test import RequestFactory
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from support.logins import Login as LocalLogin
from support.web_adapters import (
    CLAIMS,
    CONSENT_PAGE,
    UID,
    Driver,
    RepeatedRedirect,
)

from auth0_meta.actions import SqliteStates
from auth0_meta.actions.web import Login
from auth0_meta.actions.web import django as web_django
from auth0_meta.actions.web import fastapi as web_fastapi
from auth0_meta.actions.web import flask as web_flask
from auth0_meta.errors import ConfigError, MissingExtraError


def test_a_login_without_a_redirect_ends_at_the_callback(kind: Any) -> None:
    """The view gets the claims and the outcome; no cookie is set; no action sees the one-time code."""
    action = RepeatedRedirect(times=0)
    app = Driver(kind, LocalLogin(), action)
    reply = app.get("/callback?code=secret&state=secret&theme=dark", base="https://app.example.com:8443")
    assert json.loads(reply.body) == {"allowed": True, "claims": CLAIMS}
    assert reply.cookies == []
    (event,) = action.events
    assert dict(event.request.query) == {"theme": "dark", "ui_locales": "fi"}
    assert (event.connection.id, event.client.client_id, event.client.name) == ("con_1", "app", "Shop")
    assert event.request.hostname == "app.example.com"
    assert event.request.ip == "127.0.0.1"
    assert event.user.locale == "fi"
    assert event.transaction.protocol == "oidc-basic-profile"


def test_a_login_continues_after_a_redirect(kind: Any) -> None:
    """It is suspended with a cookie that no script can read, and continues with the same claims; there is one PATCH on each side."""
    local = LocalLogin()
    action = RepeatedRedirect()
    app = Driver(kind, local, action)
    away = app.get("/callback?code=x&state=y")
    assert away.status == 303
    assert away.location.startswith(f"{CONSENT_PAGE}?state=")
    assert away.cache == "no-store"
    flags = away.cookies[0].lower()
    assert away.cookie.startswith("auth0_meta_login=")
    assert "httponly" in flags
    assert "samesite=lax" in flags
    assert "secure" not in flags
    assert local.bodies == [{"app_metadata": {"began": True}}]
    back = app.post(f"/continue?state={away.state}", away.cookie, answer="yes")
    assert json.loads(back.body) == {"allowed": True, "claims": CLAIMS}
    assert local.bodies[1:] == [{"app_metadata": {"answer": "yes"}}]
    assert action.events[1].request.method == "POST"
    again = app.post(f"/continue?state={away.state}", away.cookie, answer="no")
    assert json.loads(again.body) == {"allowed": False, "claims": {}}
    assert len(local.bodies) == 2


def test_a_login_over_two_redirects_keeps_browser_and_claims(kind: Any) -> None:
    """Each redirect has its own state, and the cookie stays; the state may be in the form."""
    app = Driver(kind, LocalLogin(), RepeatedRedirect(times=2))
    first = app.get("/callback")
    second = app.get(f"/continue?state={first.state}", first.cookie)
    assert second.status == 303
    assert second.state != first.state
    assert second.cookie == first.cookie
    done = app.post("/continue", second.cookie, state=second.state)
    assert json.loads(done.body) == {"allowed": True, "claims": CLAIMS}


def test_another_browser_can_neither_continue_nor_break_a_login(kind: Any) -> None:
    """Without the cookie, or with another, /continue is refused, and the right browser can still continue."""
    local = LocalLogin()
    app = Driver(kind, local, RepeatedRedirect())
    away = app.get("/callback")
    name = away.cookie.partition("=")[0]
    for cookie in (None, f"{name}=", f"{name}={'x' * 43}", f"{name}=none"):
        refused = app.get(f"/continue?state={away.state}", cookie)
        assert json.loads(refused.body) == {"allowed": False, "claims": {}}
    assert len(local.bodies) == 1
    assert json.loads(app.get(f"/continue?state={away.state}", away.cookie).body)["allowed"]


def test_a_browser_keeps_its_cookie_across_logins(kind: Any) -> None:
    """Two tabs log in with the same cookie; a value that can't be ours is replaced."""
    app = Driver(kind, LocalLogin(), RepeatedRedirect(times=9))
    first = app.get("/callback")
    assert app.get("/callback", first.cookie).cookie == first.cookie
    assert app.get("/callback", "auth0_meta_login=short").cookie != "auth0_meta_login=short"


class EachLoginRedirects(RepeatedRedirect):
    """An action that redirects once in each login."""

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Come back."""


def test_a_cookie_is_renewed_when_its_login_has_continued(kind: Any) -> None:
    """Logins in other tabs, which have begun with the bits before, still continue, until the next renewal."""
    app = Driver(kind, LocalLogin(), EachLoginRedirects())

    def allowed(tab: Any, cookie: str) -> Any:
        end = app.get(f"/continue?state={tab.state}", cookie)
        return json.loads(end.body)["allowed"], end.cookies and end.cookie

    first = app.get("/callback")
    tabs = [app.get("/callback", first.cookie) for _ in range(3)]
    (let_in, renewed) = allowed(first, first.cookie)
    bits = [cookie.partition("=")[2] for cookie in (first.cookie, renewed)]
    assert let_in
    assert bits[1].partition(".")[2] == bits[0]
    assert bits[1].partition(".")[0] not in ("", bits[0])
    for tab in tabs[:2]:
        assert allowed(tab, renewed) == (True, [])
    new = app.get("/callback", renewed)
    assert new.cookie == renewed
    (let_in, again) = allowed(new, renewed)
    assert let_in
    assert bits[0] not in again
    assert allowed(tabs[2], again) == (False, [])


def test_on_https_the_cookie_is_bound_to_the_host(kind: Any) -> None:
    """It has the prefix `__Host-`, is Secure, and is sent with a form from another site."""
    app = Driver(kind, LocalLogin(), RepeatedRedirect())
    away = app.get("/callback", base="https://app.example.com")
    flags = away.cookies[0].lower()
    assert away.cookie.startswith("__Host-auth0_meta_login=")
    for flag in ("secure", "httponly", "samesite=none", "path=/"):
        assert flag in flags
    assert "domain" not in flags
    assert json.loads(
        app.get(f"/continue?state={away.state}", away.cookie, base="https://app.example.com").body
    )["allowed"]


def test_workers_share_a_suspended_login(kind: Any, tmp_path: Path) -> None:
    """With SqliteStates another worker continues with the same claims; the file contains no state, cookie or code."""
    local, file = LocalLogin(), tmp_path / "logins.db"
    first = Driver(kind, local, RepeatedRedirect(), states=SqliteStates(file))
    second = Driver(kind, local, RepeatedRedirect(), states=SqliteStates(file))
    away = first.get("/callback?code=the-code&state=the-state")
    stored = file.read_bytes()
    for secret in (away.state, away.cookie.partition("=")[2], "the-code", "the-state"):
        assert secret.encode() not in stored
    done = second.get(f"/continue?state={away.state}", away.cookie)
    assert json.loads(done.body) == {"allowed": True, "claims": CLAIMS}


@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_arguments_that_cannot_work_are_refused(adapter: Any) -> None:
    """Examples are something that is not a trigger, and a path without a slash."""
    with pytest.raises(ConfigError, match="not function"):
        adapter.PostLogin(lambda event: None, claims=dict)
    with pytest.raises(ConfigError, match="slash"):
        adapter.PostLogin(LocalLogin().trigger(), claims=dict, continue_path="continue")


@pytest.mark.parametrize("name", ["claims", "sections"])
@pytest.mark.parametrize(
    "function",
    [{"sub": "auth0|1"}, "claims", lambda *, other: {}, lambda a, b, c: {}],
    ids=["dict", "text", "named", "three"],
)
@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_functions_that_cannot_be_called_are_refused_when_given(
    adapter: Any, function: Any, name: str
) -> None:
    """And not by the first login."""
    functions: dict[str, Any] = {"claims": dict, name: function}
    with pytest.raises(ConfigError, match=f"^{name}="):
        adapter.PostLogin(LocalLogin().trigger(), **functions)


@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_claims_are_required(adapter: Any) -> None:
    """None is not a function."""
    with pytest.raises(ConfigError, match="claims= must be a function"):
        adapter.PostLogin(LocalLogin().trigger(), claims=None)


@pytest.mark.parametrize(
    ("adapter", "needs"), [(web_flask, "flask"), (web_django, "django"), (web_fastapi, "starlette")]
)
def test_a_missing_extra_is_named(adapter: Any, needs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the framework, the import error says what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == needs]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"auth0-meta\["):
        runpy.run_path(adapter.__file__)


def test_without_a_view_continue_fails() -> None:
    """The error of /continue says what is missing."""
    trigger = LocalLogin().trigger()
    app = flask.Flask("test")
    app.testing = True
    web_flask.PostLogin(trigger, claims=dict).init_app(app)
    with pytest.raises(ConfigError, match="no view"):
        app.test_client().get("/continue")
    with pytest.raises(ConfigError, match="no view"):
        web_django.PostLogin(trigger, claims=dict).path().callback(RequestFactory().get("/continue"))
    route = web_fastapi.PostLogin(trigger, claims=dict).route()  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/continue", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    request = Request({**scope, "server": ("127.0.0.1", 80)}, receive)
    with pytest.raises(ConfigError, match="no view"):
        asyncio.run(route.endpoint(request))


def test_fastapi_sees_a_plain_endpoint() -> None:
    """FastAPI reads the signature of an endpoint: it must not take `login` for a query parameter."""
    from fastapi import FastAPI

    async def claims(request: Request) -> dict[str, Any]:
        return CLAIMS

    api = FastAPI()
    post_login = web_fastapi.PostLogin(LocalLogin().trigger(), claims=claims)

    @api.get("/callback")
    @post_login
    async def callback(request: Request, login: Login) -> PlainTextResponse:
        return PlainTextResponse(str(login.claims["sub"]))

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/callback")

    assert asyncio.run(go()).text == UID


@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_one_adapter_decorates_one_view(adapter: Any) -> None:
    """Otherwise the first view's logins would end in the second one after a redirect."""
    trigger = LocalLogin().trigger()
    post_login = adapter.PostLogin(trigger, claims=dict)

    def view(request: Any, login: Any = None) -> Any:
        """Do nothing."""

    post_login(view)
    with pytest.raises(ConfigError, match="a second PostLogin"):
        post_login(view)


def test_two_adapters_fit_into_one_application() -> None:
    """Each has its own /continue and its own name."""
    app, trigger = flask.Flask("test"), LocalLogin().trigger()
    web_flask.PostLogin(trigger, claims=dict).init_app(app)
    web_flask.PostLogin(trigger, claims=dict, continue_path="/admin/continue").init_app(app)
    names = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert names >= {"auth0_meta_continue", "auth0_meta_admin_continue"}
