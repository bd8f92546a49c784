"""Rename keys that contain `.` or `$`, or are empty: Auth0 still stores some, but refuses them in every write.

    auth0-meta migrate plan rename_bad_keys.py -o rename.db
    auth0-meta migrate show rename.db
    auth0-meta migrate apply rename.db --migration rename_bad_keys.py

Inside an object, a key is renamed by writing the first-level key above it again.  `undo` can't bring old names back.

A first-level key can't even be deleted, because no request may contain its name; Auth0's advice is to empty the bag and
to write it again.  In `user_metadata` that takes two runs: the first one empties it and parks the renamed values in
`app_metadata` with the same PATCH, and the second one, planned right after it into another job file, puts them back.
In `app_metadata` such a key stays: what decides about access can't be parked where users may edit it.
"""

from __future__ import annotations

from typing import Any

from auth0_meta import MetadataTransaction, User

NAMES = str.maketrans({".": "_", "$": "_"})
EMPTY = "_"
PARKED = "parked_user_metadata"


def good(key: str) -> str:
    """Return a key without what Auth0 refuses."""
    return key.translate(NAMES) or EMPTY


def renamed(value: list[Any] | dict[str, Any] | str | float | None) -> Any:
    """Return a value in which no key has a bad name at any depth."""
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {good(key): renamed(item) for key, item in value.items()}
    if len(copy) < len(value):
        raise ValueError("two keys of one object would get the same name")
    return copy


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Rename what can be renamed in one request."""
    for stored, bag in ((user.user_metadata, tx.user_metadata), (user.app_metadata, tx.app_metadata)):
        for key, value in stored.items():
            if key == good(key) and renamed(value) != value:
                bag[key] = renamed(value)
    parked = user.app_metadata.get(PARKED)
    if parked is not None:  # the second run: what somebody has stored since then wins
        tx.user_metadata.update({**parked, **user.user_metadata})
        tx.app_metadata.delete(PARKED)
    elif any(key != good(key) for key in user.user_metadata):
        tx.app_metadata.set(PARKED, renamed(dict(user.user_metadata)))
        tx.user_metadata.clear()
