"""Answer for enrollments and sessions of users: no login here asks for a factor, so nobody has enrolled any."""

from __future__ import annotations

from auth0_meta.emulator.api.lookup import known
from auth0_meta.emulator.api.paging import checkpoint
from auth0_meta.emulator.http.errors import bad_request
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.state.tenant_state import TenantState

_PROVIDERS = ("duo", "google-authenticator")


def enrollments(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/enrollments: `[]` (recorded)."""
    known(state, call)
    return Reply(200, b"[]")


def remove_provider(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/multifactor/{provider}: 204, also where there is none (recorded)."""
    provider = call.params["provider"]
    if provider not in _PROVIDERS:
        raise bad_request(
            f"Path validation error: 'No enum match for: {provider}' on property provider "
            "(The multi-factor provider).",
            "invalid_uri",
        )
    known(state, call)
    return Reply(204)


def forget_browsers(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/multifactor/actions/invalidate-remember-browser: 204 (recorded)."""
    known(state, call)
    return Reply(204)


def sessions(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/sessions: who is signed in at this tenant's own login (documented)."""
    user_id = known(state, call).user_id
    shown = [
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
    return Reply(200, to_json(checkpoint(call.request.query, "sessions", shown)))
