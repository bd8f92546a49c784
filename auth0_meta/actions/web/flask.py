"""Run the trigger in the login callback of a Flask application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from importlib.util import find_spec
from inspect import isawaitable
from typing import Any

from auth0_meta.actions.web.browser import COOKIE_NAME, LOGIN_METHODS, BrowserRedirect, BrowserRequest, Cookie
from auth0_meta.actions.web.core import Adapter, Return
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.actions.web.views import is_async
from auth0_meta.errors import ConfigError, missing_extra

try:
    import flask
    from flask.sansio.scaffold import Scaffold
except ModuleNotFoundError as error:
    raise missing_extra(error, "flask") from None

Claims = Callable[[], Any]
"""Returns the claims, or is async and does so."""
Sections = Callable[[Mapping[str, Any]], Any]
_NOT_EMPTY = "auth0_meta"


class PostLogin(Adapter[Claims, Sections]):
    """Decorate the login callback of a Flask application; `init_app` adds the route of /continue.

    `claims`: a function that returns the verified claims of the ID token; with Authlib `lambda:
    oauth.auth0.authorize_access_token()["userinfo"]`.  The application handles what it raises.
    `sections`: a function of the claims that returns what else the application knows about the login, by
    section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID
    token has neither the connection nor the parameters of /authorize.
    Both may be async, and so may the view, if `flask[async]` is installed.

    The decorated function is called with a `Login` when the actions have ended: at the callback, or at
    /continue after redirects; with the arguments of the callback's URL at both.  A method of a `MethodView` may be
    decorated too.  A second such view needs a `PostLogin` with a `continue_path` of its own.
    If the login is allowed and the application's sessions have ids on the server (Flask-Session), the session gets a new
    one before the view is called.
    Exempt /continue from the application's CSRF protection: its `state` and the cookie serve as a token.
    Raises `ConfigError` for a trigger, a path or a view that can't work.
    """

    _position = 0
    _example = '`@app.get("/callback")`, below it `@post_login`, below it `def callback(login):`'

    def __call__(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Make `view`, a function of a `Login`, the view of the callback and the end of /continue."""
        decorated, flow = self._decorate(view), self._flow

        @wraps(view)
        def callback(*args: Any, **kwargs: Any) -> Any:
            bound = decorated.bind(*args, **kwargs)
            back, request = flow.returned(), self._request()
            if back is not None:
                result = flow.resume(back)
            elif request.method not in LOGIN_METHODS:
                flask.abort(405)
            else:
                claims = _waited(self._claims)
                sections = _waited(self._sections, claims) if self._sections else {}
                result = flow.login(request, claims, sections, request.callback() if args or kwargs else None)
            if isinstance(result, BrowserRedirect):
                response = flask.redirect(result.url, 303)
                response.headers["Cache-Control"] = "no-store"
                return _with_cookie(response, result.cookie)
            if result.outcome.allowed:
                _renew_session_id()
            return _waited(decorated.call, bound, result)

        self._remember(callback)
        return callback

    def init_app(self, app: flask.Flask | flask.Blueprint) -> None:
        """Add the route of /continue to an application or a blueprint: the one that has the callback.

        Raises `ConfigError` if the callback's route is below @post_login and so has the view without the login.
        """
        self._add_application(app)
        flow = self._flow
        app.add_url_rule(flow.continue_path, flow.endpoint, self._continue, methods=LOGIN_METHODS)

    def _routed(self, app: Scaffold) -> Iterable[object]:
        return app.view_functions.values()

    def _check(self, function: Any) -> None:
        if is_async(function) and find_spec("asgiref") is None:
            name = getattr(function, "__qualname__", type(function).__name__)
            raise ConfigError(
                f'{name} is async, which Flask can only call with asgiref: pip install "flask[async]"'
            )

    def _continue(self, **arguments: Any) -> Any:
        request = flask.request
        if request.method not in LOGIN_METHODS:
            flask.abort(405)
        form = read_form(request.content_type, read_body(request.stream.read))
        if isinstance(form, Refusal):
            return form.reason, form.status, {"Content-Type": "text/plain; charset=utf-8"}
        # If the application has read the form before, nothing is left of the stream, but the framework has
        # kept it.
        back = self._flow.take(self._request(form or request.form.to_dict()))
        end = self._end(back, arguments)
        with self._flow.returning(back):
            response = flask.make_response(end())
        cookie = self._flow.renewed_cookie(back)
        return response if cookie is None else _with_cookie(response, cookie)

    def _end(self, back: Return, arguments: Mapping[str, Any]) -> Callable[[], Any]:
        """Return what ends /continue: the decorated view, or the view of the callback's URL with its arguments.

        `arguments`: those of /continue's own URL, if a blueprint's prefix has some.
        """
        if back.callback is None:
            return self._end_of_continue(**arguments) or flask.abort(403, self._flow.refuse(back))
        app, request, callback = flask.current_app, flask.request, back.callback
        urls = app.create_url_adapter(request) or flask.abort(404)
        rule, values = urls.match(callback.path, callback.method, return_rule=True)
        # From here on the request is the callback's to Flask: a MethodView chooses its method by this.
        request.method, request.url_rule, request.view_args = callback.method, rule, dict(values)
        return partial(app.ensure_sync(app.view_functions[rule.endpoint]), **values)

    def _request(self, body: Mapping[str, str] | None = None) -> BrowserRequest:
        request = flask.request
        return BrowserRequest(
            method=request.method,
            host=request.host,
            secure=request.is_secure,
            ip=request.remote_addr,
            query=request.args.to_dict(),
            body=body or {},
            cookie=request.cookies.get(COOKIE_NAME[request.is_secure]),
            path=request.path,
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )


def _with_cookie(response: Any, cookie: Cookie) -> Any:
    response.set_cookie(cookie.name, cookie.value, **cookie.flags)
    return response


def _waited(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that may be async, and return what it returns in the end."""
    returned = function(*arguments)
    return flask.current_app.ensure_sync(_awaited)(returned) if isawaitable(returned) else returned


async def _awaited(returned: Any) -> Any:
    return await returned


def _renew_session_id() -> None:
    """Give a session that is stored on the server a new id, so that nobody knows it who knew the one before the login.

    Flask's own sessions are in a signed cookie and have no id.
    """
    regenerate = getattr(flask.current_app.session_interface, "regenerate", None)
    if regenerate is None:
        return
    # Flask-Session does nothing about an empty session, and its id may be planted all the same.
    flask.session[_NOT_EMPTY] = True
    try:
        regenerate(flask.session)
    finally:
        del flask.session[_NOT_EMPTY]
