"""Logins in a real browser: consent, a denial and a replay, in an application and at the tenant."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from support.browser import BrowserWindow, chromium
from support.web_applications import EXAMPLES, running
from werkzeug.serving import make_server

from auth0_meta.actions import PostLoginTrigger
from auth0_meta.auth.jwt import sign_hs256
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator import LocalTenant

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests"),
]
SECRET = "a secret of this test, long enough for HS256"


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserWindow]:
    """Start one browser for all tests."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module", params=["flask_app.py", "django_app.py", "fastapi_app.py"])
def app(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start each example once."""
    with running(request.param) as url:
        yield url


def test_log_in_consent_and_see_what_was_written(window: BrowserWindow, app: str) -> None:
    """There is one PATCH before the redirect and one at the end; a second request to /continue lets nobody in."""
    window.without_cookies().go(app).shows("You are not logged in").screenshot("app-home")
    window.click("a.go").shows("Anyone in the list").screenshot("tenant-login")
    window.click('button[value="auth0|ada"]').shows("May we write to you?").screenshot("app-consent")
    state = window.attribute('input[name="state"]', "value")
    token = window.attribute("button", "value")
    window.click("button").shows("Welcome, Ada Lovelace").screenshot("app-profile")
    lines = [line for line in window.page_text.splitlines() if line.startswith("PATCH")]
    assert lines == ["PATCH 200 app_metadata.logins", "PATCH 200 user_metadata.consent"]
    again = urlencode({"state": state, "session_token": token})
    window.go(f"{app}/continue?{again}").shows("The login failed.").screenshot("app-replayed")
    window.go(app).shows("Welcome, Ada Lovelace")


def test_a_denied_login_shows_the_reason(window: BrowserWindow, app: str) -> None:
    """The page's link lets another user log in."""
    window.without_cookies().go(f"{app}/login").shows("Log in").click('button[value="auth0|held"]')
    window.shows("This account is on hold.").screenshot("app-denied")
    window.click("a").shows("You are not logged in")
    window.click("a.go").shows("Anyone in the list")


def test_an_invalid_email_is_explained(window: BrowserWindow, app: str) -> None:
    """The page keeps what was typed."""
    window.without_cookies().go(f"{app}/login").shows("Email address")
    window.find("#username").send_keys("ada@b@c")
    window.click(".other button").shows("That is not an email address.").screenshot("tenant-no-email")
    assert window.attribute("#username", "value") == "ada@b@c"


# The tenant runs the trigger -----------------------------------------------------------------------------


class Consent:
    """Ask for consent on the page below; deny users who say no."""

    def __init__(self, url: str) -> None:
        self.url = url

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Redirect."""
        api.user.set_app_metadata("asked", True)
        api.redirect.send_user_to(self.url, query={"user": event.user.user_id})

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Check the answer."""
        answer = api.redirect.validate_token(secret=SECRET)
        api.user.set_user_metadata("consent", answer["yes"])
        if not answer["yes"]:
            api.access.deny("No consent, no login.")


class Pages:
    """The application's callback and the consent page, for a tenant that is known later."""

    tenant = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Serve a request."""
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        if environ["PATH_INFO"] == "/callback":
            return [
                f"<h1>callback</h1><p>{' '.join(sorted(query))} {query.get('error_description', '')}".encode()
            ]
        now = int(SYSTEM_CLOCK.time())
        claims = {
            "sub": query["user"],
            "iss": "consent",
            "iat": now,
            "exp": now + 60,
            "state": query["state"],
        }
        buttons = "".join(
            f'<button name="session_token" value="{sign_hs256({**claims, "yes": yes}, secret=SECRET)}">{yes}</button>'
            for yes in (True, False)
        )
        form = f'<form method="post" action="{self.tenant}/continue?state={query["state"]}">{buttons}</form>'
        return [f"<h1>consent</h1>{form}".encode()]


@pytest.fixture
def tenant_and_login(window: BrowserWindow) -> Iterator[tuple[LocalTenant, str]]:
    """Serve a tenant that runs the trigger, and the pages around it; return the tenant and the URL of a login."""
    pages = Pages()
    server = make_server("127.0.0.1", 0, pages, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site = f"http://localhost:{server.server_port}"  # the same site as the tenant, so that its cookies come along
    try:
        with LocalTenant(users=[{"user_id": "auth0|1", "name": "Ada"}]) as tenant, tenant.client() as client:
            tenant.post_login = PostLoginTrigger(client, [Consent(f"{site}/consent")])
            pages.tenant = tenant.url
            parameters = {
                "response_type": "code",
                "client_id": "app",
                "redirect_uri": f"{site}/callback",
                "state": "s",
            }
            window.without_cookies()
            yield tenant, f"{tenant.url}/authorize?{urlencode(parameters)}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_tenant_suspends_and_continues_a_login(
    window: BrowserWindow, tenant_and_login: tuple[LocalTenant, str]
) -> None:
    """The browser comes back with a code; for the same /continue again, a page explains it."""
    tenant, login = tenant_and_login
    window.go(login).shows("Ada").click('button[value="auth0|1"]').shows("consent")
    state = parse_qs(window.url.partition("?")[2])["state"][0]
    window.click("button").shows("callback").shows("code state")
    assert [entry.body for entry in tenant.journal.requests("PATCH")] == [
        {"app_metadata": {"asked": True}},
        {"user_metadata": {"consent": True}},
    ]
    window.go(f"{tenant.url}/continue?state={state}").shows("This login can't continue").screenshot(
        "tenant-replayed"
    )


def test_the_tenant_reports_a_denial(
    window: BrowserWindow, tenant_and_login: tuple[LocalTenant, str]
) -> None:
    """The application gets the reason."""
    window.go(tenant_and_login[1]).shows("Ada").click('button[value="auth0|1"]').shows("consent")
    window.click("button:nth-of-type(2)").shows("callback").shows("No consent, no login.")
