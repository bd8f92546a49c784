"""Present a tenant's users, clients, APIs and other objects as JSON, for the page and for programs."""

from __future__ import annotations

from itertools import islice
from typing import Any

from auth0_meta.emulator.http.masking import masked
from auth0_meta.emulator.rules.application import LOCAL
from auth0_meta.emulator.rules.differences import ABSENT
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.history import Change
from auth0_meta.emulator.state.tenant_state import TenantState

KINDS = ("clients", "connections", "resource-servers", "client-grants", "roles", "organizations")
"""What the page lists, by the names that paths have."""
_MAX_DOCUMENTS = 200
_MAX_LOGS = 20
_LISTED = ("user_id", "email", "name", "updated_at", "blocked")


def user_row(profile: Profile) -> dict[str, Any]:
    """Return what a list shows of a user."""
    return {name: profile.root.get(name) for name in _LISTED}


def user_in_full(state: TenantState, profile: Profile) -> dict[str, Any]:
    """Return a user's profile, history, roles, organizations and latest log events."""
    user_id, links = profile.user_id, state.resources.links
    logs = (entry for entry in reversed(state.logs) if entry.get("user_id") == user_id)
    return {
        "profile": profile.document(),
        "history": [_change_json(change) for change in reversed(state.history.of(user_id))],
        "roles": _names(state, "roles", links.of("user_roles", user_id)),
        "organizations": _names(state, "organizations", links.holders("members", user_id)),
        "logs": [masked(entry) for entry in islice(logs, _MAX_LOGS)],
    }


def registered(state: TenantState) -> dict[str, Any]:
    """Return the clients, connections, APIs, grants, roles and organizations, with secrets masked."""
    with state.resources.lock:
        every = {kind: list(state.resources.of(kind).values()) for kind in KINDS}
    return {
        kind: {"total": len(documents), "documents": [_shown(one) for one in documents[:_MAX_DOCUMENTS]]}
        for kind, documents in every.items()
    }


def _shown(document: dict[str, Any]) -> Any:
    return masked({name: value for name, value in document.items() if name != LOCAL})


def _names(state: TenantState, kind: str, ids: list[Any]) -> list[str]:
    documents = state.resources.of(kind)
    return [str(documents[one].get("name", one)) for one in ids if one in documents]


def _change_json(change: Change) -> dict[str, Any]:
    """Return a write as a JSON value; an absent side is left out."""
    changed = []
    for path, (before, after) in change.changed.items():
        sides = {"before": before, "after": after}
        changed.append({"path": path} | {side: value for side, value in sides.items() if value is not ABSENT})
    return {"time": change.time, "by": change.by, "changed": changed}
