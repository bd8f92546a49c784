"""Answer the members of organizations and the roles that they have there."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import ORGANIZATIONS, ROLES
from auth0_meta.emulator.api.lookup import found, known, listed_ids
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.roles import brief, roles_shown
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import check_user_id
from auth0_meta.emulator.state.tenant_state import TenantState


def by_name(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/name/{name}."""
    call.run_hooks()
    for document in list(state.resources.of(ORGANIZATIONS.name).values()):
        if document["name"] == call.params["name"]:
            return Reply(200, to_json(document))
    raise Refusal(404, problem(404, "The organization does not exist.", ORGANIZATIONS.error_code))


def list_(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/members: an array, the totals envelope, or checkpoints."""
    call.run_hooks()
    ORGANIZATIONS.found(state, call)
    users = brief(state, state.resources.links.of("members", call.params["id"]))
    return listed(call, "members", users, switches=state.switches, checkpoints=True)


def add(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/members: 204."""
    users = listed_ids(state, call, "members")
    call.run_hooks()
    ORGANIZATIONS.found(state, call)
    for user_id in users:
        found(state, user_id)
    state.resources.links.add("members", call.params["id"], users)
    return Reply(204, committed=True)


def remove(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/members: 204; their roles in it go too."""
    users = listed_ids(state, call, "members")
    call.run_hooks()
    ORGANIZATIONS.found(state, call)
    links, organization = state.resources.links, call.params["id"]
    links.remove("members", organization, users)
    for user_id in users:
        holder = (organization, user_id)
        links.remove("member_roles", holder, links.of("member_roles", holder))
    return Reply(204, committed=True)


def of_user(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/organizations: an array or the totals envelope."""
    user_id = known(state, call).user_id
    kept = state.resources.of(ORGANIZATIONS.name)
    mine = [kept[str(one)] for one in state.resources.links.holders("members", user_id) if one in kept]
    return listed(call, "organizations", mine, switches=state.switches)


def roles(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/members/{user_id}/roles: an array or the totals envelope."""
    call.run_hooks()
    found_there = roles_shown(state, state.resources.links.of("member_roles", _member(state, call)))
    return listed(call, "roles", found_there, switches=state.switches)


def give_roles(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/members/{user_id}/roles: 204."""
    given = listed_ids(state, call, "roles")
    call.run_hooks()
    member = _member(state, call)
    for role_id in given:
        ROLES.one(state, role_id)
    state.resources.links.add("member_roles", member, given)
    return Reply(204, committed=True)


def take_roles(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/members/{user_id}/roles: 204."""
    taken = listed_ids(state, call, "roles")
    call.run_hooks()
    state.resources.links.remove("member_roles", _member(state, call), taken)
    return Reply(204, committed=True)


def _member(state: TenantState, call: Call) -> tuple[str, str]:
    """Return organization and user, or refuse who is no member (open: Auth0's own text)."""
    organization, user_id = call.params["id"], call.params["user_id"]
    check_user_id(user_id)
    ORGANIZATIONS.found(state, call)
    found(state, user_id)
    if user_id not in state.resources.links.of("members", organization):
        raise Refusal(404, problem(404, "The user is not a member of the organization."))
    return organization, user_id
