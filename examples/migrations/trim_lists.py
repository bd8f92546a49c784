"""Trim lists that grow to their last items.

    auth0-meta migrate plan trim_lists.py -o trim.db
    auth0-meta migrate show trim.db
    auth0-meta migrate apply trim.db --migration trim_lists.py

Edit the two tables: the path of a list, and how many items stay.  The last items stay, in their order; a list that
is no longer than that is left alone.  With `--migration`, `apply` also trims a list that has grown since the plan.

First stop the growth, where your code or your Action appends: `append("login_history", entry, keep=20)`.
If you still need the older items, don't trim: `auth0-meta offload app_metadata.login_history` moves the whole list into
a store of your own.  `auth0-meta migrate undo trim.db` puts the older items back.
"""

from __future__ import annotations

from typing import Any

from auth0_meta import MetadataTransaction, User

USER_METADATA = {"devices": 10}
APP_METADATA = {"login_history": 20, "audit_trail": 20, "read_notices": 100}


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Keep the last items of each list."""
    for bag, lists in ((tx.user_metadata, USER_METADATA), (tx.app_metadata, APP_METADATA)):
        for path, keep in lists.items():
            items: list[Any] | None = bag.get(path)
            if isinstance(items, list) and len(items) > keep:
                bag.set(path, items[len(items) - keep :])
