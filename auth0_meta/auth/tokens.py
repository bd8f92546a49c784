"""Supply the token that a client sends: given, returned by a function, or fetched and renewed in time."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from auth0_meta.arguments import trimmed
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
COURTESY = 1.0
"""Seconds for which a caller waits for another's fetch however short its own budget is: its own would take as long."""
_QUOTES = "\"'"
_DEEPEST = 8
"""How deep calls of a function that returns tokens may nest: a few signal handlers may need a token, no more."""
# Raised by a function that returns tokens, these mean what they mean from a token endpoint.
_ABOUT_TOKENS = (AuthError, ConfigError, NotSentError, RateLimitError)


class Budget(Protocol):
    """What a token source needs of the operation that asks for a token; `http.budget.WaitBudget` has it."""

    user_id: str | None
    cancelled: threading.Event | None
    """The event that, once set, ends the operation's waits with `Cancelled`."""
    stopping: threading.Event | None
    """The event that, once set, leaves the operation little time: `left` says how much."""
    ends: float | None
    """The instant at which the operation must be over, if there is one."""
    waited: float
    """The seconds that the operation has waited so far."""
    alone: bool
    """Whether it must not wait for other threads, since they may wait for its own."""

    def left(self) -> float | None:
        """Return the seconds that the operation may still wait, None for no limit."""


Fetch = Callable[[Any], Mapping[str, Any]]
"""Request a token on the budget that `get` was called with, whatever its type is."""


class TokenSource:
    """Where tokens come from; this class itself sends none, as requests to the token endpoint need none."""

    def get(self, budget: Budget, /) -> str:
        """Return the token to send, "" for none."""
        return ""

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Forget a token that got a 401; return whether there may be another one."""
        return False

    def _renew_locks(self) -> None:
        """Start over with fresh locks after a fork."""


def _fits(token: object) -> bool:
    """Return whether a token can stand in a header."""
    return isinstance(token, str) and token.isascii() and token.isprintable() and " " not in (token or " ")


def _checked(given: object) -> str:
    """Return a token without what a file adds at its ends; refuse what can't stand in a header, without showing it."""
    token = trimmed(given) if isinstance(given, str) else given
    if not isinstance(token, str):
        what = f"must be a string, not {type(token).__name__}"
    elif not token:
        what = "is empty"
    elif token[:7].lower() == "bearer ":
        what = "begins with 'Bearer': pass what follows it, because the client adds that word"
    elif token[0] in _QUOTES or token[-1] in _QUOTES:
        what = "is in quotes: pass it without them"
    elif not _fits(token):
        what = "must be ASCII, without white space or line breaks inside"
    else:
        return token
    raise ConfigError(f"the token {what} (nothing was sent)")


class GivenToken(TokenSource):
    """Send one given string; a 401 means that there is no other."""

    def __init__(self, token: str) -> None:
        self._token = _checked(token)

    def get(self, budget: Budget, /) -> str:
        """Return the given token."""
        return self._token


class _Call:
    """One call of the function, for as long as it lasts."""

    __slots__ = ("__weakref__",)


