"""Put the trigger into login callbacks: cookies, /continue, what is kept between, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import runpy
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import django
import flask
import httpx
import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from support.logins import Login as LocalLogin

from auth0_meta.actions import LoginOutcome, MemoryStates, PostLoginTrigger, Redirect, SqliteStates
from auth0_meta.actions.web import Login, ReturnUrls, SigningKeys, verify_id_token
from auth0_meta.actions.web import django as web_django
from auth0_meta.actions.web import fastapi as web_fastapi
from auth0_meta.actions.web import flask as web_flask
from auth0_meta.actions.web.core import BrowserRedirect, BrowserRequest, LoginFlow
from auth0_meta.actions.web.form import MAX_BODY_BYTES, read_body
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.state.keys import KeyRing
from auth0_meta.errors import AuthError, ConfigError, InputError, MissingExtraError, TransportError

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="a secret of these tests", MIDDLEWARE=[], USE_TZ=True)
    django.setup()

UID = "auth0|507f1f77bcf86cd799439020"
CLAIMS = {"sub": UID, "email": "byron@example.com", "aud": "app", "locale": "fi"}
SECTIONS = {
    "connection": {"id": "con_1"},
    "request": {"query": {"ui_locales": "fi"}},
    "client": {"name": "Shop"},
}
JWKS = "/.well-known/jwks.json"
FORM = "application/x-www-form-urlencoded"
ELSEWHERE = "https://consent.example.com/page"


class Detour:
    """Send everybody away, as often as `times` says, and note how each came back."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.events: list[Any] = []

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Go."""
        self.events.append(event)
        api.user.set_app_metadata("began", True)
        if self.times:
            api.redirect.send_user_to(ELSEWHERE)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Come back, perhaps not for good."""
        self.events.append(event)
        self.times -= 1
        if self.times:
            api.redirect.send_user_to(ELSEWHERE)
        api.user.set_app_metadata("answer", event.request.body.get("answer"))


class Reply:
    """Hold what a framework answered."""

    def __init__(self, status: int, headers: Any, cookies: list[str], body: str) -> None:
        self.status, self.location, self.cookies, self.body = status, headers.get("Location"), cookies, body
        self.cache = headers.get("Cache-Control")

    @property
    def cookie(self) -> str:
        """Return the binding cookie as the browser sends it back."""
        (line,) = self.cookies
        return line.partition(";")[0]

    @property
    def state(self) -> str:
        """Return the state that the redirect carries."""
        return parse_qs(urlsplit(self.location).query)["state"][0]


def shown(login: Login) -> dict[str, Any]:
    """Answer with what the finishing function was given."""
    return {"allowed": login.outcome.allowed, "claims": dict(login.claims)}


class Flask:
    """Drive the Flask adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        app = flask.Flask("test")
        post_login = web_flask.PostLogin(trigger, claims=lambda: CLAIMS, sections=lambda claims: SECTIONS)
        post_login.init_app(app)

        @app.get("/callback")
        @post_login
        def callback(login: Login) -> Any:
            """Finish."""
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
    """Drive the Django adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        post_login = web_django.PostLogin(
            trigger, claims=lambda request: CLAIMS, sections=lambda request, claims: SECTIONS
        )

        @post_login
        def callback(request: Any, login: Login) -> HttpResponse:
            """Finish."""
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
    """Drive the FastAPI and Starlette adapter."""

    def __init__(self, trigger: PostLoginTrigger) -> None:
        async def claims(request: Request) -> dict[str, Any]:
            return CLAIMS

        async def sections(request: Request, claims: Any) -> dict[str, Any]:
            return SECTIONS

        post_login = web_fastapi.PostLogin(trigger, claims=claims, sections=sections)

        @post_login
        async def callback(request: Request, login: Login) -> JSONResponse:
            """Finish."""
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
    """Hold one application of one framework around one trigger."""

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


@pytest.fixture(params=[Flask, Django, Fast])
def kind(request: pytest.FixtureRequest) -> Any:
    """Go through the frameworks."""
    return request.param


