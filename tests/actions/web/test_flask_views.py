"""Every form of view that Flask calls, with the login: plain, async, with arguments of the URL, in classes and blueprints."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask.sessions import SecureCookieSession, SessionInterface
from flask.views import MethodView
from support.logins import Login as LocalLogin
from support.view_forms import USER, Redirects, check_written_once, passing, seen, state_in

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.flask import PostLogin
from auth0_meta.errors import ConfigError

Form = Callable[[Any, PostLogin], tuple[str, dict[str, Any]]]


def _plain(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback")
    @post_login
    def callback(login: Login) -> Any:
        return seen(login)

    return "/callback", {}


def _asynchronous(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback")
    @post_login
    async def callback(login: Login) -> Any:
        return seen(login, path=flask.request.path.partition("/c")[0])

    return "/callback", {"path": ""}


def _under_another_name(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<tenant>")
    @post_login
    def callback(tenant: str, done: Login) -> Any:
        return seen(done, tenant=tenant)

    return "/callback/acme", {"tenant": "acme"}


def _perhaps_none(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<tenant>")
    @post_login
    def callback(tenant: str, done: Login | None = None) -> Any:
        assert done is not None
        return seen(done, tenant=tenant)

    return "/callback/acme", {"tenant": "acme"}


def _by_position(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<int:number>")
    @post_login
    def callback(done, number):  # type: ignore[no-untyped-def]
        return seen(done, number=number)

    return "/callback/7", {"number": 7}


def _positional_only(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<tenant>")
    @post_login
    def callback(login: Login, /, **arguments: Any) -> Any:
        return seen(login, **arguments)

    return "/callback/acme", {"tenant": "acme"}


def _keyword_only(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<path:rest>")
    @post_login
    async def callback(*, rest: str, login: Login) -> Any:
        return seen(login, rest=rest)

    return "/callback/a/b%20c", {"rest": "a/b c"}


def _any_arguments(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<tenant>")
    @post_login
    def callback(**arguments: Any) -> Any:
        return seen(**arguments)

    return "/callback/acme", {"tenant": "acme"}


def _positions_only(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    app.get("/callback")(post_login(lambda *args: seen(args[0])))
    return "/callback", {}


def _with_a_default(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback")
    @app.get("/callback/<tenant>")
    @post_login
    def callback(login: Login, tenant: str = "main") -> Any:
        return seen(login, tenant=tenant)

    return "/callback/acme", {"tenant": "acme"}


def _method(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    class Page(MethodView):
        @post_login
        def get(self, login: Login, tenant: str) -> Any:
            return seen(login, tenant=tenant)

        def post(self, tenant: str) -> Any:
            raise AssertionError("/continue is posted, the callback was not")

    app.add_url_rule("/callback/<tenant>", view_func=Page.as_view("page"))
    return "/callback/acme", {"tenant": "acme"}


def _method_without_arguments(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    class Page(MethodView):
        @post_login
        async def get(self, login: Login) -> Any:
            return seen(login, page=type(self).__name__)

    app.add_url_rule("/callback", view_func=Page.as_view("page"))
    return "/callback", {"page": "Page"}


def _whole_class(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    class Page(MethodView):
        decorators = (post_login,)

        async def get(self, login: Login, tenant: str) -> Any:
            return seen(login, tenant=tenant)

    app.add_url_rule("/callback/<tenant>", view_func=Page.as_view("page"))
    return "/callback/acme", {"tenant": "acme"}


def _partial(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    def callback(database: str, login: Login) -> Any:
        return seen(login, database=database)

    app.get("/callback")(post_login(functools.partial(callback, "db")))
    return "/callback", {"database": "db"}


def _called_object(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    class Page:
        async def __call__(self, login: Login, tenant: str) -> Any:
            return seen(login, tenant=tenant)

    app.add_url_rule("/callback/<tenant>", "page", post_login(Page()))
    return "/callback/acme", {"tenant": "acme"}


def _between_decorators(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback/<tenant>")
    @passing
    @post_login
    @passing
    async def callback(tenant: str, login: Login) -> Any:
        return seen(login, tenant=tenant)

    return "/callback/acme", {"tenant": "acme"}


def _in_a_blueprint(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    blueprint = flask.Blueprint("auth", __name__)

    @blueprint.get("/callback/<tenant>")
    @post_login
    def callback(login: Login, tenant: str) -> Any:
        return seen(login, tenant=tenant, here=flask.url_for(".callback", tenant="x"))

    app.register_blueprint(blueprint, url_prefix="/auth")
    return "/auth/callback/acme", {"tenant": "acme", "here": "/auth/callback/x"}


def _response_object(app: Any, post_login: PostLogin) -> tuple[str, dict[str, Any]]:
    @app.get("/callback")
    @post_login
    def callback(login: Login) -> Any:
        return flask.jsonify(seen(login)), 200, {"X-View": "yes"}

    return "/callback", {}


FORMS: list[Form] = [
    _plain, _asynchronous, _under_another_name, _perhaps_none, _by_position, _positional_only, _keyword_only, _any_arguments, _positions_only, _with_a_default, _method, _method_without_arguments, _whole_class, _partial, _called_object, _between_decorators, _in_a_blueprint, _response_object,
]  # fmt: skip


@pytest.mark.parametrize("redirects", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__.strip("_"))
def test_a_view_of_any_form_ends_the_login(form: Form, redirects: int) -> None:
    """Metadata is written once per step, the view's response arrives, and its arguments are those of the callback's URL."""
    local, app = LocalLogin(), flask.Flask("test")
    app.testing = True
    post_login = PostLogin(local.trigger(Redirects(redirects)), claims=lambda: USER)
    path, arguments = form(app, post_login)
    post_login.init_app(app)
    browser = app.test_client()
    reply = browser.get(path)
    for _ in range(redirects):
        assert reply.status_code == 303, reply.text
        reply = browser.post("/continue", data={"state": state_in(reply.location), "answer": "yes"})
    assert reply.get_json() == {"allowed": True, "sub": USER["sub"], "arguments": arguments}
    check_written_once(local, redirects)


async def _async_claims() -> Any:
    return USER


async def _async_sections(claims: Any) -> Any:
    return {"connection": {"name": claims["sub"]}}


@pytest.mark.parametrize(
    "claims", [lambda: USER, _async_claims, passing(_async_claims)], ids=["def", "async", "coroutine"]
)
@pytest.mark.parametrize(
    "sections",
    [None, lambda claims: {"connection": {"name": claims["sub"]}}, _async_sections],
    ids=["none", "def", "async"],
)
def test_claims_and_sections_may_be_async(claims: Any, sections: Any) -> None:
    """In any combination, also with a plain view."""
    local, app, names = LocalLogin(), flask.Flask("test"), []

    def action(event: Any, api: Any) -> None:
        names.append(event.connection.name)
        api.user.set_app_metadata("logins", 1)

    post_login = PostLogin(local.trigger(action), claims=claims, sections=sections)
    path, _ = _plain(app, post_login)
    assert app.test_client().get(path).get_json()["allowed"]
    assert names == [sections and USER["sub"]]
    check_written_once(local, 0)


# What is refused when decorated ----------------------------------------------------------------------------------


def _no_login() -> str:
    return ""


def _only_typed(tenant: str) -> str:
    return tenant


def _generator(login: Login) -> Iterator[str]:
    yield ""


async def _async_generator(login: Login) -> Any:
    yield ""


class _View:
    pass


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (_no_login, "no parameter for the login"),
        (_only_typed, "no parameter for the login"),
        (_generator, "generator"),
        (_async_generator, "generator"),
        (passing(_generator), "generator"),
        (_View, "the class _View"),
        (MethodView, "the class MethodView"),
        ("callback", "not a function"),
        (None, "not a function"),
        (classmethod(_only_typed), "not a function"),
        (flask.Flask("test").route("/callback"), "not a view: put the route above"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_what_cannot_be_the_view_of_a_login_is_refused_when_decorated(view: Any, why: str) -> None:
    """The error says why, and what to write instead; nothing has been written."""
    local = LocalLogin()
    with pytest.raises(ConfigError, match=why):
        PostLogin(local.trigger(), claims=lambda: USER)(view)
    assert local.bodies == []


@pytest.mark.parametrize("early", [True, False], ids=["init_app before", "init_app after"])
def test_a_route_below_the_decorator_is_refused(early: bool) -> None:
    """That route would have the view without the login."""
    app, post_login = flask.Flask("test"), PostLogin(LocalLogin().trigger(), claims=lambda: USER)
    if early:
        post_login.init_app(app)

    def decorate() -> None:
        @post_login
        @app.get("/callback")
        def callback(login: Login) -> str:
            return ""

        post_login.init_app(app)

    with pytest.raises(ConfigError, match="put @post_login below the route"):
        decorate()


def test_a_view_is_decorated_once() -> None:
    """Two decorators of one login would log in twice."""
    trigger = LocalLogin().trigger()
    one, other = PostLogin(trigger, claims=lambda: USER), PostLogin(trigger, claims=lambda: USER)
    view = one(lambda login: "")
    for again in (view, passing(view)):
        with pytest.raises(ConfigError, match="decorated by a PostLogin already"):
            other(again)


@pytest.mark.parametrize("what", ["view", "claims", "sections"])
def test_async_functions_need_asgiref(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask calls them through `flask[async]`: without it they are refused when given, and not after the metadata is written."""
    monkeypatch.setitem(sys.modules, "asgiref", None)

    async def function(*_: Any, login: Any = None) -> Any:
        return USER

    functions: dict[str, Any] = {"claims": lambda: USER, "sections": None, "view": lambda login: ""}
    functions[what] = function
    with pytest.raises(ConfigError, match=r"flask\[async\]"):
        PostLogin(LocalLogin().trigger(), claims=functions["claims"], sections=functions["sections"])(
            functions["view"]
        )


