"""Connect an example to the tenant that AUTH0_* names, or to a local one started for it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from auth0_meta import ManagementClient, Wait

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant


def say(text: str) -> None:
    """Print talk to stderr; the results of an example go to stdout."""
    sys.stderr.write(text + "\n")  # one write: waits are told from several threads


def say_wait(wait: Wait) -> None:
    """Tell a wait before it begins: what `on_wait` is for."""
    say(f"waiting {wait.seconds:.1f} s: {wait.reason}")


@contextmanager
def connect(
    *profiles: dict[str, Any],
    prepare: Callable[[LocalTenant], object] = lambda tenant: None,
    rate_limit: str = "off",
) -> Iterator[tuple[ManagementClient, list[str]]]:
    """Give a client and user ids: those of the command line on a real tenant, new ones on a local tenant.

    `profiles` are the users that the local tenant gets; `prepare(tenant)` may arrange for trouble, and
    `rate_limit` is its own.
    """
    if os.environ.get("AUTH0_DOMAIN"):
        with ManagementClient.from_env(on_wait=say_wait) as client:
            yield client, sys.argv[1:]
        return

    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415  # a real tenant needs no emulator extra

    with (
        LocalTenant(users=profiles, rate_limit=rate_limit) as tenant,
        tenant.client(on_wait=say_wait) as client,
    ):
        say(f"AUTH0_DOMAIN is not set: this runs on a local tenant, {tenant.url}")
        prepare(tenant)
        yield client, [user.user_id for user in tenant.users]
        seen = Counter(f"{entry.method} {entry.status}" for entry in tenant.journal.requests(path="/api/v2/"))
        say("the tenant saw " + ", ".join(f"{count} x {what}" for what, count in seen.items()))
