"""Users: create, get, update, delete, search, find by email."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from auth0_meta.emulator.api.connections import (
    Connection,
    check_root_attributes,
    connection_named,
    database_of,
)
from auth0_meta.emulator.api.lookup import user_in_path
from auth0_meta.emulator.api.paging import array_or_envelope, page_of, shown
from auth0_meta.emulator.api.route import Route, recorded
from auth0_meta.emulator.http.errors import Refusal, bad_request, payload_error, query_error, refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.rules.passwords import weakness
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import FIELDS, PAGES, TEXT, Field, required_parameter
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.rules.user_schema import CREATE, PATCH
from auth0_meta.emulator.state.tenant_state import TenantState

Document = Mapping[str, Any]
_READ_ANYBODY = ("read:users", "read:user_idp_tokens")
_SORT = "Field to sort by. Use field:order where order is 1 for ascending and -1 for descending"
_SORT_PATTERN = r"((([a-zA-Z0-9_\.]+))\:(1|-1))"


# What a token may do ------------------------------------------------------------------------------------


def check_owner(state: TenantState, call: Call) -> None:
    """Refuse with 403 if a token that may read only its own user is used to read another one."""
    grant = call.grant
    if grant is None or grant.scopes is None or grant.subject == call.user_id:
        return
    if grant.scopes.isdisjoint(_READ_ANYBODY):
        raise _not_own()


def check_fields(state: TenantState, call: Call) -> None:
    """Refuse with 403 a change to fields that the token's narrower scopes do not allow."""
    grant = call.grant
    if grant is None or grant.scopes is None or "update:users" in grant.scopes:
        return
    own = "update:current_user_metadata" in grant.scopes
    allowed = {"app_metadata"} if "update:users_app_metadata" in grant.scopes else set()
    if own and grant.subject == call.user_id:
        allowed.add("user_metadata")
    names = [name for name in call.body if name not in allowed]
    if names and own and not allowed:
        raise _not_own()
    if names:
        message = f"You cannot update the following fields: {', '.join(names)}"
        raise refused(403, message, "insufficient_scope")


def _not_own() -> Refusal:
    message = "User to be acted on does not match subject in bearer token."
    return refused(403, message, "unowned_resource")


# One user ------------------------------------------------------------------------------------------------


def check_new(state: TenantState, call: Call) -> None:
    """Refuse a connection in which the API can't create users, and a user who lacks what the connection requires.

    The text for the connection is documented, its errorCode a guess.
    """
    body, connection = call.body, connection_named(state, call.body["connection"])
    if not connection.takes_users:
        message = (
            "Connection does not support user creation through the API. It must either be a database or "
            "passwordless connection."
        )
        raise bad_request(message, "operation_not_supported")
    if not connection.is_database:
        return
    # With flexible identifiers (`attributes`) a connection says itself what it requires.
    if state.switches.new_user_credentials == "require" and "attributes" not in connection.options:
        username = ("username",) if connection.options.get("requires_username") is True else ()
        for name in ("email", *username, "password"):
            if name not in body:
                raise payload_error(f"Missing required property: {name}")
    if "password" in body:
        _check_password(state, connection, body["password"])


def _check_password(state: TenantState, connection: Connection, password: str) -> None:
    """Refuse a password that is too weak for its connection (the message is reported)."""
    if weakness(password, connection.options) is not None:
        message = "PasswordStrengthError: Password is too weak"
        raise bad_request(message, state.switches.weak_password_error)


def create(state: TenantState, call: Call) -> Reply:
    """Create a user; 409 if the id, email or username is taken."""
    body, strategy = call.body, connection_named(state, call.body["connection"]).strategy
    with state.users.lock:
        user_id = f"{strategy}|{body.get('user_id') or state.new_object_id()}"
        now = state.milliseconds()
        profile = profiles.created(body, user_id=user_id, now_ms=now, switches=state.switches)
        if state.users.get(user_id) is not None or is_taken(state, profile):
            raise refused(409, "The user already exists.", "auth0_idp_error")
        document = state.save(profile, before=None, by=call.name, call=call)
        _keep_password(state, user_id, body)
    return Reply(201, document, committed=True)


def get(state: TenantState, call: Call) -> Reply:
    """Get a user, or only its `fields`; strongly consistent."""
    return Reply(200, to_json(shown(call, [user_in_path(state, call).document()])[0]))


def update(state: TenantState, call: Call) -> Reply:
    """Update a user; the response is the whole profile, whatever `fields` asks for."""
    body = call.body
    with state.users.lock:
        before = user_in_path(state, call)
        check_root_attributes(state, before, body)
        if isinstance(body.get("password"), str):
            named = connection_named(state, body["connection"]) if "connection" in body else None
            if (database := named or database_of(state, before)) is not None:
                _check_password(state, database, body["password"])
        after = profiles.patched(before, body, now_ms=state.milliseconds(), switches=state.switches)
        if ("email" in body or "username" in body) and is_taken(state, after):
            # Documented: this endpoint has no 409.  The wording is a guess.
            raise bad_request("The specified new email or username already exists", "auth0_idp_error")
        document = state.save(after, before=before, by=call.name, call=call)
        _keep_password(state, after.user_id, body)
    return Reply(200, document, committed=True)


def delete(state: TenantState, call: Call) -> Reply:
    """Delete a user; 204 even if the user does not exist."""
    with state.users.lock:
        before = state.users.get(call.params["id"])
        if before is not None:
            state.remove_user(before, by=call.name)
    return Reply(204, committed=before is not None)