@pytest.mark.parametrize("redirects", [0, 1])
def test_arguments_that_do_not_fit_fail_before_anything_is_written(redirects: int) -> None:
    """A URL argument that the view doesn't take is found before the actions run."""
    local, app = LocalLogin(), flask.Flask("test")
    app.testing = True
    post_login = PostLogin(local.trigger(Redirects(redirects)), claims=lambda: USER)
    app.get("/callback/<tenant>")(post_login(lambda login: ""))
    with pytest.raises(ConfigError, match="tenant"):
        app.test_client().get("/callback/acme")
    assert local.bodies == []


# /continue -------------------------------------------------------------------------------------------------------


def test_continue_has_the_arguments_of_its_blueprint() -> None:
    """With a state that is not known, too, a view gets those that /continue's own URL has."""
    local, app, blueprint = LocalLogin(), flask.Flask("test"), flask.Blueprint("auth", __name__)
    post_login = PostLogin(local.trigger(Redirects(1)), claims=lambda: USER)
    blueprint.get("/callback")(post_login(lambda login, realm: seen(login, realm=realm)))
    post_login.init_app(blueprint)
    app.register_blueprint(blueprint, url_prefix="/<realm>")
    browser = app.test_client()
    state = state_in(browser.get("/acme/callback").location)
    for value, allowed in ((state, True), (state, False)):
        reply = browser.post("/acme/continue", data={"state": value, "answer": "yes"}).get_json()
        assert (reply["allowed"], reply["arguments"]) == (allowed, {"realm": "acme"})
    check_written_once(local, 1)