class CalledToken(TokenSource):
    """Call the caller's function before each request; it does its own caching."""

    def __init__(self, function: Callable[[], str]) -> None:
        self._function = function
        self._thread = threading.local()

    def get(self, budget: Budget, /) -> str:
        """Return what the function returns.  For an error of this package that is not about tokens, raise `NotSentError`.

        The function may well use a client of its own, whose `NotFoundError` must not read as if the user of this
        request did not exist.
        """
        call = _Call()
        calls: WeakSet[_Call] = vars(self._thread).setdefault("calls", WeakSet())
        try:
            calls.add(call)
            if len(calls) > _DEEPEST:
                msg = (
                    "the function passed as token= uses the client that it returns tokens for, which needs a token "
                    "first (nothing was sent). Let it use another client"
                )
                raise ConfigError(msg)
            token = self._function()
        except _ABOUT_TOKENS:
            raise
        except Auth0MetaError as error:
            msg = f"there is no token, so nothing was sent: {error}"
            raise NotSentError(msg, user_id=budget.user_id) from error
        finally:
            calls.discard(call)
        if hasattr(token, "__await__"):
            if hasattr(token, "close"):
                token.close()  # else Python warns that nobody has awaited it
            msg = "the function passed as token= is async: pass one that returns a string (nothing was sent)"
            raise ConfigError(msg)
        return _checked(token)

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Call the function again; return whether it returned another token than the refused one."""
        return self.get(budget) != refused


class _Held(NamedTuple):
    """A token with its two instants, in one value so that every thread sees one state."""

    token: str
    renew_at: float
    expires_at: float


class _Place:
    """One caller's place in the line of those who need a new token: the first fetches, the others wait.

    The line holds it weakly.  So a caller that is gone, whatever interrupted it, keeps nobody waiting.
    """

    __slots__ = ("__weakref__", "_open", "left", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.left = False
        self._open = threading.Lock()
        self._open.acquire()

    def leave(self) -> None:
        """Let the others go on; once is enough."""
        self.left = True
        with suppress(RuntimeError):  # it is open already
            self._open.release()

    def wait(self, seconds: float) -> bool:
        """Wait until the caller has left, for at most `seconds`; return whether it has."""
        if self._open.acquire(timeout=seconds):
            self._open.release()  # an interrupt before this costs the others one check of theirs, no more
            return True
        return self.left


class FetchedToken(TokenSource):
    """Fetch a token, and renew it when less than min(60 s, 10 % of its life) remains.

    One thread fetches for all.  While the old token is valid the others keep using it, and so does everybody when
    the renewal fails; it is tried again after 5 s.  A thread whose wait budget is shorter than another's fetch
    makes its own.  Tokens live in memory only, and their age is measured on the monotonic clock.
    Source: Auth0 says to cache Management tokens by `expires_in` and to treat them as opaque.

    It uses no lock, so a thread that is interrupted (by a signal, a finalizer, an exception or a fork) can't leave one
    locked: each change of state is a single assignment or a single call of a list's method.
    """

    def __init__(self, fetch: Fetch, *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: _Held | None = None
        self._refused: _Held | None = None  # got a 401
        self._postponed: tuple[_Held | None, float] = (None, 0.0)  # could not be renewed; when to try again
        self.scope: str | None = None
        """The scopes that Auth0 granted with the last token, separated by spaces; None if it did not say."""
        self._line: list[weakref.ref[_Place]] = []

    def _renew_locks(self) -> None:
        """Let nobody wait for a thread that a fork did not copy."""
        self._line = []

    def get(self, budget: Budget, /) -> str:
        """Return a token that is valid now, fetching one if needed."""
        token, old = self._known()
        if token is not None:
            return token
        place = _Place()
        try:
            try:
                self._line.append(weakref.ref(place))
                if self._ahead(place) is None or (old is None and self._waits(place, budget)):
                    return self._renewed(budget)
                return old or self._fetched(budget).token
            finally:
                place.leave()
        except BaseException:
            place.leave()  # an interrupt may have come while it was leaving
            raise

    def _known(self) -> tuple[str | None, str | None]:
        """Return the token if it need not be renewed now, and the token if it is valid."""
        held, now = self._held, self._clock.monotonic()
        if held is None or held is self._refused or now >= held.expires_at:
            return None, None
        postponed, again = self._postponed
        fresh = now < (again if held is postponed else held.renew_at)
        return held.token if fresh else None, held.token

    def _ahead(self, place: _Place) -> _Place | None:
        """Return whom a caller waits for: the first in line, None if that is the caller's own thread.

        While a thread fetches, its `on_wait`, or what interrupts it, may send a request with the same client.
        """
        for weak in self._line.copy():
            one = weak()
            if one is None or one.left:
                with suppress(ValueError):  # another thread has removed it
                    self._line.remove(weak)
            else:
                return None if one.thread == place.thread else one
        return None

    def _waits(self, place: _Place, budget: Budget) -> bool:
        """Wait while others fetch; return False once the budget is used up, and `COURTESY` too.

        The wait counts against the budget and can be cancelled: it takes as long as somebody else's `max_wait`.
        Raises `Cancelled`.
        """
        spent = 0.0
        while (ahead := self._ahead(place)) is not None and self._known()[0] is None:
            if budget.cancelled is not None and budget.cancelled.is_set():
                raise Cancelled
            left = budget.left()
            courtesy = COURTESY - spent if budget.ends is None else 0.0
            rest = CANCEL_POLL if left is None else max(left, courtesy)
            if rest <= 0 or budget.alone:
                return False
            begun, piece = self._clock.monotonic(), min(rest, CANCEL_POLL)
            took = min(self._clock.monotonic() - begun, piece) if ahead.wait(piece) else piece
            spent += took
            budget.waited += took
        return True

    def _renewed(self, budget: Budget) -> str:
        """Fetch as the first in line, unless another thread just did; if that fails, keep using the old token."""
        token, _ = self._known()
        if token is not None:
            return token
        held = self._held
        try:
            return self._fetched(budget).token
        except (ApiError, TransportError):
            now = self._clock.monotonic()
            if held is None or now >= held.expires_at:
                raise
            self._postponed = held, now + _RENEWAL_PAUSE
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
        self._held = held = _Held(str(token), now + life - min(_MARGIN, _MARGIN_PART * life), now + life)
        return held

    def replace(self, refused: str, budget: Budget, /) -> bool:
        """Forget `refused` unless another thread already did; the next `get` fetches a new one."""
        held = self._held
        if held is not None and held.token == refused:
            self._refused = held
        return True
