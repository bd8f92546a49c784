"""Take a login through the trigger and its redirects, whatever the web framework."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.failure import report
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.suspended_logins import digest
from auth0_meta.actions.trigger import PostLoginTrigger
from auth0_meta.errors import ConfigError, InputError, RedirectError

COOKIE_NAME = {True: "__Host-auth0_meta_login", False: "auth0_meta_login"}
"""The name of the cookie: whether the request is secure -> name."""
_BROWSER_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_Claims = TypeVar("_Claims")
_Sections = TypeVar("_Sections")
_View = TypeVar("_View")
# Whoever has these can redeem or forge this login, and no action needs them.
_ONE_TIME_PARAMETERS = ("code", "state")


@attrs.frozen(kw_only=True)
class Login:
    """A login whose actions have ended.

    `outcome`: see `LoginOutcome`; check `outcome.allowed` before you let anybody in.
    `claims`: the verified claims of the ID token; {} if /continue was refused.
    """

    outcome: LoginOutcome
    claims: Mapping[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BrowserRequest:
    """What a framework knows about a request; `cookie` is the value of our cookie."""

    method: str
    host: str
    secure: bool
    ip: str | None
    query: Mapping[str, str] = attrs.field(repr=False)
    body: Mapping[str, str] = attrs.field(repr=False, factory=dict)
    cookie: str | None = attrs.field(repr=False, default=None)
    user_agent: str | None = None
    language: str | None = None

    def section(self) -> dict[str, Any]:
        """Return this as `event.request`, without query and body."""
        optional = {"ip": self.ip, "user_agent": self.user_agent, "language": self.language}
        known = {name: value for name, value in optional.items() if value is not None}
        return {"method": self.method, "hostname": _without_port(self.host), **known}


@attrs.frozen
class BrowserRedirect:
    """Where to send the browser, and the cookie to set."""

    url: str = attrs.field(repr=False)
    cookie_name: str
    cookie: str = attrs.field(repr=False)
    cookie_flags: Mapping[str, Any]


class LoginFlow:
    """A login in a browser: before the trigger, after it, and what is stored in between.

    The cookie is 256 random bits and binds a suspended login to its browser.  It is always HttpOnly.  On
    https its name begins with `__Host-`, so that no other subdomain can set it, and it is Secure and
    SameSite=None, because the form of another site has to be able to post to /continue.  On http, which is
    for loopback, browsers refuse SameSite=None without Secure, so it is Lax.
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
        self, request: BrowserRequest, claims: Mapping[str, Any], sections: Mapping[str, Any]
    ) -> BrowserRedirect | Login:
        """Run the actions at the callback, and return what follows them."""
        event, browser = self.event(request, claims, sections), self.browser_id(request)
        return self.after_actions(request, self.trigger.run(event, browser=browser), claims, browser)

    def resume(self, request: BrowserRequest) -> BrowserRedirect | Login:
        """Run the actions at /continue, and return what follows them."""
        state, arguments = self.resume_arguments(request)
        return self.after_continue(request, self.trigger.resume(state, **arguments), state)

    def event(self, request: BrowserRequest, claims: Mapping[str, Any], sections: Mapping[str, Any]) -> Event:
        """Return the event of a login at the callback; `sections` override what the request says, field by field."""
        if not isinstance(sections, Mapping):
            msg = f"sections= must return a dict of the event's sections, not {type(sections).__name__}"
            raise InputError(msg)
        query = {name: value for name, value in request.query.items() if name not in _ONE_TIME_PARAMETERS}
        known = {
            "request": {**request.section(), "query": query},
            "transaction": {"protocol": "oidc-basic-profile"},
        }
        return Event.from_claims(claims, **_merged(known, sections))

    @staticmethod
    def browser_id(request: BrowserRequest) -> str:
        """Return what identifies the browser: its cookie, or a new value for one."""
        cookie = request.cookie or ""
        # A browser keeps its cookie, so that a login in a second tab does not break the one in the first.
        return cookie if _BROWSER_ID.fullmatch(cookie) else secrets.token_urlsafe(32)

    def resume_arguments(self, request: BrowserRequest) -> tuple[str, dict[str, Any]]:
        """Return the arguments of `trigger.resume` for a request to /continue: the state, and the others by name."""
        state = request.query.get("state") or request.body.get("state", "")
        return state, {
            "query": request.query,
            "body": request.body,
            "request": request.section(),
            "browser": _stored_for(request),
        }

    def after_actions(
        self, request: BrowserRequest, outcome: LoginOutcome, claims: Mapping[str, Any], browser: str
    ) -> BrowserRedirect | Login:
        """Return what follows the actions; during a redirect the claims are stored on the server."""
        if outcome.error is not None or outcome.redirect is None:
            return Login(outcome=outcome, claims=claims)
        options = self.trigger.settings
        now = options.client.channel.clock.time()
        key = digest(f"claims {outcome.redirect.state}", browser)
        try:
            options.states.put(key, json.dumps(dict(claims)), expires_at=now + options.suspend_for, now=now)
        except Exception as error:  # noqa: BLE001  # a store that fails is the login's error, as in the trigger
            report(error, user_id=outcome.user_id, action=None)
            return Login(outcome=outcome.failed(error), claims=claims)
        samesite = "None" if request.secure else "Lax"
        flags = {"path": "/", "httponly": True, "secure": request.secure, "samesite": samesite}
        return BrowserRedirect(outcome.redirect.url, COOKIE_NAME[request.secure], browser, flags)

    def after_continue(
        self, request: BrowserRequest, outcome: LoginOutcome, state: str
    ) -> BrowserRedirect | Login:
        """Return what follows the actions that ran at /continue."""
        if outcome.user_id is None:
            return Login(outcome=outcome, claims={})
        options, browser = self.trigger.settings, _stored_for(request)
        key, now = digest(f"claims {state}", browser), options.client.channel.clock.time()
        claims = {"sub": outcome.user_id}
        try:
            stored = options.states.take(key, now=now)
            if stored is not None:
                claims = _stored_claims(stored, outcome.user_id)
        except Exception as error:  # noqa: BLE001  # a store that fails is the login's error, as in the trigger
            report(error, user_id=outcome.user_id, action=None)
            return Login(outcome=outcome.failed(outcome.error or error), claims=claims)
        return self.after_actions(request, outcome, claims, browser)


