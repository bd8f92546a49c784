"""Which paths are named for data that belongs elsewhere: what decides about access, and what one device has; PURE."""

from __future__ import annotations

from typing import Final

from auth0_meta.checks.words import words

_AUTHORIZATION: Final = frozenset({
    "access level", "admin", "authorization", "entitlement", "entitlements", "group", "groups", "is admin", "is superuser",
    "permission", "permissions", "plan", "role", "roles", "scope", "scopes", "subscription", "subscription tier", "tier",
})  # fmt: skip
_DEVICE: Final = frozenset({
    "browser", "device", "device id", "device ids", "devices", "device token", "fcm token", "fingerprint", "ip", "ip address",
    "last ip", "push token", "push tokens", "session id", "session ids", "sessions", "user agent", "useragent",
})  # fmt: skip


def authorization(path: tuple[str, ...], /) -> bool:
    """Return whether the last key of a path below the bag is named for what decides about access.

    >>> authorization(("roles",)), authorization(("preferences", "plan_view"))
    (True, False)
    """
    return " ".join(words(path[-1])) in _AUTHORIZATION


def device_state(path: tuple[str, ...], /) -> bool:
    """Return whether the last key of a path below the bag is named for data of one device or session.

    >>> device_state(("lastIP",)), device_state(("favorite_device_color",))
    (True, False)
    """
    return " ".join(words(path[-1])) in _DEVICE
