"""The documents of every kind of resource, and what links them to users and to each other."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from auth0_meta.emulator.rules.profile import DATABASE_OPTIONS, DEFAULT_CONNECTION, DEFAULT_CONNECTION_ID
from auth0_meta.emulator.state.links import KINDS, Links
from auth0_meta.emulator.state.tables import Row, Table
from auth0_meta.emulator.state.users import Store

Document = dict[str, Any]
_CONNECTION = {
    "id": DEFAULT_CONNECTION_ID,
    "strategy": "auth0",
    "name": DEFAULT_CONNECTION,
    "is_domain_connection": False,
    "enabled_clients": [],
    "realms": [DEFAULT_CONNECTION],
    "options": DATABASE_OPTIONS,
}
# It holds the settings of all applications, and tools that copy a tenant look for it; nobody can log in with it.
_GLOBAL_CLIENT = {
    "client_id": "localGlobalClient000000000000000",
    "name": "All Applications",
    "global": True,
    "is_first_party": True,
    "callbacks": [],
    "grant_types": [],
}
NEW_TENANT: tuple[Row, ...] = (
    ("connections", DEFAULT_CONNECTION_ID, _CONNECTION),
    ("clients", str(_GLOBAL_CLIENT["client_id"]), _GLOBAL_CLIENT),
)
"""What a new tenant has: its default connection and the global client."""
PASSWORDS = "passwords"  # the name of a table
_METHODS, _ORGANIZATION_CONNECTIONS = "authentication_methods", "organization_connections"
# These are passwords of tests: a few rounds are fast, and still no password is stored as typed.
_HASH = "pbkdf2:sha256:1000"


class Resources:
    """Everything a tenant knows besides the profiles of its users; the store of the users keeps it.

    Hold `lock` (reentrant, that of the store) from a read to the write that depends on it.

    >>> from auth0_meta.emulator.rules.profile import Profile
    >>> from auth0_meta.emulator.state.users import UserStore
    >>> resources = Resources(UserStore([Profile("auth0|1", {}, None, 0)]))
    >>> resources.set_password("auth0|1", "correct horse")
    >>> [resources.password_matches(*pair) for pair in (("auth0|1", "correct horse"), ("auth0|1", ""), ("auth0|2", "x"))]
    [True, False, False]
    """

    def __init__(self, users: Store) -> None:
        # One lock for both: with two, a request that takes them in one order could wait for one with the other.
        self._users, self.lock = users, users.lock
        self._registered: dict[tuple[str, str], Document] = {}
        self._hold(NEW_TENANT if users.is_new else users.rows(), kept=not users.is_new)

    def of(self, kind: str) -> Table[Document]:
        """Return the documents of one kind of resource by id; changing the table changes the tenant."""
        return self._tables.setdefault(kind, Table(kind, self._users))

    def register(self, kind: str, key: str, document: Document) -> None:
        """Store a document that belongs to this run, such as a client of the test: it is put back whenever all is replaced."""
        with self.lock:
            self._registered[kind, key] = document
            self.of(kind)[key] = copy.deepcopy(document)

    def change(self, kind: str, key: str, document: Document) -> None:
        """Store a changed document; if it belongs to this run, the change does too."""
        with self.lock:
            if (kind, key) in self._registered:
                self._registered[kind, key] = document
            self.of(kind)[key] = copy.deepcopy(document)

    @property
    def methods(self) -> Table[Document]:
        """The authentication methods of each user: a dict of them by id."""
        return self.of(_METHODS)

    @property
    def organization_connections(self) -> Table[Document]:
        """The connections that each organization has enabled: a dict of their settings by id."""
        return self.of(_ORGANIZATION_CONNECTIONS)

    def set_password(self, user_id: str, password: Any) -> None:
        """Store the hash of a user's password; anything but a string is ignored."""
        if isinstance(password, str):
            from werkzeug.security import generate_password_hash  # noqa: PLC0415  # werkzeug loads on use

            self._users.set_password(user_id, generate_password_hash(_encodable(password), _HASH))

    def password_matches(self, user_id: str, password: str) -> bool:
        """Return whether this is the user's password; no password matches for a user who has none."""
        known = self._users.password(user_id)
        if known is None:
            return False
        from werkzeug.security import check_password_hash  # noqa: PLC0415  # werkzeug loads on use

        return check_password_hash(known, _encodable(password))

    def has_password(self, user_id: str) -> bool:
        """Return whether a password is set for this user."""
        return self._users.password(user_id) is not None

    def forget(self, gone: str) -> None:
        """Delete everything that belongs to a user, role, organization or connection that was deleted."""
        with self.lock:
            self.links.forget(gone)
            self.methods.pop(gone, None)
            self.organization_connections.pop(gone, None)
            for organization, enabled in self.organization_connections.items():
                if gone in enabled:
                    rest = {key: settings for key, settings in enabled.items() if key != gone}
                    self.organization_connections[organization] = rest

    def forget_missing_users(self) -> None:
        """Delete everything that belongs to users who don't exist."""
        with self.lock:
            for user_id in {*self.methods, *map(str, self.links.users())}:
                if self._users.get(user_id) is None:
                    self.forget(user_id)

    # All of it at once ---------------------------------------------------------------------------

    def rows(self) -> Iterator[Row]:
        """Return every row, passwords included, as of now."""
        with self.lock:
            held = [
                (kind, key, value) for kind, table in self._tables.items() for key, value in table.items()
            ]
            held += self.links.rows()
            passwords = self._users.passwords()

        def every() -> Iterator[Row]:
            yield from ((PASSWORDS, user_id, known) for user_id, known in passwords)
            yield from held

        return every()

    def restore(self, rows: Iterable[Row]) -> None:
        """Replace everything with these rows; the caller holds `lock`, and a transaction of the store."""
        self._users.clear_rows()
        self._hold(rows, kept=False)
        for (kind, key), document in self._registered.items():
            self.of(kind)[key] = copy.deepcopy(document)

    def _hold(self, rows: Iterable[Row], *, kept: bool) -> None:
        """Hold these rows and no others; `kept` says whether the store has them already."""
        tables: dict[str, Table[Document]] = {}
        links = Links(self._users)
        kinds = {str(kind): kind for kind in KINDS}
        for kind, key, value in rows:
            if kind == PASSWORDS:
                self._users.set_password(key, value)
                continue
            # The rows may be those of every new tenant, or be restored once more.
            held = value if kept else copy.deepcopy(value)
            if not kept:
                self._users.put_row(kind, key, held)
            if kind in kinds:
                links.take_up(kinds[kind], *key)
            else:
                tables.setdefault(kind, Table(kind, self._users)).take_up(key, held)
        self._tables, self.links = tables, links


def _encodable(password: str) -> str:
    """Replace lone surrogates, which have no UTF-8 form."""
    return password.encode("utf-8", "replace").decode()
