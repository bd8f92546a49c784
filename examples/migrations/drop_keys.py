"""Delete keys that do not belong in metadata, such as secrets, and keys that no code reads any more.

    auth0-meta migrate plan drop_keys.py -o drop.db
    auth0-meta migrate show drop.db
    auth0-meta migrate apply drop.db
    auth0-meta migrate purge drop.db

Edit the paths.  The job file keeps what was deleted, so that `undo` can put it back; once you are sure, `purge` deletes
the values there too.

A secret that was in metadata counts as known: first replace it by a new one, in a store that is made for secrets.
"""

from __future__ import annotations

from auth0_meta import MetadataTransaction, User

USER_METADATA = ("password", "payment.card_number", "tax.ssn")
APP_METADATA = ("aws_access_key_id", "billing.card", "partner_token")


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Delete each path; a path that a user does not have changes nothing."""
    for bag, paths in ((tx.user_metadata, USER_METADATA), (tx.app_metadata, APP_METADATA)):
        for path in paths:
            bag.delete(path)
