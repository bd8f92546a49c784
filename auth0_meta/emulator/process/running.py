"""What `serve` and `exec` share: a tenant that other programs can find, and what it writes to the console."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from auth0_meta.emulator.api.route import MANAGEMENT_ROOT
from auth0_meta.emulator.control.report import findings
from auth0_meta.emulator.process.announced import announced
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.tenant import LocalTenant
from auth0_meta.redact import printable

JOURNAL_LIMIT = 10_000
"""How many requests the journal of a tenant keeps if the tenant may run for days."""
_ANY_TOKEN = "local-token-good-here-only"  # noqa: S105  # for a tenant that accepts any token
# Longer than any id: it may be a token that was sent in the wrong place.
_LONG = re.compile(r"[^/]{80,}")


@contextmanager
def running(
    out: TextIO,
    *,
    clients: Iterable[tuple[str, str | None]] = (),
    callbacks: Iterable[tuple[str, str]] = (),
    log_requests: bool = False,
    **settings: Any,
) -> Iterator[tuple[LocalTenant, dict[str, Any]]]:
    """Serve a tenant while the block runs, announced to other commands; yields it and what was announced.

    `clients` are ids and secrets (None for a public client); the first one with a secret takes the place of the tenant's
    own client in the announcement.  `callbacks` are client ids and URLs to which logins may return.  `out` gets a line for
    whatever is requested and not served, at once and again at the end, and with `log_requests` for each request.
    `settings` are those of `LocalTenant`.
    """
    settings.setdefault("journal_limit", JOURNAL_LIMIT)
    tenant = LocalTenant(**settings)
    clients = list(clients)
    for client_id, secret in clients:
        tenant.add_client(client_id, client_secret=secret)
    for client_id, url in callbacks:
        tenant.add_callback(client_id, url)
    own = next(((client_id, secret) for client_id, secret in clients if secret), None)
    tenant.client_id, tenant.client_secret = own or (tenant.client_id, tenant.client_secret)

    def tell(line: str) -> None:
        with suppress(OSError, ValueError):  # a closed terminal must not fail the request
            out.write(f"{line}\n")
            out.flush()

    tenant.journal.on_not_served = lambda name: tell(f"not served (404): {name}")
    if log_requests:
        tenant.journal.on_entry = lambda entry: tell(_line(entry))
    with tenant:
        facts = facts_of(tenant)
        with announced(tenant.port, facts):
            yield tenant, facts
        for line in findings(not_served=tenant.journal.not_served):
            out.write(f"warning: {line} by the local tenant\n")


def facts_of(tenant: LocalTenant) -> dict[str, Any]:
    """Return what other programs need to know about a started tenant; its secrets are useless elsewhere."""
    facts = {
        "url": tenant.url,
        "local_url": tenant.local_url,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "token": _ANY_TOKEN if tenant.accepts_any_token else tenant.token(),
        "control_token": tenant.control_token,
    }
    return facts | tenant.certificate_files


def _line(entry: Entry) -> str:
    """Return a line about a request: no query, and no path that may hold a secret, as a download's does."""
    known = entry.route and not entry.route.startswith(MANAGEMENT_ROOT)
    path = _LONG.sub("<long>", entry.route if known else entry.path)
    status = "closed" if entry.status is None else entry.status
    return f"{entry.method} {printable(path)} {status} {entry.duration * 1000:.0f} ms"
