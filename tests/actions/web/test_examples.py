"""Start each web example as its reader would, and log in to it over sockets with a plain HTTP client."""

from __future__ import annotations

import re
import runpy
import signal
import socket
import subprocess
from collections.abc import Iterator
from html import unescape

import pytest
from support.page_visitor import Surfer
from support.web_applications import EXAMPLES, free_port, running, started, wait_for

from auth0_meta.auth.jwt import sign_hs256
from auth0_meta.clock import SYSTEM_CLOCK

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


@pytest.fixture(scope="module", params=["flask_app.py", "fastapi_app.py", "django_app.py"])
def app(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start one example and give its address."""
    with running(request.param) as url:
        yield url


@pytest.fixture
def surfer() -> Iterator[Surfer]:
    """Give a browser."""
    with Surfer() as browser:
        yield browser


def asked(surfer: Surfer) -> list[str]:
    """Return what the profile page says that the tenant was asked."""
    items = re.findall(r"<li><code>(.*?)</code></li>", surfer.page.text)
    return [unescape(item) for item in items]


def test_a_login_with_consent(app: str, surfer: Surfer) -> None:
    """One PATCH before the redirect, one at the end; the next login has no page and writes what is new."""
    surfer.get(f"{app}/login").press("auth0|ada")
    assert "May we write to you?" in surfer.page.text
    surfer.press_nth(0)
    assert surfer.page.status_code == 200
    assert "Welcome, Ada Lovelace" in surfer.page.text
    assert "POST /continue" in surfer.visited
    writes = [line for line in asked(surfer) if line.startswith("PATCH")]
    assert writes == ["PATCH 200 app_metadata.logins", "PATCH 200 user_metadata.consent"]
    surfer.get(f"{app}/login")
    assert [line for line in asked(surfer) if line.startswith("PATCH")][2:] == [
        "PATCH 200 app_metadata.logins"
    ]
    assert "May we write" not in surfer.page.text


def test_no_consent_is_no_login(app: str, surfer: Surfer) -> None:
    """Who says no is not let in, and is asked again; what was staged before is kept."""
    surfer.get(f"{app}/login").press("auth0|byron").press_nth(1)
    assert surfer.page.status_code == 403
    assert "Without your consent there is no login." in surfer.page.text
    assert "Nobody is logged in" in surfer.get(app).page.text
    surfer.get(f"{app}/login")
    assert "May we write to you?" in surfer.page.text


def test_an_account_on_hold(app: str, surfer: Surfer) -> None:
    """A denial shows its reason; after a logout somebody else may log in."""
    surfer.get(f"{app}/login").press("auth0|held")
    assert surfer.page.status_code == 403
    assert "This account is on hold." in surfer.page.text
    surfer.get(f"{app}/logout")
    assert "Nobody is logged in" in surfer.page.text
    assert "Log in" in surfer.get(f"{app}/login").page.text


def test_continue_is_good_once_and_in_one_browser(app: str, surfer: Surfer) -> None:
    """A link to /continue in another browser, replayed, forged or without anything lets nobody in."""
    surfer.get(f"{app}/login").fill(email="cleo@example.com")
    (form,) = surfer.forms
    state, token = form["fields"]["state"], form["buttons"][0][1]
    with Surfer() as victim:
        victim.get(f"{app}/continue", state=state, session_token=token)
        assert victim.page.status_code == 403
        assert "Nobody is logged in" in victim.get(app).page.text
    assert surfer.get(f"{app}/continue").page.status_code == 403
    assert surfer.get(f"{app}/continue", state="made up").page.status_code == 403
    surfer.get(f"{app}/continue", state=state, session_token=token)
    assert "Welcome, cleo@example.com" in surfer.page.text
    assert surfer.get(f"{app}/continue", state=state, session_token=token).page.status_code == 403


def test_a_foreign_token_is_not_believed(app: str, surfer: Surfer) -> None:
    """The token that went out does not come back as an answer, and the login is used up."""
    surfer.get(f"{app}/login").fill(email="dora@example.com")
    (form,) = surfer.forms
    sent = surfer.params["session_token"]
    surfer.post(f"{app}/continue", state=form["fields"]["state"], session_token=sent)
    assert surfer.page.status_code == 403
    assert "Nobody is logged in" in surfer.get(app).page.text


def test_a_foreign_return_address_is_not_followed(app: str, surfer: Surfer) -> None:
    """After the login the browser is at home, wherever `next` points."""
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example/"):
        surfer.get(f"{app}/logout").get(f"{app}/login", next=target).press("auth0|ada")
        if "May we write" in surfer.page.text:
            surfer.press_nth(0)
        assert surfer.url == f"{app}/"
        assert "Welcome" in surfer.page.text


def test_a_refusal_of_the_tenant_is_shown(app: str, surfer: Surfer) -> None:
    """What comes back as an error, or without the state of this browser, is no login."""
    surfer.get(f"{app}/callback", error="access_denied", error_description="<b>no")
    assert surfer.page.status_code == 403
    assert "&lt;b&gt;no" in surfer.page.text
    assert surfer.get(f"{app}/callback", code="x", state="y").page.status_code == 403
    assert "not ours" in surfer.get(f"{app}/consent", session_token="x").page.text


def test_localhost_is_the_same_site(app: str, surfer: Surfer) -> None:
    """Cookies belong to one name, so a login goes on under that one, whichever it began under."""
    other = app.replace("127.0.0.1", "localhost")
    assert "Nobody is logged in" in surfer.get(other).page.text
    surfer.get(f"{other}/login", next="/").press("auth0|ada")
    if "May we write" in surfer.page.text:
        surfer.press_nth(0)
    assert "Welcome, Ada Lovelace" in surfer.page.text
    assert surfer.url == f"{app}/"


SCRIPTS = ["flask_app.py", "fastapi_app.py", "django_app.py"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_can_not_be_started_says_why(script: str) -> None:
    """No port, one that is taken, an account without an application: one line, and no promise of an address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = str(held.getsockname()[1])
        no_application = {"AUTH0_DOMAIN": "t.example.com", "AUTH0_API_TOKEN": "x", "AUTH0_CLIENT_ID": ""}
        cases: list[tuple[str, dict[str, str], str]] = [(taken, {}, f"port {taken} can't be served")]
        if script == SCRIPTS[0]:  # the rest is shared
            cases += [
                ("abc", {}, "'abc' is no port"),
                ("70000", {}, "'70000' is no port"),
                (str(free_port()), no_application, "AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET not set"),
            ]
        for argument, environ, said in cases:
            with started(script, argument, stderr=subprocess.PIPE, **environ) as process:
                out, error = process.communicate(timeout=60)
            assert (out, process.returncode) == ("", 1)
            assert said in error.splitlines()[-1]
            assert "Traceback" not in error


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_ends_an_example_quietly(script: str) -> None:
    """No traceback, no failure."""
    port = free_port()
    with started(script, str(port), stderr=subprocess.PIPE) as process:
        wait_for(port)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    assert process.returncode == 0


def test_the_consent_page_believes_no_old_link() -> None:
    """A token whose time is over is refused like one that is not ours."""
    module = runpy.run_path(str(EXAMPLES / "_site.py"))
    secret = "a secret of this test, long enough for HS256"
    shown = module["Site"]("http://127.0.0.1:1", None, None, "", "", "", None, secret, None)
    for exp, title in ((int(SYSTEM_CLOCK.time()) + 60, "May we write"), (1, "This link is too old")):
        token = sign_hs256({"sub": "auth0|1", "exp": exp}, secret=secret)
        assert title in shown.consent_page({"session_token": token, "state": "x"})
