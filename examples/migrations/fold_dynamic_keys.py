"""Fold keys that have data in their names into one list: `sessions.<uuid>`, `usage.<date>`, `mfa_required_<id>`.

    auth0-meta migrate plan fold_dynamic_keys.py -o fold.db
    auth0-meta migrate show fold.db
    auth0-meta migrate apply fold.db --migration fold_dynamic_keys.py

Edit the constants.  `OBJECTS` names objects with one key for each entry, and the field to sort by; `PREFIXES` says how
first-level keys with one entry each begin.  They become a list of `{"id": key, **entry}`, or of `{"id": key, "value":
entry}` if the entry is not an object; the newest are last, and only the last `KEEP` stay.  An object is left alone if
one of its keys is not `DYNAMIC`.

First deploy code that reads the list, and appends to it: `append("sessions", {"id": key, ...}, keep=20)`.
"""

from __future__ import annotations

import re
from typing import Any

from auth0_meta import MetadataTransaction, User

KEEP = 20
OBJECTS = {"sessions": "at", "usage": "id"}
PREFIXES = ("mfa_required_",)
DYNAMIC = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|\d{4}-\d\d-\d\d.*|\d+", re.IGNORECASE)


def item(key: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    """Return an entry with its key as `id`."""
    return (
        {"id": key, **entry} if isinstance(entry, dict) and "id" not in entry else {"id": key, "value": entry}
    )


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Fold the dynamic keys of both bags."""
    for bag in (tx.user_metadata, tx.app_metadata):
        for path, field in OBJECTS.items():
            entries: dict[str, Any] | None = bag.get(path)
            if isinstance(entries, dict) and entries and all(DYNAMIC.fullmatch(key) for key in entries):
                items = [item(key, entry) for key, entry in entries.items()]
                bag.set(path, sorted(items, key=lambda each: str(each.get(field, "")))[-KEEP:])
        for prefix in PREFIXES:
            path, keys = prefix.rstrip("_"), [key for key in bag if key.startswith(prefix)]
            for key in keys:
                bag.append(path, item(key.removeprefix(prefix), bag[key]), keep=KEEP)
                del bag[key]