def test_a_login_without_a_redirect_ends_at_the_callback(kind: Any) -> None:
    """The function gets the claims and the outcome; no cookie is set; the one-time code reaches no action."""
    detour = Detour(times=0)
    app = Driver(kind, LocalLogin(), detour)
    reply = app.get("/callback?code=secret&state=secret&theme=dark", base="https://app.example.com:8443")
    assert json.loads(reply.body) == {"allowed": True, "claims": CLAIMS}
    assert reply.cookies == []
    (event,) = detour.events
    assert dict(event.request.query) == {"theme": "dark", "ui_locales": "fi"}
    assert (event.connection.id, event.client.client_id, event.client.name) == ("con_1", "app", "Shop")
    assert event.request.hostname == "app.example.com"
    assert event.request.ip == "127.0.0.1"
    assert event.user.locale == "fi"
    assert event.transaction.protocol == "oidc-basic-profile"


def test_a_login_over_a_redirect(kind: Any) -> None:
    """It is suspended with a cookie that no script reads, and goes on with the same claims, one PATCH each side."""
    local = LocalLogin()
    detour = Detour()
    app = Driver(kind, local, detour)
    away = app.get("/callback?code=x&state=y")
    assert away.status == 303
    assert away.location.startswith(f"{ELSEWHERE}?state=")
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
    assert detour.events[1].request.method == "POST"
    again = app.post(f"/continue?state={away.state}", away.cookie, answer="no")
    assert json.loads(again.body) == {"allowed": False, "claims": {}}
    assert len(local.bodies) == 2


def test_a_login_over_two_redirects_keeps_browser_and_claims(kind: Any) -> None:
    """Each redirect has a state of its own, the cookie stays; the state may come in the form."""
    app = Driver(kind, LocalLogin(), Detour(times=2))
    first = app.get("/callback")
    second = app.get(f"/continue?state={first.state}", first.cookie)
    assert second.status == 303
    assert second.state != first.state
    assert second.cookie == first.cookie
    done = app.post("/continue", second.cookie, state=second.state)
    assert json.loads(done.body) == {"allowed": True, "claims": CLAIMS}


def test_another_browser_gets_nothing_and_takes_nothing_away(kind: Any) -> None:
    """Without the cookie, or with another, /continue is refused and the right browser goes on."""
    local = LocalLogin()
    app = Driver(kind, local, Detour())
    away = app.get("/callback")
    name = away.cookie.partition("=")[0]
    for cookie in (None, f"{name}=", f"{name}={'x' * 43}", f"{name}=none"):
        refused = app.get(f"/continue?state={away.state}", cookie)
        assert json.loads(refused.body) == {"allowed": False, "claims": {}}
    assert len(local.bodies) == 1
    assert json.loads(app.get(f"/continue?state={away.state}", away.cookie).body)["allowed"]


def test_a_browser_keeps_its_cookie_over_logins(kind: Any) -> None:
    """Two tabs log in with the same; what can't be one of ours is replaced."""
    app = Driver(kind, LocalLogin(), Detour(times=9))
    first = app.get("/callback")
    assert app.get("/callback", first.cookie).cookie == first.cookie
    assert app.get("/callback", "auth0_meta_login=short").cookie != "auth0_meta_login=short"


def test_on_https_the_cookie_is_bound_to_the_host(kind: Any) -> None:
    """`__Host-` and Secure, and sent along when another site's form comes back."""
    app = Driver(kind, LocalLogin(), Detour())
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
    """With a file of states another worker goes on, with the same claims; the file holds no state, cookie or code."""
    local, file = LocalLogin(), tmp_path / "logins.db"
    first = Driver(kind, local, Detour(), states=SqliteStates(file))
    second = Driver(kind, local, Detour(), states=SqliteStates(file))
    away = first.get("/callback?code=the-code&state=the-state")
    stored = file.read_bytes()
    for secret in (away.state, away.cookie.partition("=")[2], "the-code", "the-state"):
        assert secret.encode() not in stored
    done = second.get(f"/continue?state={away.state}", away.cookie)
    assert json.loads(done.body) == {"allowed": True, "claims": CLAIMS}


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


@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_what_can_not_work_is_refused_at_the_start(adapter: Any) -> None:
    """A trigger that is none, and a path that is none."""
    with pytest.raises(ConfigError, match="not function"):
        adapter.PostLogin(lambda event: None, claims=dict)
    with pytest.raises(ConfigError, match="slash"):
        adapter.PostLogin(LocalLogin().trigger(), claims=dict, continue_path="continue")


