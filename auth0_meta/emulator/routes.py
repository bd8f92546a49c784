"""List every route that is served: what answers it, which bucket it takes from, which scopes it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import attrs
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from auth0_meta.emulator.api import authentication_methods as methods
from auth0_meta.emulator.api import connections, identities, logs, permissions, roles, tickets
from auth0_meta.emulator.api import jobs as api_jobs
from auth0_meta.emulator.api import mfa as factors
from auth0_meta.emulator.api import organization_connections as enabled
from auth0_meta.emulator.api import organization_members as members
from auth0_meta.emulator.api import user_blocks as blocks
from auth0_meta.emulator.api import users as api_users
from auth0_meta.emulator.api.crud import APIS, CLIENTS, CONNECTIONS, ORGANIZATIONS, ROLES, Resource
from auth0_meta.emulator.auth import authorize
from auth0_meta.emulator.auth import dbconnections as signup
from auth0_meta.emulator.auth import grants as oidc
from auth0_meta.emulator.auth import token as oauth
from auth0_meta.emulator.http.errors import not_served
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.limiter import Group
from auth0_meta.emulator.state.tenant_state import TenantState

MANAGEMENT_ROOT = "/api/v2/"


@attrs.frozen
class Route:
    """Describe one route; `latency` is (median, 90th percentile) in seconds, as recorded."""

    method: str
    template: str
    answer: Callable[[TenantState, Call], Reply]
    group: Group | None
    scopes: tuple[str, ...] = ()
    latency: tuple[float, float] = (0.1, 0.3)

    @property
    def names_user(self) -> bool:
        """Tell whether the `{id}` of its path is a user's."""
        return self.template.startswith((f"{_USERS}/", f"{MANAGEMENT_ROOT}user-blocks/"))

    @property
    def management(self) -> bool:
        """Tell whether this is the Management API, which wants a token."""
        return self.template.startswith(MANAGEMENT_ROOT)


def _of_resource(resource: Resource) -> tuple[Route, ...]:
    name, scope = resource.name, resource.scope
    one, all_ = f"/api/v2/{name}/{{id}}", f"/api/v2/{name}"
    return (
        Route("POST", all_, resource.create, "other", (f"create:{scope}",)),
        Route("GET", all_, resource.list, "other", (f"read:{scope}",)),
        Route("GET", one, resource.get, "other", (f"read:{scope}",)),
        Route("PATCH", one, resource.update, "other", (f"update:{scope}",)),
        Route("DELETE", one, resource.delete, "other", (f"delete:{scope}",)),
    )


