"""Connections: their documents, the lookup by name or id, and the deletion of a connection's users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from auth0_meta.emulator.api.crud import Document, Resource, merged, prefixed, replaced
from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.paging import checkpoint
from auth0_meta.emulator.api.route import recorded
from auth0_meta.emulator.http.errors import Refusal, bad_request
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.profile import (
    DATABASE_OPTIONS,
    DEFAULT_CONNECTION,
    DEFAULT_CONNECTION_ID,
    Profile,
)
from auth0_meta.emulator.rules.schema import (
    CHECKPOINTS,
    FLAG,
    NAME,
    OBJECT,
    TEXT,
    Body,
    array,
    record,
    required_parameter,
)
from auth0_meta.emulator.state.tenant_state import TenantState

_DATABASE = "auth0"
_PASSWORDLESS = ("email", "sms")
_SYNCED = ("name", "nickname", "given_name", "family_name", "picture")
_SYNC_OFF = ("on_first_login", "never_on_login")
_HELP = "https://auth0.com/docs/dashboard/guides/connections/configure-connection-sync"

_ENABLED_CLIENTS = array(NAME)


def _prepared(state: TenantState, before: Document | None, body: Document) -> Document:
    """Return a body with what Auth0 adds to a new connection (recorded)."""
    if before is not None:
        return body
    options = DATABASE_OPTIONS if body["strategy"] == _DATABASE else {}
    own = {"is_domain_connection": False, "enabled_clients": [], "realms": [body["name"]]}
    return own | body | {"options": options | (body.get("options") or {})}


def _delete_all_users(state: TenantState, call: Call, gone: Document) -> None:
    _remove(state, call, state.users.all(), gone["name"])


CONNECTIONS = Resource(
    name="connections",
    called="connection",
    new_id=prefixed("con_"),
    required=("name", "strategy"),
    fixed=("name", "strategy"),
    error_code="inexistent_connection",
    unique=("name",),
    conflict=("A connection with the same name already exists", "conflict"),
    bag="metadata",
    most=10,
    rule=lambda switches: merged if switches.connection_metadata == "merge" else replaced,
    fields={"options": OBJECT, "enabled_clients": _ENABLED_CLIENTS, "realms": array(TEXT)},
    prepare=_prepared,
    after_delete=_delete_all_users,
    filters={"name": "name", "strategy": "strategy"},
    # Auth0 takes a while to delete a connection, so it responds with 202 and `deleted_at` (recorded).
    deleted=202,
)


@attrs.frozen
class Connection:
    """The parts of a connection that matter here: id, name, options, and strategy, which is the provider of its users."""

    id: str
    name: str
    strategy: str
    options: Mapping[str, Any]

    @property
    def is_database(self) -> bool:
        """Return whether it stores passwords and accepts imports."""
        return self.strategy == _DATABASE

    @property
    def takes_users(self) -> bool:
        """Return whether the API can create users in it: databases and passwordless ones (documented)."""
        return self.is_database or self.strategy in _PASSWORDLESS


def connection_named(state: TenantState, name: str) -> Connection:
    """Return the connection with this name; unless the tenant is strict, an unknown name stands for a database.

    The passwordless connections, email and sms, always exist.
    """
    strategy = name if name in _PASSWORDLESS else _DATABASE
    document = CONNECTIONS.find_by(state, "name", name)
    if document is None and strategy == _DATABASE and state.access.strict:
        raise _unknown()
    return _as_connection(document or {"id": "", "name": name, "strategy": strategy})


def database_of(state: TenantState, profile: Profile) -> Connection | None:
    """Return the database that has a user's password, None if there is none."""
    for identity in profile.root.get("identities") or ():
        if identity.get("provider") == _DATABASE and identity.get("connection"):
            with suppress(Refusal):
                return connection_named(state, identity["connection"])
    return None


def connection_with_id(state: TenantState, connection_id: str) -> Connection:
    """Return the connection with this id; unless the tenant is strict, an unknown id stands for the default one."""
    document = CONNECTIONS.find(state, connection_id)
    if document is None and state.access.strict and connection_id != DEFAULT_CONNECTION_ID:
        raise _unknown()
    default = {"id": connection_id, "name": DEFAULT_CONNECTION, "strategy": _DATABASE}
    return _as_connection(document or default)


