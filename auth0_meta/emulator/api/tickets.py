"""Answer the making of tickets: links to pages that this tenant does not have."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.connections import with_id
from auth0_meta.emulator.api.lookup import found, plain_body
from auth0_meta.emulator.http.errors import no_such_user, payload_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import check_user_id
from auth0_meta.emulator.state.tenant_state import TenantState

_SHARED = {
    **dict.fromkeys(("result_url", "user_id", "client_id", "organization_id"), "string"),
    "ttl_sec": "integer",
    "includeEmailInRedirect": "boolean",
}
_VERIFY = {**_SHARED, "identity": "object"}
_CHANGE = {
    **_SHARED,
    **dict.fromkeys(("connection_id", "email"), "string"),
    "mark_email_as_verified": "boolean",
    "identity": "object",
}


def verify_email(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/tickets/email-verification: 201 and the link (recorded)."""
    body = plain_body(state, call, _VERIFY, "user_id")
    return _ticket(state, call, body, "email-verification")


def change_password(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/tickets/password-change: 201 and the link (recorded)."""
    body = plain_body(state, call, _CHANGE)
    if "user_id" not in body and not ("email" in body and "connection_id" in body):
        raise payload_error("Missing required property: user_id")
    return _ticket(state, call, body, "reset-password")


def _ticket(state: TenantState, call: Call, body: dict[str, Any], page: str) -> Reply:
    if "user_id" in body:
        check_user_id(body["user_id"])
    call.run_hooks()
    if "user_id" in body:
        found(state, body["user_id"])
    else:
        name = with_id(state, body["connection_id"]).name
        users = state.users.with_email(body["email"].lower())
        if not any(one.get("connection") == name for user in users for one in user.root["identities"]):
            raise no_such_user()
    secret = state.new_id("") + state.new_id("")
    return Reply(201, to_json({"ticket": f"{state.access.url}/u/{page}?ticket={secret}#"}), committed=True)
