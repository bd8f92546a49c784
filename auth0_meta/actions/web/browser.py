"""A browser's request, the cookie that binds a login to it, and where it is sent; PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import attrs

COOKIE_NAME = {True: "__Host-auth0_meta_login", False: "auth0_meta_login"}
"""The name of the cookie: whether the request is secure -> name."""
LOGIN_METHODS = ("GET", "POST")
"""What browsers log in with; a HEAD, as of a link checker, must not use up a code or a state."""
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}(\.[A-Za-z0-9_-]{43})?")
# Whoever has these can redeem or forge this login, and no action needs them.
_ONE_TIME_PARAMETERS = ("code", "state")


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
    path: str = attrs.field(repr=False, default="/")
    query_string: str = attrs.field(repr=False, default="")
    user_agent: str | None = None
    language: str | None = None

    def section(self) -> dict[str, Any]:
        """Return this as `event.request`, without query and body."""
        optional = {"ip": self.ip, "user_agent": self.user_agent, "language": self.language}
        known = {name: value for name, value in optional.items() if value is not None}
        return {"method": self.method, "hostname": _without_port(self.host), **known}

    def event_query(self) -> dict[str, str]:
        """Return the query for an event: nobody needs the parameters that redeem or forge this login."""
        return {name: value for name, value in self.query.items() if name not in _ONE_TIME_PARAMETERS}

    def our_cookie(self) -> str:
        """Return the browser's cookie if it can be ours, otherwise ""."""
        return self.cookie if self.cookie is not None and _COOKIE.fullmatch(self.cookie) else ""

    def cookie_with(self, value: str) -> Cookie:
        """Return our cookie with a value, as a request like this one needs it."""
        samesite = "None" if self.secure else "Lax"
        flags = {"path": "/", "httponly": True, "secure": self.secure, "samesite": samesite}
        return Cookie(COOKIE_NAME[self.secure], value, flags)

    def callback(self) -> Callback:
        """Return what it takes to call the callback's view again; one-time parameters keep their names only."""
        query = [
            (name, "" if name in _ONE_TIME_PARAMETERS else value)
            for name, value in parse_qsl(self.query_string, keep_blank_values=True)
        ]
        return Callback(self.method, self.path, urlencode(query))


@attrs.frozen
class Callback:
    """A request to the callback whose view takes more than the login: /continue calls the view as it would be called."""

    method: str
    path: str = attrs.field(repr=False)
    query: str = attrs.field(repr=False, default="")


@attrs.frozen
class Cookie:
    """A cookie to set."""

    name: str
    value: str = attrs.field(repr=False)
    flags: Mapping[str, Any]


@attrs.frozen
class BrowserRedirect:
    """Where to send the browser, and the cookie to set."""

    url: str = attrs.field(repr=False)
    cookie: Cookie


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
