"""The documents of every kind of resource, and what links them to users and to each other."""

from __future__ import annotations

import threading
from typing import Any

from werkzeug.security import check_password_hash, generate_password_hash

from auth0_meta.emulator.rules.profile import DEFAULT_CONNECTION, DEFAULT_CONNECTION_ID
from auth0_meta.emulator.state.links import Links

Document = dict[str, Any]
# These are passwords of tests: a few rounds are fast, and still no password is in memory as typed.
_HASH = "pbkdf2:sha256:1000"


class Resources:
    """Everything a tenant knows besides its users, in memory.

    Hold `lock` (reentrant) from a read to the write that depends on it.

    >>> resources = Resources()
    >>> resources.set_password("auth0|1", "correct horse")
    >>> [resources.password_matches(*pair) for pair in (("auth0|1", "correct horse"), ("auth0|1", ""), ("auth0|2", "x"))]
    [True, False, False]
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.links = Links()
        self.methods: dict[str, dict[str, Document]] = {}
        """The authentication methods of each user, by id."""
        self.organization_connections: dict[str, dict[str, Document]] = {}
        """The connections that each organization has enabled, by id."""
        default = {"id": DEFAULT_CONNECTION_ID, "strategy": "auth0", "name": DEFAULT_CONNECTION}
        self._documents: dict[str, dict[str, Document]] = {"connections": {DEFAULT_CONNECTION_ID: default}}
        self._passwords: dict[str, str] = {}

    def of(self, kind: str) -> dict[str, Document]:
        """Return the documents of one kind of resource by id; changing the dict changes the tenant."""
        return self._documents.setdefault(kind, {})

    def set_password(self, user_id: str, password: Any) -> None:
        """Store the hash of a user's password; anything but a string is ignored."""
        if isinstance(password, str):
            self._passwords[user_id] = generate_password_hash(_encodable(password), _HASH)

    def password_matches(self, user_id: str, password: str) -> bool:
        """Return whether this is the user's password; no password matches for a user who has none."""
        known = self._passwords.get(user_id)
        return known is not None and check_password_hash(known, _encodable(password))

    def has_password(self, user_id: str) -> bool:
        """Return whether a password is set for this user."""
        return user_id in self._passwords

    def forget(self, gone: str) -> None:
        """Delete everything that belongs to a user, role, organization or connection that was deleted."""
        self.links.forget(gone)
        with self.lock:
            self._passwords.pop(gone, None)
            self.methods.pop(gone, None)
            self.organization_connections.pop(gone, None)
            for connections in self.organization_connections.values():
                connections.pop(gone, None)

    def forget_users(self) -> None:
        """Delete everything that belongs to any user."""
        self.links.forget_users()
        with self.lock:
            self._passwords.clear()
            self.methods.clear()


def _encodable(password: str) -> str:
    """Replace lone surrogates, which have no UTF-8 form."""
    return password.encode("utf-8", "replace").decode()
