"""Take a login through the trigger and its redirects, whatever the web framework."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.failure import report
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.suspended_logins import digest, refusal
from auth0_meta.actions.trigger import PostLoginTrigger
from auth0_meta.actions.web.browser import BrowserRedirect, BrowserRequest, Callback, Cookie
from auth0_meta.actions.web.views import DecoratedView, check_function, decorated_view, mark_decorated
from auth0_meta.errors import ConfigError, InputError, RedirectError

_CALLBACK = "auth0_meta:callback"
_Claims = TypeVar("_Claims")
_Sections = TypeVar("_Sections")
_Value = TypeVar("_Value")


@attrs.frozen(kw_only=True)
class Login:
    """A login whose actions have ended.

    `outcome`: see `LoginOutcome`; check `outcome.allowed` before you let anybody in.
    `claims`: the verified claims of the ID token; {} if /continue was refused.
    """

    outcome: LoginOutcome
    claims: Mapping[str, Any] = attrs.field(repr=False)


@attrs.define(eq=False)
class Return:
    """A browser that has come back to /continue, and what was stored for it."""

    flow: LoginFlow
    request: BrowserRequest
    state: str = attrs.field(repr=False)
    browser: str = attrs.field(repr=False)
    claims: Mapping[str, Any] | None = attrs.field(repr=False, default=None)
    callback: Callback | None = None
    error: Exception | None = None
    used: bool = False
    let_in: bool = False


_RETURN: ContextVar[Return | None] = ContextVar("auth0_meta_return")


class LoginFlow:
    """A login in a browser: before the trigger, after it, and what is stored in between.

    The cookie is 256 random bits and binds a suspended login to its browser.  It is always HttpOnly.  On
    https its name begins with `__Host-`, so that no other subdomain can set it, and it is Secure and
    SameSite=None, because the form of another site has to be able to post to /continue.  On http, which is
    for loopback, browsers refuse SameSite=None without Secure, so it is Lax.  When a login has continued, it is
    renewed; the bits before stand behind the new ones until then, for a login in a second tab.
    """

    def __init__(self, trigger: PostLoginTrigger, continue_path: str) -> None:
        if not isinstance(trigger, PostLoginTrigger):
            raise ConfigError(f"PostLogin takes a PostLoginTrigger, not {type(trigger).__name__}")
        if not continue_path.startswith("/"):
            raise ConfigError(f"continue_path must begin with a slash, unlike {continue_path!r}")
        self.trigger = trigger
        self.continue_path = continue_path
        self.endpoint = "auth0_meta" + "".join(c if c.isalnum() else "_" for c in continue_path)
        """The name of the route of /continue, which depends on its path."""

    def login(
        self,
        request: BrowserRequest,
        claims: Mapping[str, Any],
        sections: Mapping[str, Any],
        callback: Callback | None = None,
    ) -> BrowserRedirect | Login:
        """Run the actions at the callback, and return what follows them.

        `callback`: how to call the view again after a redirect; None if it takes the login only.
        """
        event, browser = self.event(request, claims, sections), self.browser_id(request)
        outcome = self.trigger.run(event, browser=browser)
        return self.after_actions(request, outcome, claims, browser, callback)

    async def alogin(
        self,
        request: BrowserRequest,
        claims: Mapping[str, Any],
        sections: Mapping[str, Any],
        callback: Callback | None = None,
    ) -> BrowserRedirect | Login:
        """Do what `login` does without blocking the event loop."""
        event, browser = self.event(request, claims, sections), self.browser_id(request)
        outcome = await self.trigger.arun(event, browser=browser)
        return await _in_thread(self.after_actions, request, outcome, claims, browser, callback)

    def take(self, request: BrowserRequest) -> Return:
        """Return what was stored for a browser that comes to /continue; it can be taken once."""
        state = request.query.get("state") or request.body.get("state", "")
        options = self.trigger._options
        # Without a cookie "none", which matches no login.  Not "": that is the key of logins that a trigger suspends
        # without `browser=`.
        browsers = (request.cookie or "none").split(".", 1)
        back = Return(self, request, state, browsers[0])
        try:
            for browser in browsers:
                key = digest(f"claims {state}", browser)
                stored = options.states.take(key, now=options.client._channel.clock.time())
                if stored is not None:
                    back.browser = browser
                    back.claims, back.callback = _stored(stored)
                    break
        except Exception as error:  # noqa: BLE001  # a store that fails is the login's error, as in the trigger
            report(error, user_id=None, action=None)
            back.error = error
        return back

    @staticmethod
    def refuse(back: Return) -> str:
        """Log that nothing says with which arguments the view was to be called, and return what to tell the browser."""
        if back.error is None:
            detail = ": the state of /continue is unknown, used, expired or from another browser"
            report(refusal("invalid_request", detail), user_id=None, action=None)
        return "This login can't continue. Please log in again."

    @contextmanager
    def returning(self, back: Return) -> Iterator[None]:
        """Make the next call of the callback, in this context, the end of /continue."""
        token = _RETURN.set(back)
        try:
            yield
        finally:
            _RETURN.reset(token)

    def returned(self) -> Return | None:
        """Return the browser that has come back to /continue, once; None if this is a call of the callback itself."""
        back = _RETURN.get(None)
        if back is None or back.flow is not self or back.used:
            return None
        back.used = True
        return back

    def resume(self, back: Return) -> BrowserRedirect | Login:
        """Run the actions at /continue, and return what follows them."""
        if back.error is not None:
            return self._not_resumed(back.error)
        return self.after_continue(back, self.trigger.resume(back.state, **_resume_arguments(back)))

    async def aresume(self, back: Return) -> BrowserRedirect | Login:
        """Do what `resume` does without blocking the event loop."""
        if back.error is not None:
            return self._not_resumed(back.error)
        outcome = await self.trigger.aresume(back.state, **_resume_arguments(back))
        return await _in_thread(self.after_continue, back, outcome)

    @staticmethod
    def _not_resumed(error: Exception) -> Login:
        return Login(outcome=LoginOutcome(user_id=None, error=error), claims={})

    def renewed_cookie(self, back: Return) -> Cookie | None:
        """Return the cookie that replaces the browser's once a login has continued and let it in; None otherwise.

        None too if the login began before the last renewal: others may have begun with the bits before as well.
        """
        if not back.let_in or back.browser != self.browser_id(back.request):
            return None
        return back.request.cookie_with(f"{secrets.token_urlsafe(32)}.{back.browser}")

    def event(self, request: BrowserRequest, claims: Mapping[str, Any], sections: Mapping[str, Any]) -> Event:
        """Return the event of a login at the callback; `sections` override what the request says, field by field."""
        if not isinstance(sections, Mapping):
            msg = f"sections= must return a dict of the event's sections, not {type(sections).__name__}"
            raise InputError(msg)
        known = {
            "request": {**request.section(), "query": request.event_query()},
            "transaction": {"protocol": "oidc-basic-profile"},
        }
        return Event.from_claims(claims, **_merged(known, sections))

    @staticmethod
    def browser_id(request: BrowserRequest) -> str:
        """Return what identifies the browser: its cookie, or a new value for one."""
        # A browser keeps its cookie, so that a login in a second tab does not break the one in the first.
        return request.our_cookie().partition(".")[0] or secrets.token_urlsafe(32)

    def after_actions(
        self,
        request: BrowserRequest,
        outcome: LoginOutcome,
        claims: Mapping[str, Any],
        browser: str,
        callback: Callback | None = None,
    ) -> BrowserRedirect | Login:
        """Return what follows the actions; during a redirect the claims are stored on the server."""
        if outcome.error is not None or outcome.redirect is None:
            return Login(outcome=outcome, claims=claims)
        options = self.trigger._options
        now = options.client._channel.clock.time()
        key = digest(f"claims {outcome.redirect.state}", browser)
        stored = dict(claims) if callback is None else {**claims, _CALLBACK: attrs.astuple(callback)}
        try:
            options.states.put(key, json.dumps(stored), expires_at=now + options.suspend_for, now=now)
        except Exception as error:  # noqa: BLE001  # a store that fails is the login's error, as in the trigger
            report(error, user_id=outcome.user_id, action=None)
            return Login(outcome=outcome._failed(error), claims=claims)
        return BrowserRedirect(outcome.redirect.url, request.cookie_with(request.our_cookie() or browser))

    def after_continue(self, back: Return, outcome: LoginOutcome) -> BrowserRedirect | Login:
        """Return what follows the actions that ran at /continue."""
        if outcome.user_id is None:
            return Login(outcome=outcome, claims={})
        claims = {"sub": outcome.user_id} if back.claims is None else back.claims
        if claims.get("sub") != outcome.user_id:
            error = _damaged(outcome.user_id)
            report(error, user_id=outcome.user_id, action=None)
            return Login(outcome=outcome._failed(outcome.error or error), claims={"sub": outcome.user_id})
        result = self.after_actions(back.request, outcome, claims, back.browser, back.callback)
        back.let_in = isinstance(result, Login) and result.outcome.allowed
        return result


class Adapter(Generic[_Claims, _Sections]):
    """The base of each framework's `PostLogin`: its functions, and the view that it decorates."""

    _position: int
    """The place of the login among a view's parameters that have neither names nor types to go by."""
    _example: str
    """How to write a view, for messages."""

    def __init__(
        self,
        trigger: PostLoginTrigger,
        /,
        *,
        claims: _Claims,
        sections: _Sections | None = None,
        continue_path: str = "/continue",
    ) -> None:
        self._flow = LoginFlow(trigger, continue_path)
        request = ["request"] * self._position
        for name, function, arguments in (
            ("claims", claims, request),
            ("sections", sections, [*request, "claims"]),
        ):
            if name == "claims" or function is not None:
                check_function(function, name, arguments)
                self._check(function)
        self._claims = claims
        self._sections = sections
        self._decorated: DecoratedView | None = None
        self._callback: Callable[..., Any] | None = None
        self._applications: tuple[Any, ...] = ()

    def _check(self, function: Any) -> None:
        """Refuse a function that the framework can't call."""

    def _analyzed(self, view: Any) -> DecoratedView:
        decorated = decorated_view(view, login_type=Login, position=self._position, example=self._example)
        self._check(decorated.function)
        return decorated

    def _decorate(self, view: Any) -> DecoratedView:
        decorated = self._analyzed(view)
        if self._decorated is not None:
            raise ConfigError(
                "this PostLogin already decorates a view, in which /continue ends: "
                "make a second PostLogin for a second view, with a continue_path of its own"
            )
        self._decorated = decorated
        self._check_order()
        return decorated

    def _remember(self, callback: Callable[..., Any]) -> None:
        mark_decorated(callback)
        self._callback = callback

    def _add_application(self, app: Any) -> None:
        self._applications += (app,)
        self._check_order()

    def _routed(self, app: Any) -> Iterable[object]:
        """Return the functions that an application has routes for."""
        return ()

    def _check_order(self) -> None:
        """Refuse a view that has a route of its own: its decorators are in the wrong order."""
        view = self._decorated
        routed = (function for app in self._applications for function in self._routed(app))
        if view is not None and any(function is view.function for function in routed):
            raise ConfigError(
                f"the route of {view.name} has the view and not the login: put @post_login below the route. "
                f"Write {self._example}"
            )

    def _required(self) -> tuple[DecoratedView, Callable[..., Any]]:
        """Return the view and what decorating it has made; raise `ConfigError` if no view has been decorated."""
        if self._decorated is None or self._callback is None:
            raise ConfigError(
                "this PostLogin decorates no view, so /continue has nowhere to end: "
                "decorate the view of the callback"
            )
        return self._decorated, self._callback

    def _end_of_continue(self, *args: Any, **kwargs: Any) -> Callable[[], Any] | None:
        """Return the call of the decorated view with these arguments for /continue; None if it needs others."""
        view, callback = self._required()
        return partial(callback, *args, **kwargs) if view.fits(*args, **kwargs) else None


async def _in_thread(function: Callable[..., _Value], *arguments: Any) -> _Value:
    import asyncio  # noqa: PLC0415  # slow to import, and a plain application does without it

    return await asyncio.to_thread(function, *arguments)


def _resume_arguments(back: Return) -> dict[str, Any]:
    request = back.request
    return {
        "query": request.query,
        "body": request.body,
        "request": request.section(),
        "browser": back.browser,
    }


def _stored(stored: str) -> tuple[dict[str, Any], Callback | None]:
    """Return the claims that were stored, and how to call the view; raise `RedirectError` if they are damaged."""
    try:
        claims = json.loads(stored)
        parts = claims.pop(_CALLBACK, None)
        callback = None if parts is None else Callback(*parts)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _damaged("a login") from None
    return claims, callback


def _damaged(whose: str) -> RedirectError:
    return RedirectError(
        f"the stored claims of {whose} are damaged: start the login again", reason="invalid_request"
    )


def _merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `override`, merged object by object."""
    merged = dict(base)
    for name, value in override.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
