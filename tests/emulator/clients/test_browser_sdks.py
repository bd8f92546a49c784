"""Applications in a browser log in with Auth0's SDKs; `tox -e weblogins` installs these and says where they are."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jose import jwt
from support.browser import BrowserWindow, chromium, wait_for
from werkzeug.serving import make_server

from auth0_meta.emulator import LocalTenant

pytestmark = [pytest.mark.browser, pytest.mark.own_environment("weblogins")]

MODULES = Path(os.environ.get("AUTH0_META_LIVE_NODE_MODULES", ""))
PAGES = Path(__file__).with_name("pages")
API = "https://api.example.com"


@cache
def bundle(page: str) -> bytes:
    """Return the script of a page together with all that it imports."""
    command = [MODULES / ".bin" / "esbuild", PAGES / f"{page}.mjs", "--bundle", "--log-level=warning"]
    made = subprocess.run(
        command,
        env={**os.environ, "NODE_PATH": str(MODULES)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return made.stdout


class Site:
    """A static site on loopback with the page of one SDK."""

    def __init__(self, page: str) -> None:
        self.page, self.settings = page, dict[str, Any]()
        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self.url = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _respond(self, environ: Any, start_response: Any) -> Any:
        path, kind, body = environ["PATH_INFO"], "text/html; charset=utf-8", b""
        if path.startswith("/modules/"):
            body, kind = (MODULES / path.removeprefix("/modules/")).read_bytes(), "text/javascript"
        elif path == "/bundle.js":
            body, kind = bundle(self.page), "text/javascript"
        elif path == "/":
            text = (PAGES / f"{self.page}.html").read_text(encoding="utf-8")
            body = text.replace("SETTINGS", quote(json.dumps(self.settings))).encode()
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]


class Page:
    """The page of one SDK in the browser, and the tenant that it logs in to."""

    def __init__(self, window: BrowserWindow, tenant: LocalTenant, site: Site) -> None:
        self.window, self.tenant, self.site = window, tenant, site

    def call(self, expression: str) -> Any:
        """Run an expression on the page and return what its promise yields, an error as `error: ...`."""
        script = f"""const done = arguments[arguments.length - 1];
        Promise.resolve({expression}).then(done, (error) => done("error: " + (error.error || error.code || error)));"""
        return self.window.driver.execute_async_script(script)

    def log_in(self, button: str | None = None) -> None:
        """Log Ada in, with her password or by a click in the list."""
        self.window.driver.execute_script("app.login()")
        if button is not None:
            self.window.click(f'button[value="{button}"]')
        else:
            self.window.find("input[name=username]").send_keys("ada@example.com")
            self.window.find("input[name=password]").send_keys("Correct-horse-7")
            self.window.click("button[type=submit][name=action]")
        self.window.shows("Hello ada@example.com")

    def grants(self) -> list[str]:
        """Return the grant types of the requests to the token endpoint so far."""
        entries = [entry for entry in self.tenant.journal if entry.path == "/oauth/token"]
        return [entry.body["grant_type"] for entry in entries if entry.method == "POST"]  # type: ignore[index,call-overload]


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserWindow]:
    """Start one browser for all tests of this file, which accepts the certificate of a tenant."""
    with chromium() as started:
        started.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        started.driver.set_script_timeout(60)
        yield started


@contextmanager
def opened(
    window: BrowserWindow, name: str, *, strict: bool = True, tls: bool = False, **settings: Any
) -> Iterator[Page]:
    """Open the page of an SDK; a strict tenant knows an application that lists what Auth0 requires."""
    site = Site(name)
    try:
        with LocalTenant(strict=strict, tls=tls, rate_limit="enterprise") as tenant:
            tenant.users.add(user_id="auth0|ada", email="ada@example.com", password="Correct-horse-7")
            site.settings = {"domain": tenant.url, "clientId": "spa", **settings}
            if strict:
                site.settings["clientId"] = register(tenant, site.url)
            window.without_cookies().go(site.url).shows("nobody is logged in")
            yield Page(window, tenant, site)
            window.go("about:blank")
    finally:
        site.stop()


def register(tenant: LocalTenant, origin: str) -> str:
    """Register an application and an API as one does in the dashboard, and return the client's id."""
    api = {"identifier": API, "name": "API", "allow_offline_access": True}
    application = {
        "name": "spa",
        "app_type": "spa",
        "token_endpoint_auth_method": "none",
        "callbacks": [origin],
        "allowed_logout_urls": [origin],
        "web_origins": [origin],
        "refresh_token": {"rotation_type": "rotating", "expiration_type": "expiring"},
        "grant_types": ["authorization_code", "refresh_token", "implicit"],
    }
    with tenant.client() as client:
        client.request("POST", "resource-servers", json=api)
        return str(client.request("POST", "clients", json=application)["client_id"])


