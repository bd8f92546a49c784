"""Drop what nobody has used for a long time: by a date that is stored with it, or by the user's last login.

    auth0-meta migrate plan drop_unused_keys.py --fields last_login -o drop.db
    auth0-meta migrate show drop.db
    auth0-meta migrate apply drop.db

Edit the constants.  `DATED` names lists and objects whose entries have a date, and the name of that date: older entries
are dropped, and entries without a date stay.  `IDLE` names keys that are dropped if the user has not logged in since; a
user who never logged in counts from the day of sign-up.  The export has `last_login` only if `--fields` requests it.

`SINCE` is a constant, because a plan must not depend on the time at which it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from auth0_meta import MetadataTransaction, User

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DATED = {"devices": "at"}
IDLE = ("last_device", "session_id")


def unused(entry: Mapping[str, Any] | None, date: str) -> bool:
    """Return whether an entry's date, in ISO 8601 or in milliseconds since 1970, is before `SINCE`."""
    value = entry.get(date) if isinstance(entry, Mapping) else None
    if isinstance(value, int | float):
        return 0 < value < SINCE.timestamp() * 1000
    try:
        seen = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return seen.replace(tzinfo=seen.tzinfo or UTC) < SINCE


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Drop old entries, and what idle users have left behind, from both bags."""
    for bag in (tx.user_metadata, tx.app_metadata):
        for path, date in DATED.items():
            entries: list[Any] | dict[str, Any] | None = bag.get(path)
            if isinstance(entries, list):
                kept: Any = [entry for entry in entries if not unused(entry, date)]
            elif isinstance(entries, dict):
                kept = {key: entry for key, entry in entries.items() if not unused(entry, date)}
            else:
                continue
            if len(kept) < len(entries):
                bag.set(path, kept or None)  # None deletes
        if unused(user, "last_login" if user.get("last_login") else "created_at"):
            for path in IDLE:
                bag.delete(path)
