"""Run the trigger in the login callback of a FastAPI or Starlette application, without blocking its loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import Parameter, Signature, isawaitable, isclass
from typing import Any
from urllib.parse import quote

import attrs

from auth0_meta.actions.web.browser import (
    COOKIE_NAME,
    LOGIN_METHODS,
    BrowserRedirect,
    BrowserRequest,
    Callback,
    Cookie,
)
from auth0_meta.actions.web.core import Adapter, Return
from auth0_meta.actions.web.form import MAX_BODY_BYTES, Refusal, read_form
from auth0_meta.actions.web.views import DecoratedView, is_async, without_self
from auth0_meta.errors import ConfigError, missing_extra

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route
    from starlette.types import Message, Receive, Scope, Send
except ModuleNotFoundError as error:
    raise missing_extra(error, "fastapi") from None

Claims = Callable[[Request], Any]
"""Returns the claims, or is async and does so."""
Sections = Callable[[Request, Mapping[str, Any]], Any]
_REQUEST = "auth0_meta_request"
"""The parameter that FastAPI sees if the view doesn't take the request."""


async def _body(request: Request) -> bytes:
    """Read a body, but no further than it takes to know that it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return body


@attrs.frozen
class _Parameters:
    """What FastAPI is to see of a view; `request` is the name of its parameter for the request, None without one.

    `alone`: whether the view takes nothing else besides the login, and so can be called without FastAPI.
    """

    request: str | None
    alone: bool
    signature: Signature


class PostLogin(Adapter[Claims, Sections]):
    """Decorate the login callback of a FastAPI or Starlette application; `init_app` adds the route of /continue.

    `claims`: a function of the request that returns the verified claims of the ID token; with Authlib
    `(await oauth.auth0.authorize_access_token(request))["userinfo"]`.  The application handles what it
    raises.
    `sections`: a function of the request and the claims that returns what else the application knows
    about the login, by section of the event: `{"connection": {"id": ...}, "request": {"query": {"prompt":
    "none"}}}`.  An ID token has neither the connection nor the parameters of /authorize.
    Both may be async, and so may the view; what is not async runs in a thread.

    The decorated function is called with the request, if it takes one, and a `Login` when the actions have ended: at the
    callback, or at /continue after redirects.  FastAPI resolves its other parameters at both: dependencies, and what is
    in the path and the query of the callback.  A second such view needs a `PostLogin` with a `continue_path` of its own.
    Raises `ConfigError` for a trigger, a path or a view that can't work.
    """

    _position = 1
    _example = '`@app.get("/callback")`, below it `@post_login`, below it `async def callback(request: Request, login: Login):`'
    _parameters = _Parameters(None, True, Signature())

    def __call__(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Make `view`, a function of a request and a `Login`, the endpoint of the callback and the end of /continue."""
        parameters = _parameters(self._analyzed(view))
        decorated, flow = self._decorate(view), self._flow
        self._parameters = parameters

        @wraps(view)
        async def callback(*args: Any, **kwargs: Any) -> Any:
            # FastAPI passes everything by name, Starlette only the request, to a method after `self`.
            by_starlette = not kwargs and len(args) == 1
            request = kwargs.pop(_REQUEST, None)
            request = request or next((a for a in (*args, *kwargs.values()) if isinstance(a, Request)), None)
            if request is None:
                raise ConfigError(f"{decorated.name} was called without a request: use it as an endpoint")
            if parameters.request is None:
                args = tuple(argument for argument in args if argument is not request)
            bound, back = decorated.bind(*args, **kwargs), flow.returned()
            if back is not None:
                result = await flow.aresume(back)
            elif request.method not in LOGIN_METHODS:
                raise _not_allowed()
            else:
                claims = await _called(self._claims, request)
                sections = await _called(self._sections, request, claims) if self._sections else {}
                described = self._request(request)
                result = await flow.alogin(
                    described, claims, sections, None if by_starlette else described.callback()
                )
            if isinstance(result, BrowserRedirect):
                response = RedirectResponse(result.url, 303, headers={"Cache-Control": "no-store"})
                return _with_cookie(response, result.cookie)
            if decorated.is_async:
                return await decorated.call(bound, result)
            return await _called(decorated.call, bound, result)

        # FastAPI resolves these parameters, and not those of the view: it would take the login for a query parameter.
        vars(callback)["__signature__"] = parameters.signature
        del callback.__wrapped__
        self._remember(callback)
        return callback

    def init_app(self, app: Any) -> None:
        """Add the route of /continue to an application or a router: the one that has the callback.

        Raises `ConfigError` if the callback's route is below @post_login and so has the view without the login.
        """
        self._add_application(app)
        app.routes.append(self.route())

    def _routed(self, app: Any) -> Iterable[object]:
        return (getattr(route, "endpoint", None) for route in app.routes)

    def route(self) -> Route:
        """Return the route of /continue, for a list of routes."""
        flow = self._flow
        return Route(flow.continue_path, self._continue, methods=LOGIN_METHODS, name=flow.endpoint)

    async def _continue(self, request: Request) -> Response:
        if request.method not in LOGIN_METHODS:
            raise _not_allowed()
        form = read_form(request.headers.get("content-type"), await _body(request))
        if isinstance(form, Refusal):
            return PlainTextResponse(form.reason, form.status)
        view, callback = self._required()
        fits = view.fits(*([] if self._parameters.request is None else [request]))
        back = await run_in_threadpool(self._flow.take, self._request(request, form))
        if back.callback is not None:
            return _CallbackAgain(back, back.callback)
        if not fits or not self._parameters.alone:
            raise HTTPException(403, self._flow.refuse(back))
        with self._flow.returning(back):
            response = _as_response(await callback(request))
        cookie = self._flow.renewed_cookie(back)
        return response if cookie is None else _with_cookie(response, cookie)

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
            path=request.scope["path"],
            query_string=request.url.query,
            user_agent=request.headers.get("user-agent"),
            language=request.headers.get("accept-language"),
        )


