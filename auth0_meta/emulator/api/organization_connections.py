"""Answer the connections that are enabled for an organization."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.crud import CONNECTIONS, ORGANIZATIONS
from auth0_meta.emulator.api.lookup import plain_body
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.query import flag
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.state.tenant_state import TenantState

Enabled = dict[str, Any]
_SETTINGS = dict.fromkeys(
    ("assign_membership_on_login", "show_as_button", "is_signup_enabled"),
    "boolean",
)


def list_(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/enabled_connections: an array or the totals envelope.

    Without `page` the envelope holds all of them, and its limit is their number (recorded once, of one).
    """
    whole = flag(call.request.query, "include_totals", default=False) and "page" not in call.request.query
    call.run_hooks()
    ORGANIZATIONS.found(state, call)
    every = [_shown(state, key, kept) for key, kept in _kept(state, call).items()]
    if whole:
        count = len(every)
        return Reply(200, to_json({"enabled_connections": every, "start": 0, "limit": count, "total": count}))
    return listed(call, "enabled_connections", every, switches=state.switches)


def add(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/enabled_connections: 201 (recorded).

    Open: one that is enabled already; here the new settings replace the old ones.
    """
    body = plain_body(state, call, {"connection_id": "string", **_SETTINGS}, "connection_id")
    call.run_hooks()
    with state.resources.lock:
        organization = ORGANIZATIONS.found(state, call)["id"]
        key = CONNECTIONS.one(state, body["connection_id"])["id"]
        settings = {name: body[name] for name in _SETTINGS if name in body}
        settings.setdefault("assign_membership_on_login", False)
        state.resources.organization_connections.setdefault(organization, {})[key] = settings
    return Reply(201, to_json(_shown(state, key, settings)), committed=True)


def one(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/enabled_connections/{connection_id}: 200 (recorded)."""
    call.run_hooks()
    ORGANIZATIONS.found(state, call)
    return Reply(200, to_json(_shown(state, *_found(state, call))))


def change(state: TenantState, call: Call) -> Reply:
    """Answer PATCH /api/v2/organizations/{id}/enabled_connections/{connection_id}: 200 (recorded)."""
    body = plain_body(state, call, _SETTINGS)
    call.run_hooks()
    with state.resources.lock:
        ORGANIZATIONS.found(state, call)
        key, before = _found(state, call)
        after = {**before, **body}
        _kept(state, call)[key] = after
    return Reply(200, to_json(_shown(state, key, after)), committed=True)


def remove(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/enabled_connections/{connection_id}: 204 (recorded)."""
    call.run_hooks()
    with state.resources.lock:
        ORGANIZATIONS.found(state, call)
        gone = _kept(state, call).pop(call.params["connection_id"], None)
    return Reply(204, committed=gone is not None)


def _kept(state: TenantState, call: Call) -> dict[str, Enabled]:
    return state.resources.organization_connections.get(call.params["id"], {})


def _found(state: TenantState, call: Call) -> tuple[str, Enabled]:
    """Return id and settings of the one that the path names, or refuse as recorded."""
    key = call.params["connection_id"]
    settings = _kept(state, call).get(key)
    if settings is None:
        raise Refusal(404, problem(404, "No connection found by that id"))
    return key, settings


def _shown(state: TenantState, key: str, settings: Enabled) -> Enabled:
    """Return one with its connection's name and strategy (recorded)."""
    connection = state.resources.of(CONNECTIONS.name).get(key, {})
    about = {name: connection[name] for name in ("name", "strategy") if name in connection}
    return {"connection_id": key, **settings, "connection": about}
