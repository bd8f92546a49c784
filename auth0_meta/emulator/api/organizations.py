"""Organizations: their documents, their members and these members' roles, and their connections."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from auth0_meta.emulator.api.client_grants import CLIENT_GRANTS
from auth0_meta.emulator.api.connections import CONNECTIONS
from auth0_meta.emulator.api.crud import Resource, prefixed
from auth0_meta.emulator.api.links import LinkTable, Things
from auth0_meta.emulator.api.lookup import brief, get_user_or_404, user_id_in_path
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.roles import ROLES
from auth0_meta.emulator.api.route import Route, documented, recorded
from auth0_meta.emulator.http.errors import refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import CHECKPOINTS, FLAG, PAGES, TEXT, Body, Field, record
from auth0_meta.emulator.rules.user_schema import check_user_id
from auth0_meta.emulator.state.tenant_state import TenantState

Settings = dict[str, Any]
ORGANIZATIONS = Resource(
    name="organizations",
    called="organization",
    new_id=prefixed("org_"),
    required=("name",),
    error_code="inexistent_organization",
    unique=("name",),
    # The 409 is documented; the wording is a guess.
    conflict=("An organization with this name already exists.", "organization_conflict"),
    bag="metadata",
    most=25,
)
_SETTINGS = dict.fromkeys(("assign_membership_on_login", "show_as_button", "is_signup_enabled"), FLAG)
# Newer clients use `/connections`, which has more settings and lists what is not enabled too.
_ALL_SETTINGS = {
    **_SETTINGS,
    "is_enabled": FLAG,
    "organization_connection_name": Field(nullable=True),
    "organization_access_level": TEXT,
}


def by_name(state: TenantState, call: Call) -> Reply:
    """Get an organization by its name."""
    return Reply(200, to_json(ORGANIZATIONS.get_by_or_404(state, "name", call.params["name"])))


def of_user(state: TenantState, call: Call) -> Reply:
    """List the organizations of a user."""
    ids = state.resources.links.holders("members", user_id_in_path(state, call))
    return listed(state, call, "organizations", ORGANIZATIONS.find_all(state, ids))


# Members ------------------------------------------------------------------------------------------------


def _drop_roles(state: TenantState, organization: Hashable, user_ids: Things) -> None:
    """Remove the roles that former members had in the organization."""
    links = state.resources.links
    for user_id in user_ids:
        member = (organization, user_id)
        links.remove("member_roles", member, links.of("member_roles", member))


def _member_in_path(state: TenantState, call: Call) -> tuple[str, str]:
    """Return the organization and the user, or refuse a user who is not a member; the wording is a guess."""
    user_id = call.params["user_id"]
    check_user_id(user_id)
    organization = ORGANIZATIONS.id_in_path(state, call)
    get_user_or_404(state, user_id)
    if not state.resources.links.has("members", organization, user_id):
        raise refused(404, "The user is not a member of the organization.")
    return organization, user_id


MEMBERS = LinkTable(
    kind="members",
    name="members",
    owner="an organization",
    path="/api/v2/organizations/{id}/members",
    scopes=tuple(f"{verb}:organization_members" for verb in ("read", "create", "delete")),
    query={**PAGES, **CHECKPOINTS},
    find=ORGANIZATIONS.id_in_path,
    show=lambda state, organization: brief(state, state.resources.links.of("members", organization)),
    check_added=get_user_or_404,
    after_removal=_drop_roles,
)
MEMBER_ROLES = LinkTable(
    kind="member_roles",
    name="roles",
    owner="a member of an organization",
    path="/api/v2/organizations/{id}/members/{user_id}/roles",
    scopes=tuple(f"{verb}:organization_member_roles" for verb in ("read", "create", "delete")),
    find=_member_in_path,
    show=lambda state, member: ROLES.find_all(state, state.resources.links.of("member_roles", member)),
    check_added=ROLES.get_or_404,
)


# Connections ----------------------------------------------------------------------------------------------


def list_connections(state: TenantState, call: Call) -> Reply:
    """List the connections of an organization; without `page`, the envelope has all of them, and `limit` is their number.

    This meaning of `limit` was recorded once, for one connection.
    """
    organization = ORGANIZATIONS.id_in_path(state, call)
    with state.resources.lock:
        known = state.resources.organization_connections.get(organization, {})
        shown = [_shown(state, call, key, settings) for key, settings in known.items()]
    if _all(call):
        return listed(state, call, "connections", shown)
    every = [one for one in shown if known[one["connection_id"]].get("is_enabled", True)]
    if call.query.get("include_totals") and "page" not in call.query:
        count = len(every)
        return Reply(200, to_json({"enabled_connections": every, "start": 0, "limit": count, "total": count}))
    return listed(state, call, "enabled_connections", every)


def add_connection(state: TenantState, call: Call) -> Reply:
    """Enable a connection for an organization; if it is enabled already, the new settings replace the old (open)."""
    with state.resources.lock:
        organization = ORGANIZATIONS.id_in_path(state, call)
        key = CONNECTIONS.get_or_404(state, call.body["connection_id"])["id"]
        settings = {name: call.body[name] for name in _ALL_SETTINGS if name in call.body}
        settings.setdefault("assign_membership_on_login", False)
        enabled = state.resources.organization_connections.get(organization, {})
        state.resources.organization_connections[organization] = {**enabled, key: settings}
    return Reply(201, to_json(_shown(state, call, key, settings)), committed=True)


def get_connection(state: TenantState, call: Call) -> Reply:
    """Get a connection of an organization."""
    key, settings = _get_connection_or_404(state, call)
    return Reply(200, to_json(_shown(state, call, key, settings)))


def update_connection(state: TenantState, call: Call) -> Reply:
    """Update the settings of an organization's connection."""
    with state.resources.lock:
        key, before = _get_connection_or_404(state, call)
        after = {**before, **call.body}
        enabled = state.resources.organization_connections[call.params["id"]]
        state.resources.organization_connections[call.params["id"]] = {**enabled, key: after}
    return Reply(200, to_json(_shown(state, call, key, after)), committed=True)


