"""Move what decides about access out of `user_metadata`, which users may edit themselves, into `app_metadata`.

    auth0-meta migrate plan move_to_app_metadata.py -o move.db
    auth0-meta migrate show move.db --all --csv --show-values > review.csv
    auth0-meta migrate apply move.db

Edit `PATHS`: each value goes to the same path in `app_metadata`.  If there is one already, it stays, and that of
`user_metadata` is deleted: only your own code can have written the former.

Read the review before you apply.  Any user may have written what is moved: somebody who has the plan "enterprise" or the role
"admin" there has not necessarily paid for it.  And first deploy code that reads `app_metadata`.
"""

from __future__ import annotations

from auth0_meta import MetadataTransaction, User

PATHS = ("roles", "permissions", "plan")


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Move each value, unless app_metadata has one; delete it where users can edit it."""
    for path in PATHS:
        value = user.user_metadata.get(path)
        if value is not None:
            if user.app_metadata.get(path) is None:
                tx.app_metadata.set(path, value)
            tx.user_metadata.delete(path)