# Scopes of create, delete, list and by-email are from the published reference; those of get and
# update are recorded in refusals.
_GET = ("read:users", "read:current_user", "read:user_idp_tokens")
_UPDATE = ("update:users", "update:users_app_metadata", "update:current_user_metadata")
_JOBS = ("create:users", "read:users")
_USERS = f"{MANAGEMENT_ROOT}users"
_METHODS = f"{_USERS}/{{id}}/authentication-methods"
_ORGANIZATION = f"{MANAGEMENT_ROOT}organizations/{{id}}"
_ROLE = f"{MANAGEMENT_ROOT}roles/{{id}}"
_ENABLED = "organization_connections"
_READ, _WRITE = ("read:users",), ("update:users",)
_USER_ROUTES = (
    Route("GET", f"{_USERS}/{{id}}/roles", roles.of_user, "other", ("read:users", "read:roles")),
    Route("POST", f"{_USERS}/{{id}}/roles", roles.give, "other", ("update:users", "create:role_members")),
    Route("DELETE", f"{_USERS}/{{id}}/roles", roles.take, "other", ("update:users", "delete:role_members")),
    Route("GET", f"{_USERS}/{{id}}/permissions", permissions.of_user, "other", _READ),
    Route("POST", f"{_USERS}/{{id}}/permissions", permissions.give_user, "other", _WRITE),
    Route("DELETE", f"{_USERS}/{{id}}/permissions", permissions.take_user, "other", _WRITE),
    Route("GET", f"{_USERS}/{{id}}/organizations", members.of_user, "other", ("read:organizations", *_READ)),
    Route("POST", f"{_USERS}/{{id}}/identities", identities.link, "write_users", _WRITE),
    Route(
        "DELETE",
        f"{_USERS}/{{id}}/identities/{{provider}}/{{user_id}}",
        identities.unlink,
        "write_users",
        _WRITE,
    ),
    Route("GET", f"{_USERS}/{{id}}/logs", logs.of_user, "other", ("read:logs", "read:logs_users")),
    Route("GET", f"{_USERS}/{{id}}/enrollments", factors.enrollments, "other", _READ),
    Route("GET", _METHODS, methods.list_, "other", ("read:authentication_methods", *_READ)),
    Route("GET", f"{_METHODS}/{{method_id}}", methods.one, "other", ("read:authentication_methods", *_READ)),
    *(
        Route(verb, path, answer, "other", (f"{may}:authentication_methods",))
        for verb, path, answer, may in (
            ("POST", _METHODS, methods.add, "create"),
            ("PUT", _METHODS, methods.replace, "update"),
            ("DELETE", _METHODS, methods.remove_all, "delete"),
            ("PATCH", f"{_METHODS}/{{method_id}}", methods.change, "update"),
            ("DELETE", f"{_METHODS}/{{method_id}}", methods.remove, "delete"),
        )
    ),
    Route("GET", f"{_USERS}/{{id}}/sessions", factors.sessions, "other", ("read:sessions",)),
    Route("DELETE", f"{_USERS}/{{id}}/multifactor/{{provider}}", factors.remove_provider, "other", _WRITE),
    Route(
        "POST",
        f"{_USERS}/{{id}}/multifactor/actions/invalidate-remember-browser",
        factors.forget_browsers,
        "other",
        _WRITE,
    ),
    Route("GET", "/api/v2/user-blocks/{id}", blocks.of_user, "other", _READ),
    Route("DELETE", "/api/v2/user-blocks/{id}", blocks.unblock_user, "other", _WRITE),
    Route("GET", "/api/v2/user-blocks", blocks.of_identifier, "other", _READ),
    Route("DELETE", "/api/v2/user-blocks", blocks.unblock_identifier, "other", _WRITE),
)
_TIE_ROUTES = (
    Route("GET", f"{_ROLE}/users", roles.holders, "other", ("read:users", "read:roles", "read:role_members")),
    Route("POST", f"{_ROLE}/users", roles.assign, "other", ("update:roles", "create:role_members")),
    Route("GET", f"{_ROLE}/permissions", permissions.of_role, "other", ("read:roles",)),
    Route("POST", f"{_ROLE}/permissions", permissions.give_role, "other", ("update:roles",)),
    Route("DELETE", f"{_ROLE}/permissions", permissions.take_role, "other", ("update:roles",)),
    Route("GET", "/api/v2/organizations/name/{name}", members.by_name, "other", ("read:organizations",)),
    *(
        Route(verb, f"{_ORGANIZATION}/members", answer, "other", (f"{may}:organization_members",))
        for verb, answer, may in (
            ("GET", members.list_, "read"),
            ("POST", members.add, "create"),
            ("DELETE", members.remove, "delete"),
        )
    ),
    *(
        Route(
            verb,
            f"{_ORGANIZATION}/members/{{user_id}}/roles",
            answer,
            "other",
            (f"{may}:organization_member_roles",),
        )
        for verb, answer, may in (
            ("GET", members.roles, "read"),
            ("POST", members.give_roles, "create"),
            ("DELETE", members.take_roles, "delete"),
        )
    ),
    *(
        Route(verb, f"{_ORGANIZATION}/enabled_connections{rest}", answer, "other", (f"{may}:{_ENABLED}",))
        for verb, rest, answer, may in (
            ("GET", "", enabled.list_, "read"),
            ("POST", "", enabled.add, "create"),
            ("GET", "/{connection_id}", enabled.one, "read"),
            ("PATCH", "/{connection_id}", enabled.change, "update"),
            ("DELETE", "/{connection_id}", enabled.remove, "delete"),
        )
    ),
    Route(
        "DELETE", "/api/v2/connections/{id}/users", connections.delete_users, "write_users", ("delete:users",)
    ),
    Route("GET", "/api/v2/logs", logs.list_, "other", ("read:logs", "read:logs_users")),
    Route("GET", "/api/v2/logs/{id}", logs.one, "other", ("read:logs", "read:logs_users")),
    Route(
        "POST", "/api/v2/tickets/email-verification", tickets.verify_email, "other", ("create:user_tickets",)
    ),
    Route(
        "POST", "/api/v2/tickets/password-change", tickets.change_password, "other", ("create:user_tickets",)
    ),
)
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
    *_USER_ROUTES,
    *(
        route
        for resource in (CLIENTS, ORGANIZATIONS, CONNECTIONS, ROLES, APIS)
        for route in _of_resource(resource)
    ),
    *_TIE_ROUTES,
    Route("GET", "/exports/{id}/{file}", api_jobs.download, None),
    Route("POST", "/oauth/token", oauth.token, "token", latency=(0.328, 0.430)),
    Route("POST", "/dbconnections/signup", signup.sign_up, "signup"),
    Route("POST", "/dbconnections/change_password", signup.change_password, "change_password"),
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


def unserved(state: TenantState, call: Call) -> Reply:
    """Refuse what no route serves, by its name."""
    raise not_served(f"{call.request.method} {call.request.path}")