@pytest.mark.parametrize(
    ("adapter", "needs"), [(web_flask, "flask"), (web_django, "django"), (web_fastapi, "starlette")]
)
def test_a_missing_extra_is_named(adapter: Any, needs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the framework the import says what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == needs]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"auth0-meta\["):
        runpy.run_path(adapter.__file__)


def test_without_a_view_there_is_no_end() -> None:
    """/continue says what is missing."""
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
    """FastAPI reads an endpoint's signature: it must not take `login` for a parameter of the query."""
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


# Where a browser may go --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example/",
        "javascript:alert(1)",
        "https://app.example.com/welcome?and=more",
        "https://app.example.com/welcome/../x",
        "orders",
    ],
)
def test_a_foreign_address_becomes_home(url: str | None) -> None:
    """Only paths of the same site, and what is listed to the letter."""
    assert ReturnUrls("https://app.example.com/welcome", home="/home").pick(url) == "/home"


@given(st.text())
def test_a_return_address_never_leaves_the_site(text: str) -> None:
    """Whatever is asked for, the answer joins to an address of the same site."""
    picked = ReturnUrls().pick(text)
    assert picked.startswith("/")
    assert not picked.startswith(("//", "/\\"))
    assert not any(c.isspace() or not c.isprintable() for c in picked)


def test_listed_addresses_are_absolute_and_home_is_allowed() -> None:
    """A list that can't work is refused when it is made; a logout leads to a listed address only."""
    urls = ReturnUrls("https://app.example.com/", home="https://app.example.com/")
    assert urls.pick("/x") == "/x"
    assert 7 not in urls
    for listed, home in (
        ("/path", "/"),
        ("app.example.com", "/"),
        ("https://a.example/", "https://b.example/"),
    ):
        with pytest.raises(ConfigError):
            ReturnUrls(listed, home=home)
    with pytest.raises(InputError):
        urls.logout("t.auth0.com", client_id="c", return_to="/")


# ID tokens without Authlib -----------------------------------------------------------------------------


class Issuer(LocalTenant):
    """Be a tenant without a socket whose keys are at hand, so that odd tokens can be signed too."""

    def __init__(self) -> None:
        super().__init__(serve=False)
        self.ring = KeyRing("tests")
        self.publish()

    def publish(self) -> None:
        """Publish the keys as they are now."""
        self.fail(path=JWKS, status=200, body=self.ring.jwks(), times=None)

    def sign(self, **claims: Any) -> str:
        """Return a token; None leaves a claim out."""
        return self.ring.sign({name: value for name, value in claims.items() if value is not None})


@pytest.fixture
def tenant() -> Iterator[Issuer]:
    """Give a tenant that signs tokens."""
    with Issuer() as local:
        assert isinstance(local, Issuer)
        yield local


def signed(tenant: Issuer, **changed: Any) -> str:
    """Return an ID token of this tenant; None leaves a claim out."""
    now = int(tenant.now())
    claims = {
        "iss": f"{tenant.url}/",
        "sub": UID,
        "aud": "app",
        "iat": now,
        "exp": now + 60,
        "nonce": "the-nonce",
        **changed,
    }
    return tenant.sign(**claims)


def asked_for_keys(tenant: Issuer) -> int:
    """Return how often the keys were fetched."""
    return tenant.journal.count("GET", path=JWKS)


def test_an_id_token_that_holds(tenant: Issuer) -> None:
    """Its claims come back, and the keys are fetched once for all tokens."""
    with tenant.client() as client:
        keys = SigningKeys(client)
        for _ in range(3):
            claims = verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
            assert claims["sub"] == UID
        several = signed(
            tenant, aud=["app", "other"], azp="app", nonce=None, at_hash="of no access token here"
        )
        assert verify_id_token(several, keys=keys, audience="app", nonce=None)["azp"] == "app"
        odd = signed(tenant, nonce="\ud800")
        assert verify_id_token(odd, keys=keys, audience="app", nonce="\ud800")["sub"] == UID
        assert asked_for_keys(tenant) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "other"},
        {"aud": None},
        {"aud": ["app", "other"]},
        {"aud": ["app", "other"], "azp": "other"},
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"nonce": "\ud800"},
        {"exp": float("inf")},
        {"exp": "soon"},
        {"iat": float("-inf")},
        {"nbf": float("nan")},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_an_id_token_that_does_not_hold(changed: dict[str, Any], tenant: Issuer) -> None:
    """Another application's, issuer's or browser's, an old one, one without a user."""
    with tenant.client() as client, pytest.raises(AuthError, match="the token is invalid"):
        verify_id_token(
            signed(tenant, **changed), keys=SigningKeys(client), audience="app", nonce="the-nonce"
        )


