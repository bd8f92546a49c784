"""Answer the roles of users: who has which, from the user's side and from the role's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.api.crud import ROLES
from auth0_meta.emulator.api.lookup import found, known, listed_ids, user_id_of
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.message import Reply

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App

_BRIEF = ("user_id", "email", "picture", "name")


def brief(app: App, user_ids: list[Any]) -> list[dict[str, Any]]:
    """Return users as lists of members show them: four members in this order (recorded)."""
    users = [app.store.get(user_id) for user_id in user_ids]
    return [{name: user.root[name] for name in _BRIEF if name in user.root} for user in users if user]


def roles_shown(app: App, role_ids: list[Any]) -> list[dict[str, Any]]:
    """Return the roles of these ids."""
    kept = app.shelf.of(ROLES.name)
    return [kept[role_id] for role_id in role_ids if role_id in kept]


def of_user(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/roles by name (recorded): an array or the totals envelope."""
    profile = known(app, call)
    roles = roles_shown(app, app.shelf.ties.of("user_roles", profile.user_id))
    roles.sort(key=lambda role: str(role["name"]))
    return listed(call, "roles", roles, switches=app.switches)


def give(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/roles: 204."""
    user_id, roles = _named(app, call)
    app.shelf.ties.add("user_roles", user_id, roles)
    return Reply(204, committed=True)


def take(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/roles: 204, also for roles that the user does not have.

    A role that is no more is 404, and none is taken (recorded).
    """
    user_id, roles = _named(app, call)
    app.shelf.ties.remove("user_roles", user_id, roles)
    return Reply(204, committed=True)


def _named(app: App, call: Call) -> tuple[str, list[str]]:
    """Return the user and the roles that a request names, or refuse one that is not there."""
    user_id = user_id_of(call)
    roles = listed_ids(app, call, "roles")
    app.run_hooks(call)
    found(app, user_id)
    for role_id in roles:
        ROLES.one(app, role_id)
    return user_id, roles


def holders(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/roles/{id}/users: an array, the totals envelope, or checkpoints."""
    app.run_hooks(call)
    ROLES.found(app, call)
    users = brief(app, app.shelf.ties.holders("user_roles", call.params["id"]))
    return listed(call, "users", users, switches=app.switches, checkpoints=True)


def assign(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/roles/{id}/users: 200 and `{}` (recorded)."""
    users = listed_ids(app, call, "users")
    app.run_hooks(call)
    ROLES.found(app, call)
    for user_id in users:
        found(app, user_id)
    for user_id in users:
        app.shelf.ties.add("user_roles", user_id, [call.params["id"]])
    return Reply(200, b"{}", committed=True)