def test_spa_js_logs_in_as_it_comes(window: BrowserWindow) -> None:
    """With a tenant as `emulator serve` starts it: log in, reload, renew the token, log out."""
    with opened(window, "spa", strict=False, refresh=False) as page:
        page.log_in("auth0|ada")
        page.window.go(page.site.url).shows("Hello ada@example.com")
        assert page.call("app.user()") == "auth0|ada"
        assert page.call("app.token()") != page.call("app.token()")
        page.window.driver.execute_script("app.logout()")
        page.window.shows("nobody is logged in")
        assert page.call("app.token()") == "error: login_required"
    with opened(window, "spa", strict=False, refresh=True) as page:
        page.log_in("auth0|ada")
        for _ in range(3):
            assert page.call("app.token()").count(".") == 2
        assert page.grants() == ["authorization_code", *3 * ["refresh_token"]]


@pytest.mark.parametrize("refresh", [False, True], ids=["frame", "refresh tokens"])
@pytest.mark.parametrize("audience", [None, API], ids=["userinfo", "api"])
@pytest.mark.parametrize("name", ["spa", "react", "vue", "angular", "oidc"])
def test_an_application_logs_in_stays_and_logs_out(
    window: BrowserWindow, name: str, audience: str | None, refresh: bool
) -> None:
    """By a password, over a reload and with renewed tokens; after a logout there is no session any more."""
    more = {} if audience is None else {"audience": audience}
    with opened(window, name, refresh=refresh, **more) as page:
        page.log_in()
        page.window.go(page.site.url).shows("Hello ada@example.com")
        assert page.call("app.user()") == "auth0|ada"
        first, second = page.call("app.token()"), page.call("app.token()")
        assert not first.startswith("error")
        assert first != second
        claims = jwt.get_unverified_claims(second)
        assert claims["sub"] == "auth0|ada"
        assert audience is None or name == "oidc" or audience in claims["aud"]
        assert ("refresh_token" in page.grants()) is refresh
        page.window.driver.execute_script("app.logout()")
        page.window.shows("nobody is logged in")
        assert page.call("app.token()").startswith("error")


def test_the_session_reaches_a_frame_of_another_site_with_tls(window: BrowserWindow) -> None:
    """To a browser an application over http is another site than a tenant over https, even on one host."""
    with opened(window, "spa", tls=True, refresh=False) as page:
        page.log_in()
        page.window.go(page.site.url).shows("Hello ada@example.com")
        assert page.call("app.token()").count(".") == 2


def test_spa_js_logs_in_in_a_popup(window: BrowserWindow) -> None:
    """The window that opens gets the login page, and the message comes from it."""
    with opened(window, "spa", refresh=False) as page:
        driver = window.driver
        here = driver.current_window_handle
        driver.execute_script("window.result = app.popup().catch((error) => `failed: ${error.error}`)")
        wait_for(lambda: len(driver.window_handles) == 2)
        driver.switch_to.window(next(handle for handle in driver.window_handles if handle != here))
        window.click('button[value="auth0|ada"]')
        driver.switch_to.window(here)
        assert page.call("window.result") == "auth0|ada"
        wait_for(lambda: len(driver.window_handles) == 1)


def test_auth0_js_gets_tokens_in_the_fragment(window: BrowserWindow) -> None:
    """It signs users up and asks for the session by script, too."""
    with opened(window, "auth0js") as page:
        assert page.call("app.signup('bob@example.com')")["email"] == "bob@example.com"
        page.log_in()
        assert page.call("app.user()") == "auth0|ada"
        assert page.call("app.token()").count(".") == 2
        page.window.driver.execute_script("app.logout()")
        page.window.shows("nobody is logged in")
        assert page.call("app.token()") == "error: login_required"
