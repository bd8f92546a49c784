"""The logins of one tenant: what an application asked for, who signs in, who is signed in."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

_T = TypeVar("_T")
PAGE_FOR = 1800
SUSPENDED_FOR = 900
SESSION_FOR = 259_200
REFRESH_FOR = 2_592_000
BY_LOGIN = "a login"
BLOCKED = ("unauthorized", "user is blocked")
"""How a login of a blocked user is refused."""


@attrs.frozen(kw_only=True)
class AuthorizationRequest:
    """What an application asked of /authorize, checked; `query` is the whole query as it came."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    challenge: str | None = None
    audience: str | None = None
    prompt: str | None = None
    hint: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Session:
    """A browser's session: whose it is, its id (`sid` in tokens), and since when."""

    user_id: str
    sid: str
    since: float


@attrs.frozen
class Login:
    """A login under way, bound to the browser that began it, if there is one."""

    authorization: AuthorizationRequest
    session: Session
    browser: str = ""


@attrs.frozen(kw_only=True)
class Granted:
    """What a finished login may fetch at /oauth/token."""

    login: Login
    scopes: tuple[str, ...]
    id_claims: Mapping[str, Any] = attrs.field(factory=dict)
    access_claims: Mapping[str, Any] = attrs.field(factory=dict)


class ExpiringStore(Generic[_T]):
    """Values under random keys of 256 bits until they expire: codes, sessions, logins under way; safe for many threads.

    >>> codes = ExpiringStore[str]()
    >>> code = codes.put("ada", until=10.0, now=0.0)
    >>> codes.get(code, now=1.0), codes.take(code, now=1.0), codes.take(code, now=1.0)
    ('ada', 'ada', None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[_T, float]] = {}

    def put(self, value: _T, *, until: float, now: float, key: str | None = None) -> str:
        """Keep a value until an epoch second and return its key, a new one unless given."""
        key = key or secrets.token_urlsafe(32)
        with self._lock:
            for old in [k for k, (_, end) in self._values.items() if end <= now]:
                del self._values[old]
            self._values[key] = value, until
        return key

    def get(self, key: str, *, now: float) -> _T | None:
        """Return the value under `key`, None if there is none or it has expired."""
        value, until = self._values.get(key, (None, now))
        return value if until > now else None

    def all(self, *, now: float) -> list[tuple[_T, float]]:
        """Return each value with its end, oldest first."""
        with self._lock:
            return [(value, until) for value, until in self._values.values() if until > now]

    def take(self, key: str, *, now: float) -> _T | None:
        """Return what `get` does and delete it; of several callers only one gets it."""
        with self._lock:
            value, until = self._values.pop(key, (None, now))
        return value if until > now else None


@attrs.define(eq=False)
class Logins:
    """The state of one tenant's logins; `hook` is the trigger that it runs, see `LocalTenant.post_login`."""

    hook: Callable[..., Any] | None = None
    pages: ExpiringStore[tuple[AuthorizationRequest, str]] = attrs.field(factory=ExpiringStore)
    """Pages that wait for a user to be picked: the request, and the browser."""
    suspended: ExpiringStore[Login] = attrs.field(factory=ExpiringStore)
    sessions: ExpiringStore[Session] = attrs.field(factory=ExpiringStore)
    codes: ExpiringStore[Granted] = attrs.field(factory=ExpiringStore)
    refresh_tokens: ExpiringStore[Granted] = attrs.field(factory=ExpiringStore)
    access_tokens: ExpiringStore[tuple[str, tuple[str, ...]]] = attrs.field(factory=ExpiringStore)
    """For /userinfo: the user and the scopes of each token."""
