"""Every form of endpoint that FastAPI and Starlette call, with the login: what FastAPI resolves, it resolves at /continue too."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import fastapi
import httpx
import pydantic
import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, FastAPI, Form, Header, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Mount, Route, Router
from support.logins import Login as LocalLogin
from support.view_forms import USER, Redirects, check_written_once, passing, seen, state_in

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.fastapi import PostLogin
from auth0_meta.errors import ConfigError

Made = tuple[Any, str, str, dict[str, Any]]
"""The application, the URLs of the callback and of /continue, and the arguments that the view gets."""
Case = Callable[[PostLogin], Made]
EVENTS: list[str] = []


def connect() -> Iterator[str]:
    """Yield a dependency, and note that it is closed."""
    yield "connected"
    EVENTS.append("closed")


async def aconnect(tenant: str) -> AsyncIterator[str]:
    """Yield a dependency that has a path parameter of its own."""
    yield f"connected to {tenant}"
    EVENTS.append("closed")


def page(number: int = 1) -> int:
    """Return a query parameter."""
    return number


Database = Annotated[str, Depends(connect)]


def _api(post_login: PostLogin, callback: Any, path: str = "/callback", **route: Any) -> FastAPI:
    api = FastAPI()
    api.get(path, **route)(callback)
    post_login.init_app(api)
    return api


def _plain(post_login: PostLogin) -> Made:
    @post_login
    def callback(request: Request, login: Login) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return JSONResponse(seen(login))

    return _api(post_login, callback), "/callback", "/continue", {}


def _asynchronous(post_login: PostLogin) -> Made:
    @post_login
    async def callback(request: Request, login: Login) -> Any:
        assert threading.current_thread() is threading.main_thread()
        return JSONResponse(seen(login))

    return _api(post_login, callback), "/callback", "/continue", {}


def _untyped(post_login: PostLogin) -> Made:
    @post_login
    async def callback(request, login, db=Depends(connect)):  # type: ignore[no-untyped-def]  # noqa: B008
        return JSONResponse(seen(login, db=db))

    return _api(post_login, callback), "/callback", "/continue", {"db": "connected"}


def _without_a_request(post_login: PostLogin) -> Made:
    @post_login
    async def callback(login: Login) -> dict[str, Any]:
        return seen(login)

    return _api(post_login, callback), "/callback", "/continue", {}


def _request_under_another_name(post_login: PostLogin) -> Made:
    @post_login
    def callback(db: Database, http: Request, done: Login) -> Any:
        return seen(done, db=db, tenant=http.query_params["tenant"])

    made = {"db": "connected", "tenant": "acme"}
    return _api(post_login, callback), "/callback?tenant=acme&code=x", "/continue", made


def _everything(post_login: PostLogin) -> Made:
    @post_login
    async def callback(
        *,
        tenant: str,
        item: int,
        request: Request,
        database: Annotated[str, Depends(aconnect)],
        number: Annotated[int, Depends(page)],
        login: Login,
        code: str,
        flags: Annotated[list[str], Query()],
        tasks: BackgroundTasks,
        agent: Annotated[str | None, Header(alias="x-agent")] = None,
        theme: Annotated[str | None, Cookie()] = None,
    ) -> dict[str, Any]:
        tasks.add_task(EVENTS.append, "task")
        return seen(
            login, tenant=tenant, item=item, db=database, number=number, flags=flags, agent=agent, theme=theme
        )

    made = {
        "tenant": "acme",
        "item": 7,
        "db": "connected to acme",
        "number": 3,
        "flags": ["a", "b c"],
        "agent": "x",
        "theme": None,
    }
    path = "/callback/acme/7?number=3&flags=a&flags=b%20c&code=secret"
    return _api(post_login, callback, "/callback/{tenant}/{item:int}"), path, "/continue", made


def _response_model(post_login: PostLogin) -> Made:
    class Seen(pydantic.BaseModel):
        allowed: bool
        sub: str | None
        arguments: dict[str, str]

    @post_login
    async def callback(login: Login, db: Database, response: fastapi.Response) -> Any:
        response.headers["X-View"] = "yes"
        return {**seen(login, db=db), "secret": "not in the model"}

    api = _api(post_login, callback, response_model=Seen, status_code=200, dependencies=[Depends(page)])
    return api, "/callback", "/continue", {"db": "connected"}


def _on_an_included_router(post_login: PostLogin) -> Made:
    router = APIRouter(prefix="/auth")

    @router.get("/callback/{item}")
    @post_login
    def callback(item: int, login: Login, db: Database) -> Any:
        return seen(login, item=item, db=db)

    post_login.init_app(router)
    api = FastAPI()
    api.include_router(router, prefix="/v1", dependencies=[Depends(page)])
    return api, "/v1/auth/callback/7", "/v1/continue", {"item": 7, "db": "connected"}


def _in_a_mounted_application(post_login: PostLogin) -> Made:
    @post_login
    async def callback(item: int, login: Login, request: Request) -> Any:
        request.session["seen"] = item
        return seen(login, item=item, root=request.scope["root_path"])

    inner, outer = _api(post_login, callback, "/callback/{item}"), FastAPI()
    inner.add_middleware(SessionMiddleware, secret_key="of this test")
    outer.mount("/sub", inner)
    return outer, "/sub/callback/7", "/sub/continue", {"item": 7, "root": "/sub"}


def _continued_outside_of_the_mount(post_login: PostLogin) -> Made:
    @post_login
    async def callback(item: int, login: Login) -> Any:
        return seen(login, item=item)

    inner, outer = FastAPI(), FastAPI()
    inner.get("/callback/{item}")(callback)
    outer.mount("/sub", inner)
    post_login.init_app(outer)
    return outer, "/sub/callback/7", "/continue", {"item": 7}


def _under_a_root_path(post_login: PostLogin) -> Made:
    @post_login
    async def callback(item: int, login: Login, request: Request) -> Any:
        return seen(login, item=item, url=str(request.url_for("callback", item=1)))

    api = _api(post_login, callback, "/callback/{item}")

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await api({**scope, "root_path": "/v1"}, receive, send)

    made = {"item": 7, "url": "http://127.0.0.1/v1/callback/1"}
    return served, "/v1/callback/7", "/v1/continue", made


def _bound_method(post_login: PostLogin) -> Made:
    class Pages:
        name = "pages"

        @post_login
        async def callback(self, login: Login, item: int, db: Database) -> Any:
            return seen(login, item=item, db=db, name=self.name)

    made = {"item": 7, "db": "connected", "name": "pages"}
    return _api(post_login, Pages().callback, "/callback/{item}"), "/callback/7", "/continue", made


def _decorated_bound_method(post_login: PostLogin) -> Made:
    class Pages:
        name = "pages"

        def callback(self, request: Request, login: Login, db: Database) -> Any:
            return seen(login, db=db, name=self.name)

    made = {"db": "connected", "name": "pages"}
    return _api(post_login, post_login(Pages().callback)), "/callback", "/continue", made


def _positional_only(post_login: PostLogin) -> Made:
    @post_login
    async def callback(request: Request, login: Login, item: int, /, *, db: Database) -> Any:
        return seen(login, item=item, db=db, method=request.method)

    made = {"item": 7, "db": "connected", "method": "GET"}
    return _api(post_login, callback, "/callback/{item}"), "/callback/7", "/continue", made


def _static_method(post_login: PostLogin) -> Made:
    class Pages:
        @post_login
        @staticmethod
        async def callback(login: Login, db: Database) -> Any:
            return seen(login, db=db)

    return _api(post_login, Pages.callback), "/callback", "/continue", {"db": "connected"}


def _partial(post_login: PostLogin) -> Made:
    def callback(prefix: str, login: Login, db: Database) -> Any:
        return seen(login, db=prefix + db)

    view = post_login(functools.partial(callback, "is "))
    return _api(post_login, view), "/callback", "/continue", {"db": "is connected"}


def _called_object(post_login: PostLogin) -> Made:
    class Page:
        async def __call__(self, login: Login, db: Database) -> Any:
            return seen(login, db=db)

    return _api(post_login, post_login(Page())), "/callback", "/continue", {"db": "connected"}


def _between_decorators(post_login: PostLogin) -> Made:
    @passing
    @post_login
    @passing
    async def callback(login: Login, db: Database) -> Any:
        return seen(login, db=db)

    return _api(post_login, callback), "/callback", "/continue", {"db": "connected"}


def _starlette(post_login: PostLogin) -> Made:
    @post_login
    async def callback(request: Request, login: Login) -> Any:
        return JSONResponse(seen(login))

    app = Starlette(routes=[Route("/callback", callback, methods=["GET", "POST"]), post_login.route()])
    return app, "/callback", "/continue", {}


def _starlette_without_a_request(post_login: PostLogin) -> Made:
    @post_login
    def callback(login: Login) -> Any:
        return JSONResponse(seen(login))

    return Starlette(routes=[Route("/callback", callback), post_login.route()]), "/callback", "/continue", {}


def _starlette_class(post_login: PostLogin) -> Made:
    class Page(HTTPEndpoint):
        @post_login
        async def get(self, request: Request, login: Login) -> Any:
            return JSONResponse(seen(login, item=request.path_params["item"]))

        async def post(self, request: Request) -> Any:
            raise AssertionError("/continue is posted, the callback was not")

    app = Starlette(routes=[Route("/callback/{item:int}", Page), post_login.route()])
    return app, "/callback/7", "/continue", {"item": 7}


def _router_alone(post_login: PostLogin) -> Made:
    class Page(HTTPEndpoint):
        @post_login
        def get(self, request: Request, login: Login) -> Any:
            return JSONResponse(seen(login))

    routes = [Mount("/auth", routes=[Route("/callback", Page), post_login.route()])]
    return Router(routes), "/auth/callback", "/auth/continue", {}


CASES: list[Case] = [
    _plain, _asynchronous, _untyped, _without_a_request, _request_under_another_name, _everything, _response_model,
    _on_an_included_router, _in_a_mounted_application, _continued_outside_of_the_mount, _under_a_root_path, _bound_method,
    _decorated_bound_method, _static_method, _positional_only, _partial, _called_object, _between_decorators, _starlette,
    _starlette_without_a_request, _starlette_class, _router_alone,
]  # fmt: skip


def visit(app: Any, steps: Callable[[httpx.AsyncClient], Any]) -> Any:
    """Run a visit with one browser."""

    async def go() -> Any:
        transport = httpx.ASGITransport(app)
        headers = {"x-agent": "x"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as browser:
            return await steps(browser)

    return asyncio.run(go())


def login_through(app: Any, url: str, back: str, redirects: int, method: str = "GET") -> httpx.Response:
    """Log in, return as often as it redirects, and return the last response."""

    async def steps(browser: httpx.AsyncClient) -> httpx.Response:
        reply = await browser.request(method, url)
        for _ in range(redirects):
            assert reply.status_code == 303, reply.text
            reply = await browser.post(
                back, data={"state": state_in(reply.headers["Location"]), "answer": "yes"}
            )
        return reply

    reply: httpx.Response = visit(app, steps)
    return reply


async def _claims(request: Request) -> Any:
    return USER


@pytest.mark.parametrize("redirects", [0, 1, 2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_a_view_of_any_form_ends_the_login(case: Case, redirects: int) -> None:
    """Metadata is written once per step, the view's response arrives, and its arguments are those that the framework resolves."""
    EVENTS.clear()
    local = LocalLogin()
    app, url, back, arguments = case(PostLogin(local.trigger(Redirects(redirects)), claims=_claims))
    reply = login_through(app, url, back, redirects)
    assert reply.json() == {"allowed": True, "sub": USER["sub"], "arguments": arguments}
    check_written_once(local, redirects)
    if case in (_everything, _response_model):
        assert EVENTS.count("closed") == redirects + 1  # a dependency is closed after each step
        assert EVENTS.count("task") == (case is _everything)  # a task is added by the view, which runs once
        assert ("X-View" in reply.headers) == (case is _response_model)


