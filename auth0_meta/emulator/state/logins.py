"""The logins of one tenant: what applications requested, who is signing in, who is signed in."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

_T = TypeVar("_T")
# All of these in seconds.
PAGE_LIFETIME = 1800
SUSPENDED_LIFETIME = 900
SESSION_LIFETIME = 259_200
REFRESH_LIFETIME = 2_592_000
_MOST, _MOST_PAGES = 100_000, 10_000
_SWEEP_FROM = 64
BY_LOGIN = "a login"
BLOCKED = ("unauthorized", "user is blocked")
"""The error and its description for a login of a blocked user."""


@attrs.frozen(kw_only=True)
class AuthorizationRequest:
    """An application's checked request to /authorize; `query` is the whole query as it was sent."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    challenge: str | None = None
    challenge_method: str = "S256"
    audience: str | None = None
    prompt: str | None = None
    hint: str = ""
    organization: str | None = None
    connection: str | None = None
    max_age: str | None = None
    response_types: tuple[str, ...] = ("code",)
    response_mode: str = "query"
    query: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Return the values of `prompt`, of which there may be several (OpenID Connect)."""
        return tuple((self.prompt or "").split())


@attrs.frozen
class Session:
    """A browser's session: its user, its id (`sid` in tokens), and when it began."""

    user_id: str
    sid: str
    since: float


@attrs.frozen
class Login:
    """A login in progress, tied to the browser that began it, if there is one."""

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


@attrs.define(eq=False)
class Family:
    """The refresh tokens that descend from one login: how many exchanges the latest is away from it, and whether all are revoked."""

    latest: int = 0
    revoked: bool = False


@attrs.define(eq=False)
class RefreshToken:
    """A refresh token; `generation` counts the exchanges since the login, `ends` is when the family ends."""

    granted: Granted
    family: Family
    rotating: bool
    created_at: float
    ends: float
    generation: int = 0
    used_at: float | None = None
    id: str = attrs.field(factory=partial(secrets.token_urlsafe, 16))

    def is_reused(self, now: float, leeway: float) -> bool:
        """Return whether using this token is a breach: it was exchanged before, and is not the previous one within `leeway` seconds."""
        if self.used_at is None:
            return False
        return now >= self.used_at + leeway or self.generation < self.family.latest - 1


@attrs.define(eq=False, kw_only=True)
class Ticket:
    """A link that verifies a user's email address or takes a new password, once."""

    kind: str
    user_id: str
    result_url: str = ""
    includes_email: bool = False
    verifies_email: bool = False
    used: bool = False


class ExpiringStore(Generic[_T]):
    """Values stored under random 256-bit keys until they expire: codes, sessions, logins in progress; thread-safe.

    If there are more than `most`, the oldest give way to new ones.

    >>> codes = ExpiringStore[str]()
    >>> code = codes.put("ada", until=10.0, now=0.0)
    >>> codes.get(code, now=1.0), codes.take(code, now=1.0), codes.take(code, now=1.0)
    ('ada', 'ada', None)
    """

    def __init__(self, *, most: int = _MOST) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._values: dict[str, tuple[_T, float]] = {}
        self._sweep_at = _SWEEP_FROM

    def put(self, value: _T, *, until: float, now: float, key: str | None = None) -> str:
        """Store a value until an epoch second and return its key, a new one unless `key` is given."""
        key = key or secrets.token_urlsafe(32)
        with self._lock:
            if len(self._values) >= self._sweep_at:
                # Only each time that the number has doubled: going through all at each call took 0.8 ms with 25,000.
                self._values = {k: kept for k, kept in self._values.items() if kept[1] > now}
                self._sweep_at = max(_SWEEP_FROM, 2 * len(self._values))
            while len(self._values) >= self._most:
                del self._values[next(iter(self._values))]
            self._values[key] = value, until
        return key

    def get(self, key: str, *, now: float) -> _T | None:
        """Return the value under `key`, None if there is none or it has expired."""
        value, until = self._values.get(key, (None, now))
        return value if until > now else None

    def all(self, *, now: float) -> list[tuple[_T, float]]:
        """Return each value with the time at which it expires, oldest first."""
        with self._lock:
            return [(value, until) for value, until in self._values.values() if until > now]

    def drop(self, wanted: Callable[[_T], bool]) -> bool:
        """Delete the values that are wanted for that; returns whether there were any."""
        with self._lock:
            kept = {key: each for key, each in self._values.items() if not wanted(each[0])}
            dropped = len(kept) < len(self._values)
            self._values = kept
        return dropped

    def take(self, key: str, *, now: float) -> _T | None:
        """Return what `get` does, and delete it: only one of several callers gets it."""
        with self._lock:
            value, until = self._values.pop(key, (None, now))
        return value if until > now else None


@attrs.define(eq=False)
class Logins:
    """The state of one tenant's logins; `hook` is the trigger that they run, see `LocalTenant.post_login`."""

    hook: Callable[..., Any] | None = None
    tickets: ExpiringStore[Ticket] = attrs.field(factory=ExpiringStore)
    pages: ExpiringStore[tuple[AuthorizationRequest, str]] = attrs.field(
        factory=partial(ExpiringStore, most=_MOST_PAGES)
    )
    """The pages on which no user has been picked yet: the request, and the browser.  Any page can begin a login."""
    suspended: ExpiringStore[Login] = attrs.field(factory=ExpiringStore)
    sessions: ExpiringStore[Session] = attrs.field(factory=ExpiringStore)
    codes: ExpiringStore[Granted] = attrs.field(factory=ExpiringStore)
    refresh_tokens: ExpiringStore[RefreshToken] = attrs.field(factory=ExpiringStore)
    rotation: threading.Lock = attrs.field(factory=threading.Lock)
    """Held while a refresh token is exchanged, as each may be exchanged once."""
    access_tokens: ExpiringStore[tuple[str, tuple[str, ...], Mapping[str, Any]]] = attrs.field(
        factory=ExpiringStore
    )
    """For /userinfo: the user, the scopes and the custom claims of each token."""
