"""Every form of view that Django calls, with the login, under WSGI and ASGI and behind the middleware of a new project."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import markcoroutinefunction
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.views import View
from support.logins import Login as LocalLogin
from support.view_forms import USER, Redirects, check_written_once, passing, seen, state_in
from support.web_adapters import FORM

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.django import PostLogin
from auth0_meta.errors import ConfigError

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
Form = Callable[[PostLogin], tuple[list[Any], str, dict[str, Any]]]
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Use the middleware of a new project, with logins required, and sessions on the server."""
    engine = "django.contrib.sessions.backends.cache"
    with override_settings(MIDDLEWARE=MIDDLEWARE, SESSION_ENGINE=engine, LOGIN_URL="/login"):
        yield


def urls(patterns: list[Any]) -> str:
    """Return a URL configuration with these patterns."""
    module = ModuleType(f"urls_{next(NUMBERS)}")
    vars(module)["urlpatterns"] = patterns
    return module  # type: ignore[return-value]  # Django takes an object as well as a name


class Browser:
    """A client of Django's tests that speaks WSGI or ASGI, and checks CSRF tokens."""

    def __init__(self, *, asgi: bool) -> None:
        self.asgi = asgi
        self.client: Any = (AsyncClient if asgi else Client)(enforce_csrf_checks=True)

    def send(self, verb: str, url: str, data: dict[str, str] | None = None) -> Any:
        """Send one request."""
        form = {"data": urlencode(data), "content_type": FORM} if data else {}
        if not self.asgi:
            return getattr(self.client, verb)(url, **form)

        async def go() -> Any:
            return await getattr(self.client, verb)(url, **form)

        return asyncio.run(go())


