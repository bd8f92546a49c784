"""Run the trigger in the login callback of a FastAPI or Starlette application, without blocking its loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from auth0_meta.actions.web.core import COOKIE_NAME, Adapter, BrowserRedirect, BrowserRequest, Login
from auth0_meta.actions.web.form import MAX_BODY_BYTES, Refusal, read_form
from auth0_meta.errors import MissingExtraError

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    raise MissingExtraError(f'this needs {error.name}: pip install "auth0-meta[fastapi]"') from error

Claims = Callable[[Request], Awaitable[Mapping[str, Any]]]
Sections = Callable[[Request, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
View = Callable[[Request, Login], Awaitable[Response]]


async def _body(request: Request) -> bytes:
    """Read a body, but no further than it takes to know that it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return body


class PostLogin(Adapter[Claims, Sections, View]):
    """Decorate the login callback of a FastAPI or Starlette application; `route` returns the route of /continue.

    `claims`: an async function of the request that returns the verified claims of the ID token; with Authlib
    `(await oauth.auth0.authorize_access_token(request))["userinfo"]`.  The application handles what it
    raises.
    `sections`: an async function of the request and the claims that returns what else the application knows
    about the login, by section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt":
    "none"}}}`.  An ID token has neither the connection nor the parameters of /authorize.

    The decorated async function is called with the request and a `Login` when the actions have ended: at the
    callback, or at /continue after redirects.  A second such view needs a `PostLogin` with a `continue_path`
    of its own.
    Raises `ConfigError` for a trigger or a path that can't work.
    """

    def __call__(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        """Make `view`, an async function of a request and a `Login`, the endpoint of the callback and the end of /continue."""
        self._decorate(view)

        async def callback(request: Request) -> Response:
            flow, browser_request = self._flow, self._request(request)
            claims, browser = await self._claims(request), flow.browser_id(browser_request)
            sections = await self._sections(request, claims) if self._sections else {}
            outcome = await flow.trigger.arun(flow.event(browser_request, claims, sections), browser=browser)
            result = await run_in_threadpool(flow.after_actions, browser_request, outcome, claims, browser)
            return await self._respond(request, result)

        # Not functools.wraps: FastAPI would see the signature of the view, and take `login` for a query
        # parameter.
        callback.__name__, callback.__doc__ = view.__name__, view.__doc__
        return callback

    def route(self) -> Route:
        """Return the route of /continue."""
        flow = self._flow
        return Route(flow.continue_path, self._continue, methods=["GET", "POST"], name=flow.endpoint)

    async def _continue(self, request: Request) -> Response:
        form = read_form(request.headers.get("content-type"), await _body(request))
        if isinstance(form, Refusal):
            return PlainTextResponse(form.reason, form.status)
        flow, browser_request = self._flow, self._request(request, form)
        state, arguments = flow.resume_arguments(browser_request)
        outcome = await flow.trigger.aresume(state, **arguments)
        result = await run_in_threadpool(flow.after_continue, browser_request, outcome, state)
        return await self._respond(request, result)

    def _request(self, request: Request, body: Mapping[str, str] | None = None) -> BrowserRequest:
        secure = request.url.scheme == "https"
        return BrowserRequest(
            method=request.method,
            host=request.url.netloc,
            secure=secure,
            ip=request.client.host if request.client else None,
            query=dict(request.query_params),
            body=body or {},
            cookie=request.cookies.get(COOKIE_NAME[secure]),
            user_agent=request.headers.get("user-agent"),
            language=request.headers.get("accept-language"),
        )

    async def _respond(self, request: Request, result: BrowserRedirect | Login) -> Response:
        if isinstance(result, Login):
            return await self._view(request, result)
        response = RedirectResponse(result.url, 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(result.cookie_name, result.cookie, **result.cookie_flags)
        return response
