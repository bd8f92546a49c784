"""Answer the permissions of users and of roles."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.crud import APIS, ROLES
from auth0_meta.emulator.api.lookup import found, known, plain_body, user_id_of
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.http.errors import Refusal, payload_error, problem
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.schema import type_name
from auth0_meta.emulator.state.tenant_state import TenantState

_NAMES = ("resource_server_identifier", "permission_name")
_DIRECT = {"source_id": "", "source_name": "", "source_type": "DIRECT"}


def of_user(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/permissions, those of the user's roles among them (documented).

    They come by name (recorded).  Open: where several APIs have permissions; here names alone decide.
    """
    user_id = known(state, call).user_id
    links = state.resources.links
    sources: dict[Any, list[dict[str, Any]]] = {
        pair: [_DIRECT] for pair in links.of("user_permissions", user_id)
    }
    for role_id in links.of("user_roles", user_id):
        role = state.resources.of(ROLES.name).get(str(role_id))
        if role is None:
            continue
        for pair in links.of("role_permissions", role_id):
            from_role = {"source_id": role_id, "source_name": role["name"], "source_type": "ROLE"}
            sources.setdefault(pair, []).append(from_role)
    shown = [{**_shown(state, pair), "sources": found_in} for pair, found_in in sources.items()]
    shown.sort(key=lambda permission: str(permission["permission_name"]))
    return listed(call, "permissions", shown, switches=state.switches)


def give_user(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/permissions: 201 and `{}` (recorded)."""
    user_id = user_id_of(call)
    pairs = _asked(state, call)
    call.run_hooks()
    found(state, user_id)
    _check(state, pairs)
    state.resources.links.add("user_permissions", user_id, pairs)
    return Reply(201, b"{}", committed=True)


def take_user(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/permissions: 204; what the user has through a role stays."""
    user_id = user_id_of(call)
    pairs = _asked(state, call)
    call.run_hooks()
    found(state, user_id)
    state.resources.links.remove("user_permissions", user_id, pairs)
    return Reply(204, committed=True)


def of_role(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/roles/{id}/permissions."""
    call.run_hooks()
    ROLES.found(state, call)
    shown = [_shown(state, pair) for pair in state.resources.links.of("role_permissions", call.params["id"])]
    return listed(call, "permissions", shown, switches=state.switches)


def give_role(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/roles/{id}/permissions: 201 and `{}` (recorded)."""
    pairs = _asked(state, call)
    call.run_hooks()
    ROLES.found(state, call)
    _check(state, pairs)
    state.resources.links.add("role_permissions", call.params["id"], pairs)
    return Reply(201, b"{}", committed=True)


def take_role(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/roles/{id}/permissions: 204."""
    pairs = _asked(state, call)
    call.run_hooks()
    ROLES.found(state, call)
    state.resources.links.remove("role_permissions", call.params["id"], pairs)
    return Reply(204, committed=True)


def _asked(state: TenantState, call: Call) -> list[tuple[str, str]]:
    """Parse `{"permissions": [{resource_server_identifier, permission_name}]}` into pairs."""
    items = plain_body(state, call, {"permissions": "array"}, "permissions")["permissions"]
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


def _api(state: TenantState, identifier: str) -> dict[str, Any] | None:
    return next(
        (one for one in list(state.resources.of(APIS.name).values()) if one["identifier"] == identifier), None
    )


def _check(state: TenantState, pairs: list[tuple[str, str]]) -> None:
    """Refuse an API that a strict tenant does not have; the wording is not sourced."""
    for identifier, _ in pairs if state.access.strict else ():
        if _api(state, identifier) is None:
            raise Refusal(404, problem(404, "The resource server does not exist.", APIS.error_code))


def _shown(state: TenantState, pair: Any) -> dict[str, Any]:
    """Return one permission with what its API says about it (recorded)."""
    identifier, name = pair
    api = _api(state, identifier) or {}
    scopes = api.get("scopes")
    about = [s for s in scopes if isinstance(s, dict)] if isinstance(scopes, list) else []
    description = next((s.get("description", "") for s in about if s.get("value") == name), "")
    return {
        "permission_name": name,
        "description": description,
        "resource_server_name": api.get("name", identifier),
        "resource_server_identifier": identifier,
    }