class _CallbackAgain(Response):
    """The response of the callback's own route, to a request that takes the place of the one to /continue.

    In this way the framework resolves the view's parameters there as well: dependencies, path, query.
    """

    def __init__(self, back: Return, callback: Callback) -> None:
        super().__init__()
        self._back, self._to = back, callback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        again = {
            **scope,
            "method": self._to.method,
            "path": self._to.path,
            "raw_path": quote(self._to.path).encode(),
            "query_string": self._to.query.encode(),
        }
        app, outermost = scope.get("app"), scope["router"]
        router = outermost if app is None else app.router
        if router is outermost:
            # What mounts have added to the root path since then; a mounted application begins with its own.
            again["root_path"] = scope.get("app_root_path", scope.get("root_path", ""))
        bodies = [b""]

        async def no_body() -> Message:
            return (
                {"type": "http.request", "body": bodies.pop(), "more_body": False}
                if bodies
                else await receive()
            )

        async def with_cookie(message: Message) -> None:
            cookie = self._back.flow.renewed_cookie(self._back)
            if message["type"] == "http.response.start" and cookie is not None:
                added = _with_cookie(Response(), cookie).raw_headers
                headers = [header for header in added if header[0] == b"set-cookie"]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        with self._back.flow.returning(self._back):
            await router(again, no_body, with_cookie)


def _parameters(view: DecoratedView) -> _Parameters:
    """Return what FastAPI is to see of a view; raise `ConfigError` for what it could not resolve."""
    every = list(view.seen.parameters.values())
    request = _request_name(view)
    others = [p for p in every if p.name not in (view.login, request)]
    for parameter in others:
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            kind = "*" if parameter.kind is Parameter.VAR_POSITIONAL else "**"
            raise ConfigError(
                f"{view.name} takes {kind}{parameter.name}, which FastAPI can't resolve: name each parameter. "
                f"Write {PostLogin._example}"
            )
        if _is_body(parameter):
            raise ConfigError(
                f"{view.name} takes {parameter.name} from the body, and /continue has another body than the callback: "
                "leave it out, and read the form of the callback in claims="
            )
    first = without_self(view.seen)[0]
    if request is None and first in others and _is_bare(first):
        raise ConfigError(
            f"the parameter {first.name} of {view.name} may be the request or come from the URL: annotate it, "
            f"as {first.name}: Request or {first.name}: str"
        )
    shown = [
        parameter.replace(annotation=Request) if parameter.name == request else parameter
        for parameter in every
        if parameter.name != view.login
    ]
    if request is None:
        shown.append(Parameter(_REQUEST, Parameter.KEYWORD_ONLY, annotation=Request))
    return _Parameters(request, not others, view.seen.replace(parameters=shown))


def _request_name(view: DecoratedView) -> str | None:
    """Return the parameter that is annotated as the request, or bears its name without an annotation."""
    parameters = view.seen.parameters.values()
    typed = [p.name for p in parameters if isclass(p.annotation) and issubclass(p.annotation, Request)]
    named = [p.name for p in parameters if p.name == "request" and _is_bare(p)]
    return next(iter(typed + named), None)


def _is_bare(parameter: Parameter) -> bool:
    return parameter.annotation in (Parameter.empty, Any) and parameter.default is Parameter.empty


def _is_body(parameter: Parameter) -> bool:
    """Return whether FastAPI would look for a parameter in the body: `Body`, `Form` and `File` have one base there."""
    declared = (parameter.default, *getattr(parameter.annotation, "__metadata__", ()))
    bases = [base for value in declared for base in type(value).__mro__]
    return any((base.__module__, base.__name__) == ("fastapi.params", "Body") for base in bases)


async def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on the event loop if it is async, and in a thread otherwise."""
    if is_async(function):
        return await function(*arguments)
    returned = await run_in_threadpool(function, *arguments)
    return await returned if isawaitable(returned) else returned


def _as_response(returned: Any) -> Response:
    """Return what a view has returned as a response; only FastAPI's endpoints return anything else."""
    if isinstance(returned, Response):
        return returned
    from fastapi.encoders import jsonable_encoder  # noqa: PLC0415  # Starlette does without it

    return JSONResponse(jsonable_encoder(returned))


def _not_allowed() -> HTTPException:
    return HTTPException(405, headers={"Allow": ", ".join(LOGIN_METHODS)})


def _with_cookie(response: Response, cookie: Cookie) -> Response:
    response.set_cookie(cookie.name, cookie.value, **cookie.flags)
    return response
