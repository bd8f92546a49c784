"""Answer the linking of accounts: a second user becomes an identity of the first, and may be let go again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from auth0_meta.emulator.api.lookup import by, found, plain_body, remove, save, user_id_of
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import bad_request, payload_error
from auth0_meta.emulator.http.message import Reply, to_json
from auth0_meta.emulator.rules import profile as profiles

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App
    from auth0_meta.emulator.rules.profile import Profile

Identity = dict[str, Any]
_BODY = {"provider": "string", "user_id": "string|integer", "connection_id": "string", "link_with": "string"}
_PROFILE_DATA = (
    *("email", "given_name", "family_name", "username", "nickname", "picture", "email_verified"),
    *("phone_number", "phone_verified", "name"),
)


def link(app: App, call: Call) -> Reply:
    """Answer POST /api/v2/users/{id}/identities: 201 and every identity (recorded).

    The second user is one no more, and its metadata go with it (documented).
    """
    user_id = user_id_of(call)
    second = _second(app, call)
    app.run_hooks(call)
    with app.store.lock:
        before = found(app, user_id)
        if second == user_id:
            raise bad_request("Main identity and the new one are the same.", None)
        other = found(app, second)
        identities = [*before.root["identities"], *_with_data(other)]
        after = _moved(app, before, identities)
        save(app, call, after, before=before)
        remove(app, call, other)
    return Reply(201, to_json(_with_data(after)), committed=True)


def unlink(app: App, call: Call) -> Reply:
    """Answer DELETE /api/v2/users/{id}/identities/{provider}/{user_id}: 200 and what is left (recorded).

    The identity is a user of its own again, without metadata (documented).  One that the user does not
    have, such as an id with its provider's prefix, is 200 too and changes nothing (recorded).
    """
    user_id = user_id_of(call)
    wanted = (call.params["provider"], call.params["user_id"])
    app.run_hooks(call)
    with app.store.lock:
        before = found(app, user_id)
        first, *rest = before.root["identities"] or [{}]
        if _key(first) == wanted:
            raise bad_request("The main identity of a user can't be unlinked.", None)
        gone = next((one for one in rest if _key(one) == wanted), None)
        if gone is None:
            return Reply(200, to_json(_with_data(before)))
        after = _moved(app, before, [first, *(one for one in rest if one is not gone)])
        save(app, call, after, before=before)
        _freed(app, call, gone)
    return Reply(200, to_json(_with_data(after)), committed=True)


def _second(app: App, call: Call) -> str:
    """Return the id of the user to link: by provider and id, whole or bare, or by an ID token of theirs."""
    body = plain_body(app, call, _BODY)
    if "link_with" in body:
        call.body = {"link_with": "<masked>"}
        return str(app.access.keys.verify(body["link_with"]).get("sub"))
    for name in ("provider", "user_id"):
        if name not in body:
            raise payload_error(f"Missing required property: {name}")
    provider, given = body["provider"], str(body["user_id"])
    return given if given.startswith(f"{provider}|") else f"{provider}|{given}"


def _key(identity: Identity) -> tuple[Any, str]:
    return identity.get("provider"), str(identity.get("user_id"))


def _moved(app: App, before: Profile, identities: list[Identity]) -> Profile:
    """Return the user with other identities, `updated_at` moved."""
    return profiles.patched(
        before, {"identities": identities}, now_ms=app.milliseconds(), switches=app.switches
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


def _freed(app: App, call: Call, identity: Identity) -> None:
    provider, local = _key(identity)
    user_id = f"{provider}|{local}"
    if app.store.get(user_id) is not None:
        return
    data = identity.get("profileData")
    given = {"connection": identity.get("connection")}
    if isinstance(data, dict):
        given |= {name: data[name] for name in _PROFILE_DATA if isinstance(data.get(name), (str, bool))}
    made = profiles.created(given, user_id=user_id, now_ms=app.milliseconds(), switches=app.switches)
    own = {name: value for name, value in identity.items() if name != "profileData"}
    made = attrs.evolve(made, root={**made.root, "identities": [own]})
    app.save(made, before=None, size=len(to_json(made.document())), by=by(call))
