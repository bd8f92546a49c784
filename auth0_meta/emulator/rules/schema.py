"""Check request bodies and ids as Auth0's schemas do; nothing here reads or changes a user."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from auth0_meta.emulator.http.errors import Refusal, bad_request, forbidden, payload_error, problem
from auth0_meta.emulator.http.message import Grant
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.rules.switches import Switches

FORBIDDEN_NAMES = frozenset(
    (
        *(
            "__tenant",
            "_id",
            "blocked",
            "clientID",
            "created_at",
            "email_verified",
            "email",
            "globalClientID",
        ),
        *("global_client_id", "identities", "lastIP", "lastLogin", "loginsCount", "metadata"),
        *("multifactor_last_modified", "multifactor", "updated_at", "user_id"),
    )
)
"""The names that app_metadata must not have at its first level (documented, complete in 2026)."""

_READ_ANYBODY = ("read:users", "read:user_idp_tokens")
_NOT_OWN = "User to be acted on does not match subject in bearer token."


@attrs.frozen
class _Rule:
    """Say what one root attribute may be; `nullable` holds for PATCH only."""

    type: str = "string"
    nullable: bool = False
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    email: bool = False
    on_create: bool = True
    on_patch: bool = True


_ROOT: dict[str, _Rule] = {
    "app_metadata": _Rule("object"),
    "user_metadata": _Rule("object"),
    "blocked": _Rule("boolean"),
    "email": _Rule(nullable=True, email=True),
    "email_verified": _Rule("boolean"),
    "family_name": _Rule(nullable=True, shortest=1, longest=150),
    "given_name": _Rule(nullable=True, shortest=1, longest=150),
    "name": _Rule(nullable=True, shortest=1, longest=300),
    "nickname": _Rule(nullable=True, shortest=1, longest=300),
    "picture": _Rule(nullable=True),
    "password": _Rule(nullable=True, shortest=1),
    "phone_number": _Rule(nullable=True, pattern=r"\+[0-9]{1,15}"),
    "phone_verified": _Rule("boolean"),
    "username": _Rule(nullable=True, shortest=1, longest=128),
    "verify_email": _Rule("boolean"),
    "connection": _Rule(shortest=1),
    "verify_phone_number": _Rule("boolean", on_create=False),
    "client_id": _Rule(on_create=False),
    "user_id": _Rule(longest=255, pattern=r"\S*", on_patch=False),
}
_CREATE = {name: rule for name, rule in _ROOT.items() if rule.on_create}
_PATCH = {name: rule for name, rule in _ROOT.items() if rule.on_patch}
# One PATCH may not carry both (documented); the wording of the 400 is not sourced.
_FORBIDDEN_PAIRS = (
    ("password", "email"),
    ("password", "email_verified"),
    ("username", "email"),
    ("username", "email_verified"),
    ("username", "password"),
)
_HINT = (
    ' (consider storing them in app_metadata or user_metadata. See "Users Metadata" in '
    "https://auth0.com/docs/api/v2/changes for more details)"
)
_TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def parse_object(raw: bytes, *, switches: Switches) -> dict[str, Any]:
    """Parse a body that must be a JSON object, or refuse."""
    value = _parsed(raw, switches)
    if not isinstance(value, dict):
        raise payload_error(f"Expected type object but found type {type_name(value)}")
    return value


def parse_array(raw: bytes, *, switches: Switches) -> list[Any]:
    """Parse a body that must be a JSON array, or refuse."""
    value = _parsed(raw, switches)
    if not isinstance(value, list):
        raise payload_error(f"Expected type array but found type {type_name(value)}")
    return value


def _parsed(raw: bytes, switches: Switches) -> Any:
    """Parse a body, None where there is none, or refuse what is too long or no JSON."""
    if len(raw) > switches.body_limit:
        status = switches.oversize_body_status
        message = f"Payload content length greater than maximum allowed: {switches.body_limit}"
        raise Refusal(status, problem(status, message))
    try:
        return _decode(raw.decode("utf-8")) if raw else None
    except (ValueError, RecursionError):
        # UnicodeDecodeError, JSONDecodeError and NaN are ValueErrors.  The wording is not sourced.
        raise bad_request("Invalid request payload JSON format", None) from None


def check_user_id(user_id: str) -> None:
    """Refuse what is no user id: `provider|id` without whitespace."""
    if "|" not in user_id or re.search(r"\s", user_id):
        raise bad_request(f"Object didn't pass validation for format user-id: {user_id}", "invalid_uri")


def check_create(body: dict[str, Any], *, switches: Switches) -> None:
    """Refuse a POST /users body that Auth0 would not take."""
    _check_root(body, _CREATE, switches, nullable=False)
    if "connection" not in body:
        raise payload_error("Missing required property: connection")
    _check_bags(body, switches)


def check_patch(body: dict[str, Any], *, switches: Switches) -> None:
    """Refuse a PATCH /users/{id} body that Auth0 would not take.

    >>> check_patch({"app_metadata": {"plan": "pro"}}, switches=Switches())
    """
    if not body and switches.empty_patch == "reject":
        raise payload_error("Too few properties defined (0), minimum 1")
    _check_root(body, _PATCH, switches, nullable=True)
    for one, other in _FORBIDDEN_PAIRS:
        if one in body and other in body:
            raise bad_request(f"Cannot update {one} and {other} simultaneously")
    _check_bags(body, switches)


def check_fields(grant: Grant, user_id: str, body: dict[str, Any]) -> None:
    """Refuse with 403 what the token's narrower scopes do not let it change."""
    scopes = grant.scopes
    if scopes is None or "update:users" in scopes:
        return
    own = "update:current_user_metadata" in scopes
    allowed = {"app_metadata"} if "update:users_app_metadata" in scopes else set()
    if own and grant.subject == user_id:
        allowed.add("user_metadata")
    refused = [name for name in body if name not in allowed]
    if not refused:
        return
    if own and not allowed:
        raise forbidden(_NOT_OWN, "unowned_resource")
    raise forbidden(f"You cannot update the following fields: {', '.join(refused)}", "insufficient_scope")


