"""Express applications log in with Auth0's middleware, with the defaults of its READMEs; `tox -e weblogins` installs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.browser import BrowserWindow, chromium

from auth0_meta.emulator import LocalTenant

pytestmark = [pytest.mark.browser, pytest.mark.own_environment("weblogins")]

MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "")
SERVERS = Path(__file__).with_name("servers")
USERS = [{"user_id": "auth0|ada", "email": "ada@example.com"}]


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserWindow]:
    """Start one browser, which accepts the certificate of a tenant."""
    with chromium() as started:
        started.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        yield started


@contextmanager
def serving(script: str, *arguments: str, ca_file: Path | None = None) -> Iterator[str]:
    """Run an application, and yield its address."""
    environment = {**os.environ, "NODE_PATH": MODULES}
    if ca_file is not None:
        environment["NODE_EXTRA_CA_CERTS"] = str(ca_file)
    process = subprocess.Popen(
        ["node", str(SERVERS / script), *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_express_openid_connect_logs_in_and_out(window: BrowserWindow, tls: bool) -> None:
    """It asks for an ID token by form, and logs out at the end-session endpoint, by http and https."""
    with (
        LocalTenant(tls=tls, users=USERS) as tenant,
        serving("express.cjs", tenant.url, "app", ca_file=tenant.ca_file) as url,
    ):
        window.without_cookies().go(url).click('button[value="auth0|ada"]').shows("Hello ada@example.com")
        asked = next(entry for entry in tenant.journal if entry.path == "/authorize")
        assert "response_type=id_token" in asked.query
        assert "response_mode=form_post" in asked.query
        window.go(url).shows("Hello ada@example.com")
        window.go(f"{url}/logout").shows("Email address")
        assert [entry.path for entry in tenant.journal if "logout" in entry.path] == ["/oidc/logout"]


def test_passport_auth0_logs_in_and_out(window: BrowserWindow) -> None:
    """It exchanges a code and reads the profile at /userinfo with the token in the query; it speaks https only."""
    with LocalTenant(tls=True, users=USERS) as tenant:
        known = (tenant.domain, tenant.client_id, tenant.client_secret)
        with serving("passport.cjs", *known, ca_file=tenant.ca_file) as url:
            window.without_cookies().go(url).shows("nobody is logged in")
            window.go(f"{url}/login").click('button[value="auth0|ada"]')
            window.shows("Hello ada@example.com auth0|ada")
            window.go(f"{url}/logout").shows("nobody is logged in")
            window.go(f"{url}/login").shows("Email address")
        (asked,) = (entry for entry in tenant.journal if entry.path == "/userinfo")
        assert asked.query == "access_token=<masked>"
