"""Log in to a Next.js application, which accepts a tenant only under a name and on port 443; run in a namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import requests
from support.browser import chromium, wait_for

from auth0_meta.emulator import LocalTenant

APP = "http://localhost:3000"


def main(folder: Path) -> None:
    """Serve the tenant and the application in `folder`, and log in, refresh and log out."""
    users = [{"user_id": "auth0|ada", "email": "ada@example.com"}]
    with LocalTenant(tls=True, port=443, hosts=["tenant.test"], users=users) as tenant:
        environment = {
            **os.environ,
            "AUTH0_DOMAIN": "tenant.test",
            "AUTH0_CLIENT_ID": "app",
            "AUTH0_CLIENT_SECRET": "any",
            "AUTH0_SECRET": "0123456789abcdef" * 4,
            "APP_BASE_URL": APP,
            "NODE_EXTRA_CA_CERTS": str(tenant.ca_file),
            "NEXT_TELEMETRY_DISABLED": "1",
        }
        next_ = folder.parent / "node_modules" / ".bin" / "next"
        subprocess.run([next_, "build"], cwd=folder, env=environment, check=True, stdout=sys.stderr)
        server = subprocess.Popen([next_, "start"], cwd=folder, env=environment, stdout=sys.stderr)
        try:
            wait_for(is_up)
            with chromium() as window:
                window.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
                window.go(APP).shows("nobody is logged in")
                window.go(f"{APP}/auth/login").click('button[value="auth0|ada"]').shows(
                    "Hello ada@example.com"
                )
                window.go(f"{APP}/auth/profile").shows("auth0|ada")
                window.go(f"{APP}/auth/logout").shows("nobody is logged in")
        finally:
            server.kill()
            server.wait()
        assert [entry.status for entry in tenant.journal if entry.path == "/oidc/logout"] == [302]
    sys.stdout.write("ok\n")


def is_up() -> bool:
    """Return whether the application responds."""
    try:
        return requests.get(APP, timeout=10).ok
    except requests.ConnectionError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
