"""Find the user that a request is about, or refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auth0_meta.emulator.api.paging import Later
from auth0_meta.emulator.http.errors import no_such_user
from auth0_meta.emulator.http.message import Call
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.tenant_state import TenantState

_BRIEF = ("user_id", "email", "picture", "name")


def get_user_or_404(state: TenantState, user_id: str) -> Profile:
    """Return a user, or refuse with the recorded 404."""
    profile = state.users.get(user_id)
    if profile is None:
        raise no_such_user()
    return profile


def user_in_path(state: TenantState, call: Call) -> Profile:
    """Return the user that the path names, or refuse with 404."""
    return get_user_or_404(state, call.params["id"])


def user_id_in_path(state: TenantState, call: Call) -> str:
    """Return the id of the user that the path names, or refuse with 404."""
    return user_in_path(state, call).user_id


def first_identity(profile: Profile) -> dict[str, Any]:
    """Return a user's first identity; `{}` for a user that a test stored without any."""
    identities: list[dict[str, Any]] = profile.root.get("identities") or [{}]
    return identities[0]


def is_in(profile: Profile, connection: str) -> bool:
    """Return whether one of a user's identities belongs to this connection."""
    return any(identity.get("connection") == connection for identity in profile.root["identities"])


def brief(state: TenantState, user_ids: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    """Return users as lists of members show them: four attributes in this order (recorded)."""

    def show(user_id: str) -> dict[str, Any] | None:
        user = state.users.get(user_id)
        return None if user is None else {name: user.root[name] for name in _BRIEF if name in user.root}

    return Later(user_ids, show)