def remove_connection(state: TenantState, call: Call) -> Reply:
    """Disable a connection for an organization."""
    with state.resources.lock:
        organization = ORGANIZATIONS.id_in_path(state, call)
        enabled = dict(state.resources.organization_connections.get(organization, {}))
        gone = enabled.pop(call.params["connection_id"], None)
        state.resources.organization_connections[organization] = enabled
    return Reply(204, committed=gone is not None)


def _get_connection_or_404(state: TenantState, call: Call) -> tuple[str, Settings]:
    """Return the id and settings of the connection that the path names, or refuse as recorded."""
    organization, key = ORGANIZATIONS.id_in_path(state, call), call.params["connection_id"]
    settings = state.resources.organization_connections.get(organization, {}).get(key)
    if settings is None:
        raise refused(404, "No connection found by that id")
    return key, settings


def _all(call: Call) -> bool:
    """Return whether the path is that of all connections, rather than of the enabled ones."""
    return "/enabled_connections" not in call.template


def _shown(state: TenantState, call: Call, key: str, settings: Settings) -> Settings:
    """Return the settings of a connection with its name and strategy (recorded for enabled connections)."""
    if _all(call):
        settings = {"is_enabled": True, **settings}
    else:
        settings = {name: value for name, value in settings.items() if name in _SETTINGS}
    connection = CONNECTIONS.find(state, key) or {}
    about = {name: connection[name] for name in ("name", "strategy") if name in connection}
    return {"connection_id": key, **settings, "connection": about}


# Client grants ------------------------------------------------------------------------------------------------


def list_grants(state: TenantState, call: Call) -> Reply:
    """List the client grants that an organization may use."""
    ids = state.resources.links.of("organization_grants", ORGANIZATIONS.id_in_path(state, call))
    return listed(state, call, "client_grants", CLIENT_GRANTS.find_all(state, ids))


def add_grant(state: TenantState, call: Call) -> Reply:
    """Let an organization use a client grant."""
    organization = ORGANIZATIONS.id_in_path(state, call)
    grant = CLIENT_GRANTS.get_or_404(state, call.body["grant_id"])
    state.resources.links.add("organization_grants", organization, [grant["id"]])
    shown = {name: value for name, value in grant.items() if name != "id"}
    return Reply(201, to_json({"grant_id": grant["id"], **shown}), committed=True)


def remove_grant(state: TenantState, call: Call) -> Reply:
    """Take a client grant from an organization; 204 even if it had none."""
    organization = ORGANIZATIONS.id_in_path(state, call)
    state.resources.links.remove("organization_grants", organization, [call.params["grant_id"]])
    return Reply(204, committed=True)


_CONNECTIONS = "organization_connections"
_GRANTS = "/api/v2/organizations/{id}/client-grants"


def _connection_routes(
    path: str, settings: dict[str, Field], declare: Callable[..., Route]
) -> tuple[Route, ...]:
    """Return the endpoints of an organization's connections, which have two paths."""
    every, one = (
        f"/api/v2/organizations/{{id}}/{path}",
        f"/api/v2/organizations/{{id}}/{path}/{{connection_id}}",
    )
    added, changed = Body(record("connection_id", connection_id=TEXT, **settings)), Body(record(**settings))
    return (
        declare("GET", every, list_connections, scopes=f"read:{_CONNECTIONS}", query=PAGES),
        declare("POST", every, add_connection, scopes=f"create:{_CONNECTIONS}", body=added),
        declare("GET", one, get_connection, scopes=f"read:{_CONNECTIONS}"),
        declare("PATCH", one, update_connection, scopes=f"update:{_CONNECTIONS}", body=changed),
        declare("DELETE", one, remove_connection, scopes=f"delete:{_CONNECTIONS}"),
    )


ROUTES = (
    *ORGANIZATIONS.routes(evidence="recorded"),
    documented("GET", "/api/v2/organizations/name/{name}", by_name, scopes="read:organizations"),
    documented(
        "GET",
        "/api/v2/users/{id}/organizations",
        of_user,
        scopes="read:organizations read:users",
        query=PAGES,
    ),
    *MEMBERS.routes,
    *MEMBER_ROLES.routes,
    *_connection_routes("enabled_connections", _SETTINGS, recorded),
    *_connection_routes("connections", _ALL_SETTINGS, documented),
    recorded("GET", _GRANTS, list_grants, scopes="read:organization_client_grants", query=PAGES),
    recorded(
        "POST",
        _GRANTS,
        add_grant,
        scopes="create:organization_client_grants",
        body=Body(record("grant_id", grant_id=TEXT)),
    ),
    recorded("DELETE", f"{_GRANTS}/{{grant_id}}", remove_grant, scopes="delete:organization_client_grants"),
)
