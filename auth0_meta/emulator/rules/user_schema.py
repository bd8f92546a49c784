"""What a user may contain, defined once for POST, PATCH, imports and OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.errors import bad_request, not_served, payload_error
from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.rules.schema import FLAG, NAME, OBJECT, TEXT, Body, Field, parse, refuse_first
from auth0_meta.emulator.rules.switches import Switches

FORBIDDEN_NAMES = frozenset(
    (
        *("__tenant", "_id", "blocked", "clientID", "created_at", "email_verified", "email"),
        *("globalClientID", "global_client_id", "identities", "lastIP", "lastLogin", "loginsCount"),
        *("metadata", "multifactor_last_modified", "multifactor", "updated_at", "user_id"),
    )
)
"""The names that app_metadata must not have at its first level (documented, complete in 2026)."""

SHARED: Mapping[str, Field] = {
    "email": Field(email=True),
    "email_verified": FLAG,
    "phone_number": Field(pattern=r"\+[0-9]{1,15}"),
    "phone_verified": FLAG,
    "username": Field(shortest=1, longest=128),
    "given_name": Field(shortest=1, longest=150),
    "family_name": Field(shortest=1, longest=150),
    "name": Field(shortest=1, longest=300),
    "nickname": Field(shortest=1, longest=300),
    "picture": TEXT,
    "blocked": FLAG,
    "user_metadata": OBJECT,
    "app_metadata": OBJECT,
}
"""What POST, PATCH and the rows of an import have in common."""

_WRITTEN: Mapping[str, Field] = {**SHARED, "password": NAME, "verify_email": FLAG}
_HINT = (
    ' (consider storing them in app_metadata or user_metadata. See "Users Metadata" in '
    "https://auth0.com/docs/api/v2/changes for more details)"
)
_CREATE = Field(
    type="object",
    required=("connection",),
    properties={**_WRITTEN, "connection": NAME, "user_id": Field(longest=255, pattern=r"\S*")},
    hint=_HINT,
)
_PATCHED: Mapping[str, Field] = {
    # null removes a text; a flag or a bag can't be null.
    **{name: attrs.evolve(field, nullable=field.type == "string") for name, field in _WRITTEN.items()},
    **{"connection": NAME, "client_id": TEXT, "verify_phone_number": FLAG},
}
_PATCH = Field(type="object", properties=_PATCHED, hint=_HINT)
_BAG = Field(type="object", nullable=True)
_NULLABLE_BAGS = attrs.evolve(_PATCH, properties={**_PATCHED, **dict.fromkeys(BAGS, _BAG)})
# A PATCH must not contain both (documented); the wording of the 400 is a guess.
_FORBIDDEN_PAIRS = (
    *(("password", "email"), ("password", "email_verified"), ("username", "email")),
    *(("username", "email_verified"), ("username", "password")),
)


@attrs.frozen
class UserBody(Body):
    """The body of POST /users or, with `patch`, of PATCH /users/{id}."""

    patch: bool = False

    def read(self, request: Request, switches: Switches) -> dict[str, Any]:
        """Return the parsed body, or refuse what Auth0 would refuse."""
        if "form-urlencoded" in request.headers.get("content-type", ""):
            raise not_served("form bodies on the users endpoints")
        value = parse(request.body, switches)
        field = _NULLABLE_BAGS if self.patch and switches.bag_null == "clear" else self.field
        if isinstance(value, dict):
            if self.patch and not value and switches.empty_patch == "reject":
                raise payload_error("Too few properties defined (0), minimum 1")
            if switches.unknown_properties == "accept":
                value = {name: inner for name, inner in value.items() if name in (field.properties or {})}
        refuse_first(value, field)
        body: dict[str, Any] = value
        for one, other in _FORBIDDEN_PAIRS if self.patch else ():
            if one in body and other in body:
                raise bad_request(f"Cannot update {one} and {other} simultaneously")
        _check_bags(body, switches)
        return body


CREATE = UserBody(_CREATE)
PATCH = UserBody(_PATCH, patch=True)


def check_user_id(user_id: str) -> None:
    """Refuse a user id that is not of the form `provider|id`, without whitespace."""
    if "|" not in user_id or user_id.split() != [user_id]:
        raise bad_request(f"Object didn't pass validation for format user-id: {user_id}", "invalid_uri")


def _check_bags(body: Mapping[str, Any], switches: Switches) -> None:
    for bag in BAGS:
        value = body.get(bag)
        if not value:
            continue
        if (key := dotted_name(value, switches)) is not None:
            message = f'Fields with "." are not allowed, please remove all dotted fields. Example: {key}'
            raise bad_request(message, switches.dotted_error_code)
        for name in value if bag == "app_metadata" else ():
            if name in FORBIDDEN_NAMES:
                raise bad_request(switches.forbidden_name_message.replace("{name}", name))


def dotted_name(bag: Mapping[str, Any], switches: Switches) -> str | None:
    """Return a name with `.` or `$`, at any depth unless the switch says otherwise; None if there is none."""
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
