"""For tests of transactions: a local tenant in this process with one user, on a clock that never really waits."""

from __future__ import annotations

import threading
from typing import Any

from auth0_meta import ManagementClient, MetadataTransaction
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import FakeClock
from auth0_meta.transactions.options import TransactionOptions
from auth0_meta.transactions.savepoint import OPEN
from auth0_meta.transactions.unit import Unit

UID = "auth0|507f1f77bcf86cd799439020"


def open_blocks(client: ManagementClient) -> list[object]:
    """Return the units of work that others could join in this thread."""
    units = (ref() for key, refs in OPEN.units.items() if key[0] is client._channel for ref in refs)
    return [unit for unit in units if unit is not None]


def bulk_transaction(local: Local, cancelled: threading.Event, **settings: Any) -> MetadataTransaction:
    """Open a transaction as a batch does: it yields to live traffic, and ends unsent once `cancelled` is set."""
    options = TransactionOptions(**settings)
    return MetadataTransaction._of(Unit(local.client._channel, UID, options, share=0.5, cancelled=cancelled))


class Local:
    """One tenant, one client, one user; `sent` and `bodies` are what the tenant received for that user."""

    def __init__(
        self, user_metadata: Any = None, app_metadata: Any = None, *, rate_limit: str = "off", **settings: Any
    ) -> None:
        self.clock = FakeClock()
        self.tenant = LocalTenant(serve=False, clock=self.clock, rate_limit=rate_limit)
        self.tenant.users.add(user_id=UID, user_metadata=user_metadata, app_metadata=app_metadata)
        self.client: ManagementClient = self.tenant.client(**{"token": "any.given.token", **settings})

    def tx(self, **settings: Any) -> MetadataTransaction:
        """Open a transaction for the user."""
        return self.client.transaction(UID, **settings)

    @property
    def sent(self) -> list[str]:
        """Return the methods of the user's requests, in order."""
        return [entry.method for entry in self.tenant.journal.requests(user_id=UID)]

    @property
    def bodies(self) -> list[Any]:
        """Return the bodies of the user's PATCHes that the tenant received whole, in order."""
        return [e.body for e in self.tenant.journal.requests("PATCH", user_id=UID) if e.body is not None]

    @property
    def user_metadata(self) -> Any:
        """The user_metadata that the tenant stores."""
        return self.tenant.users[UID].user_metadata

    @property
    def app_metadata(self) -> Any:
        """The app_metadata that the tenant stores."""
        return self.tenant.users[UID].app_metadata

    def write(self, **bags: Any) -> None:
        """Write as somebody else, without the client."""
        self.tenant.users[UID].patch(**bags)

    def second_writer(self, method: str, *, nth: int = 1, **bags: Any) -> None:
        """Let somebody else write just before the `nth` request of this method is processed."""
        self.tenant.before(method, UID, lambda _: self.write(**bags), nth=nth)

    def profile(self) -> dict[str, Any]:
        """Return the profile as a login event or an export would hold it."""
        return dict(self.tenant.users[UID])
