"""Permissions of users and of roles."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, cast

from auth0_meta.emulator.api.links import LinkTable, Things
from auth0_meta.emulator.api.lookup import user_in_path
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.api.roles import ROLES
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.rules.schema import TEXT, Body, Field, array, record
from auth0_meta.emulator.state.tenant_state import TenantState

Document = dict[str, Any]
_NAMES = ("resource_server_identifier", "permission_name")
_PERMISSION = Field(type="object", required=_NAMES, properties=dict.fromkeys(_NAMES, TEXT), closed=False)
_BODY = Body(record("permissions", permissions=array(_PERMISSION, shortest=1)))
_DIRECT = {"source_id": "", "source_name": "", "source_type": "DIRECT"}


def _of_user(state: TenantState, user_id: Hashable) -> list[Document]:
    """Return a user's permissions by name (recorded), those of the user's roles among them (documented).

    Open: the order if several APIs have permissions; here names alone decide.
    """
    links = state.resources.links
    sources: dict[Any, list[Document]] = {pair: [_DIRECT] for pair in links.of("user_permissions", user_id)}
    for role_id in links.of("user_roles", user_id):
        role = ROLES.find(state, str(role_id))
        if role is None:
            continue
        for pair in links.of("role_permissions", role_id):
            from_role = {"source_id": role_id, "source_name": role["name"], "source_type": "ROLE"}
            sources.setdefault(pair, []).append(from_role)
    shown = [{**_shown(state, pair), "sources": found_in} for pair, found_in in sources.items()]
    return sorted(shown, key=lambda permission: str(permission["permission_name"]))


def _check_apis(state: TenantState, pairs: Things) -> None:
    """Refuse an API that a strict tenant does not have; the wording is not sourced."""
    for pair in pairs if state.access.strict else ():
        identifier, _ = cast("tuple[str, str]", pair)
        if APIS.find_by(state, "identifier", identifier) is None:
            raise Refusal(404, problem(404, "The resource server does not exist.", APIS.error_code))


def _pair(permission: Document) -> Hashable:
    return permission[_NAMES[0]], permission[_NAMES[1]]


def _shown(state: TenantState, pair: Any) -> Document:
    """Return one permission with what its API says about it (recorded)."""
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


# A permission that comes with a role stays when it is removed here: its link belongs to the role.
OF_USER = LinkTable(
    kind="user_permissions",
    name="permissions",
    find=lambda state, call: user_in_path(state, call).user_id,
    show=_of_user,
    body=_BODY,
    read=_pair,
    check_added=_check_apis,
    added=(201, b"{}"),
)
OF_ROLE = LinkTable(
    kind="role_permissions",
    name="permissions",
    find=ROLES.id_in_path,
    show=lambda state, role_id: [
        _shown(state, pair) for pair in state.resources.links.of("role_permissions", role_id)
    ],
    body=_BODY,
    read=_pair,
    check_added=_check_apis,
    added=(201, b"{}"),
)

ROUTES = (
    *OF_USER.routes(
        "/api/v2/users/{id}/permissions",
        read="read:users",
        add="update:users",
        remove="update:users",
        evidence="recorded; sources of roles documented",
    ),
    *OF_ROLE.routes(
        "/api/v2/roles/{id}/permissions",
        read="read:roles",
        add="update:roles",
        remove="update:roles",
        evidence="recorded",
    ),
)