def _sections(request: Request, claims: Any) -> Any:
    return {"connection": {"name": claims["sub"]}}


async def _async_sections(request: Request, claims: Any) -> Any:
    return {"connection": {"name": claims["sub"]}}


@pytest.mark.parametrize("case", [_plain, _asynchronous], ids=["def view", "async view"])
@pytest.mark.parametrize(
    "claims", [lambda request: USER, _claims, passing(_claims)], ids=["def", "async", "coroutine"]
)
@pytest.mark.parametrize("sections", [None, _sections, _async_sections], ids=["none", "def", "async"])
def test_claims_and_sections_may_be_async_or_not(case: Case, claims: Any, sections: Any) -> None:
    """In any combination with any view."""
    local, names = LocalLogin(), []

    def action(event: Any, api: Any) -> None:
        names.append(event.connection.name)
        api.user.set_app_metadata("logins", 1)

    app, url, back, _ = case(PostLogin(local.trigger(action), claims=claims, sections=sections))
    assert login_through(app, url, back, 0).json()["allowed"]
    assert names == [sections and USER["sub"]]
    check_written_once(local, 0)


def test_what_blocks_does_so_outside_of_the_event_loop() -> None:
    """Claims, sections, view and store run in threads if they are not async; the loop goes on meanwhile."""
    blocked = {}

    def slow(name: str, value: Any) -> Any:
        blocked[name] = threading.current_thread() is threading.main_thread()
        return value

    local = LocalLogin()
    trigger = local.trigger(Redirects(1))
    states = trigger._options.states
    for name in ("put", "take"):
        method = getattr(states, name)
        setattr(states, name, lambda *a, name=name, method=method, **k: slow(name, method(*a, **k)))
    post_login = PostLogin(
        trigger,
        claims=lambda request: slow("claims", USER),
        sections=lambda request, claims: slow("sections", {}),
    )
    callback = post_login(lambda login: slow("view", JSONResponse(seen(login))))
    assert login_through(_api(post_login, callback), "/callback", "/continue", 1).json()["allowed"]
    assert blocked == dict.fromkeys(("claims", "sections", "put", "take", "view"), False)


