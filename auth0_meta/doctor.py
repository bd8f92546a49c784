"""Check a client against its tenant: what `client.check()` and `auth0-meta doctor` report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from auth0_meta.auth import jwt
from auth0_meta.auth.tokens import CalledToken, FetchedToken, GivenToken, TokenSource
from auth0_meta.clock import Clock
from auth0_meta.errors import ApiError, Auth0MetaError, AuthError, NotSentError, ScopeError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.http.expected import believed, users_page
from auth0_meta.http.request import API, USER, Request
from auth0_meta.ratelimit.headers import RateHeaders, parse_headers
from auth0_meta.ratelimit.plans import PLANS
from auth0_meta.redact import count

_NEEDED = ("read:users", "update:users")
_APP_ONLY = "update:users_app_metadata"
_BUDGET = 30.0
_CLOCK_MARGIN = 2.0
# `Date` has whole seconds, and what is known of the server's clock is a second or two wide.
_TIME_MARGIN = 2.0
_STEP = 1.0
"""Seconds by which the local clock may differ from the monotonic one after the checks."""
_LOOK = 0.05
"""Seconds after which a clock that has not moved stands still."""
_SOON = 600.0
"""A token that nobody renews is worth a word if it ends within this many seconds."""
_END_OF_TIME = 1e15
# A span is shown in the first of these units of which it has at least two.
_UNITS = (("days", 86_400), ("h", 3_600), ("min", 60))
_LAST = ("clock", "rate limit")
"""The checks that come after the scopes, although the same response shows them."""
# What a local tenant adds to its responses: whether it tests no credentials, and where its clock was moved.
_LOCAL, _ANY_TOKEN = "X-Local-Tenant", "accepts any token"
_MOVED = re.compile(r"clock (?P<stopped>stopped, )?(?P<ahead>[+-]\d{1,12}) s")
_STRICT = "It tests no credentials: serve it with --strict (strict=True) to test yours"
_REACH = "Check AUTH0_DOMAIN and the network"
_NTP = "Set it (NTP). Until then waits follow the tenant's clock, which is known to about a second"
# What to do when users can't be read; of the kinds that an error has, the first.
_REMEDIES = {
    ScopeError: "Grant read:users to the application",
    AuthError: "Check the token, its audience and its expiry",
    ApiError: "Try again later",
    Auth0MetaError: _REACH,
}
_ANOTHER = (
    "Get a new one (AUTH0_API_TOKEN, token=), or pass client_id and client_secret, so that tokens are renewed"
)
# How a token was obtained, and what to do about one that can't be used any more, or not yet.
_SOURCES: tuple[tuple[type[TokenSource], str, str], ...] = (
    (GivenToken, "given", _ANOTHER),
    (CalledToken, "from the function passed as token=", "Let the function return a valid one"),
    (TokenSource, "fetched", "Check the clocks of this machine and of what issues the tokens"),
)


@attrs.frozen
class Check:
    """The result of one check.

    `ok`: True, False, or None if it could not be determined.  `detail` contains no credentials; `remedy` is "" if
    there is nothing to do.
    """

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


def check(channel: Channel, *, audience: str) -> tuple[Check, ...]:
    """Run the checks in the order in which a new user meets their failures; `audience` is what tokens are for."""
    return tuple(_checks(channel, audience))


def _checks(channel: Channel, audience: str) -> Iterator[Check]:
    budget = channel.budget(max_wait=_BUDGET)
    try:
        token = channel.tokens.get(budget)
    except NotSentError as error:
        yield _unreached(error)
        return
    except Auth0MetaError as error:
        named = channel.advice.audience in str(error)  # the credentials are all right then
        remedy = "" if named else "Check the credentials, and the grant of the Management API"
        yield Check("token", False, str(error), remedy)
        return
    claims = jwt.peek(token)
    fetched = channel.tokens if isinstance(channel.tokens, FetchedToken) else None
    watch = _Watch(channel.clock)
    read = list(_read(channel, budget, watch))  # whose response shows the time by which the token is judged
    now = channel.throttle.server_time()
    yield _token(token, claims, channel.tokens, channel.clock.time() if now is None else now)
    yield _audience(audience, claims)
    yield from (one for one in read if one.name not in _LAST)
    granted = fetched.scope if fetched else None
    yield _scopes(claims.get("scope") if granted is None else granted)
    yield from (one for one in read if one.name in _LAST)


def _read(channel: Channel, budget: WaitBudget, watch: _Watch) -> Iterator[Check]:
    """Read the id of one user: the cheapest request that needs a token, a scope and a bucket."""
    path = f"{API}users?per_page=1&fields=user_id&include_fields=true"
    request = Request("GET", path, group=USER.reads, repeat=True, alias="users")
    try:
        response = channel.send(request, budget)
        believed(response, request, users_page(0, 1))
    except NotSentError as error:
        yield _unreached(error)
        return
    except Auth0MetaError as error:
        remedy = next(advice for kind, advice in _REMEDIES.items() if isinstance(error, kind))
        yield Check("read users", False, str(error), remedy)
        return
    received = channel.clock.time()
    yield Check("read users", True, "GET /users succeeded")
    notes = response.headers.get(_LOCAL, "")
    if _ANY_TOKEN in notes:
        yield Check("trust", None, "a local tenant that accepts any token", _STRICT)
    headers = parse_headers(response.headers)
    yield watch.judged() or _clock(received, headers.date, budget.took, notes)
    yield _bucket(headers)


class _Watch:
    """Compare the local clock with the monotonic one, from now on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall, self._steady = clock.time(), clock.monotonic()

    def judged(self) -> Check | None:
        """Return the failed check if the clock stands still or was set meanwhile, else None."""
        rest = _LOOK - (self._clock.monotonic() - self._steady)
        if rest > 0:
            self._clock.sleep(rest)
        wall, steady = self._clock.time() - self._wall, self._clock.monotonic() - self._steady
        if wall == 0 and steady >= _LOOK:
            return Check("clock", False, "stands still", "Let it run: it may have been frozen for a test")
        if abs(step := wall - steady) <= _STEP:
            return None
        way = "forward" if step > 0 else "back"
        detail = f"was set {way} by {abs(step):.0f} s during these checks"
        return Check("clock", False, detail, "Let NTP correct it gradually, and check again")


