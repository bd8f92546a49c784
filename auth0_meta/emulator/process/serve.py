"""Serve a local tenant until a signal stops it, for the command line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO
from urllib.parse import urlsplit

from auth0_meta.emulator.control.recipes import TOOLS, export_lines
from auth0_meta.emulator.process.running import running
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.tenant import LocalTenant


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
    `snapshot`.  `on_ready` is called once the tenant responds; `settings` are those of `running`.
    Call it from the main thread, which gets the signals.  Raises OSError if the port is taken.
    """
    messages = out or sys.stderr
    done = threading.Event()
    with (
        signals_handled(lambda *_: done.set(), "SIGINT", "SIGTERM"),
        running(messages, host=host, port=port, rate_limit=rate_limit, **settings) as (tenant, facts),
    ):
        messages.write(_greeting(tenant, facts, host))
        messages.flush()
        if on_ready is not None:
            on_ready(tenant)
        # Short waits, because Windows delivers Ctrl-C only between them.
        while not done.wait(0.5):
            pass
    return 0


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
    """Return the text that says where the tenant is, what to export, and what it does not check."""
    lines = [f"Local Auth0 tenant on {tenant.url} (made-up credentials, useless elsewhere). Export:", ""]
    lines += [f"  {line}" for line in export_lines("python", facts)]
    port = "" if tenant.port == 8810 else f" --port {tenant.port}"  # the default of both commands
    lines += ["", f"Other tools: auth0-meta emulator env{port} --for {'|'.join(TOOLS[1:])}"]
    if tenant.page_url:
        lines += [f"Its page:    {tenant.page_url}"]
    if tenant.accepts_any_token:
        lines += ["Trust:       it accepts any token and any client secret; --strict tests them"]
    lines += ["", "Ctrl-C stops it."]
    beyond = [name for name in (host, urlsplit(tenant.url).hostname or "") if not is_loopback(name)]
    if beyond:
        can = "may" if is_loopback(host) else "can"  # a public URL may lead here from this machine only
        needed = "no secret" if tenant.accepts_any_token else "its token or secret"
        lines[:0] = [
            f"WARNING: other machines {can} reach this tenant on {beyond[0]}. They need {needed} to call the APIs, and",
            "anyone can sign up, and sign in on its login page, which shows the first users and asks for a password only",
            "where one is set. It answers to loopback names and to those of --hosts.",
            "",
        ]
    return "\n".join(lines) + "\n"
