"""The endpoints of database connections: signing up, and asking for a new password."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from auth0_meta.emulator.api.connections import Connection, connection_named
from auth0_meta.emulator.api.logs import asked_for_password, signed_up
from auth0_meta.emulator.api.lookup import is_in
from auth0_meta.emulator.api.route import Route, recorded
from auth0_meta.emulator.auth.forms import FormBody, open_record
from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.passwords import weakness
from auth0_meta.emulator.rules.profile import ProfileTooLarge
from auth0_meta.emulator.rules.schema import OBJECT, TEXT, Field, is_email, type_name
from auth0_meta.emulator.state.tenant_state import TenantState

_SENT = b"We've just sent you an email to reset your password."
_NAMES = ("username", "given_name", "family_name", "name", "nickname", "picture")
_MAX_KEYS, _MAX_VALUE, _MAX_NAME = 10, 500, 100


def check_sign_up(state: TenantState, call: Call) -> None:
    """Refuse a sign-up without a database, an email or a password, or with metadata over its limits."""
    body, connection = call.body, _connection(state, call.body)
    if not isinstance(body.get("email"), str) or not is_email(body["email"]):
        raise _refused("invalid_signup", "Invalid sign up")
    if not isinstance(body.get("password"), str) or not body["password"]:
        raise _refused("invalid_password", "Password is required")
    weak = weakness(body["password"], connection.options)
    if weak is not None:
        about = {
            "name": "PasswordStrengthError",
            "message": "Password is too weak",
            "code": "invalid_password",
        }
        raise Refusal(400, {**about, **weak, "statusCode": 400})
    _metadata(body.get("user_metadata"))


def sign_up(state: TenantState, call: Call) -> Reply:
    """Sign up a user in a database; the response has the new user's `_id`."""
    body, connection = call.body, _connection(state, call.body)
    attributes = {name: body[name] for name in _NAMES if isinstance(body.get(name), str) and body[name]}
    attributes |= _metadata(body.get("user_metadata"))
    with state.users.lock:
        others = [*state.users.with_email(body["email"].lower())]
        if "username" in attributes:
            others += state.users.with_username(attributes["username"])
        if any(is_in(user, connection.name) for user in others):
            # Documented: the response does not reveal that a user has this email.
            raise _refused("invalid_signup", "Invalid sign up")
        local = state.new_object_id()
        root = {**attributes, "email": body["email"], "connection": connection.name}
        made = profiles.created(
            root, user_id=f"auth0|{local}", now_ms=state.milliseconds(), switches=state.switches
        )
        try:
            state.save(made, before=None, by=call.name, call=call, client_id=str(body.get("client_id") or ""))
        except ProfileTooLarge as error:
            raise _refused("invalid_signup", error.message) from None
        state.resources.set_password(made.user_id, body["password"])
    shown = {"_id": local, "email_verified": False, "email": made.root["email"], **attributes}
    return Reply(200, to_json(shown), committed=True)


def check_change(state: TenantState, call: Call) -> None:
    """Refuse a request without a database or an email."""
    _connection(state, call.body)
    if not isinstance(call.body.get("email"), str) or not call.body["email"]:
        raise Refusal(400, {"error": "email is required"})


def change_password(state: TenantState, call: Call) -> Reply:
    """Request a new password; the response is the same whether or not the user exists, and no email is sent."""
    return Reply(200, _SENT, content_type="text/html; charset=utf-8")


def _connection(state: TenantState, body: dict[str, Any]) -> Connection:
    """Return the database that the body names; a strict tenant also requires a registered client."""
    if state.access.strict and state.application(str(body.get("client_id"))) is None:
        raise _refused("invalid_request", "Unknown client: the client_id is not registered.")
    name = body.get("connection")
    if not isinstance(name, str) or not name:
        raise Refusal(400, {"error": "connection is required"})
    with suppress(Refusal):
        connection = connection_named(state, name)
        if connection.is_database:
            return connection
    raise Refusal(400, {"error": "Connection not found."})


def _metadata(bag: Any) -> dict[str, Any]:
    """Check user_metadata as documented: at most ten strings of at most 500 characters; the type's message is reported."""
    if bag is None:
        return {}
    if not isinstance(bag, dict):
        raise _refused("invalid_request", f"invalid user_metadata type ({type_name(bag)})")
    if len(bag) > _MAX_KEYS:
        raise _refused("invalid_request", f"user_metadata has more than {_MAX_KEYS} properties")
    for name, value in bag.items():
        if not isinstance(value, str):
            raise _refused("invalid_request", f"invalid user_metadata.{name} type (only strings are allowed)")
        if len(value) > _MAX_VALUE or len(name) >= _MAX_NAME:
            raise _refused("invalid_request", f"user_metadata.{name} is too long")
    return {"user_metadata": bag}


def _refused(code: str, description: str) -> Refusal:
    body = {"name": "BadRequestError", "code": code, "description": description, "statusCode": 400}
    return Refusal(400, body)


_SHARED = dict.fromkeys(("client_id", "email", "connection", "password"), TEXT)


def _form(*required: str, **properties: Field) -> FormBody:
    field = open_record(*required, **_SHARED, **properties)
    refuse = partial(_refused, "invalid_request", "The body is not a JSON object.")
    return FormBody(field, "application/json", refuse)


ROUTES = (
    Route(
        "POST",
        "/dbconnections/signup",
        sign_up,
        group="signup",
        log=signed_up,
        body=_form("email", "password", "connection", user_metadata=OBJECT, **dict.fromkeys(_NAMES, TEXT)),
        check=check_sign_up,
        evidence="recorded; refusals documented",
    ),
    recorded(
        "POST",
        "/dbconnections/change_password",
        change_password,
        group="change_password",
        log=asked_for_password,
        body=_form("email", "connection"),
        check=check_change,
    ),
)
