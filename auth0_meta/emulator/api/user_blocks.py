"""Answer for the blocks of brute-force protection: nobody guesses passwords here, so nobody is blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.emulator.api.lookup import known
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import query_error
from auth0_meta.emulator.http.message import Reply

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App

_NONE = b'{"blocked_for":[]}'
_IDENTIFIER = "Should be any of a username, phone number, or email."


def of_user(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/user-blocks/{id}: none (recorded)."""
    known(app, call)
    return Reply(200, _NONE)


def unblock_user(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/user-blocks/{id}: 204."""
    known(app, call)
    return Reply(204)


def of_identifier(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/user-blocks: none (recorded)."""
    _identifier(app, call)
    return Reply(200, _NONE)


def unblock_identifier(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/user-blocks: 204."""
    _identifier(app, call)
    return Reply(204)


def _identifier(app: App, call: Call) -> None:
    if not call.request.query.get("identifier"):
        raise query_error("Missing required property: identifier", "identifier", _IDENTIFIER)
    app.run_hooks(call)
