"""Upgrade a user's plan from a backend script: nested changes to both kinds of metadata, one PATCH.

    python examples/backend_script.py [USER_ID ...]

Without AUTH0_DOMAIN in the environment it runs on a local tenant, with a user of its own.  On a real tenant it changes
only the users that you name.
"""

from __future__ import annotations

import sys

from _tenant import connect, say

from auth0_meta import Auth0MetaError, CommitResult, ManagementClient, MetadataTransaction

BEFORE = {
    "user_metadata": {"prefs": {"lang": "en", "mail": True, "old_banner": 1}},
    "app_metadata": {"billing": {"plan": "free", "trial": "2026-12-01"}, "seats": 3},
}


def upgrade(client: ManagementClient, user_id: str) -> CommitResult | None:
    """Stage everything that an upgrade changes; leaving the block sends one PATCH."""
    with MetadataTransaction(client, user_id) as tx:
        tx.user_metadata.merge({"prefs": {"old_banner": None}, "welcome": {"tour": "pro"}})
        tx.app_metadata.set("billing.plan", "pro")
        tx.app_metadata.delete("billing.trial")
        tx.app_metadata.increment("seats", 2)
        tx.app_metadata.append("log.plans", {"plan": "pro", "by": "backend_script"}, keep=20)
    return tx.result


def main() -> int:
    """Upgrade each user and print the result."""
    with connect(BEFORE) as (client, user_ids):
        if not user_ids:
            say("usage: backend_script.py USER_ID ...  (AUTH0_DOMAIN is set: name the users to change)")
            return 2
        for user_id in user_ids:
            try:
                print(user_id, upgrade(client, user_id))
            except Auth0MetaError as error:
                say(f"error: {error}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
