"""Wrap a login callback in a transaction: everything that its helpers change is one PATCH.

    python examples/login_hook.py [USER_ID ...]

Your web framework calls the callback after Auth0 has sent the user back.  If the callback raises an
exception, for a refused login for example, nothing is written.  Without AUTH0_DOMAIN in the environment this
runs on a local tenant with a user of its own; a real tenant needs USER_ID.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from _tenant import connect, say

from auth0_meta import Auth0MetaError, ManagementClient, MetadataTransaction

BEFORE = {"app_metadata": {"logins": {"count": 41}, "tenants": ["acme"]}}


class LoginRefused(Exception):
    """This login is not allowed."""


@contextmanager
def login(client: ManagementClient, user_id: str) -> Iterator[MetadataTransaction]:
    """Run a login in one transaction; because a user is waiting, the waits may take 5 s in all, not 15 minutes."""
    with MetadataTransaction(client, user_id, max_wait=5) as tx:
        yield tx


def count_login(client: ManagementClient, user_id: str) -> None:
    """Count this login, in a transaction that joins the open one."""
    with client.transaction(user_id) as tx:
        tx.app_metadata.increment("logins.count")


def check_tenant(client: ManagementClient, user_id: str, tenant: str) -> None:
    """Refuse a tenant that the user does not belong to; otherwise remember it."""
    with client.transaction(user_id) as tx:
        if tenant not in (tx.app_metadata.get("tenants") or ()):
            msg = f"no access to {tenant}"
            raise LoginRefused(msg)
        tx.app_metadata["last_tenant"] = tenant


def callback(client: ManagementClient, user_id: str, tenant: str) -> str:
    """Handle one login, as the view of /callback would."""
    try:
        with login(client, user_id) as tx:
            count_login(client, user_id)
            check_tenant(client, user_id, tenant)
            tx.user_metadata["last_seen_in"] = tenant
    except LoginRefused as refusal:
        return f"refused: {refusal}"
    except Auth0MetaError as error:
        say(f"metadata not written: {error}")  # the login itself need not fail because of it
        return "welcome"
    return f"welcome, {tx.result}"


def main() -> int:
    """Log every user in twice: once to their own tenant, once to somebody else's."""
    with connect(BEFORE) as (client, user_ids):
        if not user_ids:
            say("usage: login_hook.py USER_ID ...  (AUTH0_DOMAIN is set: name the users who log in)")
            return 2
        for user_id in user_ids:
            print(callback(client, user_id, "acme"))
            print(callback(client, user_id, "globex"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
