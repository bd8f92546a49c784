"""Tickets: links with which a user verifies an email address or chooses a new password."""

from __future__ import annotations

from auth0_meta.emulator.api.connections import connection_with_id
from auth0_meta.emulator.api.lookup import get_user_or_404, is_in
from auth0_meta.emulator.api.route import recorded
from auth0_meta.emulator.http.errors import no_such_user, payload_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import FLAG, OBJECT, TEXT, WHOLE, Body, Field, record
from auth0_meta.emulator.rules.user_schema import check_user_id
from auth0_meta.emulator.state.logins import Ticket
from auth0_meta.emulator.state.tenant_state import TenantState

_LIFETIME = 432_000  # documented: five days, for 0 too
_SHARED: dict[str, Field] = {
    **dict.fromkeys(("result_url", "user_id", "client_id", "organization_id"), TEXT),
    "ttl_sec": WHOLE,
    "includeEmailInRedirect": FLAG,
    "identity": OBJECT,
}


def check_user(state: TenantState, call: Call) -> None:
    """Refuse a body with a malformed `user_id`, or one that names no user."""
    if "user_id" in call.body:
        check_user_id(call.body["user_id"])
    elif not ("email" in call.body and "connection_id" in call.body):
        raise payload_error("Missing required property: user_id")


def verify_email(state: TenantState, call: Call) -> Reply:
    """Create a link with which a user verifies an email address."""
    return _ticket(state, call, "email-verification")


def change_password(state: TenantState, call: Call) -> Reply:
    """Create a link with which a user chooses a new password."""
    return _ticket(state, call, "reset-password")


def _ticket(state: TenantState, call: Call, page: str) -> Reply:
    body = call.body
    if "user_id" in body:
        user = get_user_or_404(state, body["user_id"])
    else:
        name = connection_with_id(state, body["connection_id"]).name
        users = [user for user in state.users.with_email(body["email"].lower()) if is_in(user, name)]
        if not users:
            raise no_such_user()
        user = users[0]
    ticket = Ticket(
        kind=page,
        user_id=user.user_id,
        result_url=body.get("result_url", ""),
        includes_email=body.get("includeEmailInRedirect") is True,
        verifies_email=body.get("mark_email_as_verified") is True,
    )
    key = state.new_id("") + state.new_id("")
    state.logins.tickets.put(
        ticket, until=call.now + (body.get("ttl_sec") or _LIFETIME), now=call.now, key=key
    )
    base = state.access.url_for(call.request)
    return Reply(201, to_json({"ticket": f"{base}/u/{page}?ticket={key}#"}), committed=True)


ROUTES = (
    recorded(
        "POST",
        "/api/v2/tickets/email-verification",
        verify_email,
        scopes="create:user_tickets",
        body=Body(record("user_id", **_SHARED)),
        check=check_user,
    ),
    recorded(
        "POST",
        "/api/v2/tickets/password-change",
        change_password,
        scopes="create:user_tickets",
        body=Body(record(connection_id=TEXT, email=TEXT, mark_email_as_verified=FLAG, **_SHARED)),
        check=check_user,
    ),
)
