"""A Next.js application logs in with Auth0's SDK, version 4; `tox -e nextjs` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.own_environment("nextjs")]

MODULES = Path(os.environ.get("AUTH0_META_LIVE_NODE_MODULES", ""))
APPLICATION = Path(__file__).with_name("servers") / "next"
# In a network and with a table of hosts of its own, so that port 443 is free and the tenant's name leads to loopback.
SCRIPT = 'ip link set lo up && mount --bind "$1" /etc/hosts && exec "$2" "$3" "$4"'


def test_nextjs_auth0_logs_in_and_out(tmp_path: Path) -> None:
    """It refuses a tenant with a port or on localhost, so the tenant has a name and port 443."""
    folder = MODULES.parent / "application"  # below the packages, as the bundler requires
    shutil.copytree(APPLICATION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py"))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost tenant.test\n::1 localhost\n")
    apart = ["unshare", "--net", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    program = [str(hosts), sys.executable, str(APPLICATION / "login.py"), str(folder)]
    done = subprocess.run(
        [*apart, "sh", "-c", SCRIPT, "sh", *program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
