"""Change many users from asyncio: several at a time, each with one PATCH, while the event loop runs on.

    python examples/async_script.py [USER_ID ...]

Without AUTH0_DOMAIN in the environment it runs on a local tenant, with users of its own.  On a real tenant it changes
only the users that you name.
"""

from __future__ import annotations

import asyncio
import sys

from _tenant import connect, say

from auth0_meta import AsyncManagementClient, AsyncMetadataTransaction, Auth0MetaError


async def count_visit(tx: AsyncMetadataTransaction) -> int:
    """Count a visit; this is run again if somebody else changes the number meanwhile."""
    await tx.load()
    visits = int(tx.app_metadata.get("visits", 0)) + 1
    tx.app_metadata["visits"] = visits
    return visits


async def visit(client: AsyncManagementClient, user_id: str) -> str:
    """Change one user, and say what became of it."""
    try:
        visits = await client.run_transaction(user_id, count_visit)
        result = await client.users.set_metadata(user_id, user={"prefs.lang": "fi"})
    except Auth0MetaError as error:
        return f"{user_id} error: {error}"
    return f"{user_id} visits {visits}, {result.outcome}"


async def change(client: AsyncManagementClient, user_ids: list[str]) -> int:
    """Change all users at the same time and print what became of each."""
    found = await asyncio.gather(*(visit(client, user_id) for user_id in user_ids))
    print("\n".join(found))
    return int(any(" error: " in line for line in found))


def main() -> int:
    """Run it on the tenant that there is."""
    with connect({}, {"app_metadata": {"visits": 41}}) as (client, user_ids):
        if not user_ids:
            say("usage: async_script.py USER_ID ...  (AUTH0_DOMAIN is set: name the users to change)")
            return 2
        return asyncio.run(change(client.aio, user_ids))


if __name__ == "__main__":
    sys.exit(main())
