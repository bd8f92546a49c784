"""Which keys Auth0 refuses; PURE."""

from __future__ import annotations

from typing import Final

RESERVED: Final = frozenset({
    "__tenant", "_id", "blocked", "clientID", "created_at", "email", "email_verified", "globalClientID",
    "global_client_id", "identities", "lastIP", "lastLogin", "loginsCount", "metadata", "multifactor",
    "multifactor_last_modified", "updated_at", "user_id",
})  # fmt: skip
"""First-level names that `app_metadata` must not have. Source: the complete list in Auth0's metadata field names."""


def bad_key(key: str, /) -> bool:
    """Return whether Auth0 refuses a key at any level: it is empty, or contains `.` or `$`.

    >>> bad_key("a.b"), bad_key("a:b")
    (True, False)
    """
    return not key or "." in key or "$" in key


def reserved(bag: str, key: str, /) -> bool:
    """Return whether Auth0 reserves a first-level key of a bag.

    >>> reserved("app_metadata", "email"), reserved("user_metadata", "email")
    (True, False)
    """
    return bag == "app_metadata" and key in RESERVED
