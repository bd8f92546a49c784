"""Answer the members of organizations and the roles that they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.emulator.api.crud import ORGANIZATIONS, ROLES
from auth0_meta.emulator.api.lookup import found, known, listed_ids
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.roles import brief, roles_shown
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import Reply, to_json
from auth0_meta.emulator.rules.schema import check_user_id

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App


def by_name(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/name/{name}."""
    app.run_hooks(call)
    for document in list(app.shelf.of(ORGANIZATIONS.name).values()):
        if document["name"] == call.params["name"]:
            return Reply(200, to_json(document))
    raise Refusal(404, problem(404, "The organization does not exist.", ORGANIZATIONS.error_code))


def list_(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/members: an array, the totals envelope, or checkpoints."""
    app.run_hooks(call)
    ORGANIZATIONS.found(app, call)
    users = brief(app, app.shelf.ties.of("members", call.params["id"]))
    return listed(call, "members", users, switches=app.switches, checkpoints=True)


def add(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/members: 204."""
    users = listed_ids(app, call, "members")
    app.run_hooks(call)
    ORGANIZATIONS.found(app, call)
    for user_id in users:
        found(app, user_id)
    app.shelf.ties.add("members", call.params["id"], users)
    return Reply(204, committed=True)


def remove(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/members: 204; their roles in it go too."""
    users = listed_ids(app, call, "members")
    app.run_hooks(call)
    ORGANIZATIONS.found(app, call)
    ties, organization = app.shelf.ties, call.params["id"]
    ties.remove("members", organization, users)
    for user_id in users:
        holder = (organization, user_id)
        ties.remove("member_roles", holder, ties.of("member_roles", holder))
    return Reply(204, committed=True)


def of_user(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/organizations: an array or the totals envelope."""
    user_id = known(app, call).user_id
    kept = app.shelf.of(ORGANIZATIONS.name)
    mine = [kept[str(one)] for one in app.shelf.ties.holders("members", user_id) if one in kept]
    return listed(call, "organizations", mine, switches=app.switches)


def roles(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/members/{user_id}/roles: an array or the totals envelope."""
    app.run_hooks(call)
    found_there = roles_shown(app, app.shelf.ties.of("member_roles", _member(app, call)))
    return listed(call, "roles", found_there, switches=app.switches)


def give_roles(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/members/{user_id}/roles: 204."""
    given = listed_ids(app, call, "roles")
    app.run_hooks(call)
    member = _member(app, call)
    for role_id in given:
        ROLES.one(app, role_id)
    app.shelf.ties.add("member_roles", member, given)
    return Reply(204, committed=True)


def take_roles(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/members/{user_id}/roles: 204."""
    taken = listed_ids(app, call, "roles")
    app.run_hooks(call)
    app.shelf.ties.remove("member_roles", _member(app, call), taken)
    return Reply(204, committed=True)


def _member(app: App, call: Call) -> tuple[str, str]:
    """Return organization and user, or refuse who is no member (open: Auth0's own text)."""
    organization, user_id = call.params["id"], call.params["user_id"]
    check_user_id(user_id)
    ORGANIZATIONS.found(app, call)
    found(app, user_id)
    if user_id not in app.shelf.ties.of("members", organization):
        raise Refusal(404, problem(404, "The user is not a member of the organization."))
    return organization, user_id
