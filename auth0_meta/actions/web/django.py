"""Run the trigger in the login callback of a Django application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from auth0_meta.actions.web.core import ONE_VIEW, Came, Detour, Login, LoginFlow
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import ConfigError, MissingExtraError

try:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.urls import URLPattern, path
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_http_methods
except ModuleNotFoundError as error:
    msg = f'this needs {error.name}: pip install "auth0-meta[django]"'
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from auth0_meta.actions.trigger import PostLoginTrigger

__all__ = ["PostLogin"]

View = Callable[[HttpRequest, Login], HttpResponseBase]


class PostLogin:
    """Decorate a Django application's login callback; `path` is the URL pattern of /continue.

    `claims`: a function of the request that returns the verified claims of the ID token; with Authlib
    `lambda request: oauth.auth0.authorize_access_token(request)["userinfo"]`.  What it raises is the application's to
    handle.  The decorated function is called with the request and a `Login` when the actions have ended: at the callback, or
    at /continue after redirects.
    `sections`: a function of the request and the claims that returns what else is known of the login, by section of the event:
    `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID token tells neither the connection nor what
    /authorize was asked.

        post_login = PostLogin(trigger, claims=verified_claims)

        @post_login
        def callback(request, login):
            if not login.outcome.allowed:
                return HttpResponseForbidden(login.outcome.denied or "The login failed.")
            request.session["user"] = dict(login.claims)
            return redirect("/profile")

        urlpatterns = [path("callback", callback), post_login.path()]

    /continue goes to the view of the same `PostLogin`, so each decorates one view; a second kind of login has a second
    `PostLogin`, with a `continue_path` of its own.
    /continue is exempt from the CSRF check: its `state` and the cookie stand for a token.
    Raises `ConfigError` for a trigger or path that can't be one.
    """

    def __init__(
        self,
        trigger: PostLoginTrigger,
        /,
        *,
        claims: Callable[[HttpRequest], Mapping[str, Any]],
        sections: Callable[[HttpRequest, Mapping[str, Any]], Mapping[str, Any]] | None = None,
        continue_path: str = "/continue",
    ) -> None:
        self._flow = LoginFlow(trigger, continue_path)
        self._claims = claims
        self._sections = sections or (lambda request, claims: {})
        self._view: View | None = None

    def __call__(self, view: View) -> Callable[[HttpRequest], HttpResponseBase]:
        """Make a function of a request and a `Login` the view of the callback, and what /continue ends in."""
        if self._view is not None:
            raise ConfigError(ONE_VIEW)
        self._view = view

        @wraps(view)
        def callback(request: HttpRequest) -> HttpResponseBase:
            flow, came = self._flow, self._came(request)
            claims, browser = self._claims(request), flow.browser(came)
            event = flow.event(came, claims, self._sections(request, claims))
            outcome = flow.trigger.run(event, browser=browser)
            return self._respond(request, flow.ended(came, outcome, claims, browser))

        return callback

    def path(self) -> URLPattern:
        """Return the URL pattern of /continue, for the root of `urlpatterns`."""
        view = csrf_exempt(require_http_methods(["GET", "POST"])(self._continue))
        return path(self._flow.continue_path.lstrip("/"), view, name=self._flow.endpoint)

    def _continue(self, request: HttpRequest) -> HttpResponseBase:
        read = read_form(request.META.get("CONTENT_TYPE"), read_body(request.read))
        if isinstance(read, Refusal):
            return HttpResponse(read.reason, status=read.status, content_type="text/plain; charset=utf-8")
        # The stream is at its end where the application has read the form before.
        flow, came = self._flow, self._came(request, read or request.POST.dict())
        state, words = flow.resumption(came)
        return self._respond(request, flow.went_on(came, flow.trigger.resume(state, **words), state))

    def _came(self, request: HttpRequest, body: Mapping[str, str] | None = None) -> Came:
        secure = request.is_secure()
        return Came(
            method=request.method,
            host=request.get_host(),
            secure=secure,
            ip=request.META.get("REMOTE_ADDR"),
            query=request.GET.dict(),
            body=body or {},
            browser=request.COOKIES.get(self._flow.cookie(secure=secure)),
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, request: HttpRequest, how: Detour | Login) -> HttpResponseBase:
        if isinstance(how, Login):
            if self._view is None:
                msg = "no view is decorated with this PostLogin: /continue has nowhere to end"
                raise ConfigError(msg)
            return self._view(request, how)
        response = HttpResponse(status=303, headers={"Location": how.url, "Cache-Control": "no-store"})
        response.set_cookie(how.cookie, how.browser, path="/", **how.flags)
        return response
