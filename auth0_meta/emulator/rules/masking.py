"""Mask secrets in a body before it is shown: by name, at any depth, but not inside metadata."""

from __future__ import annotations

from typing import Any

MASK = "<masked>"
# Names of secrets in clients, connections, users and grants.
_SECRET = frozenset(
    (
        *("password", "client_secret", "client_assertion", "access_token", "refresh_token", "id_token"),
        *("new_password", "old_password", "totp_secret", "link_with"),
        *(
            "password_hash",
            "custom_password_hash",
            "private_key",
            "encryption_key",
            "signing_keys",
            "api_key",
        ),
    )
)
# Metadata stays readable: tests compare it with what they sent.
_METADATA = frozenset(("user_metadata", "app_metadata", "client_metadata", "metadata"))


def masked(value: Any) -> Any:
    """Return a parsed body with every secret replaced; a body without secrets is returned unchanged, not copied.

    >>> masked({"name": "app", "client_secret": "x", "client_metadata": {"password": "a name of yours"}})
    {'name': 'app', 'client_secret': '<masked>', 'client_metadata': {'password': 'a name of yours'}}
    """
    if isinstance(value, list):
        items = [masked(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    shown = {
        name: MASK if name in _SECRET else inner if name in _METADATA else masked(inner)
        for name, inner in value.items()
    }
    return shown if any(shown[name] is not value[name] for name in value) else value