def test_a_form_post_callback_is_called_again_as_a_post() -> None:
    """The claims come from its form; at /continue the view is called with the callback's method."""
    local, forms = LocalLogin(), []

    async def claims(request: Request) -> Any:
        forms.append(await request.body())
        return USER

    post_login = PostLogin(local.trigger(Redirects(1)), claims=claims)

    @post_login
    async def callback(request: Request, login: Login, db: Database) -> Any:
        return seen(login, db=db, method=request.method)

    api = FastAPI()
    api.post("/callback")(callback)
    post_login.init_app(api)
    reply = login_through(api, "/callback", "/continue", 1, method="POST").json()
    assert reply["arguments"] == {"db": "connected", "method": "POST"}
    assert len(forms) == 1


def test_the_schema_shows_the_parameters_of_the_view() -> None:
    """And neither the login nor what is ours."""
    app, *_ = _everything(PostLogin(LocalLogin().trigger(), claims=_claims))
    parameters = app.openapi()["paths"]["/callback/{tenant}/{item}"]["get"]["parameters"]
    assert {parameter["name"] for parameter in parameters} == {
        "tenant",
        "item",
        "number",
        "code",
        "flags",
        "x-agent",
        "theme",
    }


# What is refused when decorated ----------------------------------------------------------------------------------


