"""User blocks: nobody guesses passwords here, so nobody is blocked."""

from __future__ import annotations

from auth0_meta.emulator.api.lookup import user_in_path
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.schema import needed
from auth0_meta.emulator.state.tenant_state import TenantState

_NONE = Reply(200, b'{"blocked_for":[]}')
_IDENTIFIER = {"identifier": needed("Should be any of a username, phone number, or email.")}


def of_user(state: TenantState, call: Call) -> Reply:
    """List the blocks of a user."""
    user_in_path(state, call)
    return _NONE


def unblock_user(state: TenantState, call: Call) -> Reply:
    """Unblock a user."""
    user_in_path(state, call)
    return Reply(204)


def of_identifier(state: TenantState, call: Call) -> Reply:
    """List the blocks of whoever signs in with this identifier."""
    return _NONE


def unblock_identifier(state: TenantState, call: Call) -> Reply:
    """Unblock whoever signs in with this identifier."""
    return Reply(204)


_READ, _WRITE = "read:users", "update:users"
_ONE, _ALL = "/api/v2/user-blocks/{id}", "/api/v2/user-blocks"
ROUTES = (
    recorded("GET", _ONE, of_user, scopes=_READ),
    documented("DELETE", _ONE, unblock_user, scopes=_WRITE),
    recorded("GET", _ALL, of_identifier, scopes=_READ, query=_IDENTIFIER),
    documented("DELETE", _ALL, unblock_identifier, scopes=_WRITE, query=_IDENTIFIER),
)
