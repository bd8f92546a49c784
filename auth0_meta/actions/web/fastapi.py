"""Run the trigger in the login callback of a FastAPI or Starlette application, without blocking its loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from auth0_meta.actions.web.core import ONE_VIEW, Came, Detour, Login, LoginFlow
from auth0_meta.actions.web.form import MOST_BODY, Refusal, read_form
from auth0_meta.errors import ConfigError, MissingExtraError

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    msg = f'this needs {error.name}: pip install "auth0-meta[fastapi]"'
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from auth0_meta.actions.trigger import PostLoginTrigger

__all__ = ["PostLogin"]

View = Callable[[Request, Login], Awaitable[Response]]


async def _body(request: Request) -> bytes:
    """Read a body as far as it takes to know that it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            break
    return body


class PostLogin:
    """Decorate a FastAPI or Starlette application's login callback; `route` is that of /continue.

    `claims`: an async function of the request that returns the verified claims of the ID token; with Authlib
    `(await oauth.auth0.authorize_access_token(request))["userinfo"]`.  What it raises is the application's to handle.  The
    decorated async function is called with the request and a `Login` when the actions have ended: at the callback, or at
    /continue after redirects.
    `sections`: an async function of the request and the claims that returns what else is known of the login, by section of the event:
    `{"connection": {"id": ...}, "request": {"query": {"prompt": "none"}}}`.  An ID token tells neither the connection nor what
    /authorize was asked.

        post_login = PostLogin(trigger, claims=verified_claims)

        @app.get("/callback")
        @post_login
        async def callback(request, login):
            if not login.outcome.allowed:
                return PlainTextResponse(login.outcome.denied or "The login failed.", 403)
            request.session["user"] = dict(login.claims)
            return RedirectResponse("/profile", 303)

        app.router.routes.append(post_login.route())

    /continue goes to the view of the same `PostLogin`, so each decorates one view; a second kind of login has a second
    `PostLogin`, with a `continue_path` of its own.
    Raises `ConfigError` for a trigger or path that can't be one.
    """

    def __init__(
        self,
        trigger: PostLoginTrigger,
        /,
        *,
        claims: Callable[[Request], Awaitable[Mapping[str, Any]]],
        sections: Callable[[Request, Mapping[str, Any]], Awaitable[Mapping[str, Any]]] | None = None,
        continue_path: str = "/continue",
    ) -> None:
        self._flow = LoginFlow(trigger, continue_path)
        self._claims = claims
        self._sections = sections
        self._view: View | None = None

    def __call__(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        """Make an async function of a request and a `Login` the endpoint of the callback, and what /continue ends in."""
        if self._view is not None:
            raise ConfigError(ONE_VIEW)
        self._view = view

        async def callback(request: Request) -> Response:
            flow, came = self._flow, self._came(request)
            claims, browser = await self._claims(request), flow.browser(came)
            sections = {} if self._sections is None else await self._sections(request, claims)
            outcome = await flow.trigger.arun(flow.event(came, claims, sections), browser=browser)
            how = await run_in_threadpool(flow.ended, came, outcome, claims, browser)
            return await self._respond(request, how)

        # functools.wraps would show FastAPI the signature of the view, and `login` would be a parameter of the query.
        callback.__name__, callback.__doc__ = view.__name__, view.__doc__
        return callback

    def route(self) -> Route:
        """Return the route of /continue."""
        flow = self._flow
        return Route(flow.continue_path, self._continue, methods=["GET", "POST"], name=flow.endpoint)

    async def _continue(self, request: Request) -> Response:
        read = read_form(request.headers.get("content-type"), await _body(request))
        if isinstance(read, Refusal):
            return PlainTextResponse(read.reason, read.status)
        flow, came = self._flow, self._came(request, read)
        state, words = flow.resumption(came)
        outcome = await flow.trigger.aresume(state, **words)
        how = await run_in_threadpool(flow.went_on, came, outcome, state)
        return await self._respond(request, how)

    def _came(self, request: Request, body: Mapping[str, str] | None = None) -> Came:
        secure = request.url.scheme == "https"
        return Came(
            method=request.method,
            host=request.url.netloc,
            secure=secure,
            ip=request.client.host if request.client else None,
            query=dict(request.query_params),
            body=body or {},
            browser=request.cookies.get(self._flow.cookie(secure=secure)),
            user_agent=request.headers.get("user-agent"),
            language=request.headers.get("accept-language"),
        )

    async def _respond(self, request: Request, how: Detour | Login) -> Response:
        if isinstance(how, Login):
            if self._view is None:
                msg = "no view is decorated with this PostLogin: /continue has nowhere to end"
                raise ConfigError(msg)
            return await self._view(request, how)
        response = RedirectResponse(how.url, 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            how.cookie,
            how.browser,
            path="/",
            httponly=True,
            secure=how.flags["secure"],
            samesite=cast('Literal["none", "lax"]', how.flags["samesite"].lower()),
        )
        return response
