"""Answer for the blocks of brute-force protection: nobody guesses passwords here, so nobody is blocked."""

from __future__ import annotations

from auth0_meta.emulator.api.lookup import known
from auth0_meta.emulator.http.errors import query_error
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.state.tenant_state import TenantState

_NONE = b'{"blocked_for":[]}'
_IDENTIFIER = "Should be any of a username, phone number, or email."


def of_user(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/user-blocks/{id}: none (recorded)."""
    known(state, call)
    return Reply(200, _NONE)


def unblock_user(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/user-blocks/{id}: 204."""
    known(state, call)
    return Reply(204)


def of_identifier(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/user-blocks: none (recorded)."""
    _identifier(state, call)
    return Reply(200, _NONE)


def unblock_identifier(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/user-blocks: 204."""
    _identifier(state, call)
    return Reply(204)


def _identifier(state: TenantState, call: Call) -> None:
    if not call.request.query.get("identifier"):
        raise query_error("Missing required property: identifier", "identifier", _IDENTIFIER)
    call.run_hooks()
