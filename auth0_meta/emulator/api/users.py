"""Answer the users endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.api import connections, query
from auth0_meta.emulator.api.lookup import found, remove, stored, user_id_of
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, bad_request, not_served, problem, query_error
from auth0_meta.emulator.http.message import Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.schema import (
    check_create,
    check_fields,
    check_owner,
    check_patch,
    parse_object,
)
from auth0_meta.emulator.rules.search import matcher

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App
    from auth0_meta.emulator.rules.profile import Profile


def create(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/users: 201, or 409 for an id, e-mail or username that is taken."""
    body = _body(app, call)
    check_create(body, switches=app.switches)
    connection = connections.named(app, body["connection"])
    if not connection.takes_users:
        # The text is documented, its errorCode is not sourced.
        message = (
            "Connection does not support user creation through the API. It must either be a database or "
            "passwordless connection."
        )
        raise bad_request(message, "operation_not_supported")
    app.run_hooks(call)
    with app.store.lock:
        user_id = f"{connection.strategy}|{body.get('user_id') or app.new_object_id()}"
        profile = profiles.created(body, user_id=user_id, now_ms=app.milliseconds(), switches=app.switches)
        if app.store.get(user_id) is not None or taken(app, profile):
            raise Refusal(409, problem(409, "The user already exists.", "auth0_idp_error"))
        reply = stored(app, call, profile, before=None)
        _keep_password(app, user_id, body)
        return reply


def get(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}; strongly consistent."""
    user_id = user_id_of(call)
    pick = query.projection(call.request.query)
    if call.grant is not None:
        check_owner(call.grant, user_id)
    app.run_hooks(call)
    document = found(app, user_id).document()
    return Reply(200, to_json(pick(document) if pick else document))


def update(app: App, call: Call) -> Reply:
    """Answer PATCH /api/v2/users/{id}: the whole profile, whatever `fields` asks for (recorded)."""
    user_id = user_id_of(call)
    body = _body(app, call)
    check_patch(body, switches=app.switches)
    if call.grant is not None:
        check_fields(call.grant, user_id, body)
    app.run_hooks(call)
    with app.store.lock:
        before = found(app, user_id)
        connections.check_root_attributes(app, before, body)
        after = profiles.patched(before, body, now_ms=app.milliseconds(), switches=app.switches)
        if ("email" in body or "username" in body) and taken(app, after):
            # Documented: this endpoint has no 409.  The wording is not sourced.
            raise bad_request("The specified new email or username already exists", "auth0_idp_error")
        reply = stored(app, call, after, before=before)
        _keep_password(app, user_id, body)
        return reply


def delete(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}: 204, also for a user who is gone (recorded)."""
    user_id = user_id_of(call)
    app.run_hooks(call)
    with app.store.lock:
        before = app.store.get(user_id)
        if before is not None:
            remove(app, call, before)
    return Reply(204, committed=before is not None)


def search(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users: pages of 50, an array or the totals envelope."""
    asked = call.request.query
    page, per_page = query.page_of(asked, switches=app.switches)
    totals = query.flag(asked, "include_totals", default=False)
    pick, order = query.projection(asked), query.sort_key(asked)
    query.check_engine(asked, switches=app.switches)
    test = matcher(asked["q"], switches=app.switches) if "q" in asked else None
    app.run_hooks(call)
    start = page * per_page
    if test is not None or order is not None or app.history.stale(call.now):
        found = [profile.document() for profile in app.history.seen(app.store.all(), call.now)]
        if test is not None:
            found = list(filter(test, found))
        if order is not None:
            found.sort(key=order[0], reverse=order[1])
        total, shown = len(found), found[start : start + per_page]
    else:
        total, shown = len(app.store), [profile.document() for profile in app.store.slice(start, per_page)]
    users = [pick(document) for document in shown] if pick else shown
    if not totals:
        return Reply(200, to_json(users))
    envelope = {"start": start, "limit": per_page, "length": len(users), "users": users, "total": total}
    return Reply(200, to_json(envelope))


def by_email(app: App, call: Call) -> Reply:
    """Answer GET /api/v2/users-by-email: an array, empty where nobody has exactly this address."""
    asked = call.request.query
    if not asked.get("email"):
        raise query_error("Missing required property: email", "email", "Email address to search for")
    pick = query.projection(asked)
    app.run_hooks(call)
    found = [profile.document() for profile in app.store.with_email(asked["email"])]
    return Reply(200, to_json([pick(document) for document in found] if pick else found))


def taken(app: App, profile: Profile) -> bool:
    """Tell whether another user has this e-mail or username on the same connection."""
    email, username = profile.root.get("email"), profile.root.get("username")
    others = [
        *(app.store.with_email(email) if email else ()),
        *(app.store.with_username(username) if username else ()),
    ]
    mine = _connections(profile)
    return any(other.user_id != profile.user_id and mine & _connections(other) for other in others)


def _connections(profile: Profile) -> set[Any]:
    return {identity.get("connection") for identity in profile.root["identities"]}


def _body(app: App, call: Call) -> dict[str, Any]:
    kind = call.request.headers.get("content-type", "application/json")
    if "form-urlencoded" in kind:
        raise not_served("form bodies on the users endpoints")
    body = parse_object(call.request.body, switches=app.switches)
    call.body = body
    return dict(body)


def _keep_password(app: App, user_id: str, body: dict[str, Any]) -> None:
    if isinstance(body.get("password"), str):
        app.shelf.passwords.put(user_id, body["password"])
