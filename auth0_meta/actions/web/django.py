"""Run the trigger in the login callback of a Django application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from auth0_meta.actions.web.core import NO_VIEW, ONE_VIEW, BrowserRedirect, BrowserRequest, Login, LoginFlow
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import ConfigError, MissingExtraError

try:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.urls import URLPattern, path
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_http_methods
except ModuleNotFoundError as error:
    raise MissingExtraError(f'this needs {error.name}: pip install "auth0-meta[django]"') from error

if TYPE_CHECKING:
    from auth0_meta.actions.trigger import PostLoginTrigger

View = Callable[[HttpRequest, Login], HttpResponseBase]


class PostLogin:
    """Decorate the login callback of a Django application; `path` returns the URL pattern of /continue.

    `claims`: a function of the request that returns the verified claims of the ID token; with Authlib `lambda
    request: oauth.auth0.authorize_access_token(request)["userinfo"]`.  The application handles what it
    raises.
    `sections`: a function of the request and the claims that returns what else the application knows about
    the login, by section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt":
    "none"}}}`.  An ID token has neither the connection nor the parameters of /authorize.

    The decorated function is called with the request and a `Login` when the actions have ended: at the
    callback, or at /continue after redirects.

        post_login = PostLogin(trigger, claims=verified_claims)

        @post_login
        def callback(request, login):
            if not login.outcome.allowed:
                return HttpResponseForbidden(login.outcome.denied or "The login failed.")
            request.session["user"] = dict(login.claims)
            return redirect("/profile")

        urlpatterns = [path("callback", callback), post_login.path()]

    /continue ends in the view that the same `PostLogin` decorates, so each decorates one view.  A second kind
    of login needs a second `PostLogin` with a `continue_path` of its own.
    /continue is exempt from the CSRF check: its `state` and the cookie serve as a token.  Raises `ConfigError`
    for a trigger or a path that can't work.
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
        """Make `view`, a function of a request and a `Login`, the view of the callback and the end of /continue."""
        if self._view is not None:
            raise ConfigError(ONE_VIEW)
        self._view = view

        @wraps(view)
        def callback(request: HttpRequest) -> HttpResponseBase:
            flow, browser_request = self._flow, self._request(request)
            claims, browser = self._claims(request), flow.browser_id(browser_request)
            event = flow.event(browser_request, claims, self._sections(request, claims))
            outcome = flow.trigger.run(event, browser=browser)
            return self._respond(request, flow.after_actions(browser_request, outcome, claims, browser))

        return callback

    def path(self) -> URLPattern:
        """Return the URL pattern of /continue, for the root of `urlpatterns`."""
        view = csrf_exempt(require_http_methods(["GET", "POST"])(self._continue))
        return path(self._flow.continue_path.lstrip("/"), view, name=self._flow.endpoint)

    def _continue(self, request: HttpRequest) -> HttpResponseBase:
        form = read_form(request.META.get("CONTENT_TYPE"), read_body(request.read))
        if isinstance(form, Refusal):
            return HttpResponse(form.reason, status=form.status, content_type="text/plain; charset=utf-8")
        # If the application has read the form before, nothing is left of the stream, but the framework has
        # kept it.
        flow, browser_request = self._flow, self._request(request, form or request.POST.dict())
        state, arguments = flow.resume_arguments(browser_request)
        return self._respond(
            request, flow.after_continue(browser_request, flow.trigger.resume(state, **arguments), state)
        )

    def _request(self, request: HttpRequest, body: Mapping[str, str] | None = None) -> BrowserRequest:
        secure = request.is_secure()
        return BrowserRequest(
            method=request.method,
            host=request.get_host(),
            secure=secure,
            ip=request.META.get("REMOTE_ADDR"),
            query=request.GET.dict(),
            body=body or {},
            cookie=request.COOKIES.get(self._flow.cookie_name(secure=secure)),
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, request: HttpRequest, result: BrowserRedirect | Login) -> HttpResponseBase:
        if isinstance(result, Login):
            if self._view is None:
                raise ConfigError(NO_VIEW)
            return self._view(request, result)
        response = HttpResponse(status=303, headers={"Location": result.url, "Cache-Control": "no-store"})
        response.set_cookie(result.cookie_name, result.cookie, path="/", **result.cookie_flags)
        return response
