"""Find a connection by name or by id, one way for users, imports and logins; delete a connection's users."""

from __future__ import annotations

from typing import Any

import attrs

from auth0_meta.emulator.api import lookup as subject
from auth0_meta.emulator.api.crud import CONNECTIONS
from auth0_meta.emulator.http.errors import Refusal, bad_request, query_error
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.profile import DEFAULT_CONNECTION, DEFAULT_CONNECTION_ID, Profile
from auth0_meta.emulator.state.tenant_state import TenantState

_DATABASE = "auth0"
_PASSWORDLESS = ("email", "sms")
_SYNCED = ("name", "nickname", "given_name", "family_name", "picture")
_SYNC_OFF = ("on_first_login", "never_on_login")
_HELP = "https://auth0.com/docs/dashboard/guides/connections/configure-connection-sync"


@attrs.frozen
class Connection:
    """Hold what matters of a connection: its id and name, and its strategy, which its users carry as provider."""

    id: str
    name: str
    strategy: str = _DATABASE

    @property
    def is_database(self) -> bool:
        """Tell whether it keeps passwords and takes imports."""
        return self.strategy == _DATABASE

    @property
    def takes_users(self) -> bool:
        """Tell whether users can be made through the API: databases and passwordless ones (documented)."""
        return self.is_database or self.strategy in _PASSWORDLESS


def named(state: TenantState, name: str) -> Connection:
    """Return the connection of a name; an unknown one is a database, unless the tenant is strict.

    The passwordless ones are always there.
    """
    for made in list(state.resources.of(CONNECTIONS.name).values()):
        if made["name"] == name:
            return _of(made)
    if name in _PASSWORDLESS:
        return Connection("", name, name)
    if state.access.strict:
        raise unknown()
    return Connection("", name)


def with_id(state: TenantState, connection_id: str) -> Connection:
    """Return the connection of an id; an unknown one is the default connection, unless the tenant is strict."""
    made = state.resources.of(CONNECTIONS.name).get(connection_id)
    if made is not None:
        return _of(made)
    if state.access.strict and connection_id != DEFAULT_CONNECTION_ID:
        raise unknown()
    return Connection(connection_id, DEFAULT_CONNECTION)


def unknown() -> Refusal:
    """Refuse a connection that is not there; the wording is not sourced."""
    return bad_request("The connection does not exist.", "inexistent_connection")


def _of(made: dict[str, Any]) -> Connection:
    return Connection(made["id"], made["name"], made["strategy"])


def check_root_attributes(state: TenantState, profile: Profile, body: dict[str, Any]) -> None:
    """Refuse names and pictures of users whose provider sends them anew at each login (documented)."""
    first = subject.first_identity(profile)
    provider = first.get("provider")
    names = [name for name in _SYNCED if name in body]
    if not names or provider is None or provider == _DATABASE or provider in _PASSWORDLESS:
        return
    for made in list(state.resources.of(CONNECTIONS.name).values()):
        options = made.get("options")
        synced = not isinstance(options, dict) or options.get("set_user_root_attributes") not in _SYNC_OFF
        if made["name"] == first.get("connection") and not synced:
            return
    message = (
        f"The following user attributes cannot be updated: {', '.join(names)}. The connection "
        f"({first.get('connection')}) must either be a database connection (using the Auth0 store), a passwordless "
        "connection (email or sms) or has disabled 'Sync user profile attributes at each login'. For more "
        f"information, see {_HELP}"
    )
    raise bad_request(message, "operation_not_supported")


def delete_users(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/connections/{id}/users: 204, also where nobody has this e-mail."""
    email = call.request.query.get("email")
    if not email:
        raise query_error("Missing required property: email", "email", "The email of the user to delete")
    call.run_hooks()
    connection = _of(CONNECTIONS.found(state, call))
    with state.users.lock:
        users = [
            profile
            for profile in state.users.with_email(email.lower())
            if any(one.get("connection") == connection.name for one in profile.root["identities"])
        ]
        for profile in users:
            state.remove_user(profile, by=call.name)
    return Reply(204, committed=bool(users))
