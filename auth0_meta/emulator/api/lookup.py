"""Find the user that a request is about, and store what it made of one."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.http.errors import no_such_user, payload_error
from auth0_meta.emulator.http.message import Call
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import check_user_id, parse_object, type_name
from auth0_meta.emulator.state.tenant_state import TenantState


def user_id_of(call: Call) -> str:
    """Return the user id in the path, or refuse what is none."""
    user_id = call.user_id or ""
    check_user_id(user_id)
    return user_id


def found(state: TenantState, user_id: str) -> Profile:
    """Return a user, or refuse with the recorded 404."""
    profile = state.users.get(user_id)
    if profile is None:
        raise no_such_user()
    return profile


def known(state: TenantState, call: Call) -> Profile:
    """Return the user that the path names, hooks run; for requests that change nothing of the profile."""
    user_id = user_id_of(call)
    call.run_hooks()
    return found(state, user_id)


def first_identity(profile: Profile) -> dict[str, Any]:
    """Return where a user signs in first of all; `{}` for one that a test stored without identities."""
    identities: list[dict[str, Any]] = profile.root.get("identities") or [{}]
    return identities[0]


def plain_body(state: TenantState, call: Call, types: dict[str, str], *required: str) -> dict[str, Any]:
    """Parse a body that may hold the names in `types` only, each of its type; the wording is the validator's."""
    body = parse_object(call.request.body, switches=state.switches)
    call.body = {name: "<masked>" if "password" in name else value for name, value in body.items()}
    typed(body, types, *required)
    return body


def typed(body: dict[str, Any], types: dict[str, str], *required: str) -> None:
    """Refuse names that are not in `types`, values of another type, and the lack of what is required."""
    unknown = [name for name in body if name not in types]
    if unknown:
        raise payload_error(f"Additional properties not allowed: {','.join(unknown)}")
    for name in required:
        if name not in body:
            raise payload_error(f"Missing required property: {name}")
    for name, value in body.items():
        if type_name(value) not in types[name].split("|"):
            raise payload_error(f"Expected type {types[name]} but found type {type_name(value)}", name)


def listed_ids(state: TenantState, call: Call, name: str) -> list[str]:
    """Parse a body of one list of ids, such as `{"roles": [...]}`."""
    ids = plain_body(state, call, {name: "array"}, name)[name]
    if not ids:
        raise payload_error("Array is too short (0), minimum 1", name)
    for value in ids:
        if not isinstance(value, str) or not value:
            raise payload_error(f"Expected type string but found type {type_name(value)}", name)
    return list(ids)