def _no_login(request: Request) -> Any:
    return JSONResponse({})


def _generator(login: Login) -> Iterator[str]:
    yield ""


def _many(login: Login, *args: Any) -> Any:
    return JSONResponse({})


def _named(login: Login, **kwargs: Any) -> Any:
    return JSONResponse({})


def _form(login: Login, code: Annotated[str, Form()]) -> Any:
    return JSONResponse({})


def _body(login: Login, code: str = Body()) -> Any:
    return JSONResponse({})


def _unclear(tenant, login):  # type: ignore[no-untyped-def]
    return JSONResponse({})


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (_no_login, "no parameter for the login"),
        (_generator, "generator"),
        (_many, r"takes \*args"),
        (_named, r"takes \*\*kwargs"),
        (lambda *args: None, r"takes \*args"),
        (_form, "takes code from the body"),
        (_body, "takes code from the body"),
        (_unclear, "tenant: Request or tenant: str"),
        (HTTPEndpoint, "the class HTTPEndpoint"),
        (Route("/x", _no_login), "not a function|part of starlette"),
        (FastAPI().get("/callback"), "not a view: put the route above"),
        (None, "not a function"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_what_cannot_be_the_view_of_a_login_is_refused_when_decorated(view: Any, why: str) -> None:
    """The error says why, and what to write instead."""
    with pytest.raises(ConfigError, match=why):
        PostLogin(LocalLogin().trigger(), claims=_claims)(view)


@pytest.mark.parametrize("early", [True, False], ids=["init_app before", "init_app after"])
@pytest.mark.parametrize("make", [FastAPI, APIRouter])
def test_a_route_below_the_decorator_is_refused(make: Any, early: bool) -> None:
    """That route would have the view without the login."""
    app, post_login = make(), PostLogin(LocalLogin().trigger(), claims=_claims)
    if early:
        post_login.init_app(app)

    def decorate() -> None:
        @post_login
        @app.get("/callback")
        def callback(request: Request, login: str) -> Any:
            return JSONResponse({})

        post_login.init_app(app)

    with pytest.raises(ConfigError, match="put @post_login below the route"):
        decorate()


def test_a_view_is_decorated_once() -> None:
    """Two decorators of one login would log in twice."""
    trigger = LocalLogin().trigger()
    view = PostLogin(trigger, claims=_claims)(lambda request, login: None)
    for again in (view, passing(view)):
        with pytest.raises(ConfigError, match="decorated by a PostLogin already"):
            PostLogin(trigger, claims=_claims)(again)


# /continue -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [_plain, _starlette, _without_a_request, _everything, _starlette_class],
    ids=lambda c: c.__name__.strip("_"),
)
def test_a_state_that_is_not_known_calls_a_view_only_with_all_its_arguments(case: Case) -> None:
    """Nothing says what its URL was, so the browser gets a 403; a view of the login alone decides itself."""
    local = LocalLogin()
    app, _, back, arguments = case(PostLogin(local.trigger(Redirects(1)), claims=_claims))

    async def steps(browser: httpx.AsyncClient) -> httpx.Response:
        return await browser.get(back, params={"state": "made-up"})

    reply = visit(app, steps)
    if arguments:
        assert reply.status_code == 403
        assert "Please log in again" in reply.text
    else:
        assert reply.json() == {"allowed": False, "sub": None, "arguments": {}}
    assert local.bodies == []


