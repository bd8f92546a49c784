"""The settings of the tenant; a logout without a client goes by `allowed_logout_urls`."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import Document, DocumentBody
from auth0_meta.emulator.api.route import documented
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import OBJECT, TEXT, Field, array
from auth0_meta.emulator.state.tenant_state import TenantState

_DEFAULTS: Document = {
    "enabled_locales": ["en"],
    "flags": {},
    "session_lifetime": 168,
    "idle_session_lifetime": 72,
}
_FIELDS = {
    "allow_organization_name_in_authentication_api": Field(type="boolean", nullable=True),
    "allowed_logout_urls": array(TEXT),
    "default_audience": Field(nullable=True),
    "default_directory": Field(nullable=True),
    "enabled_locales": array(TEXT),
    "flags": OBJECT,
    "oidc_logout": Field(type="object", nullable=True),
}


def settings(state: TenantState) -> Document:
    """Return the settings of a tenant; `allowed_logout_urls` is absent until it is set, and then all of loopback is allowed."""
    return _DEFAULTS | state.resources.of("tenants").get("settings", {})


def get_settings(state: TenantState, call: Call) -> Reply:
    """Get the settings of the tenant."""
    return Reply(200, to_json(settings(state)))


def update_settings(state: TenantState, call: Call) -> Reply:
    """Update the settings of the tenant; flags are merged, and all else is stored as sent."""
    with state.resources.lock:
        before = settings(state)
        after = before | call.body | {"flags": before["flags"] | call.body.get("flags", {})}
        state.resources.of("tenants")["settings"] = after
    return Reply(200, to_json(after), committed=True)


_PATH = "/api/v2/tenants/settings"
ROUTES = (
    documented("GET", _PATH, get_settings, scopes="read:tenant_settings"),
    documented(
        "PATCH",
        _PATH,
        update_settings,
        scopes="update:tenant_settings",
        body=DocumentBody(Field(type="object", properties=_FIELDS, closed=False)),
    ),
)
