"""List every route that is served: what answers it, which bucket it takes from, which scopes it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import attrs
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from auth0_meta.emulator import api_jobs, api_users, authorize, oauth, oidc
from auth0_meta.emulator.call import Call
from auth0_meta.emulator.limiter import Group
from auth0_meta.emulator.refusals import not_served
from auth0_meta.emulator.resources import CLIENTS, CONNECTIONS, ORGANIZATIONS, Resource
from auth0_meta.emulator.wire import Reply

if TYPE_CHECKING:
    from auth0_meta.emulator.app import App

__all__ = ["LOGIN_ROUTES", "MANAGEMENT_ROOT", "ROUTES", "Route", "find"]

MANAGEMENT_ROOT = "/api/v2/"


@attrs.frozen
class Route:
    """Describe one route; `latency` is (median, 90th percentile) in seconds, as recorded."""

    method: str
    template: str
    answer: Callable[[App, Call], Reply]
    group: Group | None
    scopes: tuple[str, ...] = ()
    latency: tuple[float, float] = (0.1, 0.3)

    @property
    def names_user(self) -> bool:
        """Tell whether the `{id}` of its path is a user's."""
        return self.template.startswith(f"{_USERS}/")

    @property
    def management(self) -> bool:
        """Tell whether this is the Management API, which wants a token."""
        return self.template.startswith(MANAGEMENT_ROOT)


def _of_resource(resource: Resource) -> tuple[Route, ...]:
    name = resource.name
    one, all_ = f"/api/v2/{name}/{{id}}", f"/api/v2/{name}"
    return (
        Route("POST", all_, resource.create, "other", (f"create:{name}",)),
        Route("GET", all_, resource.list, "other", (f"read:{name}",)),
        Route("GET", one, resource.get, "other", (f"read:{name}",)),
        Route("PATCH", one, resource.update, "other", (f"update:{name}",)),
        Route("DELETE", one, resource.delete, "other", (f"delete:{name}",)),
    )


# Scopes of create, delete, list and by-email are from the published reference; those of get and
# update are recorded in refusals.
_GET = ("read:users", "read:current_user", "read:user_idp_tokens")
_UPDATE = ("update:users", "update:users_app_metadata", "update:current_user_metadata")
_JOBS = ("create:users", "read:users")
_USERS = f"{MANAGEMENT_ROOT}users"
ROUTES = (
    Route("POST", "/api/v2/users", api_users.create, "write_users", ("create:users",), (0.334, 0.600)),
    Route(
        "GET",
        "/api/v2/users",
        api_users.search,
        "read_users",
        ("read:users", "read:user_idp_tokens"),
        (0.244, 0.331),
    ),
    Route("GET", "/api/v2/users/{id}", api_users.get, "read_users", _GET, (0.143, 0.360)),
    Route("PATCH", "/api/v2/users/{id}", api_users.update, "write_users", _UPDATE, (0.125, 0.171)),
    Route("DELETE", "/api/v2/users/{id}", api_users.delete, "write_users", ("delete:users",), (0.246, 0.432)),
    Route("GET", "/api/v2/users-by-email", api_users.by_email, "read_users", ("read:users",)),
    Route(
        "POST",
        "/api/v2/jobs/users-imports",
        api_jobs.import_users,
        "other",
        ("create:users",),
        (0.757, 1.2),
    ),
    Route(
        "POST", "/api/v2/jobs/users-exports", api_jobs.export_users, "other", ("read:users",), (0.557, 0.9)
    ),
    Route("POST", "/api/v2/jobs/verification-email", api_jobs.verify_email, "other", ("update:users",)),
    Route("GET", "/api/v2/jobs/{id}", api_jobs.get, "other", _JOBS, (0.082, 0.2)),
    Route("GET", "/api/v2/jobs/{id}/errors", api_jobs.errors, "other", _JOBS, (0.082, 0.2)),
    *(route for resource in (CLIENTS, ORGANIZATIONS, CONNECTIONS) for route in _of_resource(resource)),
    Route("GET", "/exports/{id}/{file}", api_jobs.download, None),
    Route("POST", "/oauth/token", oauth.token, "token", latency=(0.328, 0.430)),
    Route("GET", "/.well-known/jwks.json", oauth.jwks, None),
)

# What a browser or an OpenID Connect library visits in a login; no part of the API that is described.
LOGIN_ROUTES = (
    Route("GET", "/authorize", authorize.authorize, None),
    Route("GET", "/u/login", authorize.pick, None),
    Route("POST", "/u/login", authorize.choose, None),
    Route("GET", "/continue", authorize.go_on, None),
    Route("POST", "/continue", authorize.go_on, None),
    Route("GET", "/v2/logout", authorize.log_out, None),
    Route("GET", "/userinfo", oidc.user_info, None),
    Route("POST", "/userinfo", oidc.user_info, None),
    Route("GET", "/.well-known/openid-configuration", oidc.discovery, None),
)


def _compile(routes: tuple[Route, ...]) -> Any:
    rules = [
        Rule(route.template.replace("{", "<").replace("}", ">"), endpoint=route, methods=[route.method])
        for route in routes
    ]
    # The path is matched while still encoded, so that an id may hold an encoded slash.
    return Map(rules, strict_slashes=False, merge_slashes=False, redirect_defaults=False).bind("local")


_NO_PARAMS: dict[str, str] = {}
_match = _compile(ROUTES + LOGIN_ROUTES).match


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route and the decoded parameters in the path, or refuse with 501 naming the route.

    >>> find("PATCH", "/api/v2/users/auth0%7C1")[1]
    {'id': 'auth0|1'}
    """
    try:
        route, params = _match(path, method=method)
    except HTTPException:
        raise not_served(f"{method} {path}") from None
    return route, {name: unquote(value) for name, value in params.items()} if params else _NO_PARAMS
