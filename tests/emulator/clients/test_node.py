"""Drive the tenant with the npm package auth0; `tox -e node` installs it and says where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from auth0_meta.emulator import LocalTenant

NODE = shutil.which("node")
MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.skipif(
    not (Path(MODULES) / "auth0").is_dir() or not MODULES,
    reason="AUTH0_META_LIVE_NODE_MODULES names no node_modules with auth0: tox -e node has it",
)
def test_the_npm_package_runs_its_calls() -> None:
    """Its own client credentials, users, metadata, search and jobs, over http."""
    assert NODE is not None
    with LocalTenant(strict=True, rate_limit="enterprise") as tenant:
        ran = subprocess.run(
            [
                NODE,
                str(Path(__file__).with_name("sdk.cjs")),
                tenant.url,
                tenant.client_id,
                tenant.client_secret,
            ],
            env={**os.environ, "NODE_PATH": MODULES},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (ran.returncode, ran.stdout) == (0, "ok\n"), ran.stderr
        assert [user["email"] for user in tenant.users] == ["bob@example.com"]