def is_taken(state: TenantState, profile: Profile) -> bool:
    """Return whether another user has this email or username on the same connection."""
    email, username = profile.root.get("email"), profile.root.get("username")
    others = state.users.with_email(email) if email else []
    others += state.users.with_username(username) if username else []
    mine = _connections(profile)
    return any(other.user_id != profile.user_id and mine & _connections(other) for other in others)


def _connections(profile: Profile) -> set[Any]:
    return {identity.get("connection") for identity in profile.root["identities"]}


def _keep_password(state: TenantState, user_id: str, body: Document) -> None:
    state.resources.set_password(user_id, body.get("password"))


# Many users ----------------------------------------------------------------------------------------------


def check_search(state: TenantState, call: Call) -> None:
    """Refuse a page, an order, an engine or a `q` that Auth0 would refuse (the statuses are documented)."""
    page_of(state, call)
    _sort_key(call)
    engine, accepted = call.query.get("search_engine"), state.switches.search_engine_v2 == "accept"
    if engine == "v1" or (engine == "v2" and not accepted):
        message = f"You are not allowed to use search_engine={engine}. Please use search_engine=v3."
        raise bad_request(message, "invalid_query_string")
    if len(call.query.get("q", "")) > state.switches.query_limit:
        raise refused(414, "The query is too long")
    _matcher(state, call)


def search(state: TenantState, call: Call) -> Reply:
    """Search users, in pages of 50, as an array or in the totals envelope."""
    start, count = page_of(state, call)
    test, order = _matcher(state, call), _sort_key(call)
    if test is not None or order is not None or state.history.stale(call.now):
        seen = (profile.document() for profile in state.history.seen(state.users.all(), call.now))
        found: Iterable[Document] = seen if test is None else filter(test, seen)
        if order is not None:
            found = sorted(found, key=order[0], reverse=order[1])
        # Only the page is kept of what is found, for the same reason as below.
        total, part = 0, []
        for total, document in enumerate(found, 1):
            if start < total <= start + count:
                part.append(document)
    else:
        # Without a query, only the page is read: a store may hold a million users.
        total = len(state.users)
        part = [profile.document() for profile in state.users.slice(start, count)]
    users = shown(call, part)
    envelope = {"start": start, "limit": count, "length": len(users), "users": users, "total": total}
    return array_or_envelope(call, users, envelope)


def by_email(state: TenantState, call: Call) -> Reply:
    """Find the users with exactly this email."""
    users = state.users.with_email(call.query["email"])
    return Reply(200, to_json(shown(call, [profile.document() for profile in users])))


def _matcher(state: TenantState, call: Call) -> Callable[[Document], bool] | None:
    return matcher(call.query["q"], switches=state.switches) if "q" in call.query else None


def _sort_key(call: Call) -> tuple[Callable[[Document], Any], bool] | None:
    """Return (key, descending) for `sort=field:1|-1` on a root attribute; None without one.

    Documented: metadata can't be sorted by.  The wording of these refusals is a guess.
    """
    text = call.query.get("sort")
    if text is None:
        return None
    name, _, direction = text.rpartition(":")
    if direction not in ("1", "-1") or not re.fullmatch(r"\w+", name):
        raise query_error(f"String does not match pattern ^{_SORT_PATTERN}$: {text}", "sort", _SORT)
    if name in BAGS:
        raise query_error("Sorting by metadata is not supported", "sort", _SORT)

    def key(document: Document) -> tuple[int, float, str]:
        value = document.get(name)
        if value is None:
            return 2, 0.0, ""
        return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value).casefold())

    return key, direction == "-1"


_ONE, _ALL = "/api/v2/users/{id}", "/api/v2/users"
_SEARCH = {
    **PAGES,
    "sort": TEXT,
    "q": TEXT,
    "search_engine": Field(one_of=("v1", "v2", "v3"), about="The version of the search engine"),
    "primary_order": Field(type="boolean", about="true or false"),
}
# The scopes of create, delete, search and by-email are from the published reference; those of get and update are
# from recorded refusals.
ROUTES = (
    recorded(
        "POST",
        _ALL,
        create,
        group="write_users",
        scopes="create:users",
        body=CREATE,
        check=check_new,
        latency=(0.334, 0.600),
    ),
    Route(
        "GET",
        _ALL,
        search,
        group="read_users",
        scopes="read:users read:user_idp_tokens",
        query=_SEARCH,
        check=check_search,
        latency=(0.244, 0.331),
        evidence="recorded; search documented",
    ),
    recorded(
        "GET",
        _ONE,
        get,
        group="read_users",
        scopes="read:users read:current_user read:user_idp_tokens",
        query=FIELDS,
        check=check_owner,
        latency=(0.143, 0.360),
    ),
    recorded(
        "PATCH",
        _ONE,
        update,
        group="write_users",
        scopes="update:users update:users_app_metadata update:current_user_metadata",
        body=PATCH,
        check=check_fields,
        latency=(0.125, 0.171),
    ),
    recorded("DELETE", _ONE, delete, group="write_users", scopes="delete:users", latency=(0.246, 0.432)),
    recorded(
        "GET",
        "/api/v2/users-by-email",
        by_email,
        group="read_users",
        scopes="read:users",
        query={"email": required_parameter("Email address to search for"), **FIELDS},
    ),
)
