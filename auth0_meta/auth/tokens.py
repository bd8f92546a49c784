"""Supply the token that a client sends: given, returned by a function, or fetched and renewed in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple, Protocol

from auth0_meta.clock import CANCEL_POLL, Cancelled, Clock
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
"""Seconds past its own budget for which a caller waits for another's fetch: a request takes about that long at most."""
# Raised by a function that returns tokens, these mean what they mean from a token endpoint.
_ABOUT_TOKENS = (AuthError, ConfigError, NotSentError, RateLimitError)


class Budget(Protocol):
    """What a token source needs of the operation that asks for a token; `http.budget.WaitBudget` has it."""

    user_id: str | None
    cancelled: threading.Event | None
    """The event that, once set, ends the operation's waits with `Cancelled`."""
    stopping: threading.Event | None
    """The event that, once set, leaves the operation little time: `left` says how much."""

    def left(self) -> float | None:
        """Return the seconds that the operation may still wait, None for no limit."""


Fetch = Callable[[Any], Mapping[str, Any]]
"""Request a token on the budget that `get` was called with; what else the request needs of it is no concern here."""


class TokenSource:
    """Where tokens come from; this class itself sends none, as requests to the token endpoint need none."""

    def get(self, budget: Budget, /) -> str:
        """Return the token to send, "" for none."""
        return ""

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Forget a token that got a 401; return whether there may be another one."""
        return False

    def renew_locks(self) -> None:
        """Start over with fresh locks after a fork."""


def _fits(token: object) -> bool:
    """Return whether a token can stand in a header."""
    return isinstance(token, str) and token.isascii() and token.isprintable() and " " not in (token or " ")


def _checked(token: str) -> str:
    """Refuse what can't stand in a header, without showing it."""
    if not _fits(token):
        msg = "the token must be a non-empty string of ASCII characters without spaces (nothing was sent)"
        raise ConfigError(msg)
    return token


class GivenToken(TokenSource):
    """Send one given string; a 401 means that there is no other."""

    def __init__(self, token: str) -> None:
        self._token = _checked(token)

    def get(self, budget: Budget, /) -> str:
        """Return the given token."""
        return self._token


class CalledToken(TokenSource):
    """Call the caller's function before each request; it does its own caching."""

    def __init__(self, function: Callable[[], str]) -> None:
        self._function = function

    def get(self, budget: Budget, /) -> str:
        """Return what the function returns; an error of ours that it raises says nothing about the request itself.

        The function may well use a client of ours.  Its `NotFoundError` must not read as if the user of this
        request did not exist.
        """
        try:
            token = self._function()
        except _ABOUT_TOKENS:
            raise
        except Auth0MetaError as error:
            msg = f"there is no token, so nothing was sent: {error}"
            raise NotSentError(msg, user_id=budget.user_id) from error
        return _checked(token)

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Call the function again; return whether it returned another token than the refused one."""
        return self.get(budget) != refused


class _Held(NamedTuple):
    """A token with its two instants, in one value so that every thread sees one state."""

    token: str
    renew_at: float
    expires_at: float


class FetchedToken(TokenSource):
    """Fetch a token, and renew it when less than min(60 s, 10 % of its life) remains.

    One thread fetches for all.  While the old token is valid the others keep using it, and so does everybody when
    the renewal fails; it is tried again after 5 s.  A thread whose wait budget is shorter than another's fetch
    makes its own.  Tokens live in memory only, and their age is measured on the monotonic clock.
    Source: Auth0 says to cache Management tokens by `expires_in` and to treat them as opaque.
    """

    def __init__(self, fetch: Fetch, *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: _Held | None = None
        self.scope: str | None = None
        """The scopes that Auth0 granted with the last token, separated by spaces; None if it did not say."""
        self.renew_locks()

    def renew_locks(self) -> None:
        """Start over with fresh locks after a fork."""
        # Reentrant: while this thread fetches, `on_wait` may send a request with the same client.
        self._lock = threading.RLock()
        self._guard = threading.Lock()

    def get(self, budget: Budget, /) -> str:
        """Return a token that is valid now, fetching one if needed."""
        held, now = self._held, self._clock.monotonic()
        if held is not None and now < held.renew_at:
            return held.token
        old = held.token if held is not None and now < held.expires_at else None
        lock = self._lock
        if not (lock.acquire(blocking=False) if old else _lock_in_time(lock, budget)):
            return old or self._fetched(budget).token
        try:
            return self._renewed(budget)
        finally:
            lock.release()

    def _renewed(self, budget: Budget) -> str:
        """Fetch under the lock, unless another thread just did; if that fails, keep using the old token."""
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

    def _fetched(self, budget: Budget) -> _Held:
        """Fetch a new token and keep it."""
        now = self._clock.monotonic()  # before the request leaves, so that it never lives too long here
        response = self._fetch(budget)
        token, life = response.get("access_token"), response.get("expires_in")
        if (
            not _fits(token)
            or isinstance(life, bool)
            or not isinstance(life, int | float)
            or not 0 < life < inf
        ):
            msg = "the token endpoint's response has no usable access_token and expires_in"
            raise AuthError(msg, status=200)
        scope = response.get("scope")
        self.scope = scope if isinstance(scope, str) else None
        held = _Held(str(token), now + life - min(_MARGIN, _MARGIN_PART * life), now + life)
        with self._guard:
            self._held = held
        return held

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Forget `refused` unless another thread already did; the next `get` fetches a new one."""
        held = self._held
        if held is not None and held.token == refused:
            self._swap(held, None)
        return True

    def _swap(self, old: _Held, new: _Held | None) -> None:
        """Put `new` in the place of `old`, unless another thread has put something else there."""
        with self._guard:
            if self._held is old:
                self._held = new


def _lock_in_time(lock: threading.RLock, budget: Budget) -> bool:
    """Take the lock that another thread's fetch holds; return False once the budget and `COURTESY` are used up.

    A lock can't wait for an event as well, and a fetch may take as long as somebody else's `max_wait`.  So a caller
    that can be cancelled or stopped takes it in slices.  Raises `Cancelled`.
    """
    slices = budget.cancelled is not None or budget.stopping is not None
    rest = _with_courtesy(budget)
    while rest > 0:
        if budget.cancelled is not None and budget.cancelled.is_set():
            raise Cancelled
        piece = min(rest, CANCEL_POLL) if slices else rest
        if lock.acquire(timeout=piece):
            return True
        rest = min(rest - piece, _with_courtesy(budget))  # a stop leaves less than there was
    return False


def _with_courtesy(budget: Budget) -> float:
    left = budget.left()
    return threading.TIMEOUT_MAX if left is None else min(left + COURTESY, threading.TIMEOUT_MAX)
