"""The serving process: what it prints, its signals and its exit code."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.process.serve import serve


def test_it_prints_the_exports_and_stops_on_a_signal() -> None:
    """In the main thread the exports go to `out`, a SIGTERM ends it with 0, and the old handlers are restored."""
    before = signal.getsignal(signal.SIGTERM)
    out, seen = io.StringIO(), []

    def ready(tenant: LocalTenant) -> None:
        seen.append((tenant.url, tenant.env["AUTH0_CLIENT_SECRET"], len(tenant.users)))
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    assert serve(port=0, out=out, on_ready=ready, users=[{"email": "ann@example.com"}]) == 0
    ((url, secret, users),) = seen
    assert f"export AUTH0_DOMAIN={url}\n" in out.getvalue()
    assert f"export AUTH0_CLIENT_SECRET={secret}\n" in out.getvalue()
    assert "export AUTH0_CLIENT_ID=local-client\n" in out.getvalue()
    assert users == 1
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another process are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_ends_cleanly(number: signal.Signals) -> None:
    """A real process serves until the signal; its exit code is 0, stdout is empty, and there is no traceback."""
    code = "from auth0_meta.emulator.process.serve import serve; raise SystemExit(serve(port=0, rate_limit='free'))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    url = ""
    while "Ctrl-C" not in (line := process.stderr.readline()):
        if "AUTH0_DOMAIN" in line:
            url = line.strip().partition("=")[2]
    response = requests.get(f"{url}/api/v2/users", headers={"Authorization": "Bearer x"}, timeout=5)
    assert response.headers["x-ratelimit-limit"] == "2"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
