"""Serve a local tenant until a signal stops it, for the command line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from auth0_meta.emulator.control.recipes import TOOLS, export_lines
from auth0_meta.emulator.control.report import findings
from auth0_meta.emulator.process.announced import announced
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.tenant import LocalTenant

JOURNAL_LIMIT = 10_000
"""How many requests the journal of a tenant keeps if the tenant may run for days."""
_ANY_TOKEN = "local-token-good-here-only"  # noqa: S105  # a tenant that is not strict accepts any token


def facts_of(tenant: LocalTenant, *, strict: bool = False) -> dict[str, Any]:
    """Return what other programs need to know about a started tenant; its secrets are useless elsewhere."""
    facts = {
        "url": tenant.url,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "token": tenant.token() if strict else _ANY_TOKEN,
        "control_token": tenant.control_token,
    }
    return facts | tenant.certificate_files


def serve(
    host: str = "localhost",
    port: int = 8810,
    rate_limit: Any = "off",
    *,
    out: TextIO | None = None,
    on_ready: Callable[[LocalTenant], object] | None = None,
    **settings: Any,
) -> int:
    """Serve until Ctrl-C or SIGTERM, then stop cleanly; returns the exit code 0.

    Writes what to export to `out` (None: stderr), later whatever is requested and not served, and announces the tenant to `auth0-meta emulator env` and
    `snapshot`.  `on_ready` is called once the tenant responds; `settings` are those of `LocalTenant`.
    Call it from the main thread, which gets the signals.  Raises OSError if the port is taken.
    """
    messages = out or sys.stderr
    done = threading.Event()
    settings.setdefault("journal_limit", JOURNAL_LIMIT)
    tenant = LocalTenant(host=host, port=port, rate_limit=rate_limit, **settings)
    with signals_handled(lambda *_: done.set(), "SIGINT", "SIGTERM"), tenant:
        facts = facts_of(tenant, strict=settings.get("strict", False))
        with announced(tenant.port, facts), not_served_told(tenant, messages):
            messages.write(_greeting(tenant, facts, host))
            messages.flush()
            if on_ready is not None:
                on_ready(tenant)
            # Short waits, because Windows delivers Ctrl-C only between them.
            while not done.wait(0.5):
                pass
    return 0


@contextmanager
def not_served_told(tenant: LocalTenant, out: TextIO) -> Iterator[None]:
    """Tell of each thing that is not served when it is first requested, and of all of them at the end."""

    def tell(name: str) -> None:
        with suppress(OSError, ValueError):  # a closed terminal must not fail the request
            out.write(f"not served (404): {name}\n")
            out.flush()

    tenant.journal.on_not_served = tell
    yield
    for line in findings(not_served=tenant.journal.not_served):
        out.write(f"warning: {line} by the local tenant\n")


@contextmanager
def signals_handled(handler: Callable[[int, Any], object], *names: str) -> Iterator[None]:
    """Call `handler` for those of these signals that the system has, while the block runs."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, earlier in before:
            signal.signal(number, earlier)


def _greeting(tenant: LocalTenant, facts: dict[str, Any], host: str) -> str:
    """Return the text that says where the tenant is and what to export."""
    lines = [f"Local Auth0 tenant on {tenant.url} (made-up credentials, useless elsewhere). Export:", ""]
    lines += [f"  {line}" for line in export_lines("python", facts)]
    port = "" if tenant.port == 8810 else f" --port {tenant.port}"  # the default of both commands
    others = "|".join(TOOLS[1:])
    lines += ["", f"Other tools: auth0-meta emulator env{port} --for {others}"]
    lines += [f"Its page:    {tenant.page_url}", "", "Ctrl-C stops it."]
    if not is_loopback(host):
        lines[:0] = [
            f"WARNING: other machines can reach this tenant on {host}. They need its secret to call the APIs, but",
            "anyone can sign up, and sign in on its login page, which shows the first users and asks for no password.",
            "",
        ]
    return "\n".join(lines) + "\n"