def test_only_rs256_by_a_named_key(tenant: Issuer) -> None:
    """No other algorithm, no unsigned token, no text that is none: refused before any key is fetched."""
    from jose import jwt as jose

    claims = {"iss": f"{tenant.url}/", "sub": UID, "aud": "app", "exp": int(tenant.now()) + 60}
    kid = {"kid": tenant.ring.jwks()["keys"][0]["kid"]}
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"x"}').rstrip(b"=").decode()
    forged = [
        jose.encode(claims, "secret", algorithm="HS256", headers=kid),
        f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.",
        "no token",
        "",
    ]
    with tenant.client() as client:
        for token in forged:
            with pytest.raises(AuthError, match="RS256"):
                verify_id_token(token, keys=SigningKeys(client), audience="app", nonce=None)
    assert asked_for_keys(tenant) == 0


def test_a_new_key_is_fetched_at_most_once_a_minute(tenant: Issuer) -> None:
    """Rotated keys are found; made-up key ids do not make the application ask and ask."""
    tenant.clock.freeze()
    with tenant.client() as client:
        keys = SigningKeys(client)
        verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        for _ in range(3):
            tenant.ring.rotate()
        tenant.reset()
        tenant.clock.freeze()
        tenant.publish()
        for _ in range(3):
            with pytest.raises(AuthError, match="no such signing key"):
                verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert asked_for_keys(tenant) == 0
        tenant.clock.advance(60)
        verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert asked_for_keys(tenant) == 1


@pytest.mark.parametrize("body", ["no JSON", [], {"keys": 7}, {"keys": [{"kty": "RSA"}]}, {"keys": [7]}])
def test_keys_that_can_not_be_read(body: Any, tenant: Issuer) -> None:
    """Whatever is wrong with them, the error says so and no token holds."""
    tenant.reset()
    tenant.fail(path=JWKS, status=200, body=body)
    with tenant.client() as client, pytest.raises(TransportError, match="could not be read"):
        SigningKeys(client).get("any")


def test_keys_that_are_not_there(tenant: Issuer) -> None:
    """A tenant that fails is reported with its status."""
    tenant.reset()
    tenant.fail(path=JWKS, status=503)
    with tenant.client() as client, pytest.raises(TransportError, match="answered 503"):
        SigningKeys(client).get("any")


def test_a_time_that_is_null_does_not_hold(tenant: Issuer) -> None:
    """It is the token that is wrong, not the key."""
    token = tenant.ring.sign({"iss": f"{tenant.url}/", "sub": UID, "aud": "app", "exp": None})
    with tenant.client() as client, pytest.raises(AuthError, match="times"):
        verify_id_token(token, keys=SigningKeys(client), audience="app", nonce=None)


def test_a_nonce_that_was_not_asked_for_is_refused(tenant: Issuer) -> None:
    """A token with a nonce belongs to another login than one that sent none."""
    with tenant.client() as client, pytest.raises(AuthError, match="nonce"):
        verify_id_token(signed(tenant), keys=SigningKeys(client), audience="app", nonce=None)


def test_a_tenant_that_failed_once_is_asked_again_soon(tenant: Issuer) -> None:
    """Two seconds long the failure is what it was, without a request; then the keys are fetched."""
    tenant.clock.freeze()
    tenant.reset()
    tenant.clock.freeze()
    tenant.fail(path=JWKS, status=503)
    tenant.publish()
    with tenant.client() as client:
        keys = SigningKeys(client)
        for _ in range(3):
            with pytest.raises(TransportError, match="answered 503"):
                verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")
        assert asked_for_keys(tenant) == 1
        tenant.clock.advance(2)
        assert verify_id_token(signed(tenant), keys=keys, audience="app", nonce="the-nonce")["sub"] == UID
        assert asked_for_keys(tenant) == 2