class Adapter(Generic[_Claims, _Sections, _View]):
    """The base of each framework's `PostLogin`: its functions, and the view that it decorates."""

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
        self._claims = claims
        self._sections = sections
        self._decorated: _View | None = None

    def _decorate(self, view: _View) -> None:
        if self._decorated is not None:
            raise ConfigError(
                "this PostLogin already decorates a view, in which /continue ends: "
                "make a second PostLogin for a second view, with a continue_path of its own"
            )
        self._decorated = view

    @property
    def _view(self) -> _View:
        if self._decorated is None:
            raise ConfigError(
                "this PostLogin decorates no view, so /continue has nowhere to end: "
                "decorate the view of the callback"
            )
        return self._decorated


def _stored_for(request: BrowserRequest) -> str:
    """Return the browser for which a login may be stored; without a cookie it is "none", which matches no login.

    Not "": that is the key of logins that a trigger suspends without `browser=`.
    """
    return request.cookie or "none"


def _stored_claims(stored: str, user_id: str) -> dict[str, Any]:
    """Return the claims that were stored for a user; raise `RedirectError` if they are damaged."""
    try:
        claims = json.loads(stored)
    except (ValueError, TypeError, RecursionError):
        claims = None
    if isinstance(claims, dict) and claims.get("sub") == user_id:
        return claims
    raise RedirectError(
        f"the stored claims of {user_id} are damaged: start the login again", reason="invalid_request"
    )


def _merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `override`, merged object by object."""
    merged = dict(base)
    for name, value in override.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
