"""Run the trigger in the login callback of a Flask application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from auth0_meta.actions.web.core import ONE_VIEW, Came, Detour, Login, LoginFlow
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import ConfigError, MissingExtraError

try:
    import flask
except ModuleNotFoundError as error:
    msg = f'this needs {error.name}: pip install "auth0-meta[flask]"'
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from auth0_meta.actions.trigger import PostLoginTrigger

__all__ = ["PostLogin"]


class PostLogin:
    """Decorate a Flask application's login callback; `init_app` mounts /continue.

    `claims`: a function that returns the verified claims of the ID token; with Authlib
    `lambda: oauth.auth0.authorize_access_token()["userinfo"]`.  What it raises is the application's to handle.  The decorated
    function is called with a `Login` when the actions have ended: at the callback, or at /continue after redirects.
    `sections`: a function of the claims that returns what else is known of the login, by section of the event:
    `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID token tells neither the connection nor what
    /authorize was asked.

        post_login = PostLogin(trigger, claims=verified_claims)

        @app.get("/callback")
        @post_login
        def callback(login):
            if not login.outcome.allowed:
                return login.outcome.denied or "The login failed.", 403
            session["user"] = dict(login.claims)
            return redirect("/profile")

        post_login.init_app(app)

    /continue goes to the view of the same `PostLogin`, so each decorates one view; a second kind of login has a second
    `PostLogin`, with a `continue_path` of its own.
    A CSRF protection of the application has to leave /continue out: its `state` and the cookie stand for a token.
    Raises `ConfigError` for a trigger or path that can't be one.
    """

    def __init__(
        self,
        trigger: PostLoginTrigger,
        /,
        *,
        claims: Callable[[], Mapping[str, Any]],
        sections: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        continue_path: str = "/continue",
    ) -> None:
        self._flow = LoginFlow(trigger, continue_path)
        self._claims = claims
        self._sections = sections or (lambda claims: {})
        self._view: Callable[[Login], ResponseReturnValue] | None = None

    def __call__(self, view: Callable[[Login], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
        """Make a function of a `Login` the view of the callback, and what /continue ends in."""
        if self._view is not None:
            raise ConfigError(ONE_VIEW)
        self._view = view

        @wraps(view)
        def callback() -> ResponseReturnValue:
            flow, came = self._flow, self._came()
            claims, browser = self._claims(), flow.browser(came)
            outcome = flow.trigger.run(flow.event(came, claims, self._sections(claims)), browser=browser)
            return self._respond(flow.ended(came, outcome, claims, browser))

        return callback

    def init_app(self, app: flask.Flask) -> None:
        """Mount /continue."""
        app.add_url_rule(
            self._flow.continue_path, self._flow.endpoint, self._continue, methods=["GET", "POST"]
        )

    def _continue(self) -> ResponseReturnValue:
        request = flask.request
        read = read_form(request.content_type, read_body(request.stream.read))
        if isinstance(read, Refusal):
            return read.reason, read.status, {"Content-Type": "text/plain; charset=utf-8"}
        # The stream is at its end where the application has read the form before.
        flow, came = self._flow, self._came(read or request.form.to_dict())
        state, words = flow.resumption(came)
        return self._respond(flow.went_on(came, flow.trigger.resume(state, **words), state))

    def _came(self, body: Mapping[str, str] | None = None) -> Came:
        request = flask.request
        return Came(
            method=request.method,
            host=request.host,
            secure=request.is_secure,
            ip=request.remote_addr,
            query=request.args.to_dict(),
            body=body or {},
            browser=request.cookies.get(self._flow.cookie(secure=request.is_secure)),
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, how: Detour | Login) -> ResponseReturnValue:
        if isinstance(how, Login):
            if self._view is None:
                msg = "no view is decorated with this PostLogin: /continue has nowhere to end"
                raise ConfigError(msg)
            return self._view(how)
        response = flask.redirect(how.url, 303)
        response.set_cookie(how.cookie, how.browser, path="/", **how.flags)
        response.headers["Cache-Control"] = "no-store"
        return response
