"""Start a real redis-server and a real PostgreSQL, each on a free loopback port and in its own folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.clock import SYSTEM_CLOCK
from support.scripted_server import free_port

START_SECONDS = 60


def program(name: str) -> str:
    """Return the path of a program, or skip the test.  Debian keeps PostgreSQL's programs out of PATH, by version."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        pytest.skip(f"{name} is not installed: `.ci/run` installs it")
    return found


def _wait_until_it_responds(process: subprocess.Popen[bytes], probe: list[str], log: Path) -> None:
    end = SYSTEM_CLOCK.monotonic() + START_SECONDS
    while subprocess.run(probe, capture_output=True, timeout=START_SECONDS).returncode != 0:
        alive = process.poll() is None and SYSTEM_CLOCK.monotonic() < end
        assert alive, f"{process.args!r} does not respond:\n{log.read_text(errors='replace')}"
        SYSTEM_CLOCK.sleep(0.05)


@contextmanager
def _running(command: list[str], probe: list[str], folder: Path, **options: Any) -> Iterator[None]:
    """Run a server until the block ends; the block starts once the server has responded to a probe."""
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, **options) as process:
        try:
            _wait_until_it_responds(process, probe, log)
            yield
        finally:
            # SIGINT ends PostgreSQL's connections; SIGTERM would wait for their clients.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=START_SECONDS)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a redis-server that stores nothing on disk, and return its URL."""
    folder, port = tmp_path_factory.mktemp("redis"), str(free_port())
    server = [program("redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", str(folder)]
    probe = [program("redis-cli"), "-p", port, "ping"]
    with _running([*server, "--save", "", "--appendonly", "no"], probe, folder):
        yield f"redis://127.0.0.1:{port}/0"


class Postgres:
    """A PostgreSQL on new, empty files, which a test may stop and start again.

    `url` is the URL of its superuser, who has no password.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = {name: program(name) for name in ("initdb", "postgres", "pg_isready")}
        self._folder, self._port = folder, str(free_port())
        self._options: dict[str, Any] = {"cwd": str(folder)}
        self._stack = ExitStack()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            self._options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        where = [
            "-D",
            str(folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        subprocess.run(
            [self._programs["initdb"], *where],
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
            **self._options,
        )

    def start(self) -> None:
        """Start it, and wait until it responds."""
        server = [
            self._programs["postgres"],
            "-D",
            str(self._folder / "data"),
            "-p",
            self._port,
            "-h",
            "127.0.0.1",
        ]
        probe = [self._programs["pg_isready"], "-q", "-h", "127.0.0.1", "-p", self._port]
        self._stack.enter_context(_running([*server, "-k", "", "-F"], probe, self._folder, **self._options))

    def stop(self) -> None:
        """Stop it, as a restart does: connections are ended, and what was committed is on the disk."""
        self._stack.close()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL until the block ends."""
    # Not in pytest's folder: PostgreSQL refuses to run as root, and no other user can enter that folder.
    with tempfile.TemporaryDirectory(prefix="auth0-meta-postgres-") as name:
        server = Postgres(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a PostgreSQL, and return the URL of its superuser, who has no password."""
    with postgres() as server:
        yield server.url