def test_a_dependency_that_fails_at_continue_writes_nothing() -> None:
    """It is resolved before the actions run."""
    local, failing = LocalLogin(), []

    def sometimes() -> None:
        if failing:
            raise fastapi.HTTPException(503)

    post_login = PostLogin(local.trigger(Redirects(1)), claims=_claims)

    @post_login
    async def callback(login: Login, _: None = Depends(sometimes)) -> Any:
        return seen(login)

    async def steps(browser: httpx.AsyncClient) -> int:
        state = state_in((await browser.get("/callback")).headers["Location"])
        failing.append(True)
        return (await browser.get("/continue", params={"state": state})).status_code

    assert visit(_api(post_login, callback), steps) == 503
    check_written_once(local, 0)


@pytest.mark.parametrize(
    "case", [_plain, _everything, _starlette, _on_an_included_router], ids=lambda c: c.__name__.strip("_")
)
@pytest.mark.parametrize("verb", ["HEAD", "PUT"])
def test_only_get_and_post_are_steps_of_a_login(verb: str, case: Case) -> None:
    """A link checker's HEAD uses up neither a code at the callback nor a state at /continue."""
    local, asked = LocalLogin(), []

    async def claims(request: Request) -> Any:
        asked.append(1)
        return USER

    app, url, back, _ = case(PostLogin(local.trigger(Redirects(1)), claims=claims))

    async def steps(browser: httpx.AsyncClient) -> None:
        assert (await browser.request(verb, url)).status_code == 405
        assert asked == []
        state = {"state": state_in((await browser.get(url)).headers["Location"])}
        assert (await browser.request(verb, back, params=state)).status_code == 405
        assert (await browser.get(back, params=state)).json()["allowed"]

    visit(app, steps)


def test_a_view_that_is_called_without_a_request_says_so() -> None:
    """By hand, for example."""
    view = PostLogin(LocalLogin().trigger(), claims=_claims)(lambda request, login: None)
    with pytest.raises(ConfigError, match="without a request"):
        asyncio.run(view())


def test_a_session_in_a_cookie_is_the_same_at_continue() -> None:
    """What the view stores arrives in the browser, at the callback and after a redirect."""
    local = LocalLogin()
    post_login = PostLogin(local.trigger(Redirects(1)), claims=_claims)

    @post_login
    async def callback(request: Request, login: Login, db: Database) -> Any:
        request.session["user"] = login.claims["sub"]
        return RedirectResponse("/who", 303)

    async def who(request: Request) -> Any:
        return request.session

    async def begin(request: Request) -> Any:
        request.session["next"] = "/orders"

    api = _api(post_login, callback)
    api.get("/who")(who)
    api.get("/begin")(begin)
    api.add_middleware(SessionMiddleware, secret_key="of this test")

    async def steps(browser: httpx.AsyncClient) -> Any:
        await browser.get("/begin")
        state = state_in((await browser.get("/callback")).headers["Location"])
        assert (await browser.post("/continue", data={"state": state})).status_code == 303
        return (await browser.get("/who")).json()

    assert visit(api, steps) == {"next": "/orders", "user": USER["sub"]}
