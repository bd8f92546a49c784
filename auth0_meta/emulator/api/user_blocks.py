"""User blocks: the emulator does not detect attacks on passwords, so it blocks no user."""

from __future__ import annotations

from auth0_meta.emulator.api.lookup import user_id_in_path
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.schema import required_parameter
from auth0_meta.emulator.state.tenant_state import TenantState


def blocks(state: TenantState, call: Call) -> Reply:
    """List the blocks of a user, named by id or by `identifier`: always none."""
    if call.user_id is not None:
        user_id_in_path(state, call)
    return Reply(200, b'{"blocked_for":[]}')


def unblock(state: TenantState, call: Call) -> Reply:
    """Unblock a user, named by id or by `identifier`."""
    if call.user_id is not None:
        user_id_in_path(state, call)
    return Reply(204)


_READ, _WRITE = "read:users", "update:users"
_ONE, _ALL = "/api/v2/user-blocks/{id}", "/api/v2/user-blocks"
_IDENTIFIER = {"identifier": required_parameter("Should be any of a username, phone number, or email.")}
ROUTES = (
    recorded("GET", _ONE, blocks, scopes=_READ),
    documented("DELETE", _ONE, unblock, scopes=_WRITE),
    recorded("GET", _ALL, blocks, scopes=_READ, query=_IDENTIFIER),
    documented("DELETE", _ALL, unblock, scopes=_WRITE, query=_IDENTIFIER),
)
