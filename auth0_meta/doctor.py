"""Check a client against its tenant: what `client.check()` and `auth0-meta doctor` report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from auth0_meta.auth import jwt
from auth0_meta.auth.tokens import FetchedToken
from auth0_meta.errors import ApiError, Auth0MetaError, AuthError, NotSentError, ScopeError
from auth0_meta.http.channel import Channel
from auth0_meta.http.expected import believed, users_page
from auth0_meta.http.request import API, USER, Request
from auth0_meta.ratelimit.headers import RateHeaders, parse_headers
from auth0_meta.ratelimit.plans import PLANS

_NEEDED = ("read:users", "update:users")
_APP_ONLY = "update:users_app_metadata"
_BUDGET = 30.0
_CLOCK_MARGIN = 2.0
# What a local tenant adds to its responses if it tests no credentials.
_LOCAL, _ANY_TOKEN = "X-Local-Tenant", "accepts any token"
_STRICT = "It tests no credentials: serve it with --strict (strict=True) to test yours"
_REACH = "Check AUTH0_DOMAIN and the network"
# What to do when users can't be read; of the kinds that an error has, the first.
_REMEDIES = {
    ScopeError: "Grant read:users to the application",
    AuthError: "Check the token, its audience and its expiry",
    ApiError: "Try again later",
    Auth0MetaError: _REACH,
}


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
    yield Check("token", True, f"{'fetched' if fetched else 'given'}, {len(token)} characters")
    yield _audience(audience, claims)
    headers: RateHeaders | None = None
    try:
        # One id: the cheapest request that needs a token, a scope and a bucket.
        path = f"{API}users?per_page=1&fields=user_id&include_fields=true"
        request = Request("GET", path, group=USER.reads, repeat=True, alias="users")
        response = channel.send(request, budget)
        believed(response, request, users_page(0, 1))
        headers = parse_headers(response.headers)
        yield Check("read users", True, "GET /users succeeded")
        if response.headers.get(_LOCAL) == _ANY_TOKEN:
            yield Check("trust", None, "a local tenant that accepts any token", _STRICT)
    except NotSentError as error:
        yield _unreached(error)
    except Auth0MetaError as error:
        remedy = next(advice for kind, advice in _REMEDIES.items() if isinstance(error, kind))
        yield Check("read users", False, str(error), remedy)
    granted = fetched.scope if fetched else None
    yield _scopes(claims.get("scope") if granted is None else granted)
    if headers is not None:
        yield _clock(channel, headers)
        yield _bucket(headers)


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


def _clock(channel: Channel, headers: RateHeaders) -> Check:
    """Compare the local clock with the second in the response's Date."""
    if headers.date is None:
        return Check("clock", None, "the response has no Date")
    off = channel.clock.time() - headers.date
    if -_CLOCK_MARGIN <= off <= _CLOCK_MARGIN + 1:
        return Check("clock", True, "agrees with the tenant's clock")
    detail = f"is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the tenant's clock"
    remedy = "Set it (NTP). Until then waits follow the tenant's clock, which is known to about a second"
    return Check("clock", False, detail, remedy)


def _bucket(headers: RateHeaders) -> Check:
    """Return the rate limit that the response names."""
    if headers.limit is None:
        return Check("rate limit", None, "the response names none")
    names = [name for name, groups in PLANS.items() if groups[USER.reads].burst == headers.limit]
    plan = f", as on the plan {' or '.join(names)}" if names else ""
    return Check("rate limit", True, f"{headers.remaining} of {headers.limit} tokens left{plan}")
