"""Roles and permissions: the roles themselves, and which roles and permissions users and roles have."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

from auth0_meta.emulator.api.crud import Document, Resource, prefixed
from auth0_meta.emulator.api.links import LinkTable
from auth0_meta.emulator.api.lookup import brief, get_user_or_404, user_id_in_path
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.rules.schema import CHECKPOINTS, PAGES, TEXT, Body, Field, array, record
from auth0_meta.emulator.state.tenant_state import TenantState

ROLES = Resource(
    name="roles",
    called="role",
    new_id=prefixed("rol_"),
    required=("name",),
    unique=("name",),
    # The 409 is documented; the wording is a guess.
    conflict=("A role with this name already exists.", None),
    # Unlike every other resource, a role is created with 200 and deleted with 200 and `{}`.
    created=200,
    deleted=200,
    filters={"name_filter": "name"},
)


def _by_name(state: TenantState, user_id: Hashable) -> list[Document]:
    roles = ROLES.find_all(state, state.resources.links.of("user_roles", user_id))
    return sorted(roles, key=lambda role: str(role["name"]))


ROLES_OF_USER = LinkTable(
    kind="user_roles",
    name="roles",
    owner="a user",
    path="/api/v2/users/{id}/roles",
    scopes=("read:users read:roles", "update:users create:role_members", "update:users delete:role_members"),
    find=user_id_in_path,
    show=_by_name,
    check_added=ROLES.get_or_404,
    # A role that does not exist gets 404 here too, and then no role is removed (recorded).
    check_removed=ROLES.get_or_404,
)
USERS_OF_ROLE = LinkTable(
    kind="user_roles",
    name="users",
    owner="a role",
    path="/api/v2/roles/{id}/users",
    scopes=("read:users read:roles read:role_members", "update:roles create:role_members"),
    query={**PAGES, **CHECKPOINTS},
    inverted=True,
    find=ROLES.id_in_path,
    show=lambda state, role_id: brief(state, state.resources.links.holders("user_roles", role_id)),
    check_added=get_user_or_404,
    added=(200, b"{}"),
)

# Permissions -----------------------------------------------------------------------------------------------

_NAMES = ("resource_server_identifier", "permission_name")
_PERMISSION = Field(type="object", required=_NAMES, properties=dict.fromkeys(_NAMES, TEXT), closed=False)
_DIRECT = {"source_id": "", "source_name": "", "source_type": "DIRECT"}


def _of_user(state: TenantState, user_id: Hashable) -> list[Document]:
    """Return a user's permissions by name (recorded), including those of the user's roles (documented).

    Open: the order of permissions of several APIs; here only the name counts.
    """
    links = state.resources.links
    sources: dict[Any, list[Document]] = {pair: [_DIRECT] for pair in links.of("user_permissions", user_id)}
    for role in ROLES.find_all(state, links.of("user_roles", user_id)):
        from_role = {"source_id": role["id"], "source_name": role["name"], "source_type": "ROLE"}
        for pair in links.of("role_permissions", role["id"]):
            sources.setdefault(pair, []).append(from_role)
    shown = [{**_shown(state, pair), "sources": found_in} for pair, found_in in sources.items()]
    return sorted(shown, key=lambda permission: str(permission["permission_name"]))


def _of_role(state: TenantState, role_id: Hashable) -> list[Document]:
    return [_shown(state, pair) for pair in state.resources.links.of("role_permissions", role_id)]


def _shown(state: TenantState, pair: Any) -> Document:
    """Return one permission with the details that its API has about it (recorded)."""
    identifier, name = pair
    api = APIS.find_by(state, "identifier", identifier) or {}
    scopes = api.get("scopes")
    about = [scope for scope in scopes if isinstance(scope, dict)] if isinstance(scopes, list) else []
    description = next((scope.get("description", "") for scope in about if scope.get("value") == name), "")
    return {
        "permission_name": name,
        "description": description,
        "resource_server_name": api.get("name", identifier),
        "resource_server_identifier": identifier,
    }


def _check_api(state: TenantState, pair: tuple[str, str]) -> None:
    """Refuse an API that does not exist, if the tenant is strict; the wording is a guess."""
    if state.access.strict:
        APIS.get_by_or_404(state, "identifier", pair[0])


_permissions = partial(
    LinkTable,
    name="permissions",
    body=Body(record("permissions", permissions=array(_PERMISSION, shortest=1))),
    read=lambda permission: tuple(permission[name] for name in _NAMES),
    check_added=_check_api,
    added=(201, b"{}"),
)
# A permission that comes with a role stays when it is removed here: its link belongs to the role.
PERMISSIONS_OF_USER = _permissions(
    kind="user_permissions",
    owner="a user",
    path="/api/v2/users/{id}/permissions",
    scopes=("read:users", "update:users", "update:users"),
    evidence="recorded; sources of roles documented",
    find=user_id_in_path,
    show=_of_user,
)
PERMISSIONS_OF_ROLE = _permissions(
    kind="role_permissions",
    owner="a role",
    path="/api/v2/roles/{id}/permissions",
    scopes=("read:roles", "update:roles", "update:roles"),
    find=ROLES.id_in_path,
    show=_of_role,
)

_LINKS = (ROLES_OF_USER, USERS_OF_ROLE, PERMISSIONS_OF_USER, PERMISSIONS_OF_ROLE)
ROUTES = (*ROLES.routes(evidence="recorded"), *(route for table in _LINKS for route in table.routes))
