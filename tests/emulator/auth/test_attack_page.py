"""A page of another origin, in a real browser in which a user is logged in: it reads nothing and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from support.browser import BrowserWindow, chromium, wait_for
from werkzeug.serving import make_server

from auth0_meta.emulator import LocalTenant

pytestmark = pytest.mark.browser
APP = "http://localhost:9/callback"
# Browsers protect loopback from pages of the internet; a page from this machine, under a foreign name, has to be refused by the tenant.
NAME = "evil.example"


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserWindow]:
    """Start one browser for all tests, which accepts the certificate of a tenant and finds the attack page here."""
    with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as started:
        started.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        started.driver.set_script_timeout(60)
        yield started


@pytest.fixture(scope="module")
def attack() -> Iterator[str]:
    """Serve the attack page, and yield its origin."""

    def page(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<title>attack</title><body>attack</body>"]

    server = make_server("127.0.0.1", 0, page, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{NAME}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=[False, True], ids=["http", "https"])
def tenant(window: BrowserWindow, attack: str, request: pytest.FixtureRequest) -> Iterator[LocalTenant]:
    """Log a user in, then open the attack page."""
    with LocalTenant(tls=request.param, users=[{"user_id": "auth0|1", "email": "ada@example.com"}]) as served:
        asked = {"client_id": "app", "redirect_uri": APP, "response_type": "code"}
        window.without_cookies().go(f"{served.url}/authorize?{urlencode(asked)}")
        window.click('button[value="auth0|1"]')
        wait_for(
            lambda: [entry for entry in served.journal if entry.path == "/u/login" and entry.status == 302]
        )
        assert is_signed_in(window, served)
        window.go(attack)
        served.journal.clear()
        yield served
        window.go("about:blank")


def is_signed_in(window: BrowserWindow, tenant: LocalTenant) -> bool:
    """Return whether the browser still has a session: a login that shows no page then has no error."""
    asked = {
        "client_id": "app",
        "redirect_uri": f"{tenant.url}/nowhere",
        "response_type": "code",
        "prompt": "none",
    }
    window.go(f"{tenant.url}/authorize?{urlencode(asked)}")
    return "code=" in window.url


def run(window: BrowserWindow, script: str, *arguments: Any) -> Any:
    """Run the body of an async function on the attack page, and return what it returns."""
    wrapped = f"const done = arguments[arguments.length - 1]; (async (url) => {{ {script} }})(...arguments).then(done, (error) => done(`${{error.name}}`));"
    return window.driver.execute_async_script(wrapped, *arguments)


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/userinfo",
        "/api/v2/users",
        "/",
        "/_emulator/state",
    ],
)
def test_it_reads_nothing(window: BrowserWindow, tenant: LocalTenant, path: str) -> None:
    """Neither with the user's cookies nor without them."""
    for options in ("{}", "{credentials: 'include'}", "{headers: {Authorization: 'Bearer x'}}"):
        script = f"return await (await fetch(url + '{path}', {options})).text();"
        assert run(window, script, tenant.url) == "TypeError"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_it_creates_no_user_and_gets_no_token(
    window: BrowserWindow, tenant: LocalTenant, attack: str, kind: str
) -> None:
    """Whatever type it gives what it sends, and with `no-cors` too."""
    before = [*tenant.users]
    for mode in ("cors", "no-cors"):
        for path in ("/dbconnections/signup", "/oauth/token", "/u/login", "/api/v2/users"):
            script = f"""const body = JSON.stringify({{email: "eve@example.com", password: "Correct-horse-7", connection: "Username-Password-Authentication"}});
            await fetch(url + "{path}", {{method: "POST", mode: "{mode}", credentials: "include", body, headers: {{"Content-Type": "{kind}"}}}});"""
            run(window, script, tenant.url)
    assert [*tenant.users] == before
    assert {entry.status for entry in tenant.journal if entry.headers.get("origin") == attack} == {401, 403}


def test_its_forms_are_refused(window: BrowserWindow, tenant: LocalTenant) -> None:
    """A form goes anywhere without being asked, and its page is shown; nobody is signed up by it."""
    script = """const form = document.createElement("form");
    form.method = "post"; form.action = arguments[0] + "/dbconnections/signup";
    for (const [name, value] of Object.entries({email: "eve@example.com", password: "Correct-horse-7", connection: "Username-Password-Authentication"})) {
      const field = document.createElement("input"); field.name = name; field.value = value; form.append(field);
    }
    document.body.append(form); form.submit();"""
    window.driver.execute_script(script, tenant.url)
    wait_for(
        lambda: [
            entry for entry in tenant.journal if entry.path == "/dbconnections/signup" and entry.status == 403
        ]
    )
    assert len(tenant.users) == 1


def test_it_logs_nobody_out_unseen(window: BrowserWindow, tenant: LocalTenant) -> None:
    """An image and a script reach the logout, and the session stays."""
    script = """await Promise.allSettled([
      new Promise((done) => { const image = new Image(); image.onload = image.onerror = done; image.src = url + "/v2/logout?image"; }),
      fetch(url + "/v2/logout?script", {mode: "no-cors", credentials: "include"}),
    ]);"""
    run(window, script, tenant.url)
    assert [entry.status for entry in tenant.journal if entry.path == "/v2/logout"] == [403, 403]
    assert is_signed_in(window, tenant)


def test_it_gets_no_message(window: BrowserWindow, tenant: LocalTenant) -> None:
    """A frame with the user's session answers the application's origin, and may be framed by that alone."""
    asked = {
        "client_id": "app",
        "redirect_uri": APP,
        "response_type": "code token",
        "prompt": "none",
        "response_mode": "web_message",
    }
    script = """window.messages = [];
    addEventListener("message", (event) => window.messages.push(event.data));
    const frame = document.createElement("iframe");
    await new Promise((done) => { frame.onload = done; frame.src = url; document.body.append(frame); });
    await new Promise((done) => setTimeout(done, 200));
    return window.messages.length;"""
    assert run(window, script, f"{tenant.url}/authorize?{urlencode(asked)}") == 0
    assert "/authorize" in [entry.path for entry in tenant.journal]