def test_a_made_up_key_id_keeps_nobody_waiting(tenant: Issuer) -> None:
    """While its keys are asked for, logins with known ones go on; two who ask for the same ask once."""
    held, going = threading.Event(), threading.Event()
    tenant.clock.freeze()
    with tenant.client() as client, ThreadPoolExecutor(2) as pool:
        keys = SigningKeys(client, between=1.0)
        known = signed(tenant)
        verify_id_token(known, keys=keys, audience="app", nonce="the-nonce")
        tenant.clock.advance(1)
        fetch = keys._fetch

        def slowly() -> Any:
            held.set()
            assert going.wait(20)
            return fetch()

        keys._fetch = slowly  # type: ignore[method-assign]
        made_up = [pool.submit(keys.get, "made up") for _ in range(2)]
        assert held.wait(20)
        verify_id_token(known, keys=keys, audience="app", nonce="the-nonce")
        going.set()
        assert all(isinstance(asked.exception(20), AuthError) for asked in made_up)


# Bounds, and what is refused -----------------------------------------------------------------------------


def test_a_form_that_is_too_large_is_refused(kind: Any) -> None:
    """Before it is parsed, and without using up the login; blank fields are fields."""
    detour = Detour()
    app = Driver(kind, LocalLogin(), detour)
    away = app.get("/callback")
    path = f"/continue?state={away.state}"
    for body, form, status in (
        (b"answer=" + b"x" * 65_536, FORM, 413),
        (b"&".join(b"a%d=" % number for number in range(101)), FORM, 413),
        (b"--b\r\n", "multipart/form-data; boundary=b", 415),
        (b"{}", "application/json", 415),
    ):
        refused = app.post_raw(path, away.cookie, body, form)
        assert refused.status == status
        assert refused.body.startswith(("The form has more than", f"Send the form as {FORM}"))
    done = app.post_raw(path, away.cookie, b"answer=&b=" + b"x" * 60_000, f"{FORM}; charset=utf-8")
    assert json.loads(done.body)["allowed"]
    assert detour.events[1].request.body["answer"] == ""


def test_a_body_is_read_no_further_than_its_bound() -> None:
    """Whoever sends without end is not listened to for ever; the stream may give little at a time."""
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return b"x" * min(size, 40_000)

    assert len(read_body(read)) == MAX_BODY_BYTES + 1
    assert len(asked) == 2

    async def receive() -> Any:
        asked.append(0)
        return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/continue", "query_string": b""}
    scope |= {"headers": [(b"content-type", FORM.encode())], "server": ("127.0.0.1", 80)}
    route = web_fastapi.PostLogin(LocalLogin().trigger(), claims=dict).route()  # type: ignore[arg-type]
    answer = asyncio.run(route.endpoint(Request(scope, receive)))
    assert answer.status_code == 413
    assert len(asked) == 4


@pytest.mark.parametrize("reader", ["flask", "django"])
def test_a_form_that_was_read_before_is_read_all_the_same(reader: str) -> None:
    """A middleware may have looked into it."""
    detour = Detour()
    app = Driver(Flask if reader == "flask" else Django, LocalLogin(), detour)
    if reader == "flask":

        def look() -> None:
            flask.request.form.to_dict()

        app.app.app.before_request(look)
    else:
        view = app.app.views["/continue"]

        def middleware(request: Any) -> Any:
            assert request.POST
            return view(request)

        app.app.views["/continue"] = middleware
    away = app.get("/callback")
    done = app.post("/continue", away.cookie, state=away.state, answer="yes")
    assert json.loads(done.body)["allowed"]
    assert detour.events[1].request.body["answer"] == "yes"


@pytest.mark.parametrize("adapter", [web_flask, web_django, web_fastapi])
def test_one_adapter_is_one_view(adapter: Any) -> None:
    """A second view would be what the first one's logins end in after a redirect."""
    trigger = LocalLogin().trigger()
    post_login = adapter.PostLogin(trigger, claims=dict)

    def view(*_: Any) -> Any:
        """Finish."""

    post_login(view)
    with pytest.raises(ConfigError, match="a second PostLogin"):
        post_login(view)


def test_two_adapters_fit_into_one_application() -> None:
    """Each has a /continue of its own, under a name of its own."""
    app, trigger = flask.Flask("test"), LocalLogin().trigger()
    web_flask.PostLogin(trigger, claims=dict).init_app(app)
    web_flask.PostLogin(trigger, claims=dict, continue_path="/admin/continue").init_app(app)
    names = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert names >= {"auth0_meta_continue", "auth0_meta_admin_continue"}


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
