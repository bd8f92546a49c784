"""Connect an example to the tenant that AUTH0_DOMAIN names, or to a local one that is started for it."""

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
    """Print a message to stderr; the results of an example go to stdout."""
    sys.stderr.write(text + "\n")  # one write, because several threads report waits


def say_wait(wait: Wait) -> None:
    """Report a wait before it begins; clients get this as `on_wait`."""
    say(f"waiting {wait.seconds:.1f} s: {wait.reason}")


@contextmanager
def connect(
    *profiles: dict[str, Any],
    prepare: Callable[[LocalTenant], object] = lambda tenant: None,
    rate_limit: str = "off",
) -> Iterator[tuple[ManagementClient, list[str]]]:
    """Yield a client and user ids: on a real tenant the ids on the command line, on a local one those of new users.

    `profiles`, `prepare` and `rate_limit` are for the local tenant: its users, a function that may inject faults,
    and its rate limit.
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
        say("the tenant received " + ", ".join(f"{count} x {what}" for what, count in seen.items()))