def _plain(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    def callback(request: HttpRequest, login: Login) -> Any:
        return JsonResponse(seen(login))

    return [path("callback", callback)], "/callback", {}


def _asynchronous(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    async def callback(request: HttpRequest, login: Login) -> Any:
        await asyncio.sleep(0)
        return JsonResponse(seen(login))

    return [path("callback", callback)], "/callback", {}


def _with_arguments(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    def callback(request: HttpRequest, login: Login, tenant: str, number: int) -> Any:
        return JsonResponse(seen(login, tenant=tenant, number=number))

    return (
        [path("callback/<tenant>/<int:number>", callback)],
        "/callback/acme/7",
        {"tenant": "acme", "number": 7},
    )


def _asynchronous_with_arguments(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    async def callback(request: HttpRequest, tenant: str, *, login: Login) -> Any:
        return JsonResponse(seen(login, tenant=tenant))

    return [path("callback/<tenant>", callback)], "/callback/acme", {"tenant": "acme"}


def _with_extra_arguments(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    def callback(request: HttpRequest, done: Login, tenant: str = "main") -> Any:
        return JsonResponse(seen(done, tenant=tenant))

    return [path("callback", callback, {"tenant": "acme"})], "/callback", {"tenant": "acme"}


def _with_unnamed_groups(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    def callback(request, done, year):  # type: ignore[no-untyped-def]
        return JsonResponse(seen(done, year=year))

    return [re_path(r"^callback/([0-9]{4})$", callback)], "/callback/2026", {"year": "2026"}


def _any_arguments(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    def callback(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return JsonResponse(seen(*args, **kwargs))

    return [path("callback/<tenant>", callback)], "/callback/acme", {"tenant": "acme"}


def _method(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @method_decorator(login_not_required, name="dispatch")
    class Page(View):
        @post_login
        def get(self, request: HttpRequest, login: Login, tenant: str) -> Any:
            return JsonResponse(seen(login, tenant=tenant, kwargs=self.kwargs))

        def post(self, request: HttpRequest, tenant: str) -> Any:
            raise AssertionError("/continue is posted, the callback was not")

    expected = {"tenant": "acme", "kwargs": {"tenant": "acme"}}
    return [path("callback/<tenant>", Page.as_view())], "/callback/acme", expected


def _async_method(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @method_decorator(login_not_required, name="dispatch")
    class Page(View):
        @post_login
        async def get(self, request: HttpRequest, login: Login) -> Any:
            return JsonResponse(seen(login, page=type(self).__name__))

    return [path("callback", login_not_required(Page.as_view()))], "/callback", {"page": "Page"}


def _decorated_method(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    class Page(View):
        @method_decorator(post_login)
        def get(self, request: HttpRequest, login: Login, tenant: str) -> Any:
            return JsonResponse(seen(login, tenant=tenant))

    return (
        [path("callback/<tenant>", login_not_required(Page.as_view()))],
        "/callback/acme",
        {"tenant": "acme"},
    )


def _decorated_async_method(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @method_decorator(post_login, name="get")
    class Page(View):
        async def get(self, request: HttpRequest, login: Login) -> Any:
            return JsonResponse(seen(login))

    return [path("callback", login_not_required(Page.as_view()))], "/callback", {}


def _decorated_class(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @method_decorator([post_login], name="dispatch")
    class Page(View):
        def get(self, request: HttpRequest, login: Login, tenant: str) -> Any:
            return JsonResponse(seen(login, tenant=tenant))

    return [path("callback/<tenant>", Page.as_view())], "/callback/acme", {"tenant": "acme"}


def _whole_view(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    class Page(View):
        async def get(self, request: HttpRequest, login: Login, tenant: str) -> Any:
            return JsonResponse(seen(login, tenant=tenant))

    return [path("callback/<tenant>", post_login(Page.as_view()))], "/callback/acme", {"tenant": "acme"}


def _partial(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    def callback(request: HttpRequest, login: Login, database: str) -> Any:
        return JsonResponse(seen(login, database=database))

    view = post_login(functools.partial(callback, database="db"))
    return [path("callback", view)], "/callback", {"database": "db"}


def _called_object(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    class Page:
        def __init__(self) -> None:
            markcoroutinefunction(self)

        async def __call__(self, request: HttpRequest, login: Login, tenant: str) -> Any:
            return JsonResponse(seen(login, tenant=tenant))

    return [path("callback/<tenant>", post_login(Page()))], "/callback/acme", {"tenant": "acme"}


def _between_decorators(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @passing
    @post_login
    @passing
    def callback(request: HttpRequest, tenant: str, login: Login) -> Any:
        return JsonResponse(seen(login, tenant=tenant))

    return [path("callback/<tenant>", callback)], "/callback/acme", {"tenant": "acme"}


def _coroutine_of_a_plain_function(post_login: PostLogin) -> tuple[list[Any], str, dict[str, Any]]:
    @post_login
    @passing
    async def callback(request: HttpRequest, login: Login) -> Any:
        return JsonResponse(seen(login))

    return [path("callback", callback)], "/callback", {}


FORMS: list[Form] = [
    _plain, _asynchronous, _with_arguments, _asynchronous_with_arguments, _with_extra_arguments, _with_unnamed_groups,
    _any_arguments, _method, _async_method, _decorated_method, _decorated_async_method, _decorated_class, _whole_view,
    _partial, _called_object, _between_decorators, _coroutine_of_a_plain_function,
]  # fmt: skip


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("redirects", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__.strip("_"))
def test_a_view_of_any_form_ends_the_login(form: Form, redirects: int, asgi: bool) -> None:
    """Metadata is written once per step, the view's response arrives, and its arguments are those of the callback's URL."""
    local, browser = LocalLogin(), Browser(asgi=asgi)
    post_login = PostLogin(local.trigger(Redirects(redirects)), claims=lambda request: USER)
    patterns, url, arguments = form(post_login)
    with override_settings(ROOT_URLCONF=urls([*patterns, post_login.path()])):
        reply = browser.send("get", url)
        for _ in range(redirects):
            assert reply.status_code == 303, reply.content
            reply = browser.send("post", "/continue", {"state": state_in(reply["Location"]), "answer": "yes"})
    assert json.loads(reply.content) == {"allowed": True, "sub": USER["sub"], "arguments": arguments}
    check_written_once(local, redirects)


async def _async_claims(request: HttpRequest) -> Any:
    return USER


async def _async_sections(request: HttpRequest, claims: Any) -> Any:
    return {"connection": {"name": claims["sub"]}}


def _sections(request: HttpRequest, claims: Any) -> Any:
    return {"connection": {"name": claims["sub"]}}


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("form", [_plain, _asynchronous], ids=["def view", "async view"])
@pytest.mark.parametrize(
    "claims", [lambda request: USER, _async_claims, passing(_async_claims)], ids=["def", "async", "coroutine"]
)
@pytest.mark.parametrize("sections", [None, _sections, _async_sections], ids=["none", "def", "async"])
def test_claims_and_sections_may_be_async(form: Form, claims: Any, sections: Any, asgi: bool) -> None:
    """In any combination with any view."""
    local, names = LocalLogin(), []

    def action(event: Any, api: Any) -> None:
        names.append(event.connection.name)
        api.user.set_app_metadata("logins", 1)

    post_login = PostLogin(local.trigger(action), claims=claims, sections=sections)
    patterns, url, _ = form(post_login)
    with override_settings(ROOT_URLCONF=urls(patterns)):
        assert json.loads(Browser(asgi=asgi).send("get", url).content)["allowed"]
    assert names == [sections and USER["sub"]]
    check_written_once(local, 0)


@pytest.mark.parametrize("prefix", ["", "auth/", "<realm>/auth/"])
@pytest.mark.parametrize("continue_path", ["/continue", "/continue/"])
def test_an_included_login_has_its_own_continue(prefix: str, continue_path: str) -> None:
    """With a namespace, under a prefix, with and without APPEND_SLASH's slash; a form_post callback needs no CSRF token."""
    local, browser = LocalLogin(), Browser(asgi=False)
    post_login = PostLogin(
        local.trigger(Redirects(1)), claims=lambda request: USER, continue_path=continue_path
    )

    @post_login
    def callback(request: HttpRequest, login: Login, **kwargs: Any) -> Any:
        return JsonResponse(seen(login, kwargs=kwargs, view=request.resolver_match.view_name))

    app = ([path("callback/", callback, name="callback"), post_login.path()], "login")
    url = f"/{prefix}".replace("<realm>", "acme")
    with override_settings(ROOT_URLCONF=urls([path(prefix, include(app, namespace="login"))])):
        away = browser.send("post", f"{url}callback/", {"code": "x", "state": "y"})
        data = {"state": state_in(away["Location"]), "answer": "yes"}
        reply = browser.send("post", f"{url}{continue_path[1:]}", data)
    kwargs = {"realm": "acme"} if "<" in prefix else {}
    view = "login:callback" if kwargs else f"login:auth0_meta_continue{'_' * continue_path.endswith('/')}"
    assert json.loads(reply.content)["arguments"] == {"kwargs": kwargs, "view": view}
    check_written_once(local, 1)


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
def test_a_callback_under_a_language_continues_in_that_language(asgi: bool) -> None:
    """i18n_patterns match the active language only, and /continue has none in its path."""
    local, browser = LocalLogin(), Browser(asgi=asgi)
    post_login = PostLogin(local.trigger(Redirects(1)), claims=lambda request: USER)
    callback = post_login(
        lambda request, login, tenant: JsonResponse(seen(login, tenant=tenant, language=get_language()))
    )
    patterns = [*i18n_patterns(path("callback/<tenant>", callback)), post_login.path()]
    middleware = [*MIDDLEWARE[:2], "django.middleware.locale.LocaleMiddleware", *MIDDLEWARE[2:]]
    with override_settings(ROOT_URLCONF=urls(patterns), MIDDLEWARE=middleware):
        away = browser.send("get", "/fi/callback/acme")
        reply = browser.send("post", "/continue", {"state": state_in(away["Location"]), "answer": "yes"})
    assert json.loads(reply.content)["arguments"] == {"tenant": "acme", "language": "fi"}
    check_written_once(local, 1)


# What is refused -------------------------------------------------------------------------------------------------


def _no_login(request: HttpRequest) -> Any:
    return JsonResponse({})


def _generator(request: HttpRequest, login: Login) -> Iterator[str]:
    yield ""


class _View(View):
    pass


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (_no_login, "no parameter for the login"),
        (lambda: None, "no parameter for the login"),
        (_generator, "generator"),
        (_View, "the class _View"),
        (path("x", _no_login), "not a function"),
        (None, "not a function"),
    ],
    ids=["no login", "no parameter", "generator", "class", "pattern", "None"],
)
def test_what_cannot_be_the_view_of_a_login_is_refused_when_decorated(view: Any, why: str) -> None:
    """The error says why, and what to write instead."""
    with pytest.raises(ConfigError, match=why):
        PostLogin(LocalLogin().trigger(), claims=lambda request: USER)(view)


def test_a_view_is_decorated_once() -> None:
    """One PostLogin decorates one view, also with method_decorator, and no view has two."""
    trigger = LocalLogin().trigger()
    one, other = (PostLogin(trigger, claims=lambda request: USER) for _ in range(2))
    view = one(lambda request, login: "")
    with pytest.raises(ConfigError, match="decorated by a PostLogin already"):
        other(view)
    decorate = method_decorator(other, name="get")
    decorate(type("Page", (View,), {"get": _generator}))
    for again in (
        lambda: decorate(type("Page", (View,), {"get": _generator})),
        lambda: other(lambda request, login: ""),
    ):
        with pytest.raises(ConfigError, match="a second PostLogin"):
            again()


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize(
    "form",
    [_with_arguments, _asynchronous_with_arguments, _method, _decorated_method],
    ids=lambda f: f.__name__,
)
def test_a_state_that_is_not_known_calls_no_view_that_needs_more(form: Form, asgi: bool) -> None:
    """Nothing says what its URL was, so the browser gets a 403."""
    local = LocalLogin()
    post_login = PostLogin(local.trigger(Redirects(1)), claims=lambda request: USER)
    patterns, _, _ = form(post_login)
    with override_settings(ROOT_URLCONF=urls([*patterns, post_login.path()])):
        assert Browser(asgi=asgi).send("get", "/continue?state=made-up").status_code == 403
    assert local.bodies == []


def test_arguments_that_do_not_fit_fail_before_anything_is_written() -> None:
    """A URL argument that the view doesn't take, and a call without a request, are found before the actions run."""
    local = LocalLogin()
    post_login = PostLogin(local.trigger(Redirects(0)), claims=lambda request: USER)
    view = post_login(lambda request, login: JsonResponse({}))
    with (
        override_settings(ROOT_URLCONF=urls([path("callback/<tenant>", view)])),
        pytest.raises(ConfigError, match="tenant"),
    ):
        Browser(asgi=False).send("get", "/callback/acme")
    with pytest.raises(ConfigError, match="without a request"):
        view()
    assert local.bodies == []


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("form", [_plain, _asynchronous], ids=["def", "async"])
@pytest.mark.parametrize("verb", ["head", "put", "options"])
def test_only_get_and_post_are_steps_of_a_login(verb: str, form: Form, asgi: bool) -> None:
    """A link checker's HEAD uses up neither a code at the callback nor a state at /continue."""
    local, asked, browser = LocalLogin(), [], Browser(asgi=asgi)

    def claims(request: HttpRequest) -> Any:
        asked.append(1)
        return USER

    post_login = PostLogin(local.trigger(Redirects(1)), claims=claims)
    patterns, _, _ = form(post_login)
    with override_settings(ROOT_URLCONF=urls([*patterns, post_login.path()])):
        assert browser.send(verb, "/callback").status_code == 405
        assert asked == []
        url = f"/continue?state={state_in(browser.send('get', '/callback')['Location'])}"
        assert browser.send(verb, url).status_code == 405
        assert json.loads(browser.send("get", url).content)["allowed"]


# The session -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])
@pytest.mark.parametrize("redirects", [0, 1])
@pytest.mark.parametrize("let_in", [True, False], ids=["allowed", "denied"])
def test_a_session_gets_a_new_id(let_in: bool, redirects: int, asynchronous: bool, asgi: bool) -> None:
    """Whoever has planted its id before the login is not logged in by it; its data stays, and a denial changes nothing."""
    cache.clear()
    local, browser = LocalLogin(), Browser(asgi=asgi)
    deny = () if let_in else (lambda event, api: api.access.deny("no"),)
    post_login = PostLogin(local.trigger(Redirects(redirects), *deny), claims=lambda request: USER)

    async def amain(request: HttpRequest, login: Login) -> Any:
        await request.session.aset("user", login.claims["sub"])
        return JsonResponse({"next": await request.session.aget("next")})

    def main(request: HttpRequest, login: Login) -> Any:
        request.session["user"] = login.claims["sub"]
        return JsonResponse({"next": request.session["next"]})

    @login_not_required
    def begin(request: HttpRequest) -> Any:
        request.session["next"] = "/orders"
        return JsonResponse({})

    view = post_login(amain if asynchronous else main)
    with override_settings(
        ROOT_URLCONF=urls([path("begin", begin), path("callback", view), post_login.path()])
    ):
        browser.send("get", "/begin")
        planted = browser.client.cookies["sessionid"].value
        reply = browser.send("get", "/callback")
        for _ in range(redirects):
            assert browser.client.cookies["sessionid"].value == planted
            reply = browser.send("get", f"/continue?state={state_in(reply['Location'])}")
    assert json.loads(reply.content) == {"next": "/orders"}
    now = browser.client.cookies["sessionid"].value
    assert (now != planted) == let_in
    store = type(browser.client.session)
    assert store(planted).get("user") == (None if let_in else USER["sub"])
    assert dict(store(now).items()) == {"next": "/orders", "user": USER["sub"]}


@pytest.mark.parametrize("middleware", [[], MIDDLEWARE], ids=["no sessions", "no session yet"])
def test_no_session_is_made_for_an_application_that_has_none(middleware: list[str]) -> None:
    """A login without a session cookie gets none from us."""
    post_login = PostLogin(LocalLogin().trigger(Redirects(0)), claims=lambda request: USER)
    patterns, url, _ = _plain(post_login)
    with override_settings(ROOT_URLCONF=urls(patterns), MIDDLEWARE=middleware):
        assert not Browser(asgi=False).send("get", url).cookies
