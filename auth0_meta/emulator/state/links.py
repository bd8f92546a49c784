"""Links: the roles of users, the members of organizations, the permissions of users and roles."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from typing import Literal

Kind = Literal[
    "user_roles", "user_permissions", "role_permissions", "members", "member_roles", "organization_grants"
]


class Links:
    """Links between ids in the order in which they were made; thread-safe, in memory.

    >>> links = Links()
    >>> links.add("user_roles", "auth0|1", ["rol_a", "rol_b"])
    >>> links.of("user_roles", "auth0|1"), links.holders("user_roles", "rol_b")
    (['rol_a', 'rol_b'], ['auth0|1'])
    >>> links.forget("rol_a")
    >>> links.of("user_roles", "auth0|1")
    ['rol_b']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[Kind, dict[Hashable, dict[Hashable, None]]] = {}

    def add(self, kind: Kind, holder: Hashable, things: Iterable[Hashable]) -> None:
        """Link things to a holder; existing links keep their place in the order."""
        with self._lock:
            self._links.setdefault(kind, {}).setdefault(holder, {}).update(dict.fromkeys(things))

    def remove(self, kind: Kind, holder: Hashable, things: Iterable[Hashable]) -> None:
        """Unlink things; missing ones are ignored."""
        with self._lock:
            held = self._links.get(kind, {}).get(holder, {})
            for thing in things:
                held.pop(thing, None)

    def of(self, kind: Kind, holder: Hashable) -> list[Hashable]:
        """Return the things that a holder has."""
        with self._lock:
            return list(self._links.get(kind, {}).get(holder, ()))

    def holders(self, kind: Kind, thing: Hashable) -> list[Hashable]:
        """Return the holders of a thing."""
        with self._lock:
            return [holder for holder, held in self._links.get(kind, {}).items() if thing in held]

    def forget(self, gone: Hashable) -> None:
        """Delete every link of a user, a role or an organization that was deleted."""
        with self._lock:
            for links in self._links.values():
                for holder in [*links]:
                    if holder == gone or (isinstance(holder, tuple) and gone in holder):
                        del links[holder]
                for held in links.values():
                    held.pop(gone, None)

    def forget_users(self) -> None:
        """Delete every link of every user; the permissions of roles stay."""
        with self._lock:
            for kind in [kind for kind in self._links if kind != "role_permissions"]:
                del self._links[kind]
