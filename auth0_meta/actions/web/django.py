"""Run the trigger in the login callback of a Django application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from auth0_meta.actions.web.core import COOKIE_NAME, Adapter, BrowserRedirect, BrowserRequest, Login
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.errors import MissingExtraError

try:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.urls import URLPattern, path
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_http_methods
except ModuleNotFoundError as error:
    raise MissingExtraError(f'this needs {error.name}: pip install "auth0-meta[django]"') from error

Claims = Callable[[HttpRequest], Mapping[str, Any]]
Sections = Callable[[HttpRequest, Mapping[str, Any]], Mapping[str, Any]]
View = Callable[[HttpRequest, Login], HttpResponseBase]


class PostLogin(Adapter[Claims, Sections, View]):
    """Decorate the login callback of a Django application; `path` returns the URL pattern of /continue.

    `claims`: a function of the request that returns the verified claims of the ID token; with Authlib `lambda
    request: oauth.auth0.authorize_access_token(request)["userinfo"]`.  The application handles what it
    raises.
    `sections`: a function of the request and the claims that returns what else the application knows about
    the login, by section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt":
    "none"}}}`.  An ID token has neither the connection nor the parameters of /authorize.

    The decorated function is called with the request and a `Login` when the actions have ended: at the
    callback, or at /continue after redirects.  A second such view needs a `PostLogin` with a `continue_path`
    of its own.
    /continue is exempt from the CSRF check: its `state` and the cookie serve as a token.  Raises `ConfigError`
    for a trigger or a path that can't work.
    """

    def __call__(self, view: View) -> Callable[[HttpRequest], HttpResponseBase]:
        """Make `view`, a function of a request and a `Login`, the view of the callback and the end of /continue."""
        self._decorate(view)

        @wraps(view)
        def callback(request: HttpRequest) -> HttpResponseBase:
            claims = self._claims(request)
            sections = self._sections(request, claims) if self._sections else {}
            return self._respond(request, self._flow.login(self._request(request), claims, sections))

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
        browser_request = self._request(request, form or request.POST.dict())
        return self._respond(request, self._flow.resume(browser_request))

    def _request(self, request: HttpRequest, body: Mapping[str, str] | None = None) -> BrowserRequest:
        return BrowserRequest(
            method=request.method,
            host=request.get_host(),
            secure=request.is_secure(),
            ip=request.META.get("REMOTE_ADDR"),
            query=request.GET.dict(),
            body=body or {},
            cookie=request.COOKIES.get(COOKIE_NAME[request.is_secure()]),
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )

    def _respond(self, request: HttpRequest, result: BrowserRedirect | Login) -> HttpResponseBase:
        if isinstance(result, Login):
            return self._view(request, result)
        response = HttpResponse(status=303, headers={"Location": result.url, "Cache-Control": "no-store"})
        response.set_cookie(result.cookie_name, result.cookie, **result.cookie_flags)
        return response
