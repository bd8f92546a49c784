"""Use the tenant with the npm package auth0; `tox -e node` installs it and says where it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from auth0_meta.emulator import LocalTenant

MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "")


@pytest.mark.own_environment("node")
def test_the_npm_package_works() -> None:
    """Over http it gets a token with client credentials, writes users and metadata, searches, and runs jobs."""
    with LocalTenant(strict=True, rate_limit="enterprise") as tenant:
        ran = subprocess.run(
            [
                "node",
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
