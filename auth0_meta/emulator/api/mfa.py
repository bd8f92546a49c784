"""Enrollments and sessions of users: no login here asks for a factor, so nobody has enrolled one."""

from __future__ import annotations

from auth0_meta.emulator.api.lookup import user_in_path
from auth0_meta.emulator.api.paging import checkpoint
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.http.errors import bad_request
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules.schema import CHECKPOINTS
from auth0_meta.emulator.state.tenant_state import TenantState

_PROVIDERS = ("duo", "google-authenticator")


def enrollments(state: TenantState, call: Call) -> Reply:
    """List the factors that a user enrolled: none."""
    user_in_path(state, call)
    return Reply(200, b"[]")


def remove_provider(state: TenantState, call: Call) -> Reply:
    """Remove a factor of a user, if there is one."""
    provider = call.params["provider"]
    if provider not in _PROVIDERS:
        raise bad_request(
            f"Path validation error: 'No enum match for: {provider}' on property provider "
            "(The multi-factor provider).",
            "invalid_uri",
        )
    user_in_path(state, call)
    return Reply(204)


def forget_browsers(state: TenantState, call: Call) -> Reply:
    """Forget the browsers that a user chose to remember."""
    user_in_path(state, call)
    return Reply(204)


def sessions(state: TenantState, call: Call) -> Reply:
    """List a user's sessions at this tenant's own login."""
    user_id = user_in_path(state, call).user_id
    found = [
        {
            "id": session.sid,
            "user_id": user_id,
            "created_at": iso(int(session.since * 1000)),
            "authenticated_at": iso(int(session.since * 1000)),
            "expires_at": iso(int(until * 1000)),
        }
        for session, until in state.logins.sessions.all(now=call.now)
        if session.user_id == user_id
    ]
    return Reply(200, to_json(checkpoint(call, "sessions", found)))


_USER = "/api/v2/users/{id}"
_FORGET = f"{_USER}/multifactor/actions/invalidate-remember-browser"
_WRITE = "update:users"
ROUTES = (
    recorded("GET", f"{_USER}/enrollments", enrollments, scopes="read:users"),
    documented("GET", f"{_USER}/sessions", sessions, scopes="read:sessions", query=CHECKPOINTS),
    recorded("DELETE", f"{_USER}/multifactor/{{provider}}", remove_provider, scopes=_WRITE),
    recorded("POST", _FORGET, forget_browsers, scopes=_WRITE),
)
