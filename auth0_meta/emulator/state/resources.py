"""The documents of every kind of resource, and what links them to users and to each other."""

from __future__ import annotations

import threading
from typing import Any

from auth0_meta.emulator.rules.profile import DEFAULT_CONNECTION, DEFAULT_CONNECTION_ID
from auth0_meta.emulator.state.links import Links
from auth0_meta.emulator.state.passwords import Passwords

Document = dict[str, Any]


class Resources:
    """Everything a tenant knows besides its users, in memory.

    `lock` (reentrant) guards a read and the write that follows from it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.links = Links()
        self.passwords = Passwords()
        self.methods: dict[str, dict[str, Document]] = {}
        """The authentication methods of each user, by id."""
        self.organization_connections: dict[str, dict[str, Document]] = {}
        """The connections that each organization has enabled, by id."""
        self._documents: dict[str, dict[str, Document]] = {}
        self.clear()

    def of(self, kind: str) -> dict[str, Document]:
        """Return the documents of one kind of resource by id; changing the dict changes the tenant."""
        return self._documents.setdefault(kind, {})

    def forget(self, gone: str) -> None:
        """Drop everything that belongs to a user, role, organization or connection that was deleted."""
        self.links.forget(gone)
        self.passwords.forget(gone)
        with self.lock:
            self.methods.pop(gone, None)
            self.organization_connections.pop(gone, None)
            for connections in self.organization_connections.values():
                connections.pop(gone, None)

    def forget_users(self) -> None:
        """Drop everything that belongs to any user."""
        self.links.forget_users()
        self.passwords.clear()
        with self.lock:
            self.methods.clear()

    def clear(self) -> None:
        """Drop every document except the connection that each new tenant has."""
        default = {"id": DEFAULT_CONNECTION_ID, "strategy": "auth0", "name": DEFAULT_CONNECTION}
        with self.lock:
            self._documents.clear()
            self._documents["connections"] = {DEFAULT_CONNECTION_ID: default}
            self.methods.clear()
            self.organization_connections.clear()
        self.links.clear()
        self.passwords.clear()