def _unknown() -> Refusal:
    """Return the refusal of a connection that does not exist; the wording is a guess."""
    return bad_request("The connection does not exist.", "inexistent_connection")


def _as_connection(document: dict[str, Any]) -> Connection:
    options = document.get("options")
    known = options if isinstance(options, dict) else {}
    return Connection(document["id"], document["name"], document["strategy"], known)


def check_root_attributes(state: TenantState, profile: Profile, body: dict[str, Any]) -> None:
    """Refuse new names and pictures for users whose provider sends these at each login (documented)."""
    names = [name for name in _SYNCED if name in body]
    first = first_identity(profile)
    connection = first.get("connection")
    if not names or first.get("provider") in (None, _DATABASE, *_PASSWORDLESS):
        return
    options = (CONNECTIONS.find_by(state, "name", str(connection)) or {}).get("options")
    if isinstance(options, dict) and options.get("set_user_root_attributes") in _SYNC_OFF:
        return
    message = (
        f"The following user attributes cannot be updated: {', '.join(names)}. The connection "
        f"({connection}) must either be a database connection (using the Auth0 store), a passwordless "
        "connection (email or sms) or has disabled 'Sync user profile attributes at each login'. For more "
        f"information, see {_HELP}"
    )
    raise bad_request(message, "operation_not_supported")


def delete_users(state: TenantState, call: Call) -> Reply:
    """Delete the users of a connection who have this email, if any."""
    connection = CONNECTIONS.get_or_404(state, call.params["id"])["name"]
    removed = _remove(state, call, state.users.with_email(call.query["email"].lower()), connection)
    return Reply(204, committed=removed > 0)


def _remove(state: TenantState, call: Call, users: Iterable[Profile], connection: str) -> int:
    """Delete those of the users whose first identity belongs to a connection, and return how many."""
    removed = 0
    for user in users:
        with state.users.lock:
            now = state.users.get(user.user_id)
            if now is not None and first_identity(now).get("connection") == connection:
                state.remove_user(now, by=call.name)
                removed += 1
    return removed


# Clients ------------------------------------------------------------------------------------------------------


def enable(state: TenantState, connection: Document, statuses: dict[str, bool]) -> None:
    """Enable a connection for some clients and disable it for others; the caller holds `resources.lock`."""
    before = [each for each in connection.get("enabled_clients", ()) if statuses.get(each, True)]
    added = [client_id for client_id, enabled in statuses.items() if enabled and client_id not in before]
    after = {**connection, "enabled_clients": [*before, *added]}
    state.resources.of(CONNECTIONS.name)[connection["id"]] = after


def list_clients(state: TenantState, call: Call) -> Reply:
    """List the clients for which a connection is enabled, by checkpoints."""
    enabled = CONNECTIONS.get_or_404(state, call.params["id"]).get("enabled_clients", ())
    return Reply(200, to_json(checkpoint(call, "clients", [{"client_id": each} for each in enabled])))


def update_clients(state: TenantState, call: Call) -> Reply:
    """Enable a connection for clients, or disable it."""
    with state.resources.lock:
        connection = CONNECTIONS.get_or_404(state, call.params["id"])
        enable(state, connection, {each["client_id"]: each["status"] for each in call.body})
    return Reply(204, committed=True)


_CLIENTS = "/api/v2/connections/{id}/clients"
_STATUS = record("client_id", "status", client_id=NAME, status=FLAG)
ROUTES = (
    *CONNECTIONS.routes(evidence="recorded"),
    recorded("GET", _CLIENTS, list_clients, scopes="read:connections", query=CHECKPOINTS),
    recorded(
        "PATCH",
        _CLIENTS,
        update_clients,
        scopes="update:connections",
        body=Body(array(_STATUS, shortest=1, longest=50)),
    ),
    recorded(
        "DELETE",
        "/api/v2/connections/{id}/users",
        delete_users,
        group="write_users",
        scopes="delete:users",
        query={"email": required_parameter("The email of the user to delete")},
    ),
)
