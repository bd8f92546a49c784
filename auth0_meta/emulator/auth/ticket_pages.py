"""The pages that tickets lead to: one verifies an email address, the other takes a new password.

Sources: Auth0 docs, "Create an email verification ticket" and "Create a password change ticket"; the parameters and
texts of the redirect to `result_url` are reported.
"""

from __future__ import annotations

from typing import Any

import attrs

from auth0_meta.emulator.api.connections import database_of
from auth0_meta.emulator.api.logs import note
from auth0_meta.emulator.api.route import Route, documented
from auth0_meta.emulator.auth.forms import PageForm, open_record
from auth0_meta.emulator.auth.pages import message_page, password_page
from auth0_meta.emulator.auth.responses import redirect, with_query
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.passwords import weakness
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge
from auth0_meta.emulator.rules.schema import TEXT
from auth0_meta.emulator.state.logins import BY_LOGIN, Ticket
from auth0_meta.emulator.state.tenant_state import TenantState

_USED, _UNKNOWN = "This URL can be used only once", "This link is unknown or has expired."
_VERIFIED = "Your email was verified. You can continue using the application."
_CHANGED = "You can now login to the application with the new password."


def verify_email(state: TenantState, call: Call) -> Reply:
    """Verify the email address of the user of a ticket."""
    ticket = _ticket(state, call, call.request.query.get("ticket", ""), "email-verification")
    if ticket is None or ticket.used or state.users.get(ticket.user_id) is None:
        return _end(ticket, success=False)
    return _use(state, call, ticket, {"email_verified": True}, "sv", _VERIFIED)


def show_password(state: TenantState, call: Call) -> Reply:
    """Return the page with the form for a new password."""
    key = call.request.query.get("ticket", "")
    ticket = _ticket(state, call, key, "reset-password")
    return _end(ticket, success=False) if ticket is None or ticket.used else password_page(key)


def change_password(state: TenantState, call: Call) -> Reply:
    """Set the password that was typed, unless it is too weak for the user's database."""
    key, password = call.body.get("ticket", ""), call.body.get("password", "")
    ticket = _ticket(state, call, key, "reset-password")
    profile = None if ticket is None else state.users.get(ticket.user_id)
    if ticket is None or ticket.used or profile is None:
        return _end(ticket, success=False)
    database = database_of(state, profile)
    weak = weakness(password, {} if database is None else database.options)
    if weak is not None:
        return password_page(key, notice=f"This password is too weak: {weak['policy']}")
    verified = {"email_verified": True} if ticket.verifies_email else {}
    return _use(state, call, ticket, {"password": password, **verified}, "scp", _CHANGED)


def _ticket(state: TenantState, call: Call, key: str, kind: str) -> Ticket | None:
    ticket = state.logins.tickets.get(key, now=call.now)
    return ticket if ticket is not None and ticket.kind == kind else None


def _use(
    state: TenantState, call: Call, ticket: Ticket, changes: dict[str, Any], kind: str, message: str
) -> Reply:
    """Use a ticket up: change its user, add a log event of this kind, and say so in `message`."""
    ticket.used = True
    try:
        user = _write(state, call, ticket.user_id, changes)
    except ProfileTooLarge as error:
        return _end(ticket, success=False, message=error.message)
    note(state, call.request, kind, user=user, description=message)
    return _end(ticket, success=True, message=message, email=user and user.root.get("email"))


def _write(state: TenantState, call: Call, user_id: str, changes: dict[str, Any]) -> Profile | None:
    """Change a user, and return the user; None for one who was deleted meanwhile."""
    with state.users.lock:
        before = state.users.get(user_id)
        if before is None:
            return None
        after = profiles.patched(before, changes, now_ms=state.milliseconds(), switches=state.switches)
        state.save(after, before=before, by=BY_LOGIN, call=call)
        state.resources.set_password(user_id, changes.get("password"))
    return after


def _end(ticket: Ticket | None, *, success: bool, message: str = "", email: Any = None) -> Reply:
    """Lead to the ticket's `result_url`, or say what happened."""
    message = message or (_UNKNOWN if ticket is None else _USED)
    if ticket is None or not ticket.result_url:
        return message_page(
            200 if success else 400, "Done" if success else "This link can't be used", message
        )
    found = {"email": email} if ticket.includes_email and email else {}
    found |= {"success": str(success).lower(), "message": message} | ({"code": "success"} if success else {})
    return attrs.evolve(redirect(with_query(ticket.result_url, found)), committed=success)


ROUTES: tuple[Route, ...] = (
    documented("GET", "/u/email-verification", verify_email, group=None),
    documented("GET", "/u/reset-password", show_password, group=None),
    documented(
        "POST",
        "/u/reset-password",
        change_password,
        group=None,
        body=PageForm(open_record("ticket", "password", ticket=TEXT, password=TEXT)),
    ),
)