@pytest.mark.parametrize("path", ["/callback/<tenant>", "/callback"])
def test_a_state_that_is_not_known_calls_a_view_only_with_all_its_arguments(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing says what its URL was, so the browser gets a 403; a view of the login alone decides itself.  Both are logged."""
    local, app = LocalLogin(), flask.Flask("test")
    post_login = PostLogin(local.trigger(Redirects(1)), claims=lambda: USER)
    form = _in_a_blueprint if "<" in path else _plain
    form(app, post_login)
    post_login.init_app(app)
    reply = app.test_client().get("/continue?state=made-up")
    if "<" in path:
        assert (reply.status_code, "Please log in again" in reply.text) == (403, True)
    else:
        assert reply.get_json() == {"allowed": False, "sub": None, "arguments": {}}
    assert local.bodies == []
    (record,) = [record for record in caplog.records if record.name == "auth0_meta.actions"]
    assert "unknown, used, expired or from another browser" in record.getMessage()


def test_a_callback_that_is_gone_after_a_deployment_writes_nothing() -> None:
    """The URL that was stored leads nowhere: a 404, before the actions run."""
    local = LocalLogin()
    trigger = local.trigger(Redirects(1))
    apps = [flask.Flask("before"), flask.Flask("after")]
    for app, form in zip(apps, (_method, _plain), strict=True):
        post_login = PostLogin(trigger, claims=lambda: USER)
        form(app, post_login)
        post_login.init_app(app)
    away = apps[0].test_client().get("/callback/acme")
    cookie = away.headers["Set-Cookie"].partition(";")[0]
    back = (
        apps[1]
        .test_client(use_cookies=False)
        .get(f"/continue?state={state_in(away.location)}", headers={"Cookie": cookie})
    )
    assert back.status_code == 404
    check_written_once(local, 0)


@pytest.mark.parametrize("verb", ["HEAD", "PUT", "OPTIONS"])
def test_only_get_and_post_are_steps_of_a_login(verb: str) -> None:
    """A link checker's HEAD uses up neither a code at the callback nor a state at /continue."""
    local, app, asked = LocalLogin(), flask.Flask("test"), []
    app.testing = True
    post_login = PostLogin(local.trigger(Redirects(1)), claims=lambda: asked.append(1) or USER)
    app.route("/callback", methods=["GET", "POST", "HEAD", "PUT"])(
        post_login(lambda login: seen(login, view=1))
    )
    post_login.init_app(app)
    browser = app.test_client()
    expected = 200 if verb == "OPTIONS" else 405  # Flask itself answers OPTIONS
    assert browser.open("/callback", method=verb).status_code == expected
    assert asked == []
    url = f"/continue?state={state_in(browser.get('/callback').location)}"
    assert browser.open(url, method=verb).status_code == expected
    assert browser.get(url).get_json()["allowed"]


# The session -----------------------------------------------------------------------------------------------------


class ServerSession(SecureCookieSession):
    """A session that is stored on the server."""

    sid = ""


class ServerSessions(SessionInterface):
    """Sessions on the server, as Flask-Session makes them: it renews the id only of a session that is not empty."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {"planted": {"next": "/orders"}}
        self.made = 0

    def open_session(self, app: Any, request: Any) -> Any:
        """Open the session of the cookie, if there is one."""
        sid = request.cookies.get("session")
        session = ServerSession(self.stored.get(sid, {}))
        session.sid = sid if sid in self.stored else self._new()
        return session

    def _new(self) -> str:
        self.made += 1
        return f"made-{self.made}"

    def regenerate(self, session: Any) -> None:
        """Change the id."""
        if session:
            self.stored.pop(session.sid, None)
            session.sid = self._new()
            session.modified = True

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        """Store the session."""
        self.stored[session.sid] = dict(session)
        response.set_cookie("session", session.sid)


@pytest.mark.parametrize("empty", [False, True], ids=["with data", "empty"])
@pytest.mark.parametrize("redirects", [0, 1])
def test_a_session_on_the_server_gets_a_new_id(redirects: int, empty: bool) -> None:
    """Whoever has planted its id before the login is not logged in by it; its data stays."""
    local, app, sessions = LocalLogin(), flask.Flask("test"), ServerSessions()
    app.session_interface = sessions
    if empty:
        sessions.stored["planted"] = {}
    post_login = PostLogin(local.trigger(Redirects(redirects)), claims=lambda: USER)

    @app.get("/callback")
    @post_login
    def callback(login: Login) -> Any:
        flask.session["user"] = login.claims["sub"]
        return dict(flask.session)

    post_login.init_app(app)
    browser = app.test_client()
    browser.set_cookie("session", "planted")
    reply = browser.get("/callback")
    for _ in range(redirects):
        assert "planted" in sessions.stored
        reply = browser.get(f"/continue?state={state_in(reply.location)}")
    data = {"user": USER["sub"]} if empty else {"next": "/orders", "user": USER["sub"]}
    assert reply.get_json() == data
    (sid,) = sessions.stored
    assert sid != "planted"
    assert sessions.stored[sid] == data


def test_a_refused_login_leaves_the_session_alone() -> None:
    """Its id changes only when somebody is let in."""
    local, app, sessions = LocalLogin(), flask.Flask("test"), ServerSessions()
    app.session_interface = sessions
    post_login = PostLogin(local.trigger(lambda event, api: api.access.deny("no")), claims=lambda: USER)
    app.get("/callback")(post_login(lambda login: seen(login, view=1)))
    browser = app.test_client()
    browser.set_cookie("session", "planted")
    assert not browser.get("/callback").get_json()["allowed"]
    assert list(sessions.stored) == ["planted"]
