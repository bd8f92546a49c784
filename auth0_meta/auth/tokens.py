"""Keep the token that a client sends: given, called for, or fetched and renewed in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple, Protocol

from auth0_meta.clock import Clock
from auth0_meta.errors import (
    ApiError,
    Auth0MetaError,
    AuthError,
    ConfigError,
    NotSentError,
    RateLimitError,
    TransportError,
)

_MARGIN = 60.0
_MARGIN_PART = 0.1
_RENEWAL_PAUSE = 5.0
COURTESY = 10.0
# They say of a function that gives tokens what they say of a token endpoint.
_ABOUT_TOKENS = (AuthError, ConfigError, NotSentError, RateLimitError)
Fetch = Callable[[Any], Mapping[str, Any]]


class TokenSource(Protocol):
    """Give a token before each request, and say whether a refused one can be replaced."""

    def get(self, budget: Any, /) -> str:
        """Return the token to send; `operation` carries the budget for waits."""
        ...

    def replace(self, refused: str, budget: Any, /) -> bool:
        """Forget a token that got a 401; True when a different one is to be had."""
        ...

    def renew_locks(self) -> None:
        """Start over with fresh locks after a fork."""
        ...


def _fits(token: object) -> bool:
    """Tell whether a token can stand in a header."""
    return (
        isinstance(token, str)
        and token.isascii()
        and token.isprintable()
        and bool(token)
        and " " not in token
    )


def _checked(token: str) -> str:
    """Refuse what can't stand in a header, without showing it."""
    if not _fits(token):
        msg = "the token must be a non-empty string of ASCII characters without spaces (nothing was sent)"
        raise ConfigError(msg)
    return token


class GivenToken:
    """Send one given string; a 401 means that it is over."""

    def __init__(self, token: str) -> None:
        self._token = _checked(token)

    def get(self, budget: Any, /) -> str:
        """Return the given token."""
        return self._token

    def replace(self, refused: str, budget: Any, /) -> bool:
        """Return False: there is no other token."""
        return False

    def renew_locks(self) -> None:
        """Do nothing: there is no lock."""


class CalledToken:
    """Ask the caller's function before each request; it does its own caching."""

    def __init__(self, function: Callable[[], str]) -> None:
        self._function = function

    def get(self, budget: Any, /) -> str:
        """Return what the function returns."""
        return self._asked(budget)

    def replace(self, refused: str, budget: Any, /) -> bool:
        """Ask the function again; False when it gives the refused token once more."""
        return self._asked(budget) != refused

    def _asked(self, budget: Any) -> str:
        """Ask; an error of this package, which the function may use, says nothing about the request that needs the token."""
        try:
            token = self._function()
        except _ABOUT_TOKENS:
            raise
        except Auth0MetaError as error:
            msg = f"nothing was sent for want of a token: {error}"
            raise NotSentError(msg, user_id=budget.user_id) from error
        return _checked(token)

    def renew_locks(self) -> None:
        """Do nothing: there is no lock."""


class _Held(NamedTuple):
    """Keep a token and its two instants together, so that every thread sees one state."""

    token: str
    renew_at: float
    expires_at: float


class FetchedToken:
    """Fetch a token and renew it when less than min(60 s, 10 % of its life) remains.

    One thread fetches for all.  While the old token is valid the others go on with it, and so does
    everyone when the renewal fails; it is then tried again after 5 s.  A thread whose budget for waits is
    shorter than what another's fetch takes makes its own.  Tokens live in memory only, and their
    age is measured on the monotonic clock.  Source: Auth0 says to cache Management tokens by
    `expires_in` and to treat them as opaque.
    """

    def __init__(self, fetch: Fetch, *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: _Held | None = None
        self.scope: str | None = None
        """The scopes that Auth0 granted with the last token, space separated; None where unsaid."""
        self.renew_locks()

    def renew_locks(self) -> None:
        """Start over with a fresh lock after a fork."""
        self._lock = threading.Lock()
        self._guard = threading.Lock()

    def get(self, budget: Any, /) -> str:
        """Return a token that is valid now, fetching one if needed."""
        held, now = self._held, self._clock.monotonic()
        if held is not None and now < held.renew_at:
            return held.token
        old = held.token if held is not None and now < held.expires_at else None
        left = budget.left()
        most = threading.TIMEOUT_MAX if left is None else min(left + COURTESY, threading.TIMEOUT_MAX)
        lock = self._lock
        if not lock.acquire(timeout=0.0 if old else most):
            return old or self._fetched(budget).token
        try:
            return self._renewed(budget)
        finally:
            lock.release()

    def _renewed(self, budget: Any) -> str:
        """Fetch under the lock, unless another thread just did; go on with the old token if that fails."""
        held, now = self._held, self._clock.monotonic()
        if held is not None and now < held.renew_at:
            return held.token
        try:
            return self._fetched(budget).token
        except (ApiError, TransportError):
            now = self._clock.monotonic()
            if held is None or now >= held.expires_at:
                raise
            self._swap(held, held._replace(renew_at=now + _RENEWAL_PAUSE))
            return held.token

    def _fetched(self, budget: Any) -> _Held:
        """Fetch and keep a new token."""
        now = self._clock.monotonic()  # before the request leaves, so that it never lives too long here
        answer = self._fetch(budget)
        token, life = answer.get("access_token"), answer.get("expires_in")
        if (
            not _fits(token)
            or isinstance(life, bool)
            or not isinstance(life, int | float)
            or not 0 < life < inf
        ):
            msg = "the token endpoint answered without a usable access_token and expires_in"
            raise AuthError(msg, status=200)
        scope = answer.get("scope")
        self.scope = scope if isinstance(scope, str) else None
        held = _Held(str(token), now + life - min(_MARGIN, _MARGIN_PART * life), now + life)
        with self._guard:
            self._held = held
        return held

    def replace(self, refused: str, budget: Any, /) -> bool:
        """Forget `refused` unless another thread already did; a new one is fetched on the next `get`."""
        held = self._held
        if held is not None and held.token == refused:
            self._swap(held, None)
        return True

    def _swap(self, old: _Held, new: _Held | None) -> None:
        """Put `new` in the place of `old`, unless another thread has put something else there."""
        with self._guard:
            if self._held is old:
                self._held = new
