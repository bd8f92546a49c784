"""Compute a user's profile after a create or a PATCH, field by field as in recorded traffic."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.timestamps import iso, milliseconds_of
from auth0_meta.emulator.rules.metadata import BAGS, merge_bag
from auth0_meta.emulator.rules.switches import Switches

DEFAULT_CONNECTION = "Username-Password-Authentication"
DEFAULT_CONNECTION_ID = "con_localDatabase001"
# What a database gets in a recorded response besides what the body said; other strategies get nothing.
DATABASE_OPTIONS: dict[str, Any] = {
    "mfa": {"active": True, "return_enroll_settings": True},
    "passwordPolicy": "good",
    "strategy_version": 2,
    "authentication_methods": {"password": {"enabled": True}, "passkey": {"enabled": False}},
    "passkey_options": {
        "challenge_ui": "both",
        "progressive_enrollment_enabled": True,
        "local_enrollment_enabled": True,
    },
    "brute_force_protection": True,
}
# Fields of a body that a profile does not have: they control the write, are secret, or are merged.
_NOT_STORED = frozenset(("connection", "password", "verify_email", "verify_phone_number", "client_id", *BAGS))
# The URL may come from an earlier email or name, so only its form shows whether it is the default.
_DEFAULT_PICTURE = re.compile(
    r"https://(s|secure)\.gravatar\.com/avatar/[0-9a-f]{32}\?s=480&r=pg"
    r"&d=https%3A%2F%2Fcdn\.auth0\.com%2Favatars%2F.+\.png"
)
_NOT_SOCIAL = frozenset(("auth0", "email", "sms", "samlp", "waad", "adfs", "ad", "oidc"))


@attrs.frozen
class Profile:
    """One user as stored; never changed in place.

    `root` holds every field except app_metadata, in the order of the response; `app_metadata` is None if
    absent.  Auth0 stores app_metadata separately, so it always comes last.
    """

    user_id: str
    root: dict[str, Any]
    app_metadata: Any
    updated_ms: int

    def document(self) -> dict[str, Any]:
        """Return the profile as the API returns it; its values are the stored ones, not copies."""
        if self.app_metadata is None:
            return self.root
        return {**self.root, "app_metadata": self.app_metadata}


class ProfileTooLarge(Refusal):
    """The refusal of a write that would leave a profile larger than `profile_limit`, as the Management API words it."""

    def __init__(self, switches: Switches) -> None:
        status = switches.profile_limit_status
        self.message = switches.profile_limit_message.replace("{limit}", str(switches.profile_limit))
        super().__init__(status, problem(status, self.message, switches.profile_limit_error_code))


def size_event(user_id: str, size: int) -> dict[str, str]:
    """Return what a log event says about a profile of more than 10 KB (documented word for word)."""
    return {
        "projected_size_bytes": str(size),
        "operation": "users.save",
        "user_id": user_id,
        "id": "allow_oversize_profile",
        "name": "Uncapped User Profile Data",
        "description": "User profile data will be limited to 10KB. User profiles above that limit are deprecated.",
    }


def _picture(email: str, name: str) -> str:
    """Return the URL of the default picture (193 of 194 recorded creates)."""
    digest = hashlib.md5(email.lower().encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
    fallback = quote(f"https://cdn.auth0.com/avatars/{(name or email)[:2].lower()}.png", safe="")
    return f"https://s.gravatar.com/avatar/{digest}?s=480&r=pg&d={fallback}"


def has_default_picture(root: Mapping[str, Any]) -> bool:
    """Return whether the picture is Auth0's default, which has another host if the user was imported."""
    return bool(_DEFAULT_PICTURE.fullmatch(str(root.get("picture"))))


def _identity(user_id: str, connection: str | None) -> dict[str, Any]:
    """Return the identity of a new user; its `user_id` leaves out the provider."""
    provider, _, local = user_id.partition("|")
    middle, bar, _ = local.partition("|")
    if connection is None:
        connection = DEFAULT_CONNECTION if provider == "auth0" else middle if bar else provider
    return {
        "connection": connection,
        "user_id": local,
        "provider": provider,
        "isSocial": provider not in _NOT_SOCIAL,
    }


def created(body: Mapping[str, Any], *, user_id: str, now_ms: int, switches: Switches) -> Profile:
    """Return a new user with defaults and fields in alphabetical order; `body` must be valid.

    >>> profile = created({"email": "ann@example.com"}, user_id="auth0|1", now_ms=0, switches=Switches())
    >>> profile.root["name"], profile.root["nickname"], profile.root["email_verified"], profile.app_metadata
    ('ann@example.com', 'ann', False, None)
    """
    moment = iso(now_ms)
    fields = {name: value for name, value in body.items() if name not in _NOT_STORED and value is not None}
    root: dict[str, Any] = {"created_at": moment, "updated_at": moment} | fields
    email = root.get("email")
    if email is not None:
        root["email"] = email = email.lower()
        root.setdefault("email_verified", False)
    label = email or root.get("phone_number") or root.get("username")
    if label is not None:
        root.setdefault("name", label)
        root.setdefault("nickname", label.partition("@")[0])
    if email is not None:
        root.setdefault("picture", _picture(email, root["name"]))
    root.setdefault("identities", [_identity(user_id, body.get("connection"))])
    bags = {bag: merge_bag(bag, None, body[bag], switches=switches) for bag in BAGS if bag in body}
    app = bags.pop("app_metadata", None)
    root.update({bag: value for bag, value in bags.items() if value is not None})
    root.pop("user_id", None)
    ordered = {"user_id": user_id} | {name: root[name] for name in sorted(root)}
    # An `updated_at` in the body counts: the next write must not move it back.
    updated_ms = milliseconds_of(root["updated_at"])
    return Profile(user_id, ordered, app, now_ms if updated_ms is None else updated_ms)


def patched(profile: Profile, body: Mapping[str, Any], *, now_ms: int, switches: Switches) -> Profile:
    """Return the profile after a PATCH: null removes a field, metadata merges, `updated_at` strictly increases.

    >>> before = created({"email": "a@b.io"}, user_id="auth0|1", now_ms=5, switches=Switches())
    >>> patched(before, {}, now_ms=5, switches=Switches()).root["updated_at"]
    '1970-01-01T00:00:00.006Z'
    """
    root = {**profile.root, "app_metadata": profile.app_metadata}
    for name, value in body.items():
        if name in BAGS:
            after = merge_bag(name, root.get(name), value, switches=switches)
        elif name in _NOT_STORED:
            continue
        else:
            after = value.lower() if name == "email" and value is not None else value
        if after is None:
            root.pop(name, None)
        else:
            root[name] = after
    app = root.pop("app_metadata", None)
    moved = "email" in root and root["email"] != profile.root.get("email")
    if moved and "email_verified" not in body and switches.email_change_unverifies:
        root["email_verified"] = False
    updated_ms = max(now_ms, profile.updated_ms + 1)
    if body.get("password") is not None:
        root["last_password_reset"] = iso(updated_ms)
        updated_ms += 1
    root["updated_at"] = iso(updated_ms)
    return Profile(profile.user_id, root, app, updated_ms)
