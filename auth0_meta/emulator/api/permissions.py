"""Answer the permissions of users and of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.api.crud import APIS, ROLES
from auth0_meta.emulator.api.lookup import found, known, plain_body, user_id_of
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, payload_error, problem
from auth0_meta.emulator.http.message import Reply
from auth0_meta.emulator.rules.schema import type_name

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App

_NAMES = ("resource_server_identifier", "permission_name")
_DIRECT = {"source_id": "", "source_name": "", "source_type": "DIRECT"}


def of_user(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/permissions, those of the user's roles among them (documented).

    They come by name (recorded).  Open: where several APIs have permissions; here names alone decide.
    """
    user_id = known(app, call).user_id
    ties = app.shelf.ties
    sources: dict[Any, list[dict[str, Any]]] = {
        pair: [_DIRECT] for pair in ties.of("user_permissions", user_id)
    }
    for role_id in ties.of("user_roles", user_id):
        role = app.shelf.of(ROLES.name).get(str(role_id))
        if role is None:
            continue
        for pair in ties.of("role_permissions", role_id):
            from_role = {"source_id": role_id, "source_name": role["name"], "source_type": "ROLE"}
            sources.setdefault(pair, []).append(from_role)
    shown = [{**_shown(app, pair), "sources": found_in} for pair, found_in in sources.items()]
    shown.sort(key=lambda permission: str(permission["permission_name"]))
    return listed(call, "permissions", shown, switches=app.switches)


def give_user(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/permissions: 201 and `{}` (recorded)."""
    user_id = user_id_of(call)
    pairs = _asked(app, call)
    app.run_hooks(call)
    found(app, user_id)
    _check(app, pairs)
    app.shelf.ties.add("user_permissions", user_id, pairs)
    return Reply(201, b"{}", committed=True)


def take_user(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/permissions: 204; what the user has through a role stays."""
    user_id = user_id_of(call)
    pairs = _asked(app, call)
    app.run_hooks(call)
    found(app, user_id)
    app.shelf.ties.remove("user_permissions", user_id, pairs)
    return Reply(204, committed=True)


def of_role(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/roles/{id}/permissions."""
    app.run_hooks(call)
    ROLES.found(app, call)
    shown = [_shown(app, pair) for pair in app.shelf.ties.of("role_permissions", call.params["id"])]
    return listed(call, "permissions", shown, switches=app.switches)


def give_role(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/roles/{id}/permissions: 201 and `{}` (recorded)."""
    pairs = _asked(app, call)
    app.run_hooks(call)
    ROLES.found(app, call)
    _check(app, pairs)
    app.shelf.ties.add("role_permissions", call.params["id"], pairs)
    return Reply(201, b"{}", committed=True)


def take_role(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/roles/{id}/permissions: 204."""
    pairs = _asked(app, call)
    app.run_hooks(call)
    ROLES.found(app, call)
    app.shelf.ties.remove("role_permissions", call.params["id"], pairs)
    return Reply(204, committed=True)


def _asked(app: App, call: Call) -> list[tuple[str, str]]:
    """Parse `{"permissions": [{resource_server_identifier, permission_name}]}` into pairs."""
    items = plain_body(app, call, {"permissions": "array"}, "permissions")["permissions"]
    if not items:
        raise payload_error("Array is too short (0), minimum 1", "permissions")
    for item in items:
        if not isinstance(item, dict):
            raise payload_error(f"Expected type object but found type {type_name(item)}", "permissions")
        for name in _NAMES:
            if name not in item:
                raise payload_error(f"Missing required property: {name}", "permissions")
            if not isinstance(item[name], str):
                raise payload_error(f"Expected type string but found type {type_name(item[name])}", name)
    return [(item[_NAMES[0]], item[_NAMES[1]]) for item in items]


def _api(app: App, identifier: str) -> dict[str, Any] | None:
    return next(
        (one for one in list(app.shelf.of(APIS.name).values()) if one["identifier"] == identifier), None
    )


def _check(app: App, pairs: list[tuple[str, str]]) -> None:
    """Refuse an API that a strict tenant does not have; the wording is not sourced."""
    for identifier, _ in pairs if app.access.strict else ():
        if _api(app, identifier) is None:
            raise Refusal(404, problem(404, "The resource server does not exist.", APIS.error_code))


def _shown(app: App, pair: Any) -> dict[str, Any]:
    """Return one permission with what its API says about it (recorded)."""
    identifier, name = pair
    api = _api(app, identifier) or {}
    scopes = api.get("scopes")
    about = [s for s in scopes if isinstance(s, dict)] if isinstance(scopes, list) else []
    description = next((s.get("description", "") for s in about if s.get("value") == name), "")
    return {
        "permission_name": name,
        "description": description,
        "resource_server_name": api.get("name", identifier),
        "resource_server_identifier": identifier,
    }
