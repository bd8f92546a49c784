"""Take a login through the trigger and over its redirects, whatever the web framework."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.suspended_logins import digest
from auth0_meta.actions.trigger import PostLoginTrigger
from auth0_meta.errors import ConfigError, InputError

__all__ = ["ONE_VIEW", "Came", "Detour", "Login", "LoginFlow"]

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
ONE_VIEW = (
    "this PostLogin decorates a view already, which /continue ends in: "
    "make a second PostLogin for a second view, with a continue_path of its own"
)
# Only this once: they are keys to the login, and of no use to an action.
_ONE_TIME = ("code", "state")


@attrs.frozen(kw_only=True)
class Login:
    """Hold a login whose actions have ended.

    `outcome`: see `LoginOutcome`; look at `outcome.allowed` before you let anybody in.  `claims`: the verified claims of the
    ID token, {} where /continue was refused.
    """

    outcome: LoginOutcome
    claims: Mapping[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Came:
    """Hold what a framework tells of a request; `browser` is the value of our cookie."""

    method: str
    host: str
    secure: bool
    ip: str | None
    query: Mapping[str, str] = attrs.field(repr=False)
    body: Mapping[str, str] = attrs.field(repr=False, factory=dict)
    browser: str | None = attrs.field(repr=False, default=None)
    user_agent: str | None = None
    language: str | None = None

    def request(self) -> dict[str, Any]:
        """Return this as `event.request`, without query and body."""
        facts = {"ip": self.ip, "user_agent": self.user_agent, "language": self.language}
        known = {name: value for name, value in facts.items() if value is not None}
        return {"method": self.method, "hostname": _without_port(self.host), **known}


@attrs.frozen
class Detour:
    """Say where to send the browser, and what cookie to give it: `browser` under `cookie`, with `flags`."""

    url: str = attrs.field(repr=False)
    cookie: str
    browser: str = attrs.field(repr=False)
    flags: Mapping[str, Any]


class LoginFlow:
    """Be what the three adapters share: before the trigger, after it, and what is kept between.

    The cookie holds 256 random bits and binds a suspended login to its browser: HttpOnly, and on https `__Host-`, Secure
    and SameSite=None, so that another site's form may post to /continue; on http (loopback) it is Lax.
    """

    def __init__(self, trigger: PostLoginTrigger, continue_path: str) -> None:
        if not isinstance(trigger, PostLoginTrigger):
            msg = f"PostLogin takes a PostLoginTrigger, not {type(trigger).__name__}"
            raise ConfigError(msg)
        if not continue_path.startswith("/"):
            msg = f"continue_path={continue_path!r} does not begin with a slash"
            raise ConfigError(msg)
        self.trigger = trigger
        self.continue_path = continue_path

    @property
    def endpoint(self) -> str:
        """Return the name of the route of /continue; another path has another."""
        path = "".join(c if c.isalnum() else "_" for c in self.continue_path)
        return "auth0_meta" + path

    @staticmethod
    def cookie(*, secure: bool) -> str:
        """Return the cookie's name."""
        return "__Host-auth0_meta_login" if secure else "auth0_meta_login"

    def event(self, came: Came, claims: Mapping[str, Any], sections: Mapping[str, Any]) -> Event:
        """Return the event of a login at the callback; `sections` add to what the request tells, and win."""
        if not isinstance(sections, Mapping):
            msg = (
                f"sections= returned {type(sections).__name__}, where the event has an object: return a dict"
            )
            raise InputError(msg)
        query = {name: value for name, value in came.query.items() if name not in _ONE_TIME}
        told = {
            "request": {**came.request(), "query": query},
            "transaction": {"protocol": "oidc-basic-profile"},
        }
        return Event.from_claims(claims, **_laid_over(told, sections))

    @staticmethod
    def browser(came: Came) -> str:
        """Return what identifies the browser: its cookie, or a new one."""
        given = came.browser or ""
        return given if _BROWSER.fullmatch(given) else secrets.token_urlsafe(32)

    def resumption(self, came: Came) -> tuple[str, dict[str, Any]]:
        """Return the arguments of `trigger.resume` for a request to /continue."""
        state = came.query.get("state") or came.body.get("state", "")
        words = {"query": came.query, "body": came.body, "request": came.request()}
        # Nobody's cookie is not the empty one: a login is never suspended without.
        return state, {**words, "browser": came.browser or "none"}

    def ended(
        self, came: Came, outcome: LoginOutcome, claims: Mapping[str, Any], browser: str
    ) -> Detour | Login:
        """Say how it goes on after the actions; claims are kept over a redirect, on the server."""
        if outcome.error is not None or outcome.redirect is None:
            return Login(outcome=outcome, claims=claims)
        settings = self.trigger.settings
        now = settings.client.clock.time()
        key = digest(f"claims {outcome.redirect.state}", browser)
        try:
            settings.states.put(key, json.dumps(dict(claims)), expires_at=now + settings.suspend_for, now=now)
        except Exception as error:  # noqa: BLE001  # a store that fails fails the login, as in the trigger
            return Login(outcome=attrs.evolve(outcome, error=error, redirect=None), claims=claims)
        flags = {"httponly": True, "secure": came.secure, "samesite": "None" if came.secure else "Lax"}
        return Detour(outcome.redirect.url, self.cookie(secure=came.secure), browser, flags)

    def went_on(self, came: Came, outcome: LoginOutcome, state: str) -> Detour | Login:
        """Say how it goes on after /continue."""
        browser = came.browser or "none"
        if outcome.user_id is None:
            return Login(outcome=outcome, claims={})
        settings = self.trigger.settings
        kept = settings.states.take(digest(f"claims {state}", browser), now=settings.client.clock.time())
        claims = json.loads(kept) if kept is not None else {"sub": outcome.user_id}
        return self.ended(came, outcome, claims, browser)


def _laid_over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `more` over it, object by object."""
    found = dict(base)
    for name, value in more.items():
        below = found.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[name] = _laid_over(below, value) if both else value  # type: ignore[arg-type]  # `both` says so
    return found


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
