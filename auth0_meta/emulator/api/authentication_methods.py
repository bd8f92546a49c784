"""Answer the authentication methods of users: kept as they are written, asked for in no login."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from auth0_meta.emulator.api import query
from auth0_meta.emulator.api.lookup import found, known, plain_body, typed, user_id_of
from auth0_meta.emulator.http.errors import Refusal, payload_error, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules.schema import parse_array, type_name
from auth0_meta.emulator.state.tenant_state import TenantState

Method = dict[str, Any]
_KINDS = ("phone", "email", "totp", "webauthn-roaming", "passkey")
_PUT_KINDS = ("phone", "email", "totp")
_TEXT = ("type", "name", "totp_secret", "phone_number", "email", "preferred_authentication_method")
_PUT: dict[str, str] = dict.fromkeys(_TEXT, "string")
_POST: dict[str, str] = {
    **_PUT,
    **dict.fromkeys(("key_id", "public_key", "aaguid", "relying_party_identifier"), "string"),
    **dict.fromkeys(("credential_device_type", "identity_user_id", "user_agent", "user_handle"), "string"),
    "credential_backed_up": "boolean",
    "transports": "array",
}
_PATCH: dict[str, str] = dict.fromkeys(("name", "preferred_authentication_method"), "string")
_ROUTES = ("sms", "voice")
_SHOWN = 4


def list_(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/authentication-methods: an array or the totals envelope.

    The envelope of none has no total either (recorded).
    """
    page, per_page = query.page_of(call.request.query, switches=state.switches)
    totals = query.flag(call.request.query, "include_totals", default=False)
    kept = list(state.resources.methods.get(known(state, call).user_id, {}).values())
    start = page * per_page
    shown = [_confirmed(method) for method in kept[start : start + per_page]]
    if not totals:
        return Reply(200, to_json(shown))
    count = {"total": len(kept)} if kept else {}
    return Reply(200, to_json({"authenticators": shown, **count, "start": start, "limit": per_page}))


def add(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/authentication-methods: 201, address and number masked (recorded)."""
    user_id = user_id_of(call)
    body = plain_body(state, call, _POST, "type")
    _check(body, _KINDS)
    call.run_hooks()
    with state.resources.lock:
        found(state, user_id)
        method = _made(state, call, body)
        state.resources.methods.setdefault(user_id, {})[method["id"]] = method
    return Reply(201, to_json(_masked(method)), committed=True)


def replace(state: TenantState, call: Call) -> Reply:
    """Answer PUT /api/v2/users/{id}/authentication-methods: 200 and all as they were sent (recorded)."""
    user_id = user_id_of(call)
    bodies = parse_array(call.request.body, switches=state.switches)
    call.body = bodies
    for body in bodies:
        if not isinstance(body, dict):
            raise payload_error(f"Expected type object but found type {type_name(body)}")
        typed(body, _PUT, "type")
        _check(body, _PUT_KINDS)
    call.run_hooks()
    with state.resources.lock:
        found(state, user_id)
        made = [_made(state, call, body) for body in bodies]
        state.resources.methods[user_id] = {method["id"]: method for method in made}
    return Reply(200, to_json(made), committed=True)


def remove_all(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/authentication-methods: 204 (recorded)."""
    gone = state.resources.methods.pop(known(state, call).user_id, None)
    return Reply(204, committed=bool(gone))


def one(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/authentication-methods/{method_id}: 200 (recorded)."""
    return Reply(200, to_json(_confirmed(_found(state, known(state, call).user_id, call))))


def change(state: TenantState, call: Call) -> Reply:
    """Answer PATCH /api/v2/users/{id}/authentication-methods/{method_id}: 200 and the whole (recorded)."""
    user_id = user_id_of(call)
    body = plain_body(state, call, _PATCH)
    _check_preference(body)
    call.run_hooks()
    with state.resources.lock:
        found(state, user_id)
        before = _found(state, user_id, call)
        method = {**before, **_stored(before["id"], before["type"], body)}
        state.resources.methods[user_id][before["id"]] = method
    return Reply(200, to_json(_masked(method)), committed=True)


def remove(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/authentication-methods/{method_id}: 204 (recorded).

    Open: one that is not there; here it is 404 as it is for GET.
    """
    user_id = known(state, call).user_id
    with state.resources.lock:
        gone = _found(state, user_id, call)
        del state.resources.methods[user_id][gone["id"]]
    return Reply(204, committed=True)


def _found(state: TenantState, user_id: str, call: Call) -> Method:
    """Return the one that the path names, or refuse; the text is not sourced."""
    method = state.resources.methods.get(user_id, {}).get(call.params["method_id"])
    if method is None:
        raise Refusal(404, problem(404, "The authentication method does not exist."))
    return method


def _check(body: Method, kinds: tuple[str, ...]) -> None:
    if body["type"] not in kinds:
        raise payload_error(f"No enum match for: {body['type']}", "type")
    for value in body.get("transports", ()):
        if not isinstance(value, str):
            raise payload_error(f"Expected type string but found type {type_name(value)}", "transports")
    _check_preference(body)


def _check_preference(body: Method) -> None:
    name = "preferred_authentication_method"
    if name in body and body[name] not in _ROUTES:
        raise payload_error(f"No enum match for: {body[name]}", name)


def _made(state: TenantState, call: Call, body: Mapping[str, Any]) -> Method:
    """Return a new method; its id tells its type (recorded)."""
    key, kind = state.new_id(f"{body['type']}|dev_"), body["type"]
    return {"id": key, "type": kind, **_stored(key, kind, body), "created_at": iso(int(call.now * 1000))}


def _stored(key: str, kind: str, body: Mapping[str, Any]) -> Method:
    """Return what is kept of a body: a secret is shown nowhere, a phone says by which way (recorded)."""
    kept = copy.deepcopy({name: value for name, value in body.items() if name != "totp_secret"})
    way = body.get("preferred_authentication_method")
    if kind == "phone" and way is not None:
        kept["authentication_methods"] = [{"type": way, "id": f"{way}|{key.partition('|')[2]}"}]
    return kept


def _confirmed(method: Method) -> Method:
    """Return a method as GET shows it: confirmed, since nothing here has anybody confirm."""
    return {**_masked(method), "confirmed": True}


def _masked(method: Method) -> Method:
    """Return a method without its whole address or number (recorded)."""
    shown = dict(method)
    if "email" in shown:
        local, at, domain = shown["email"].rpartition("@")
        shown["email"] = f"{_starred(local)}{at}{_starred(domain)}"
    if "phone_number" in shown:
        number = shown["phone_number"]
        shown["phone_number"] = "X" * len(number[:-_SHOWN]) + number[-_SHOWN:]
    return shown


def _starred(text: str) -> str:
    return text[:_SHOWN] + "*" * len(text[_SHOWN:]) if len(text) > _SHOWN else "*" * _SHOWN
