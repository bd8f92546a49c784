"""Answer the database connections' own endpoints: signing up, and asking for a new password."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from auth0_meta.emulator.api.connections import Connection, named
from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.schema import is_email, type_name
from auth0_meta.emulator.state.tenant_state import TenantState

_SENT = b"We've just sent you an email to reset your password."
_NAMES = ("username", "given_name", "family_name", "name", "nickname", "picture")
_MOST, _LONGEST, _LONGEST_NAME = 10, 500, 100


def sign_up(state: TenantState, call: Call) -> Reply:
    """Answer POST /dbconnections/signup: 200 and the new user's `_id` (recorded)."""
    body = _body(call)
    connection = _connection(state, body)
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not is_email(email):
        raise _refused("invalid_signup", "Invalid sign up")
    if not isinstance(password, str) or not password:
        raise _refused("invalid_password", "Password is required")
    given = {name: body[name] for name in _NAMES if isinstance(body.get(name), str) and body[name]}
    bag = _metadata(body.get("user_metadata"))
    call.run_hooks()
    with state.users.lock:
        others = [*state.users.with_email(email.lower())]
        if "username" in given:
            others += state.users.with_username(given["username"])
        if any(
            one.get("connection") == connection.name for user in others for one in user.root["identities"]
        ):
            # Documented: it does not say that somebody has this e-mail.
            raise _refused("invalid_signup", "Invalid sign up")
        local = state.new_object_id()
        root = {**given, **bag, "email": email, "connection": connection.name}
        made = profiles.created(
            root, user_id=f"auth0|{local}", now_ms=state.milliseconds(), switches=state.switches
        )
        state.save(made, before=None, by=call.name)
        state.resources.passwords.put(made.user_id, password)
    shown = {"_id": local, "email_verified": False, "email": made.root["email"], **given, **bag}
    return Reply(200, to_json(shown), committed=True)


def change_password(state: TenantState, call: Call) -> Reply:
    """Answer POST /dbconnections/change_password: 200 and a sentence (recorded), whoever it is; no mail is sent."""
    body = _body(call)
    _connection(state, body)
    if not isinstance(body.get("email"), str) or not body["email"]:
        raise Refusal(400, {"error": "email is required"})
    call.run_hooks()
    return Reply(200, _SENT, content_type="text/html; charset=utf-8")


def _body(call: Call) -> dict[str, Any]:
    """Read the body as form or JSON, as /oauth/token does."""
    text = call.request.body.decode("utf-8", "replace")
    kind = call.request.headers.get("content-type", "application/json")
    try:
        value = dict(parse_qsl(text, keep_blank_values=True)) if "form" in kind else json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _refused("invalid_request", "The body is not a JSON object.")
    call.body = {name: "<masked>" if name == "password" else item for name, item in value.items()}
    return value


def _connection(state: TenantState, body: dict[str, Any]) -> Connection:
    """Return the database that is meant; a strict tenant wants a client that it knows."""
    if state.access.strict and body.get("client_id") not in state.access.applications:
        raise _refused("invalid_request", "Unknown client: the client_id is not registered.")
    name = body.get("connection")
    if not isinstance(name, str) or not name:
        raise Refusal(400, {"error": "connection is required"})
    try:
        connection = named(state, name)
    except Refusal:
        connection = None
    if connection is None or not connection.is_database:
        raise Refusal(400, {"error": "Connection not found."})
    return connection


def _metadata(bag: Any) -> dict[str, Any]:
    """Check user_metadata as documented: at most ten texts of 500 characters; the type's message is reported."""
    if bag is None:
        return {}
    if not isinstance(bag, dict):
        raise _refused("invalid_request", f"invalid user_metadata type ({type_name(bag)})")
    if len(bag) > _MOST:
        raise _refused("invalid_request", f"user_metadata has more than {_MOST} properties")
    for name, value in bag.items():
        if not isinstance(value, str):
            raise _refused("invalid_request", f"invalid user_metadata.{name} type (only strings are allowed)")
        if len(value) > _LONGEST or len(name) >= _LONGEST_NAME:
            raise _refused("invalid_request", f"user_metadata.{name} is too long")
    return {"user_metadata": bag}


def _refused(code: str, description: str) -> Refusal:
    body = {"name": "BadRequestError", "code": code, "description": description, "statusCode": 400}
    return Refusal(400, body)
