"""Find the user that a request is about, and store what it made of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, bad_request, no_such_user, payload_error, problem
from auth0_meta.emulator.http.message import Reply, to_json
from auth0_meta.emulator.rules.schema import check_user_id, parse_object, type_name

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App
    from auth0_meta.emulator.rules.profile import Profile


def user_id_of(call: Call) -> str:
    """Return the user id in the path, or refuse what is none."""
    user_id = call.user_id or ""
    check_user_id(user_id)
    return user_id


def found(app: App, user_id: str) -> Profile:
    """Return a user, or refuse with the recorded 404."""
    profile = app.store.get(user_id)
    if profile is None:
        raise no_such_user()
    return profile


def known(app: App, call: Call) -> Profile:
    """Return the user that the path names, hooks run; for requests that change nothing of the profile."""
    user_id = user_id_of(call)
    app.run_hooks(call)
    return found(app, user_id)


def first_identity(profile: Profile) -> dict[str, Any]:
    """Return where a user signs in first of all; `{}` for one that a test stored without identities."""
    identities: list[dict[str, Any]] = profile.root.get("identities") or [{}]
    return identities[0]


def by(call: Call) -> str:
    """Name the request as the histories of users do."""
    return f"{call.request.method} {call.template}"


def plain_body(app: App, call: Call, types: dict[str, str], *required: str) -> dict[str, Any]:
    """Parse a body that may hold the names in `types` only, each of its type; the wording is the validator's."""
    body = parse_object(call.request.body, switches=app.switches)
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


def listed_ids(app: App, call: Call, name: str) -> list[str]:
    """Parse a body of one list of ids, such as `{"roles": [...]}`."""
    ids = plain_body(app, call, {name: "array"}, name)[name]
    if not ids:
        raise payload_error("Array is too short (0), minimum 1", name)
    for value in ids:
        if not isinstance(value, str) or not value:
            raise payload_error(f"Expected type string but found type {type_name(value)}", name)
    return list(ids)


def remove(app: App, call: Call, before: Profile) -> None:
    """Delete a user with everything that hangs on it; the caller holds the store's lock."""
    app.store.remove(before.user_id)
    app.shelf.forget(before.user_id)
    app.history.note(app.now(), before.user_id, before=before, after=None, by=by(call))


def save(app: App, call: Call, profile: Profile, *, before: Profile | None) -> bytes:
    """Store a profile and return it as JSON, unless it is too large or holds what JSON can't."""
    try:
        shown = to_json(profile.document())
    except ValueError:
        raise bad_request("Invalid request payload JSON format", None) from None
    limit = app.switches.profile_limit
    if limit is not None and len(shown) > limit:
        status = app.switches.profile_limit_status
        raise Refusal(status, problem(status, f"The user profile exceeds the allowed size of {limit} bytes"))
    app.save(profile, before=before, size=len(shown), by=by(call))
    return shown


def stored(app: App, call: Call, profile: Profile, *, before: Profile | None) -> Reply:
    """Store a profile and answer with it: 201 for a new user, else 200."""
    return Reply(201 if before is None else 200, save(app, call, profile, before=before), committed=True)
