"""The route groups, and the token buckets that Auth0's plans give them; PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

from auth0_meta.arguments import number, whole
from auth0_meta.errors import ConfigError
from auth0_meta.redact import discreet

GROUPS = ("users read", "users write", "other")
"""The Management API's route groups; `/oauth/token` is the Authentication API's, group "token"."""


class _Numbers(NamedTuple):
    burst: int
    per_second: float


@discreet
class RateLimit(_Numbers):
    """A token bucket: `burst` tokens, refilled at `per_second`.

    Both must be above 0, and `burst` a whole number; anything else raises `ConfigError`.
    Source: Auth0's rate-limit policy calls them burst and sustained.

    >>> RateLimit(50, 16)
    RateLimit(burst=50, per_second=16.0)
    """

    __slots__ = ()

    def __new__(cls, burst: float, per_second: float) -> Self:
        """Check the numbers."""
        if isinstance(burst, float) and burst.is_integer():  # a float from JSON or YAML is as good
            burst = int(burst)
        return super().__new__(
            cls,
            whole("burst", burst, error=ConfigError),
            number("per_second", per_second, above=0, error=ConfigError),
        )


def route_group(method: str, path: str, /) -> str:
    """Return the group of routes that count against one bucket: "users read", "users write", "other" or "token".

    `path` is what follows `/api/v2/`, with ids percent-encoded; or `oauth/token`.
    Source: the routes listed on Auth0's 2020 rate-limit page; the current tables only link examples.

    >>> route_group("PATCH", "users/auth0%7C1"), route_group("GET", "users/auth0%7C1/roles")
    ('users write', 'other')
    """
    parts = path.partition("?")[0].strip("/").split("/")
    if parts == ["oauth", "token"]:
        return "token"
    if method == "GET" and (parts == ["users-by-email"] or (parts[0] == "users" and len(parts) <= 2)):
        return "users read"
    if method in ("POST", "PATCH", "DELETE"):
        of_users = parts[0] == "users" and (len(parts) <= 2 or parts[2] == "identities")
        if of_users or (method == "DELETE" and parts[0] == "connections" and parts[2:] == ["users"]):
            return "users write"
    return "other"


def _one_bucket(limit: RateLimit) -> Mapping[str, RateLimit]:
    return dict.fromkeys(GROUPS, limit)


PLANS: Mapping[str, Mapping[str, RateLimit]] = {
    "free": _one_bucket(RateLimit(2, 2)),
    "essentials": {
        "users read": RateLimit(40, 500 / 60),
        "users write": RateLimit(20, 200 / 60),
        "other": RateLimit(10, 150 / 60),
    },
    "enterprise": _one_bucket(RateLimit(50, 16)),
    "enterprise-dev": _one_bucket(RateLimit(10, 2)),
}
"""The Management API's buckets by plan (Auth0's rate-limit configurations, 2026-08-20)."""


def plan(rate_limit: str | RateLimit | None, /) -> Mapping[str, RateLimit]:
    """Return the bucket of each route group for a plan's name, "SIZE@PER_SECOND" or a `RateLimit`.

    None gives {}: nothing is known yet.  Groups with equal limits share one bucket.  Anything else raises
    `ConfigError`.

    >>> plan("essentials")["users write"].burst, plan("10@2.5")["other"]
    (20, RateLimit(burst=10, per_second=2.5))
    """
    if rate_limit is None:
        return {}
    if isinstance(rate_limit, RateLimit):
        return _one_bucket(rate_limit)
    if isinstance(rate_limit, str):
        if rate_limit in PLANS:
            return PLANS[rate_limit]
        size, at, per_second = rate_limit.partition("@")
        try:
            if at and math.isfinite(float(per_second)):
                return _one_bucket(RateLimit(int(size), float(per_second)))
        except ValueError:
            pass
    raise ConfigError(
        f"rate_limit={rate_limit!r} is not a rate limit (nothing was sent). Use None to learn it, a RateLimit, "
        f"SIZE@PER_SECOND such as '50@16', or one of {', '.join(PLANS)}"
    )
