"""Answer the users endpoints."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api import connections, query
from auth0_meta.emulator.api.lookup import found, user_id_of
from auth0_meta.emulator.http.errors import Refusal, bad_request, not_served, problem, query_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import (
    check_create,
    check_fields,
    check_owner,
    check_patch,
    parse_object,
)
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.state.tenant_state import TenantState


def create(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users: 201, or 409 for an id, e-mail or username that is taken."""
    body = _body(state, call)
    check_create(body, switches=state.switches)
    connection = connections.named(state, body["connection"])
    if not connection.takes_users:
        # The text is documented, its errorCode is not sourced.
        message = (
            "Connection does not support user creation through the API. It must either be a database or "
            "passwordless connection."
        )
        raise bad_request(message, "operation_not_supported")
    call.run_hooks()
    with state.users.lock:
        user_id = f"{connection.strategy}|{body.get('user_id') or state.new_object_id()}"
        profile = profiles.created(
            body, user_id=user_id, now_ms=state.milliseconds(), switches=state.switches
        )
        if state.users.get(user_id) is not None or taken(state, profile):
            raise Refusal(409, problem(409, "The user already exists.", "auth0_idp_error"))
        shown = state.save(profile, before=None, by=call.name)
        _keep_password(state, user_id, body)
    return Reply(201, shown, committed=True)


def get(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}; strongly consistent."""
    user_id = user_id_of(call)
    pick = query.projection(call.request.query)
    if call.grant is not None:
        check_owner(call.grant, user_id)
    call.run_hooks()
    document = found(state, user_id).document()
    return Reply(200, to_json(pick(document) if pick else document))


def update(state: TenantState, call: Call) -> Reply:
    """Answer PATCH /api/v2/users/{id}: the whole profile, whatever `fields` asks for (recorded)."""
    user_id = user_id_of(call)
    body = _body(state, call)
    check_patch(body, switches=state.switches)
    if call.grant is not None:
        check_fields(call.grant, user_id, body)
    call.run_hooks()
    with state.users.lock:
        before = found(state, user_id)
        connections.check_root_attributes(state, before, body)
        after = profiles.patched(before, body, now_ms=state.milliseconds(), switches=state.switches)
        if ("email" in body or "username" in body) and taken(state, after):
            # Documented: this endpoint has no 409.  The wording is not sourced.
            raise bad_request("The specified new email or username already exists", "auth0_idp_error")
        shown = state.save(after, before=before, by=call.name)
        _keep_password(state, user_id, body)
    return Reply(200, shown, committed=True)


def delete(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}: 204, also for a user who is gone (recorded)."""
    user_id = user_id_of(call)
    call.run_hooks()
    with state.users.lock:
        before = state.users.get(user_id)
        if before is not None:
            state.remove_user(before, by=call.name)
    return Reply(204, committed=before is not None)


def search(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users: pages of 50, an array or the totals envelope."""
    asked = call.request.query
    page, per_page = query.page_of(asked, switches=state.switches)
    totals = query.flag(asked, "include_totals", default=False)
    pick, order = query.projection(asked), query.sort_key(asked)
    query.check_engine(asked, switches=state.switches)
    test = matcher(asked["q"], switches=state.switches) if "q" in asked else None
    call.run_hooks()
    start = page * per_page
    if test is not None or order is not None or state.history.stale(call.now):
        found = [profile.document() for profile in state.history.seen(state.users.all(), call.now)]
        if test is not None:
            found = list(filter(test, found))
        if order is not None:
            found.sort(key=order[0], reverse=order[1])
        total, shown = len(found), found[start : start + per_page]
    else:
        total, shown = (
            len(state.users),
            [profile.document() for profile in state.users.slice(start, per_page)],
        )
    users = [pick(document) for document in shown] if pick else shown
    if not totals:
        return Reply(200, to_json(users))
    envelope = {"start": start, "limit": per_page, "length": len(users), "users": users, "total": total}
    return Reply(200, to_json(envelope))


def by_email(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users-by-email: an array, empty where nobody has exactly this address."""
    asked = call.request.query
    if not asked.get("email"):
        raise query_error("Missing required property: email", "email", "Email address to search for")
    pick = query.projection(asked)
    call.run_hooks()
    found = [profile.document() for profile in state.users.with_email(asked["email"])]
    return Reply(200, to_json([pick(document) for document in found] if pick else found))


def taken(state: TenantState, profile: Profile) -> bool:
    """Tell whether another user has this e-mail or username on the same connection."""
    email, username = profile.root.get("email"), profile.root.get("username")
    others = [
        *(state.users.with_email(email) if email else ()),
        *(state.users.with_username(username) if username else ()),
    ]
    mine = _connections(profile)
    return any(other.user_id != profile.user_id and mine & _connections(other) for other in others)


def _connections(profile: Profile) -> set[Any]:
    return {identity.get("connection") for identity in profile.root["identities"]}


def _body(state: TenantState, call: Call) -> dict[str, Any]:
    kind = call.request.headers.get("content-type", "application/json")
    if "form-urlencoded" in kind:
        raise not_served("form bodies on the users endpoints")
    body = parse_object(call.request.body, switches=state.switches)
    call.body = body
    return dict(body)


def _keep_password(state: TenantState, user_id: str, body: dict[str, Any]) -> None:
    if isinstance(body.get("password"), str):
        state.resources.passwords.put(user_id, body["password"])
