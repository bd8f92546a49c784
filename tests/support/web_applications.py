"""Start a web example in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from auth0_meta.clock import SYSTEM_CLOCK
from support.scripted_server import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


def wait_for(port: int) -> None:
    """Wait until the page is served, for at most a minute."""
    end = SYSTEM_CLOCK.monotonic() + 60
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/", headers={"Connection": "close"}, timeout=30)
        except requests.ConnectionError:
            assert SYSTEM_CLOCK.monotonic() < end, "the example never listened on its port"
            SYSTEM_CLOCK.sleep(0.05)
        else:
            return


@contextmanager
def running(script: str) -> Iterator[str]:
    """Start one example and return its URL."""
    port = free_port()
    with started(script, str(port)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"open http://127.0.0.1:{port}\n"
        wait_for(port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def started(
    script: str, *arguments: str, stderr: int = subprocess.DEVNULL, **environ: str
) -> Iterator[subprocess.Popen[str]]:
    """Start one example with these arguments; end it with Ctrl-C afterwards."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **environ}
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
