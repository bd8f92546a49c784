"""The three web adapters behind one interface, for tests that run with all of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import django
import flask
import httpx
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from auth0_meta.actions import PostLoginTrigger
from auth0_meta.actions.web import Login
from auth0_meta.actions.web import django as web_django
from auth0_meta.actions.web import fastapi as web_fastapi
from auth0_meta.actions.web import flask as web_flask
from support.logins import Login as LocalLogin

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="a secret of these tests",
        MIDDLEWARE=[],
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    )
    django.setup()


UID = "auth0|507f1f77bcf86cd799439020"


CLAIMS = {"sub": UID, "email": "byron@example.com", "aud": "app", "locale": "fi"}


SECTIONS = {
    "connection": {"id": "con_1"},
    "request": {"query": {"ui_locales": "fi"}},
    "client": {"name": "Shop"},
}


FORM = "application/x-www-form-urlencoded"


CONSENT_PAGE = "https://consent.example.com/page"


class RepeatedRedirect:
    """An action that redirects `times` times and logs each event."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.events: list[Any] = []

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Redirect."""
        self.events.append(event)
        api.user.set_app_metadata("began", True)
        if self.times:
            api.redirect.send_user_to(CONSENT_PAGE)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Come back, and redirect again while `times` is left."""
        self.events.append(event)
        self.times -= 1
        if self.times:
            api.redirect.send_user_to(CONSENT_PAGE)
        api.user.set_app_metadata("answer", event.request.body.get("answer"))


class Reply:
    """The response of an application."""

    def __init__(self, status: int, headers: Any, cookies: list[str], body: str) -> None:
        self.status, self.location, self.cookies, self.body = status, headers.get("Location"), cookies, body
        self.cache = headers.get("Cache-Control")

    @property
    def cookie(self) -> str:
        """Return the cookie as the browser would send it back."""
        (line,) = self.cookies
        return line.partition(";")[0]

    @property
    def state(self) -> str:
        """Return the state in the URL of the redirect."""
        return parse_qs(urlsplit(self.location).query)["state"][0]


def shown(login: Login) -> dict[str, Any]:
    """Return what the view was given, as JSON."""
    return {"allowed": login.outcome.allowed, "claims": dict(login.claims)}


class Flask:
    """An application with the Flask adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        app = flask.Flask("test")
        post_login = web_flask.PostLogin(trigger, claims=lambda: CLAIMS, sections=lambda claims: SECTIONS)
        post_login.init_app(app)

        @app.get("/callback")
        @post_login
        def callback(login: Login) -> Any:
            """End the login."""
            return shown(login)

        assert callback.__name__ == "callback"
        self.app = app

    def send(
        self, method: str, path: str, *, base: str, cookie: str | None, body: Any, kind: str | None = None
    ) -> Reply:
        """Send one request."""
        headers = {"Cookie": cookie} if cookie else {}
        client = self.app.test_client(use_cookies=False)
        got = client.open(path, method=method, base_url=base, headers=headers, data=body, content_type=kind)
        return Reply(
            got.status_code, got.headers, got.headers.getlist("Set-Cookie"), got.get_data(as_text=True)
        )


class Django:
    """An application with the Django adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        post_login = web_django.PostLogin(
            trigger, claims=lambda request: CLAIMS, sections=lambda request, claims: SECTIONS
        )

        @post_login
        def callback(request: Any, login: Login) -> HttpResponse:
            """End the login."""
            return HttpResponse(json.dumps(shown(login)))

        pattern = post_login.path()
        assert pattern.callback.csrf_exempt
        assert str(pattern.pattern) == "continue"
        self.views = {"/callback": callback, "/continue": pattern.callback}

    def send(
        self, method: str, path: str, *, base: str, cookie: str | None, body: Any, kind: str | None = None
    ) -> Reply:
        """Send one request."""
        parts = urlsplit(base)
        extra = {"HTTP_COOKIE": cookie} if cookie else {}
        made = RequestFactory(SERVER_NAME=parts.hostname, HTTP_HOST=parts.netloc, **extra)
        secure = parts.scheme == "https"
        if isinstance(body, dict):
            kind, body = FORM, urlencode(body)
        if method == "POST":
            request = made.post(path, body, content_type=kind or FORM, secure=secure)
        else:
            request = made.get(path, secure=secure)
        got = self.views[urlsplit(path).path](request)
        cookies = [morsel.OutputString() for morsel in got.cookies.values()]
        return Reply(got.status_code, got.headers, cookies, got.content.decode())


class Fast:
    """An application with the FastAPI and Starlette adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        async def claims(request: Request) -> dict[str, Any]:
            return CLAIMS

        async def sections(request: Request, claims: Any) -> dict[str, Any]:
            return SECTIONS

        post_login = web_fastapi.PostLogin(trigger, claims=claims, sections=sections)

        @post_login
        async def callback(request: Request, login: Login) -> JSONResponse:
            """End the login."""
            return JSONResponse(shown(login))

        assert callback.__name__ == "callback"
        self.app = Starlette(routes=[Route("/callback", callback), post_login.route()])

    def send(
        self, method: str, path: str, *, base: str, cookie: str | None, body: Any, kind: str | None = None
    ) -> Reply:
        """Send one request."""

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                headers = {"Cookie": cookie} if cookie else {}
                headers |= {"Content-Type": kind} if kind else {}
                what: Any = {"content": body} if isinstance(body, bytes) else {"data": body}
                return await client.request(method, path, headers=headers, **what)

        got = asyncio.run(go())
        return Reply(got.status_code, got.headers, got.headers.get_list("Set-Cookie"), got.text)


class Driver:
    """One application of one framework, with one trigger and a client."""

    def __init__(self, kind: Any, local: LocalLogin, *actions: Any, **settings: Any) -> None:
        self.app = kind(local.trigger(*actions, **settings))

    def get(self, path: str, cookie: str | None = None, base: str = "http://127.0.0.1:3000") -> Reply:
        """Visit a page."""
        return self.app.send("GET", path, base=base, cookie=cookie, body=None)

    def post(self, path: str, cookie: str | None = None, **body: str) -> Reply:
        """Send a form."""
        return self.app.send("POST", path, base="http://127.0.0.1:3000", cookie=cookie, body=body)

    def post_raw(self, path: str, cookie: str | None, body: bytes, kind: str) -> Reply:
        """Send any body."""
        return self.app.send("POST", path, base="http://127.0.0.1:3000", cookie=cookie, body=body, kind=kind)