def _unreached(error: NotSentError) -> Check:
    """Return the failed check: a tenant that could not be reached, or a token endpoint without a usable response."""
    if isinstance(error.__cause__, Auth0MetaError):
        return Check("token", False, str(error), "Try again later; if it still fails, check AUTH0_DOMAIN")
    return Check("domain", False, str(error).removesuffix(f". {error.remedy}"), error.remedy or _REACH)


def _audience(wanted: str, claims: dict[str, Any]) -> Check:
    """Check that the token is for the Management API."""
    given = claims.get("aud")
    theirs = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if not theirs:
        return Check("audience", None, "the token does not say (it is opaque)")
    if any(isinstance(a, str) and a.endswith("/api/v2/") for a in theirs):
        return Check("audience", True, ", ".join(map(str, theirs)))
    detail = f"the token is for {', '.join(map(str, theirs))}"
    return Check("audience", False, detail, f"Get one for the Management API: its audience is {wanted}")


def _scopes(granted: object) -> Check:
    """Compare the granted scopes with what reading and writing metadata needs."""
    if not isinstance(granted, str):
        return Check("scopes", None, "the token does not say", f"It needs {' and '.join(_NEEDED)}")
    have = set(granted.split())
    if "read:users" in have and _APP_ONLY in have and "update:users" not in have:
        detail = f"read:users, {_APP_ONLY}: enough for app_metadata; user_metadata needs update:users"
        return Check("scopes", True, detail)
    if missing := [scope for scope in _NEEDED if scope not in have]:
        remedy = "Grant them to the application, then get a new token"
        return Check("scopes", False, f"missing: {', '.join(missing)}", remedy)
    return Check("scopes", True, f"{', '.join(_NEEDED)} and {len(have) - len(_NEEDED)} more")


def _token(token: str, claims: dict[str, Any], source: TokenSource, now: float) -> Check:
    """Check the times in the token by the tenant's clock, or if that is unknown by the local one."""
    how, cure = next((how, cure) for kind, how, cure in _SOURCES if isinstance(source, kind))
    times = {name: _instant(claims.get(name)) for name in ("exp", "nbf", "iat")}
    seen = f"{how}, {count(len(token), 'character')}"
    ends, begins, issued = times["exp"], times["nbf"], times["iat"]
    if ends is not None and ends <= now:
        return Check("token", False, f"{seen}, ended {_span(now - ends)} ago", cure)
    if begins is not None and begins > now + _TIME_MARGIN:
        return Check("token", False, f"{seen}, not valid for another {_span(begins - now)} (nbf)", cure)
    if issued is not None and issued > now + _TIME_MARGIN:
        detail = f"{seen}, issued {_span(issued - now)} in the future (iat)"
        return Check("token", None, detail, "Check the clock of what has issued it")
    if ends is None:
        return Check("token", True, seen)
    renewed = not isinstance(source, GivenToken)
    remedy = "" if renewed or ends - now > _SOON else _ANOTHER
    return Check("token", True, f"{seen}, ends in {_span(ends - now)}", remedy)


def _instant(value: object) -> float | None:
    """Return a time in a token, or None if the value is not a time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:
        return None
    return float(value)


def _span(seconds: float) -> str:
    """Return a length of time in the largest unit of which it has at least two.

    >>> _span(100.4), _span(100_000), _span(200_000)
    ('100 s', '27 h', '2 days')
    """
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _clock(received: float, date: float | None, took: float, notes: str) -> Check:
    """Compare the local clock with the second in the `Date` of a response that took `took` seconds to come.

    A local tenant whose clock was moved says so in its `notes`.
    """
    if date is None:
        return Check("clock", None, "the response has no Date")
    off = received - date
    if _agrees(off, took):
        return Check("clock", True, "agrees with the tenant's clock")
    moved = _MOVED.search(notes)
    if moved is not None and _agrees(off + (ahead := int(moved["ahead"])), took + 1):
        how = "stands still, " if moved["stopped"] else "was moved: it is "
        detail = f"this local tenant's clock {how}{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        return Check(
            "clock",
            None,
            detail,
            "Waits and lifetimes follow it. Resetting or restarting the tenant sets it right",
        )
    ahead_of = "ahead of" if off > 0 else "behind"
    return Check("clock", False, f"is {_span(abs(off))} {ahead_of} the tenant's clock", _NTP)


def _agrees(off: float, took: float) -> bool:
    """Return whether two clocks may agree: a `Date` is cut to the second, and is as old as its response at most."""
    return -_CLOCK_MARGIN <= off <= _CLOCK_MARGIN + 1 + took


def _bucket(headers: RateHeaders) -> Check:
    """Return the rate limit that the response names."""
    if headers.limit is None:
        return Check("rate limit", None, "the response names none")
    names = [name for name, groups in PLANS.items() if groups[USER.reads].burst == headers.limit]
    plan = f", as on the plan {' or '.join(names)}" if names else ""
    return Check("rate limit", True, f"{headers.remaining} of {headers.limit} tokens left{plan}")
