"""Linking accounts: a second user becomes an identity of the first, and can be unlinked again."""

from __future__ import annotations

from typing import Any

import attrs

from auth0_meta.emulator.api.lookup import get_user_or_404, user_in_path
from auth0_meta.emulator.api.route import recorded
from auth0_meta.emulator.http.errors import bad_request, payload_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import TEXT, Body, Field, record
from auth0_meta.emulator.state.tenant_state import TenantState

Identity = dict[str, Any]
_BODY = Body(record(provider=TEXT, user_id=Field(type="string|integer"), connection_id=TEXT, link_with=TEXT))
_PROFILE_DATA = (
    *("email", "given_name", "family_name", "username", "nickname", "picture", "email_verified"),
    *("phone_number", "phone_verified", "name"),
)


def second_user(state: TenantState, call: Call) -> str:
    """Return the id of the user to link, from provider and id (with or without its prefix) or from the user's ID token.

    Refuses a body that names no user, and an ID token that is not this tenant's.
    """
    body: dict[str, Any] = call.body
    if "link_with" in body:
        return str(state.access.keys.verify(body["link_with"]).get("sub"))
    for name in ("provider", "user_id"):
        if name not in body:
            raise payload_error(f"Missing required property: {name}")
    provider, user_id = body["provider"], str(body["user_id"])
    return user_id if user_id.startswith(f"{provider}|") else f"{provider}|{user_id}"


def link(state: TenantState, call: Call) -> Reply:
    """Link a second user to this one; the response lists every identity.

    The second user then no longer exists, and that user's metadata is lost (documented).
    """
    second = second_user(state, call)
    with state.users.lock:
        before = user_in_path(state, call)
        if second == before.user_id:
            raise bad_request("Main identity and the new one are the same.", None)
        other = get_user_or_404(state, second)
        identities = [*before.root["identities"], *_with_data(other)]
        after = _with_identities(state, before, identities)
        state.save(after, before=before, by=call.name, call=call)
        state.remove_user(other, by=call.name)
    return Reply(201, to_json(_with_data(after)), committed=True)


def unlink(state: TenantState, call: Call) -> Reply:
    """Turn an identity back into a user without metadata (documented); the response lists the remaining identities.

    If the user does not have the identity, for instance because its id was sent with the provider's prefix, the
    status is 200 too, and nothing changes (recorded).
    """
    wanted = (call.params["provider"], call.params["user_id"])
    with state.users.lock:
        before = user_in_path(state, call)
        first, *rest = before.root["identities"] or [{}]
        if _key(first) == wanted:
            raise bad_request("The main identity of a user can't be unlinked.", None)
        gone = next((one for one in rest if _key(one) == wanted), None)
        if gone is None:
            return Reply(200, to_json(_with_data(before)))
        after = _with_identities(state, before, [first, *(one for one in rest if one is not gone)])
        again = _as_user(state, gone)
        if again is not None:
            state.check(again, before=None)  # else the identity would be lost
        state.save(after, before=before, by=call.name, call=call)
        if again is not None:
            state.save(again, before=None, by=call.name, call=call)
    return Reply(200, to_json(_with_data(after)), committed=True)


def _key(identity: Identity) -> tuple[Any, str]:
    return identity.get("provider"), str(identity.get("user_id"))


def _with_identities(state: TenantState, before: Profile, identities: list[Identity]) -> Profile:
    """Return the user with these identities and a later `updated_at`."""
    return profiles.patched(
        before, {"identities": identities}, now_ms=state.milliseconds(), switches=state.switches
    )


def _with_data(profile: Profile) -> list[Identity]:
    """Return a user's identities, the first with the root attributes that were set explicitly as its `profileData`.

    A name, nickname or picture that equals Auth0's own default is left out (recorded).
    """
    first, *rest = profile.root["identities"] or [{}]
    root = profile.root
    label = str(root.get("email") or root.get("phone_number") or root.get("username"))
    defaults = {"name": label, "nickname": label.partition("@")[0]}
    if profiles.has_default_picture(root):
        defaults["picture"] = root["picture"]
    data = {name: root[name] for name in _PROFILE_DATA if name in root and root[name] != defaults.get(name)}
    return [{"profileData": data, **first}, *rest]


def _as_user(state: TenantState, identity: Identity) -> Profile | None:
    """Return the user that an identity becomes again, None if there is a user with that id."""
    provider, local = _key(identity)
    user_id = f"{provider}|{local}"
    if state.users.get(user_id) is not None:
        return None
    data = identity.get("profileData")
    body = {"connection": identity.get("connection")}
    if isinstance(data, dict):
        body |= {name: data[name] for name in _PROFILE_DATA if isinstance(data.get(name), (str, bool))}
    made = profiles.created(body, user_id=user_id, now_ms=state.milliseconds(), switches=state.switches)
    own = {name: value for name, value in identity.items() if name != "profileData"}
    return attrs.evolve(made, root={**made.root, "identities": [own]})


ROUTES = (
    recorded(
        "POST",
        "/api/v2/users/{id}/identities",
        link,
        group="write_users",
        scopes="update:users",
        body=_BODY,
        check=second_user,
    ),
    recorded(
        "DELETE",
        "/api/v2/users/{id}/identities/{provider}/{user_id}",
        unlink,
        group="write_users",
        scopes="update:users",
    ),
)