def check_owner(grant: Grant, user_id: str) -> None:
    """Refuse with 403 a read of somebody else by a token that may read its own user only."""
    scopes = grant.scopes
    if scopes is not None and grant.subject != user_id and scopes.isdisjoint(_READ_ANYBODY):
        raise forbidden(_NOT_OWN, "unowned_resource")


def type_name(value: Any) -> str:
    """Name a JSON value's type as the validator does."""
    return _TYPE_NAMES.get(type(value), "null")


def _check_root(body: dict[str, Any], rules: dict[str, _Rule], switches: Switches, *, nullable: bool) -> None:
    unknown = [name for name in body if name not in rules]
    if unknown and switches.unknown_properties == "reject":
        raise payload_error(f"Additional properties not allowed: {','.join(unknown)}{_HINT}")
    for name in unknown:
        del body[name]
    for name, value in body.items():
        rule, found = rules[name], type_name(value)
        if (
            found == "null"
            and nullable
            and (rule.nullable or (name in BAGS and switches.bag_null == "clear"))
        ):
            continue
        if found != rule.type:
            raise payload_error(f"Expected type {rule.type} but found type {found}", name)
        if rule.type == "string":
            _check_string(name, value, rule)


def is_email(text: str) -> bool:
    """Tell whether a text has the form of an address.  Open: how strict Auth0 is beyond that."""
    return re.fullmatch(r"[^\s@]+@[^\s@]+", text) is not None


def _check_string(name: str, value: str, rule: _Rule) -> None:
    """Check lengths and pattern; the wording of these refusals is not sourced."""
    if len(value) < rule.shortest:
        raise payload_error(f"String is too short ({len(value)} chars), minimum {rule.shortest}", name)
    if rule.longest is not None and len(value) > rule.longest:
        raise payload_error(f"String is too long ({len(value)} chars), maximum {rule.longest}", name)
    if rule.email and not is_email(value):
        raise payload_error(f"Object didn't pass validation for format email: {value}", name)
    if rule.pattern is not None and not re.fullmatch(rule.pattern, value):
        raise payload_error(f"String does not match pattern ^{rule.pattern}$", name)


def _check_bags(body: dict[str, Any], switches: Switches) -> None:
    for bag in BAGS:
        value = body.get(bag)
        if not value:
            continue
        _check_names(value, switches)
        if bag == "app_metadata" and not FORBIDDEN_NAMES.isdisjoint(value):
            name = next(name for name in value if name in FORBIDDEN_NAMES)
            raise bad_request(switches.forbidden_name_message.replace("{name}", name))


def _check_names(bag: dict[str, Any], switches: Switches) -> None:
    """Refuse `.` and `$` in names."""
    key = dotted_name(bag, switches)
    if key is not None:
        message = f'Fields with "." are not allowed, please remove all dotted fields. Example: {key}'
        raise bad_request(message, switches.dotted_error_code)


def dotted_name(bag: dict[str, Any], switches: Switches) -> str | None:
    """Return a name with `.` or `$`, at any depth unless the switch says otherwise; None without one."""
    todo: list[Any] = [bag]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            for key in value:
                if "." in key or "$" in key:
                    return str(key)
            if switches.dotted_depth == "first":
                return None
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return None
