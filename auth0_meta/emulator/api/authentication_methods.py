"""Authentication methods and factors of users; logins ask for neither methods nor factors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from auth0_meta.emulator.api.lookup import user_id_in_path
from auth0_meta.emulator.api.paging import array_or_envelope, page_of, shown
from auth0_meta.emulator.api.route import recorded
from auth0_meta.emulator.http.errors import bad_request, refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.schema import FLAG, PAGES, TEXT, Body, Field, array, record
from auth0_meta.emulator.state.tenant_state import TenantState

Method = dict[str, Any]
_PUT_TYPES = ("phone", "email", "totp")
_NAMED = {"name": TEXT, "preferred_authentication_method": Field(one_of=("sms", "voice"))}
_PUT = {**_NAMED, **dict.fromkeys(("totp_secret", "phone_number", "email"), TEXT)}
_POST = {
    **_PUT,
    "type": Field(one_of=("phone", "email", "totp", "webauthn-roaming", "passkey")),
    **dict.fromkeys(("key_id", "public_key", "aaguid", "relying_party_identifier"), TEXT),
    **dict.fromkeys(("credential_device_type", "identity_user_id", "user_agent", "user_handle"), TEXT),
    "credential_backed_up": FLAG,
    "transports": array(TEXT),
}
_UNMASKED = 4
_FACTORS = ("duo", "google-authenticator")


def list_methods(state: TenantState, call: Call) -> Reply:
    """List the authentication methods of a user; an empty envelope has no `total`."""
    stored = list(state.resources.methods.get(user_id_in_path(state, call), {}).values())
    start, count = page_of(state, call)
    part = shown(call, [_confirmed(method) for method in stored[start : start + count]])
    total = {"total": len(stored)} if stored else {}
    return array_or_envelope(call, part, {"authenticators": part, **total, "start": start, "limit": count})


def add(state: TenantState, call: Call) -> Reply:
    """Add an authentication method; the response masks its address or number."""
    with state.resources.lock:
        user_id = user_id_in_path(state, call)
        method = _new_method(state, call, call.body)
        known = state.resources.methods.get(user_id, {})
        state.resources.methods[user_id] = {**known, method["id"]: method}
    return Reply(201, to_json(_masked(method)), committed=True)


def replace(state: TenantState, call: Call) -> Reply:
    """Replace all authentication methods of a user; the response shows them as they were sent."""
    with state.resources.lock:
        user_id = user_id_in_path(state, call)
        made = [_new_method(state, call, method) for method in call.body]
        state.resources.methods[user_id] = {method["id"]: method for method in made}
    return Reply(200, to_json(made), committed=True)


def remove_all(state: TenantState, call: Call) -> Reply:
    """Delete all authentication methods of a user."""
    with state.resources.lock:
        gone = state.resources.methods.pop(user_id_in_path(state, call), None)
    return Reply(204, committed=bool(gone))


def get(state: TenantState, call: Call) -> Reply:
    """Get an authentication method."""
    return Reply(200, to_json(_confirmed(_get_or_404(state, call))))


def update(state: TenantState, call: Call) -> Reply:
    """Update an authentication method; the response shows all of it."""
    with state.resources.lock:
        before = _get_or_404(state, call)
        method = {**before, **_stored(before["id"], before["type"], call.body)}
        known = state.resources.methods[call.params["id"]]
        state.resources.methods[call.params["id"]] = {**known, before["id"]: method}
    return Reply(200, to_json(_masked(method)), committed=True)


def remove(state: TenantState, call: Call) -> Reply:
    """Delete an authentication method; 404 if it does not exist, as for GET (open)."""
    with state.resources.lock:
        gone = _get_or_404(state, call)
        known = state.resources.methods[call.params["id"]]
        rest = {key: method for key, method in known.items() if key != gone["id"]}
        state.resources.methods[call.params["id"]] = rest
    return Reply(204, committed=True)


def _get_or_404(state: TenantState, call: Call) -> Method:
    """Return the method that the path names, or refuse with 404; the wording is a guess."""
    methods = state.resources.methods.get(user_id_in_path(state, call), {})
    method: Method | None = methods.get(call.params["method_id"])
    if method is None:
        raise refused(404, "The authentication method does not exist.")
    return method


def _new_method(state: TenantState, call: Call, body: Mapping[str, Any]) -> Method:
    """Return a new method; its id reveals its type (recorded)."""
    key, kind = state.new_id(f"{body['type']}|dev_"), body["type"]
    return {"id": key, "type": kind, **_stored(key, kind, body), "created_at": iso(int(call.now * 1000))}


def _stored(key: str, kind: str, body: Mapping[str, Any]) -> Method:
    """Return what is stored of a body: no response shows a secret, and a phone lists its channel (recorded)."""
    stored = copy.deepcopy({name: value for name, value in body.items() if name != "totp_secret"})
    channel = body.get("preferred_authentication_method")
    if kind == "phone" and channel is not None:
        stored["authentication_methods"] = [{"type": channel, "id": f"{channel}|{key.partition('|')[2]}"}]
    return stored


def _confirmed(method: Method) -> Method:
    """Return a method as GET shows it: always confirmed, because the emulator asks no user to confirm."""
    return {**_masked(method), "confirmed": True}


def _masked(method: Method) -> Method:
    """Return a method with its address or number masked (recorded)."""
    masked = dict(method)
    if "email" in masked:
        local, at, domain = masked["email"].rpartition("@")
        masked["email"] = f"{_starred(local)}{at}{_starred(domain)}"
    if "phone_number" in masked:
        number = masked["phone_number"]
        masked["phone_number"] = "X" * len(number[:-_UNMASKED]) + number[-_UNMASKED:]
    return masked


def _starred(text: str) -> str:
    return text[:_UNMASKED] + "*" * len(text[_UNMASKED:]) if len(text) > _UNMASKED else "*" * _UNMASKED


# Factors -------------------------------------------------------------------------------------


def enrollments(state: TenantState, call: Call) -> Reply:
    """List the factors that a user has enrolled: always none."""
    user_id_in_path(state, call)
    return Reply(200, b"[]")


def remove_provider(state: TenantState, call: Call) -> Reply:
    """Delete a factor of a user; there are none, so nothing changes."""
    provider = call.params["provider"]
    if provider not in _FACTORS:
        where = "on property provider (The multi-factor provider)"
        raise bad_request(f"Path validation error: 'No enum match for: {provider}' {where}.", "invalid_uri")
    user_id_in_path(state, call)
    return Reply(204)


def forget_browsers(state: TenantState, call: Call) -> Reply:
    """Forget the browsers that a user asked Auth0 to remember."""
    user_id_in_path(state, call)
    return Reply(204)


_USER = "/api/v2/users/{id}"
_ALL = f"{_USER}/authentication-methods"
_ONE = f"{_ALL}/{{method_id}}"
_READ = "read:authentication_methods read:users"
_CREATE, _UPDATE, _DELETE = (f"{verb}:authentication_methods" for verb in ("create", "update", "delete"))
ROUTES = (
    recorded("GET", _ALL, list_methods, scopes=_READ, query=PAGES),
    recorded("POST", _ALL, add, scopes=_CREATE, body=Body(record("type", **_POST))),
    recorded(
        "PUT",
        _ALL,
        replace,
        scopes=_UPDATE,
        body=Body(array(record("type", type=Field(one_of=_PUT_TYPES), **_PUT))),
    ),
    recorded("DELETE", _ALL, remove_all, scopes=_DELETE),
    recorded("GET", _ONE, get, scopes=_READ),
    recorded("PATCH", _ONE, update, scopes=_UPDATE, body=Body(record(**_NAMED))),
    recorded("DELETE", _ONE, remove, scopes=_DELETE),
    recorded("GET", f"{_USER}/enrollments", enrollments, scopes="read:users"),
    recorded("DELETE", f"{_USER}/multifactor/{{provider}}", remove_provider, scopes="update:users"),
    recorded(
        "POST",
        f"{_USER}/multifactor/actions/invalidate-remember-browser",
        forget_browsers,
        scopes="update:users",
    ),
)
