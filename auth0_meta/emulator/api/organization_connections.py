"""Answer the connections that are enabled for an organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.api.crud import CONNECTIONS, ORGANIZATIONS
from auth0_meta.emulator.api.lookup import plain_body
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.query import flag
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import Reply, to_json

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App

Enabled = dict[str, Any]
_SETTINGS = dict.fromkeys(
    ("assign_membership_on_login", "show_as_button", "is_signup_enabled"),
    "boolean",
)


def list_(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/enabled_connections: an array or the totals envelope.

    Without `page` the envelope holds all of them, and its limit is their number (recorded once, of one).
    """
    whole = flag(call.request.query, "include_totals", default=False) and "page" not in call.request.query
    app.run_hooks(call)
    ORGANIZATIONS.found(app, call)
    every = [_shown(app, key, kept) for key, kept in _kept(app, call).items()]
    if whole:
        count = len(every)
        return Reply(200, to_json({"enabled_connections": every, "start": 0, "limit": count, "total": count}))
    return listed(call, "enabled_connections", every, switches=app.switches)


def add(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/organizations/{id}/enabled_connections: 201 (recorded).

    Open: one that is enabled already; here the new settings replace the old ones.
    """
    body = plain_body(app, call, {"connection_id": "string", **_SETTINGS}, "connection_id")
    app.run_hooks(call)
    with app.shelf.lock:
        organization = ORGANIZATIONS.found(app, call)["id"]
        key = CONNECTIONS.one(app, body["connection_id"])["id"]
        settings = {name: body[name] for name in _SETTINGS if name in body}
        settings.setdefault("assign_membership_on_login", False)
        app.shelf.enabled.setdefault(organization, {})[key] = settings
    return Reply(201, to_json(_shown(app, key, settings)), committed=True)


def one(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/organizations/{id}/enabled_connections/{connection_id}: 200 (recorded)."""
    app.run_hooks(call)
    ORGANIZATIONS.found(app, call)
    return Reply(200, to_json(_shown(app, *_found(app, call))))


def change(app: App, call: Call) -> Reply:
    """Answer PATCH /api/v2/organizations/{id}/enabled_connections/{connection_id}: 200 (recorded)."""
    body = plain_body(app, call, _SETTINGS)
    app.run_hooks(call)
    with app.shelf.lock:
        ORGANIZATIONS.found(app, call)
        key, before = _found(app, call)
        after = {**before, **body}
        _kept(app, call)[key] = after
    return Reply(200, to_json(_shown(app, key, after)), committed=True)


def remove(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/organizations/{id}/enabled_connections/{connection_id}: 204 (recorded)."""
    app.run_hooks(call)
    with app.shelf.lock:
        ORGANIZATIONS.found(app, call)
        gone = _kept(app, call).pop(call.params["connection_id"], None)
    return Reply(204, committed=gone is not None)


def _kept(app: App, call: Call) -> dict[str, Enabled]:
    return app.shelf.enabled.get(call.params["id"], {})


def _found(app: App, call: Call) -> tuple[str, Enabled]:
    """Return id and settings of the one that the path names, or refuse as recorded."""
    key = call.params["connection_id"]
    settings = _kept(app, call).get(key)
    if settings is None:
        raise Refusal(404, problem(404, "No connection found by that id"))
    return key, settings


def _shown(app: App, key: str, settings: Enabled) -> Enabled:
    """Return one with its connection's name and strategy (recorded)."""
    connection = app.shelf.of(CONNECTIONS.name).get(key, {})
    about = {name: connection[name] for name in ("name", "strategy") if name in connection}
    return {"connection_id": key, **settings, "connection": about}
