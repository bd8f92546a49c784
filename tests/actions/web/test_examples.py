"""Each web example, started as a reader would start it; logins go over sockets, with a plain HTTP client."""

from __future__ import annotations

import re
import runpy
import signal
import socket
import subprocess
from collections.abc import Iterator
from html import unescape

import pytest
from support.page_visitor import Visitor
from support.web_applications import EXAMPLES, free_port, running, started, wait_for

from auth0_meta.auth.jwt import sign_hs256
from auth0_meta.clock import SYSTEM_CLOCK

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


@pytest.fixture(scope="module", params=["flask_app.py", "fastapi_app.py", "django_app.py"])
def app(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start one example and return its URL."""
    with running(request.param) as url:
        yield url


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Return a visitor."""
    with Visitor() as browser:
        yield browser


def listed_requests(visitor: Visitor) -> list[str]:
    """Return the requests to the tenant that the profile page lists."""
    items = re.findall(r"<li><code>(.*?)</code></li>", visitor.page.text)
    return [unescape(item) for item in items]


def test_a_user_logs_in_with_consent(app: str, visitor: Visitor) -> None:
    """There is one PATCH before the redirect and one at the end; the next login needs no consent page."""
    visitor.get(f"{app}/login").press("auth0|ada")
    assert "May we write to you?" in visitor.page.text
    visitor.press_nth(0)
    assert visitor.page.status_code == 200
    assert "Welcome, Ada Lovelace" in visitor.page.text
    assert "POST /continue" in visitor.visited
    writes = [line for line in listed_requests(visitor) if line.startswith("PATCH")]
    assert writes == ["PATCH 200 app_metadata.logins", "PATCH 200 user_metadata.consent"]
    visitor.get(f"{app}/login")
    assert [line for line in listed_requests(visitor) if line.startswith("PATCH")][2:] == [
        "PATCH 200 app_metadata.logins"
    ]
    assert "May we write" not in visitor.page.text


def test_without_consent_there_is_no_login(app: str, visitor: Visitor) -> None:
    """A user who says no is not let in, and is asked again at the next login."""
    visitor.get(f"{app}/login").press("auth0|byron").press_nth(1)
    assert visitor.page.status_code == 403
    assert "A login needs your consent." in visitor.page.text
    assert "You are not logged in" in visitor.get(app).page.text
    visitor.get(f"{app}/login")
    assert "May we write to you?" in visitor.page.text


def test_an_account_on_hold_is_refused(app: str, visitor: Visitor) -> None:
    """The page shows the reason of the denial; after a logout somebody else can log in."""
    visitor.get(f"{app}/login").press("auth0|held")
    assert visitor.page.status_code == 403
    assert "This account is on hold." in visitor.page.text
    visitor.get(f"{app}/logout")
    assert "You are not logged in" in visitor.page.text
    assert "Log in" in visitor.get(f"{app}/login").page.text


def test_continue_works_once_and_in_one_browser(app: str, visitor: Visitor) -> None:
    """/continue lets nobody in from another browser, a second time, with a forged state, or without one."""
    visitor.get(f"{app}/login").fill(username="cleo@example.com")
    (form,) = visitor.forms
    state, token = form["fields"]["state"], form["buttons"][0][1]
    with Visitor() as victim:
        victim.get(f"{app}/continue", state=state, session_token=token)
        assert victim.page.status_code == 403
        assert "You are not logged in" in victim.get(app).page.text
    assert visitor.get(f"{app}/continue").page.status_code == 403
    assert visitor.get(f"{app}/continue", state="made up").page.status_code == 403
    visitor.get(f"{app}/continue", state=state, session_token=token)
    assert "Welcome, cleo@example.com" in visitor.page.text
    assert visitor.get(f"{app}/continue", state=state, session_token=token).page.status_code == 403


def test_a_foreign_token_is_refused(app: str, visitor: Visitor) -> None:
    """The token that was sent out is not a valid answer, and using it ends the login."""
    visitor.get(f"{app}/login").fill(username="dora@example.com")
    (form,) = visitor.forms
    sent = visitor.params["session_token"]
    visitor.post(f"{app}/continue", state=form["fields"]["state"], session_token=sent)
    assert visitor.page.status_code == 403
    assert "You are not logged in" in visitor.get(app).page.text


def test_a_foreign_return_url_is_not_followed(app: str, visitor: Visitor) -> None:
    """After the login the browser is at the home page, whatever `next` says."""
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example/"):
        visitor.get(f"{app}/logout").get(f"{app}/login", next=target).press("auth0|ada")
        if "May we write" in visitor.page.text:
            visitor.press_nth(0)
        assert visitor.url == f"{app}/"
        assert "Welcome" in visitor.page.text


def test_a_refusal_of_the_tenant_or_of_authlib_says_nothing_more(app: str, visitor: Visitor) -> None:
    """Anybody can write an error into a link, and nobody knows what a state is: the page is general, and lets nobody in."""
    for query in (
        {"error": "access_denied", "error_description": "<b>no"},
        {"error": "server_error"},
        {"code": "x", "state": "y"},
        {},
    ):
        visitor.get(f"{app}/callback", **query)
        assert visitor.page.status_code == 403
        assert "The login failed. Please try again." in visitor.page.text
        for word in ("no<", "CSRF", "State", "state", "server_error"):
            assert word not in visitor.page.text.partition("<body>")[2]
    assert "not valid" in visitor.get(f"{app}/consent", session_token="x").page.text


def test_pages_with_a_profile_or_a_token_are_not_stored(app: str, visitor: Visitor) -> None:
    """Neither by the browser, whose Back button would show them, nor by a proxy."""
    visitor.get(f"{app}/login").fill(username="eve@example.com")
    assert "May we write to you?" in visitor.page.text
    assert visitor.page.headers["Cache-Control"] == "no-store"
    visitor.press_nth(0)
    assert "Welcome" in visitor.page.text
    assert visitor.page.headers["Cache-Control"] == "no-store"


def test_the_session_cookie_changes_at_the_login(app: str, visitor: Visitor) -> None:
    """Whoever has planted the one before, and still has it, is not logged in by it."""
    visitor.get(f"{app}/login").fill(username="fay@example.com")
    names = {"session", "sessionid"} & set(visitor.session.cookies.keys())
    (name,) = names
    before = visitor.session.cookies[name]
    visitor.press_nth(0)
    assert "Welcome" in visitor.page.text
    assert visitor.session.cookies[name] != before
    with Visitor() as attacker:
        attacker.session.cookies.set(name, before)
        assert "You are not logged in" in attacker.get(app).page.text


def test_localhost_is_the_same_site(app: str, visitor: Visitor) -> None:
    """Cookies belong to one host name, so a login that began under the other name is redirected to it."""
    other = app.replace("127.0.0.1", "localhost")
    assert "You are not logged in" in visitor.get(other).page.text
    visitor.get(f"{other}/login", next="/").press("auth0|ada")
    if "May we write" in visitor.page.text:
        visitor.press_nth(0)
    assert "Welcome, Ada Lovelace" in visitor.page.text
    assert visitor.url == f"{app}/"


SCRIPTS = ["flask_app.py", "fastapi_app.py", "django_app.py"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_that_cannot_start_says_why(script: str) -> None:
    """A bad port, a port in use, or a missing client id: one line on stderr, and no URL on stdout."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        no_application = {"AUTH0_DOMAIN": "t.example.com", "AUTH0_API_TOKEN": "x", "AUTH0_CLIENT_ID": ""}
        cases: list[tuple[str, dict[str, str], str]] = [(taken, {}, f"port {taken} is not available")]
        if script == SCRIPTS[0]:  # the rest is shared
            cases += [
                ("abc", {}, "'abc' is not a port"),
                ("70000", {}, "'70000' is not a port"),
                (str(free_port()), no_application, "set AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET"),
            ]
        for argument, environ, message in cases:
            with started(script, argument, stderr=subprocess.PIPE, **environ) as process:
                out, error = process.communicate(timeout=60)
            assert (out, process.returncode) == ("", 1)
            assert message in error.splitlines()[-1]
            assert "Traceback" not in error


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_ends_an_example_quietly(script: str) -> None:
    """Ctrl-C prints no traceback, and the exit code is 0."""
    port = free_port()
    with started(script, str(port), stderr=subprocess.PIPE) as process:
        wait_for(port)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    assert process.returncode == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_log_of_an_example_has_no_code_state_or_token(script: str, visitor: Visitor) -> None:
    """The servers log requests, without the query of any."""
    port = free_port()
    with started(script, str(port), stderr=subprocess.PIPE) as process:
        wait_for(port)
        app = f"http://127.0.0.1:{port}"
        visitor.get(f"{app}/login").press("auth0|ada").press_nth(0)
        assert "Welcome" in visitor.page.text
        visitor.get(f"{app}/continue", state="SECRET", session_token="SECRET")
        visitor.get(f"{app}/callback", code="SECRET", state="SECRET", error="SECRET_ERROR")
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert "refused" in log
    assert script == "fastapi_app.py" or "GET /callback HTTP/1.1" in log
    for word in ("code=", "state=", "session_token=", "SECRET "):
        assert word not in log


def test_the_consent_page_refuses_an_old_link() -> None:
    """An expired token is refused like one that is not ours."""
    module = runpy.run_path(str(EXAMPLES / "_site.py"))
    secret = "a secret of this test, long enough for HS256"
    site = module["Site"]("http://127.0.0.1:1", None, None, "", "", "", None, secret, None)
    for exp, title in ((int(SYSTEM_CLOCK.time()) + 60, "May we write"), (1, "This link has expired")):
        token = sign_hs256({"sub": "auth0|1", "exp": exp}, secret=secret)
        assert title in site.consent_page({"session_token": token, "state": "x"})
