"""Bring values that were moved into a store of your own back into the profile, wherever their pointers are.

    auth0-meta migrate plan bring_back.py -o back.db
    auth0-meta migrate show back.db
    auth0-meta migrate apply back.db

As long as you have the job file of `auth0-meta offload`, `auth0-meta migrate undo` does the same; this needs only the store.
Edit the constants.  Each value is compared with the pointer's length and SHA-256; a user whose value is not in the store is
left out and named.  A pointer that belongs to another user is refused, because users may edit `user_metadata`.

Leave a password out of the URL: PGPASSWORD and ~/.pgpass work here, and the variables AUTH0_* do not.  The values stay in
the store too; `store.forget(user_id)` deletes those of a user.
"""

from __future__ import annotations

from auth0_meta import MetadataTransaction, User
from auth0_meta.external import is_pointer, load, open_store

STORE = open_store("sqlite:///big.db")
USER_METADATA = ("avatar", "cart")
APP_METADATA = ("api_cache", "directory_groups")


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Put each value where its pointer is."""
    for bag, paths in ((tx.user_metadata, USER_METADATA), (tx.app_metadata, APP_METADATA)):
        for path in paths:
            value = bag.get(path)
            if is_pointer(value):
                bag.set(path, load(value, store=STORE, user_id=user.user_id))
