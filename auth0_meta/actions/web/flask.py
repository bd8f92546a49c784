"""Run the trigger in the login callback of a Flask application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from auth0_meta.actions.web.core import COOKIE_NAME, Adapter, BrowserRedirect, BrowserRequest, Login
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import MissingExtraError

try:
    import flask
    from flask.typing import ResponseReturnValue
except ModuleNotFoundError as error:
    raise MissingExtraError(f'this needs {error.name}: pip install "auth0-meta[flask]"') from error

Claims = Callable[[], Mapping[str, Any]]
Sections = Callable[[Mapping[str, Any]], Mapping[str, Any]]
View = Callable[[Login], ResponseReturnValue]


class PostLogin(Adapter[Claims, Sections, View]):
    """Decorate the login callback of a Flask application; `init_app` adds the route of /continue.

    `claims`: a function that returns the verified claims of the ID token; with Authlib `lambda:
    oauth.auth0.authorize_access_token()["userinfo"]`.  The application handles what it raises.
    `sections`: a function of the claims that returns what else the application knows about the login, by
    section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID
    token has neither the connection nor the parameters of /authorize.

    The decorated function is called with a `Login` when the actions have ended: at the callback, or at
    /continue after redirects.  A second such view needs a `PostLogin` with a `continue_path` of its own.
    Exempt /continue from the application's CSRF protection: its `state` and the cookie serve as a token.
    Raises `ConfigError` for a trigger or a path that can't work.
    """

    def __call__(self, view: View) -> Callable[[], ResponseReturnValue]:
        """Make `view`, a function of a `Login`, the view of the callback and the end of /continue."""
        self._decorate(view)

        @wraps(view)
        def callback() -> ResponseReturnValue:
            request, claims = self._request(), self._claims()
            sections = self._sections(claims) if self._sections else {}
            return self._respond(self._flow.login(request, claims, sections))

        return callback

    def init_app(self, app: flask.Flask) -> None:
        """Add the route of /continue."""
        flow = self._flow
        app.add_url_rule(flow.continue_path, flow.endpoint, self._continue, methods=["GET", "POST"])

    def _continue(self) -> ResponseReturnValue:
        request = flask.request
        form = read_form(request.content_type, read_body(request.stream.read))
        if isinstance(form, Refusal):
            return form.reason, form.status, {"Content-Type": "text/plain; charset=utf-8"}
        # If the application has read the form before, nothing is left of the stream, but the framework has
        # kept it.
        return self._respond(self._flow.resume(self._request(form or request.form.to_dict())))

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
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, result: BrowserRedirect | Login) -> ResponseReturnValue:
        if isinstance(result, Login):
            return self._view(result)
        response = flask.redirect(result.url, 303)
        response.set_cookie(result.cookie_name, result.cookie, **result.cookie_flags)
        response.headers["Cache-Control"] = "no-store"
        return response
