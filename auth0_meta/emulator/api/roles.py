"""Roles: the documents themselves, and who has which, from the user's side and from the role's."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from auth0_meta.emulator.api.crud import Resource, prefixed
from auth0_meta.emulator.api.links import LinkTable
from auth0_meta.emulator.api.lookup import brief, check_users, user_in_path
from auth0_meta.emulator.rules.schema import CHECKPOINTS, PAGES
from auth0_meta.emulator.state.tenant_state import TenantState

ROLES = Resource(
    name="roles",
    called="role",
    new_id=prefixed("rol_"),
    required=("name",),
    unique=("name",),
    # That it is a 409 is documented, the wording is not sourced.
    conflict=("A role with this name already exists.", None),
    # Unlike every other resource, a role is created with 200 and deleted with 200 and `{}`.
    created=200,
    deleted=200,
    filters={"name_filter": "name"},
)


def roles_shown(state: TenantState, role_ids: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the roles with these ids."""
    documents = state.resources.of(ROLES.name)
    return [documents[role_id] for role_id in role_ids if role_id in documents]


def _by_name(state: TenantState, user_id: Hashable) -> list[dict[str, Any]]:
    roles = roles_shown(state, state.resources.links.of("user_roles", user_id))
    return sorted(roles, key=lambda role: str(role["name"]))


OF_USER = LinkTable(
    kind="user_roles",
    name="roles",
    find=lambda state, call: user_in_path(state, call).user_id,
    show=_by_name,
    check_added=ROLES.check_all,
    # A role that does not exist is 404 here too, and then none is removed (recorded).
    check_removed=ROLES.check_all,
)
HOLDERS = LinkTable(
    kind="user_roles",
    name="users",
    inverted=True,
    find=ROLES.id_in_path,
    show=lambda state, role_id: brief(state, state.resources.links.holders("user_roles", role_id)),
    check_added=check_users,
    added=(200, b"{}"),
)

ROUTES = (
    *ROLES.routes(evidence="recorded"),
    *OF_USER.routes(
        "/api/v2/users/{id}/roles",
        read="read:users read:roles",
        add="update:users create:role_members",
        remove="update:users delete:role_members",
        evidence="recorded",
    ),
    *HOLDERS.routes(
        "/api/v2/roles/{id}/users",
        read="read:users read:roles read:role_members",
        add="update:roles create:role_members",
        query={**PAGES, **CHECKPOINTS},
        evidence="recorded",
    ),
)
