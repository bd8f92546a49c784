"""Run the trigger in the login callback of a Flask application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from auth0_meta.actions.web.core import NO_VIEW, ONE_VIEW, BrowserRedirect, BrowserRequest, Login, LoginFlow
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import ConfigError, MissingExtraError

try:
    import flask
except ModuleNotFoundError as error:
    raise MissingExtraError(f'this needs {error.name}: pip install "auth0-meta[flask]"') from error

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from auth0_meta.actions.trigger import PostLoginTrigger


class PostLogin:
    """Decorate the login callback of a Flask application; `init_app` adds the route of /continue.

    `claims`: a function that returns the verified claims of the ID token; with Authlib `lambda:
    oauth.auth0.authorize_access_token()["userinfo"]`.  The application handles what it raises.
    `sections`: a function of the claims that returns what else the application knows about the login, by
    section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID
    token has neither the connection nor the parameters of /authorize.

    The decorated function is called with a `Login` when the actions have ended: at the callback, or at
    /continue after redirects.

        post_login = PostLogin(trigger, claims=verified_claims)

        @app.get("/callback")
        @post_login
        def callback(login):
            if not login.outcome.allowed:
                return login.outcome.denied or "The login failed.", 403
            session["user"] = dict(login.claims)
            return redirect("/profile")

        post_login.init_app(app)

    /continue ends in the view that the same `PostLogin` decorates, so each decorates one view.  A second kind
    of login needs a second `PostLogin` with a `continue_path` of its own.
    Exempt /continue from the application's CSRF protection: its `state` and the cookie serve as a token.
    Raises `ConfigError` for a trigger or a path that can't work.
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
        """Make `view`, a function of a `Login`, the view of the callback and the end of /continue."""
        if self._view is not None:
            raise ConfigError(ONE_VIEW)
        self._view = view

        @wraps(view)
        def callback() -> ResponseReturnValue:
            flow, browser_request = self._flow, self._request()
            claims, browser = self._claims(), flow.browser_id(browser_request)
            outcome = flow.trigger.run(
                flow.event(browser_request, claims, self._sections(claims)), browser=browser
            )
            return self._respond(flow.after_actions(browser_request, outcome, claims, browser))

        return callback

    def init_app(self, app: flask.Flask) -> None:
        """Add the route of /continue."""
        app.add_url_rule(
            self._flow.continue_path, self._flow.endpoint, self._continue, methods=["GET", "POST"]
        )

    def _continue(self) -> ResponseReturnValue:
        request = flask.request
        form = read_form(request.content_type, read_body(request.stream.read))
        if isinstance(form, Refusal):
            return form.reason, form.status, {"Content-Type": "text/plain; charset=utf-8"}
        # If the application has read the form before, nothing is left of the stream, but the framework has
        # kept it.
        flow, browser_request = self._flow, self._request(form or request.form.to_dict())
        state, arguments = flow.resume_arguments(browser_request)
        return self._respond(
            flow.after_continue(browser_request, flow.trigger.resume(state, **arguments), state)
        )

    def _request(self, body: Mapping[str, str] | None = None) -> BrowserRequest:
        request = flask.request
        return BrowserRequest(
            method=request.method,
            host=request.host,
            secure=request.is_secure,
            ip=request.remote_addr,
            query=request.args.to_dict(),
            body=body or {},
            cookie=request.cookies.get(self._flow.cookie_name(secure=request.is_secure)),
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, result: BrowserRedirect | Login) -> ResponseReturnValue:
        if isinstance(result, Login):
            if self._view is None:
                raise ConfigError(NO_VIEW)
            return self._view(result)
        response = flask.redirect(result.url, 303)
        response.set_cookie(result.cookie_name, result.cookie, path="/", **result.cookie_flags)
        response.headers["Cache-Control"] = "no-store"
        return response
