"""Drop what nobody has used for a long time: by a date that is stored with it, or by the user's last login.

    auth0-meta migrate plan drop_unused_keys.py --fields last_login -o drop.db
    auth0-meta migrate show drop.db
    auth0-meta migrate apply drop.db

Edit the constants.  `DATED` names objects whose entries each have a date, and the name of that date: older entries
are dropped, and entries without a date stay.  `IDLE` names keys that are dropped if the user has not logged in since; a
user who never logged in counts from the day of sign-up.  The export has `last_login` only if `--fields` requests it.

`SINCE` is a constant, because a plan must not depend on the time at which it is made.
"""

from __future__ import annotations

from datetime import UTC, datetime

from auth0_meta import MetadataTransaction, User

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DATED = {"devices": "last_seen"}
IDLE = ("drafts", "recommendations")


def unused(date: object) -> bool:
    """Return whether a date, in ISO 8601 or in milliseconds since 1970, is before `SINCE`."""
    try:
        seen = datetime.fromisoformat(date) if isinstance(date, str) else None
    except ValueError:
        return False  # not a date
    if seen is not None:
        return seen.replace(tzinfo=seen.tzinfo or UTC) < SINCE
    return isinstance(date, int | float) and 0 < date < SINCE.timestamp() * 1000


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Drop old entries, and what an idle user has left behind, from both bags."""
    for bag in (tx.user_metadata, tx.app_metadata):
        for path, date in DATED.items():
            entries = bag.get(path)
            if isinstance(entries, dict):
                kept = {
                    key: entry
                    for key, entry in entries.items()
                    if not (isinstance(entry, dict) and unused(entry.get(date)))
                }
                if len(kept) < len(entries):
                    bag.set(path, kept or None)  # None deletes
        if unused(user.get("last_login") or user.created_at):
            for path in IDLE:
                bag.delete(path)
