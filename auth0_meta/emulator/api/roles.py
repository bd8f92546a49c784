"""Answer the roles of users: who has which, from the user's side and from the role's."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.crud import ROLES
from auth0_meta.emulator.api.lookup import found, known, listed_ids, user_id_of
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.state.tenant_state import TenantState

_BRIEF = ("user_id", "email", "picture", "name")


def brief(state: TenantState, user_ids: list[Any]) -> list[dict[str, Any]]:
    """Return users as lists of members show them: four members in this order (recorded)."""
    users = [state.users.get(user_id) for user_id in user_ids]
    return [{name: user.root[name] for name in _BRIEF if name in user.root} for user in users if user]


def roles_shown(state: TenantState, role_ids: list[Any]) -> list[dict[str, Any]]:
    """Return the roles of these ids."""
    kept = state.resources.of(ROLES.name)
    return [kept[role_id] for role_id in role_ids if role_id in kept]


def of_user(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/roles by name (recorded): an array or the totals envelope."""
    profile = known(state, call)
    roles = roles_shown(state, state.resources.links.of("user_roles", profile.user_id))
    roles.sort(key=lambda role: str(role["name"]))
    return listed(call, "roles", roles, switches=state.switches)


def give(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/roles: 204."""
    user_id, roles = _named(state, call)
    state.resources.links.add("user_roles", user_id, roles)
    return Reply(204, committed=True)


def take(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/roles: 204, also for roles that the user does not have.

    A role that is no more is 404, and none is taken (recorded).
    """
    user_id, roles = _named(state, call)
    state.resources.links.remove("user_roles", user_id, roles)
    return Reply(204, committed=True)


def _named(state: TenantState, call: Call) -> tuple[str, list[str]]:
    """Return the user and the roles that a request names, or refuse one that is not there."""
    user_id = user_id_of(call)
    roles = listed_ids(state, call, "roles")
    call.run_hooks()
    found(state, user_id)
    for role_id in roles:
        ROLES.one(state, role_id)
    return user_id, roles


def holders(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/roles/{id}/users: an array, the totals envelope, or checkpoints."""
    call.run_hooks()
    ROLES.found(state, call)
    users = brief(state, state.resources.links.holders("user_roles", call.params["id"]))
    return listed(call, "users", users, switches=state.switches, checkpoints=True)


def assign(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/roles/{id}/users: 200 and `{}` (recorded)."""
    users = listed_ids(state, call, "users")
    call.run_hooks()
    ROLES.found(state, call)
    for user_id in users:
        found(state, user_id)
    for user_id in users:
        state.resources.links.add("user_roles", user_id, [call.params["id"]])
    return Reply(200, b"{}", committed=True)
