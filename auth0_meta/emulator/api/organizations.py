"""Organizations: their documents, their members and these members' roles, and their connections."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from auth0_meta.emulator.api.connections import CONNECTIONS
from auth0_meta.emulator.api.crud import Resource, prefixed
from auth0_meta.emulator.api.links import LinkTable, Things
from auth0_meta.emulator.api.lookup import brief, get_user_or_404, user_id_in_path
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.roles import ROLES
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.http.errors import refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import CHECKPOINTS, FLAG, PAGES, TEXT, Body, record
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
    if user_id not in state.resources.links.of("members", organization):
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
        enabled = state.resources.organization_connections.get(organization, {})
        every = [_shown(state, key, settings) for key, settings in enabled.items()]
    if call.query.get("include_totals") and "page" not in call.query:
        count = len(every)
        return Reply(200, to_json({"enabled_connections": every, "start": 0, "limit": count, "total": count}))
    return listed(state, call, "enabled_connections", every)


def add_connection(state: TenantState, call: Call) -> Reply:
    """Enable a connection for an organization; if it is enabled already, the new settings replace the old (open)."""
    with state.resources.lock:
        organization = ORGANIZATIONS.id_in_path(state, call)
        key = CONNECTIONS.get_or_404(state, call.body["connection_id"])["id"]
        settings = {name: call.body[name] for name in _SETTINGS if name in call.body}
        settings.setdefault("assign_membership_on_login", False)
        enabled = state.resources.organization_connections.get(organization, {})
        state.resources.organization_connections[organization] = {**enabled, key: settings}
    return Reply(201, to_json(_shown(state, key, settings)), committed=True)


def get_connection(state: TenantState, call: Call) -> Reply:
    """Get a connection of an organization."""
    key, settings = _get_connection_or_404(state, call)
    return Reply(200, to_json(_shown(state, key, settings)))


def update_connection(state: TenantState, call: Call) -> Reply:
    """Update the settings of an organization's connection."""
    with state.resources.lock:
        key, before = _get_connection_or_404(state, call)
        after = {**before, **call.body}
        enabled = state.resources.organization_connections[call.params["id"]]
        state.resources.organization_connections[call.params["id"]] = {**enabled, key: after}
    return Reply(200, to_json(_shown(state, key, after)), committed=True)


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


def _shown(state: TenantState, key: str, settings: Settings) -> Settings:
    """Return the settings of an enabled connection with its name and strategy (recorded)."""
    connection = CONNECTIONS.find(state, key) or {}
    about = {name: connection[name] for name in ("name", "strategy") if name in connection}
    return {"connection_id": key, **settings, "connection": about}


_ENABLED = "/api/v2/organizations/{id}/enabled_connections"
_ONE = f"{_ENABLED}/{{connection_id}}"
_CONNECTIONS = "organization_connections"
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
    recorded("GET", _ENABLED, list_connections, scopes=f"read:{_CONNECTIONS}", query=PAGES),
    recorded(
        "POST",
        _ENABLED,
        add_connection,
        scopes=f"create:{_CONNECTIONS}",
        body=Body(record("connection_id", connection_id=TEXT, **_SETTINGS)),
    ),
    recorded("GET", _ONE, get_connection, scopes=f"read:{_CONNECTIONS}"),
    recorded(
        "PATCH", _ONE, update_connection, scopes=f"update:{_CONNECTIONS}", body=Body(record(**_SETTINGS))
    ),
    recorded("DELETE", _ONE, remove_connection, scopes=f"delete:{_CONNECTIONS}"),
)
