"""Run the trigger in the login callback of a Django application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from inspect import isawaitable
from typing import Any

from auth0_meta.actions.web.browser import COOKIE_NAME, LOGIN_METHODS, BrowserRedirect, BrowserRequest, Cookie
from auth0_meta.actions.web.core import Adapter, Login, Return
from auth0_meta.actions.web.form import Refusal, read_body, read_form
from auth0_meta.actions.web.views import DecoratedView, is_async, mark_decorated
from auth0_meta.errors import ConfigError, missing_extra

try:
    from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
    from django.core.exceptions import PermissionDenied
    from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
    from django.urls import URLPattern, path, resolve
    from django.utils.translation import activate, get_language_from_path
except ModuleNotFoundError as error:
    raise missing_extra(error, "django") from None

Claims = Callable[[HttpRequest], Any]
"""Returns the claims, or is async and does so."""
Sections = Callable[[HttpRequest, Mapping[str, Any]], Any]


class PostLogin(Adapter[Claims, Sections]):
    """Decorate the login callback of a Django application; `path` returns the URL pattern of /continue.

    `claims`: a function of the request that returns the verified claims of the ID token; with Authlib `lambda
    request: oauth.auth0.authorize_access_token(request)["userinfo"]`.  The application handles what it
    raises.
    `sections`: a function of the request and the claims that returns what else the application knows about
    the login, by section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt":
    "none"}}}`.  An ID token has neither the connection nor the parameters of /authorize.
    Both may be async, and so may the view; the event loop is never blocked.

    The decorated function is called with the request and a `Login` when the actions have ended: at the
    callback, or at /continue after redirects; with the arguments of the callback's URL at both.  A method of a `View` may
    be decorated too, also with `method_decorator`.  A second such view needs a `PostLogin` with a `continue_path` of its
    own.
    If the login is allowed, the session gets a new id before the view is called, and keeps its data.
    Both views are exempt from the CSRF check, because their `state` and the cookie serve as a token, and from
    `LoginRequiredMiddleware`, because nobody has logged in there yet.  Raises `ConfigError` for a trigger, a path or a
    view that can't work.
    """

    _position = 1
    _example = "`@post_login`, below it `def callback(request, login):`"
    _in_class = False
    """Whether method_decorator decorates a method, which it then does anew for each request."""

    def __call__(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Make `view`, a function of a request and a `Login`, the view of the callback and the end of /continue."""
        decorated = self._decorate(view)
        callback = wraps(view)(
            self._async(decorated) if _is_async(decorated.function) else self._sync(decorated)
        )
        # By hand: Django's own decorators would wrap the callback, which has to be recognized.
        vars(callback).update(csrf_exempt=True, login_required=False)
        if self._in_class:
            mark_decorated(callback)
        else:
            self._remember(callback)
        return callback

    def _decorate(self, view: Any) -> DecoratedView:
        trial = (
            getattr(view, "__module__", None) == "django.utils.decorators"
        )  # it copies what we set on the function
        if self._in_class and not trial and isinstance(view, partial):
            return self._analyzed(view)
        decorated = super()._decorate(view)
        self._in_class = trial
        return decorated

    def path(self) -> URLPattern:
        """Return the URL pattern of /continue, for the root of `urlpatterns`, or for the included ones that have the callback."""

        def end(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            back = self._back(request)
            if isinstance(back, HttpResponse):
                return back
            with self._flow.returning(back):
                return self._ended(back, _waited(self._end(request, back, kwargs)()))

        async def aend(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            back = await sync_to_async(self._back)(request)
            if isinstance(back, HttpResponse):
                return back
            with self._flow.returning(back):
                return self._ended(back, await _called(self._end(request, back, kwargs)))

        view: Any = aend if self._decorated is not None and _is_async(self._decorated.function) else end
        vars(view).update(csrf_exempt=True, login_required=False)
        return path(self._flow.continue_path.lstrip("/"), view, name=self._flow.endpoint)

    # The callback -----------------------------------------------------------------------------------

    def _sync(self, decorated: DecoratedView) -> Callable[..., Any]:
        def callback(*args: Any, **kwargs: Any) -> Any:
            request, bound, back = (
                self._request_of(args),
                decorated.bind(*args, **kwargs),
                self._flow.returned(),
            )
            if back is not None:
                result = self._flow.resume(back)
            elif request.method not in LOGIN_METHODS:
                return HttpResponseNotAllowed(LOGIN_METHODS)
            else:
                claims = _waited(self._claims(request))
                sections = _waited(self._sections(request, claims)) if self._sections else {}
                described = self._request(request)
                again = described.callback() if len(args) > 1 or kwargs or self._in_class else None
                result = self._flow.login(described, claims, sections, again)
            if isinstance(result, BrowserRedirect):
                return _redirect(result)
            if _has_known_id(request, result):
                request.session.cycle_key()
            return _waited(decorated.call(bound, result))

        return callback

    def _async(self, decorated: DecoratedView) -> Callable[..., Any]:
        async def callback(*args: Any, **kwargs: Any) -> Any:
            request, bound, back = (
                self._request_of(args),
                decorated.bind(*args, **kwargs),
                self._flow.returned(),
            )
            if back is not None:
                result = await self._flow.aresume(back)
            elif request.method not in LOGIN_METHODS:
                return HttpResponseNotAllowed(LOGIN_METHODS)
            else:
                claims = await _called(self._claims, request)
                sections = await _called(self._sections, request, claims) if self._sections else {}
                described = self._request(request)
                again = described.callback() if len(args) > 1 or kwargs or self._in_class else None
                result = await self._flow.alogin(described, claims, sections, again)
            if isinstance(result, BrowserRedirect):
                return _redirect(result)
            if _has_known_id(request, result):
                await request.session.acycle_key()
            return await decorated.call(bound, result)

        return callback

    @staticmethod
    def _request_of(args: tuple[Any, ...]) -> Any:
        """Return the request among the arguments of a function or a method; Django REST framework has its own type."""
        request = next((argument for argument in args if hasattr(argument, "META")), None)
        if request is None:
            raise ConfigError("the view of a login was called without a request: decorate the view itself")
        return request

    # /continue --------------------------------------------------------------------------------------

    def _back(self, request: HttpRequest) -> Return | HttpResponse:
        """Return the browser that has come back, or the response that refuses it."""
        if request.method not in LOGIN_METHODS:
            return HttpResponseNotAllowed(LOGIN_METHODS)
        form = read_form(request.META.get("CONTENT_TYPE"), read_body(request.read))
        if isinstance(form, Refusal):
            return HttpResponse(form.reason, status=form.status, content_type="text/plain; charset=utf-8")
        # If the application has read the form before, nothing is left of the stream, but the framework has
        # kept it.
        return self._flow.take(self._request(request, form or request.POST.dict()))

    def _end(self, request: HttpRequest, back: Return, arguments: Mapping[str, Any]) -> Callable[[], Any]:
        """Return what ends /continue: the decorated view, or the view of the callback's URL with its arguments.

        `arguments`: those of /continue's own URL, if it is included under a prefix that has some.
        """
        if back.callback is None:
            end = None if self._in_class else self._end_of_continue(request, **arguments)
            if end is None:
                raise PermissionDenied(self._flow.refuse(back))
            return end
        language = get_language_from_path(back.callback.path)
        if language is not None:
            activate(language)  # i18n_patterns match the prefix of the active language only
        match = resolve(back.callback.path, getattr(request, "urlconf", None))
        # From here on the request is the callback's to Django: a class-based view chooses its method by this.
        request.method, request.resolver_match = back.callback.method, match
        return partial(match.func, request, *match.args, **match.kwargs)

    def _ended(self, back: Return, response: Any) -> Any:
        cookie = self._flow.renewed_cookie(back)
        return response if cookie is None else _with_cookie(response, cookie)

    def _request(self, request: HttpRequest, body: Mapping[str, str] | None = None) -> BrowserRequest:
        return BrowserRequest(
            method=request.method,
            host=request.get_host(),
            secure=request.is_secure(),
            ip=request.META.get("REMOTE_ADDR"),
            query=request.GET.dict(),
            body=body or {},
            cookie=request.COOKIES.get(COOKIE_NAME[request.is_secure()]),
            path=request.path_info,
            user_agent=request.headers.get("User-Agent"),
            language=request.headers.get("Accept-Language"),
        )


def _redirect(result: BrowserRedirect) -> HttpResponse:
    response = HttpResponse(status=303, headers={"Location": result.url, "Cache-Control": "no-store"})
    return _with_cookie(response, result.cookie)


def _with_cookie(response: Any, cookie: Cookie) -> Any:
    response.set_cookie(cookie.name, cookie.value, **cookie.flags)
    return response


def _has_known_id(request: Any, login: Login) -> bool:
    """Return whether a user is let in on a session whose id somebody may know who planted it before the login."""
    session = getattr(request, "session", None)
    return login.outcome.allowed and session is not None and session.session_key is not None


def _is_async(function: Callable[..., Any]) -> bool:
    return is_async(function) or iscoroutinefunction(function)  # the latter knows markcoroutinefunction


def _waited(returned: Any) -> Any:
    """Return what a function, which may have been async, returns in the end."""
    return async_to_sync(_awaited)(returned) if isawaitable(returned) else returned


async def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on the event loop if it is async, and in Django's thread for it otherwise."""
    if not _is_async(function):
        function = sync_to_async(function)
    returned = await function(*arguments)
    return await returned if isawaitable(returned) else returned


async def _awaited(returned: Any) -> Any:
    return await returned
