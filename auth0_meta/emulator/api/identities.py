"""Answer the linking of accounts: a second user becomes an identity of the first, and may be let go again."""

from __future__ import annotations

from typing import Any

import attrs

from auth0_meta.emulator.api.lookup import found, plain_body, user_id_of
from auth0_meta.emulator.http.errors import bad_request, payload_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.tenant_state import TenantState

Identity = dict[str, Any]
_BODY = {"provider": "string", "user_id": "string|integer", "connection_id": "string", "link_with": "string"}
_PROFILE_DATA = (
    *("email", "given_name", "family_name", "username", "nickname", "picture", "email_verified"),
    *("phone_number", "phone_verified", "name"),
)


def link(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/identities: 201 and every identity (recorded).

    The second user is one no more, and its metadata go with it (documented).
    """
    user_id = user_id_of(call)
    second = _second(state, call)
    call.run_hooks()
    with state.users.lock:
        before = found(state, user_id)
        if second == user_id:
            raise bad_request("Main identity and the new one are the same.", None)
        other = found(state, second)
        identities = [*before.root["identities"], *_with_data(other)]
        after = _moved(state, before, identities)
        state.save(after, before=before, by=call.name)
        state.remove_user(other, by=call.name)
    return Reply(201, to_json(_with_data(after)), committed=True)


def unlink(state: TenantState, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/identities/{provider}/{user_id}: 200 and what is left (recorded).

    The identity is a user of its own again, without metadata (documented).  One that the user does not
    have, such as an id with its provider's prefix, is 200 too and changes nothing (recorded).
    """
    user_id = user_id_of(call)
    wanted = (call.params["provider"], call.params["user_id"])
    call.run_hooks()
    with state.users.lock:
        before = found(state, user_id)
        first, *rest = before.root["identities"] or [{}]
        if _key(first) == wanted:
            raise bad_request("The main identity of a user can't be unlinked.", None)
        gone = next((one for one in rest if _key(one) == wanted), None)
        if gone is None:
            return Reply(200, to_json(_with_data(before)))
        after = _moved(state, before, [first, *(one for one in rest if one is not gone)])
        state.save(after, before=before, by=call.name)
        _freed(state, call, gone)
    return Reply(200, to_json(_with_data(after)), committed=True)


def _second(state: TenantState, call: Call) -> str:
    """Return the id of the user to link: by provider and id, whole or bare, or by an ID token of theirs."""
    body = plain_body(state, call, _BODY)
    if "link_with" in body:
        call.body = {"link_with": "<masked>"}
        return str(state.access.keys.verify(body["link_with"]).get("sub"))
    for name in ("provider", "user_id"):
        if name not in body:
            raise payload_error(f"Missing required property: {name}")
    provider, given = body["provider"], str(body["user_id"])
    return given if given.startswith(f"{provider}|") else f"{provider}|{given}"


def _key(identity: Identity) -> tuple[Any, str]:
    return identity.get("provider"), str(identity.get("user_id"))


def _moved(state: TenantState, before: Profile, identities: list[Identity]) -> Profile:
    """Return the user with other identities, `updated_at` moved."""
    return profiles.patched(
        before, {"identities": identities}, now_ms=state.milliseconds(), switches=state.switches
    )


def _with_data(profile: Profile) -> list[Identity]:
    """Return a user's identities, the first with the root attributes that were given as its data.

    What equals Auth0's own default is none of the data: name, nickname, picture (recorded).
    """
    first, *rest = profile.root["identities"] or [{}]
    root = profile.root
    label = str(root.get("email") or root.get("phone_number") or root.get("username"))
    defaults = {"name": label, "nickname": label.partition("@")[0]}
    if profiles.has_default_picture(root):
        defaults["picture"] = root["picture"]
    data = {name: root[name] for name in _PROFILE_DATA if name in root and root[name] != defaults.get(name)}
    return [{"profileData": data, **first}, *rest]


def _freed(state: TenantState, call: Call, identity: Identity) -> None:
    provider, local = _key(identity)
    user_id = f"{provider}|{local}"
    if state.users.get(user_id) is not None:
        return
    data = identity.get("profileData")
    given = {"connection": identity.get("connection")}
    if isinstance(data, dict):
        given |= {name: data[name] for name in _PROFILE_DATA if isinstance(data.get(name), (str, bool))}
    made = profiles.created(given, user_id=user_id, now_ms=state.milliseconds(), switches=state.switches)
    own = {name: value for name, value in identity.items() if name != "profileData"}
    made = attrs.evolve(made, root={**made.root, "identities": [own]})
    state.save(made, before=None, by=call.name, limited=False)
