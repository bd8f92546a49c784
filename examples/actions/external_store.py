"""Keep large data in your own store, and only a pointer to it in `app_metadata`.

    python examples/actions/external_store.py

This simulates a login at a local tenant in this process; AUTH0_DOMAIN is not used.

Metadata is not a database: a profile may have up to 10 KB, and each write counts against the rate limit.  Here
SQLite holds every login, and the profile holds the key of the user's rows.  The pointer never changes, so only
the first login of a user sends a PATCH.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auth0_meta.actions import Api, Event

TABLE = "CREATE TABLE IF NOT EXISTS history (account TEXT NOT NULL, entry TEXT NOT NULL)"


class History:
    """Any number of entries per account, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.opened() as db:
            db.execute(TABLE)

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, because login callbacks run in many threads."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=5)) as db, db:
            yield db

    def append(self, account: str, entry: dict[str, Any]) -> None:
        """Add an entry."""
        with self.opened() as db:
            db.execute("INSERT INTO history VALUES (?, ?)", (account, json.dumps(entry)))

    def entries(self, account: str) -> list[dict[str, Any]]:
        """Return the entries of an account, oldest first."""
        with self.opened() as db:
            rows = db.execute("SELECT entry FROM history WHERE account = ? ORDER BY rowid", (account,))
            return [json.loads(entry) for (entry,) in rows]


class KeepHistory:
    """Write each login to the store; `app_metadata.history` is the user's account there."""

    def __init__(self, history: History) -> None:
        self.history = history

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Add this login to the user's account; create the pointer if there is none yet."""
        account = event.user.app_metadata.get("history")
        if account is None:
            account = uuid.uuid5(uuid.NAMESPACE_URL, f"auth0:{event.user.user_id}").hex
            api.user.set_app_metadata("history", account)
        self.history.append(account, {"ip": event.request.ip, "client": dict(event.client)})


if __name__ == "__main__":
    import tempfile

    from auth0_meta.testing import simulate

    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.db")
        user: dict[str, Any] = {"user_id": "auth0|1", "app_metadata": {}, "user_metadata": {}}
        for _ in range(3):
            login = simulate(KeepHistory(history), {"user": user, "request": {"ip": "192.0.2.1"}})
            print([(request.method, request.body) for request in login.requests])
            user = {**user, "app_metadata": login.user["app_metadata"]}
        print(len(history.entries(user["app_metadata"]["history"])), "logins stored")
