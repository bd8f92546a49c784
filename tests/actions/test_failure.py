"""A login that fails: the log says so once, with the traceback of the action, and the outcome says where."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import SECRET, Consent, Login, RedirectingAction, state_of
from support.page_visitor import Visitor
from support.web_adapters import Driver, Flask

from auth0_meta import Auth0MetaError, BadRequestError, InputError, NotFoundError, RedirectError
from auth0_meta.actions import LoginOutcome, MemoryStates, PostLoginTrigger, post_login
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ActionTimeout
from auth0_meta.testing import asimulate, simulate

STORED = "canary-stored-value"
APP = "http://127.0.0.1:9/"


class Boom(LookupError):
    """The exception of an action of these tests."""


def deep() -> Any:
    """Raise, one call below the action."""
    raise Boom("what happened")


def broken(event: Any, api: Any) -> None:
    """Stage a value and raise."""
    api.user.set_app_metadata("plan", STORED)
    deep()


async def async_broken(event: Any, api: Any) -> None:
    """Stage a value and raise, in a coroutine."""
    await asyncio.sleep(0)
    broken(event, api)


class BrokenLater:
    """An action that raises when its redirect comes back."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away."""
        api.redirect.send_user_to("https://consent.example.com/")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Raise."""
        broken(event, api)


def run(login: Login) -> LoginOutcome:
    """Log in."""
    return login.run(broken)


def run_async_action(login: Login) -> LoginOutcome:
    """Log in, with an action that gets a loop of its own."""
    return login.run(async_broken)


def arun(login: Login) -> LoginOutcome:
    """Log in inside a loop."""
    return asyncio.run(login.trigger(broken).arun(login.event()))


def arun_async_action(login: Login) -> LoginOutcome:
    """Log in inside a loop, with an async action."""
    return asyncio.run(login.trigger(async_broken).arun(login.event()))


def arun_under_lock(login: Login) -> LoginOutcome:
    """Log in inside a loop, where a lock moves the steps into a thread."""
    return asyncio.run(login.trigger(async_broken, lock=lambda user_id: Nothing()).arun(login.event()))


def resume(login: Login) -> LoginOutcome:
    """Come back from a redirect."""
    trigger = login.trigger(BrokenLater())
    return trigger.resume(state_of(trigger.run(login.event())))


def aresume(login: Login) -> LoginOutcome:
    """Come back from a redirect, inside a loop."""
    trigger = login.trigger(BrokenLater())
    return asyncio.run(trigger.aresume(state_of(trigger.run(login.event()))))


def block(login: Login) -> LoginOutcome:
    """Log in with a block."""
    with pytest.raises(Boom), post_login(login.client, login.event()) as api:
        broken(api.event, api)
    assert api.outcome is not None
    return api.outcome


def simulated(login: Login) -> LoginOutcome:
    """Simulate a login."""
    return simulate(broken, {"user": login.profile()}).outcome


def asimulated(login: Login) -> LoginOutcome:
    """Simulate a login inside a loop."""
    return asyncio.run(asimulate(async_broken, {"user": login.profile()})).outcome


class Nothing:
    """A lock that locks nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, *args: object) -> None: ...


WAYS = (
    *(run, run_async_action, arun, arun_async_action, arun_under_lock),
    *(resume, aresume, block, simulated, asimulated),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_actions_exception_is_logged_once_with_its_traceback(
    way: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The record names the action and the user; its traceback begins in the action; it holds no value."""
    outcome = way(Login())
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("auth0_meta.actions", logging.ERROR)
    assert "Boom" in record.getMessage()
    assert UID in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is outcome.error
    trace = record.exc_info[2]
    assert trace is not None
    assert Path(trace.tb_frame.f_code.co_filename).name == "test_failure.py"
    assert STORED not in caplog.text
    name = outcome.failed_in.split(" (")[0]
    assert record.getMessage().startswith(name)
    assert f"failed: Boom in {name} (test_failure.py:" in repr(outcome)
    with pytest.raises(Boom) as raised:
        outcome.raise_for_error()
    assert raised.value is outcome.error
    assert raised.traceback[-1].name == "deep"


def test_in_a_local_tenant_it_is_logged_once_too(caplog: pytest.LogCaptureFixture) -> None:
    """The tenant's own log does not repeat it; the application learns nothing."""
    with LocalTenant(users=[{"user_id": UID}]) as tenant, tenant.client() as client:
        tenant.post_login = PostLoginTrigger(client, [broken])
        sent = {"response_type": "code", "client_id": "app", "redirect_uri": APP, "scope": "openid"}
        with Visitor(stop=APP) as browser:
            browser.get(f"{tenant.url}/authorize", **sent).press(UID)
            assert browser.params["error"] == "access_denied"
            assert "Boom" not in browser.url
    assert [record.name for record in caplog.records] == ["auth0_meta.actions"]


def test_in_a_web_application_it_is_logged_once_too(caplog: pytest.LogCaptureFixture) -> None:
    """The adapter adds nothing to the trigger's record."""
    Driver(Flask, Login(), broken).get("/callback")
    assert [record.name for record in caplog.records] == ["auth0_meta.actions"]


class BrokenClaims(MemoryStates):
    """A store that fails for the claims of a web application, when they are put or taken."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def put(self, key: str, data: str, **times: float) -> None:
        """Store a login; fail for claims if the test says so."""
        if self.when == "put" and "aud" in json.loads(data):
            raise OSError("disk full")
        super().put(key, data, **times)

    def take(self, key: str, *, now: float) -> str | None:
        """Return a login; fail for claims if the test says so."""
        found = super().take(key, now=now)
        if self.when == "take" and found is not None and "aud" in json.loads(found):
            raise OSError("disk gone")
        return found


@pytest.mark.parametrize("when", ["put", "take"])
def test_a_web_applications_store_that_fails_is_logged(when: str, caplog: pytest.LogCaptureFixture) -> None:
    """It fails the login after its actions, which the trigger can't know."""
    app = Driver(Flask, Login(), Consent(), states=BrokenClaims(when))
    away = app.get("/callback")
    if when == "take":
        app.get(f"/continue?state={away.state}&answer=yes", away.cookie)
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [OSError]


def timed_out(login: Login) -> LoginOutcome:
    """Let an action take longer than the budget."""
    return login.run(lambda event, api: login.clock.advance(30))


def refused_update(login: Login) -> LoginOutcome:
    """Let the update be refused."""
    login.tenant.fail(method="PATCH", status=400)
    return login.run(lambda event, api: api.user.set_app_metadata("plan", STORED))


def user_gone(login: Login) -> LoginOutcome:
    """Let the user be deleted before the update."""
    return login.run(
        lambda event, api: api.user.set_app_metadata("plan", STORED) and login.tenant.users[UID].delete()
    )


def broken_lock(login: Login) -> LoginOutcome:
    """Let the lock raise when it is taken."""
    return login.run(broken, lock=lambda user_id: deep())


def unknown_state(login: Login) -> LoginOutcome:
    """Come back with a state that nobody was given."""
    return login.trigger(Consent()).resume("made up")


def bad_token(login: Login) -> LoginOutcome:
    """Come back with a session token that nobody signed."""

    class Checking(Consent):
        def on_continue_post_login(self, event: Any, api: Any) -> None:
            api.redirect.validate_token(secret=SECRET)

    trigger = login.trigger(Checking())
    return trigger.resume(state_of(trigger.run(login.event())), body={"session_token": STORED})


def broken_store(login: Login) -> LoginOutcome:
    """Let the store of suspended logins raise."""

    class Broken(MemoryStates):
        def take(self, key: str, *, now: float) -> str | None:
            return deep()

    return login.trigger(Consent(), states=Broken()).resume("x")


OTHERS = [
    (timed_out, ActionTimeout, "ERROR", False),
    (refused_update, BadRequestError, "ERROR", False),
    (user_gone, NotFoundError, "ERROR", False),
    (broken_lock, Boom, "ERROR", True),
    (unknown_state, RedirectError, "WARNING", False),
    (bad_token, RedirectError, "WARNING", False),
    (broken_store, Boom, "ERROR", True),
]


@pytest.mark.parametrize(
    ("way", "error", "level", "traced"), OTHERS, ids=[way.__name__ for way, *_ in OTHERS]
)
def test_whatever_else_fails_a_login_is_logged_once(
    way: Any, error: type[Exception], level: str, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The package's own errors are complete without a traceback; what comes back from a browser is only a warning."""
    outcome = way(Login())
    assert type(outcome.error) is error
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("auth0_meta.actions", level)
    assert (record.exc_info is not None) == traced
    assert (str(outcome.error) in record.getMessage()) == (not traced)
    assert STORED not in caplog.text
    with pytest.raises(error):
        outcome.raise_for_error()


def test_each_of_two_failures_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """If an action fails, and then the update of what earlier ones staged, the outcome has the second as its error."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(lambda event, api: api.user.set_app_metadata("a", 1), broken, error_discards="this")
    assert isinstance(outcome.error, BadRequestError)
    assert isinstance(outcome.error.__context__, Boom)
    assert outcome.failed_in is None
    assert [record.getMessage().split()[0] for record in caplog.records] == ["broken", "the"]


def test_a_misuse_of_the_api_is_logged_with_the_line_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """The error is the package's own, but the mistake is the action's."""
    outcome = Login().run(lambda event, api: api.user.set_app_metadata("a.b", 1))
    assert isinstance(outcome.error, InputError)
    files = [line for line in caplog.text.splitlines() if line.startswith("  File ")]
    assert [__file__ in line and "in <lambda>" in line for line in files] == [True]
    assert outcome.failed_in is not None


def test_what_is_not_a_failure_is_not_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    """An allowed login, a denial, a validation error and a redirect are results."""
    login = Login()
    for send in (
        lambda api: None,
        lambda api: api.access.deny("no"),
        lambda api: api.validation.error("code", "message"),
        lambda api: api.redirect.send_user_to("https://example.com/"),
    ):
        outcome = login.run(RedirectingAction(send))
        assert outcome.raise_for_error() is outcome
    assert caplog.records == []


def test_an_interrupt_is_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets it."""

    def interrupted(event: Any, api: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Login().run(interrupted)
    assert caplog.records == []


def test_an_outcome_that_fails_afterwards_says_only_what_failed_it() -> None:
    """`failed` keeps the action of an error that it passes on, and drops it for another error."""
    outcome = Login().run(broken)
    assert outcome.error is not None
    assert outcome._failed(outcome.error).failed_in == outcome.failed_in
    assert outcome._failed(Auth0MetaError("x")).failed_in is None


@pytest.mark.parametrize(
    "call",
    [
        lambda api, secret: api.redirect.encode_token(secret=secret, payload={"a": b"x"}),
        lambda api, secret: api.redirect.encode_token(secret=f"-----BEGIN {secret}"),
        lambda api, secret: api.redirect.validate_token(secret=secret),
        lambda api, secret: api.redirect.send_user_to(
            "https://x.example/", query={"session_token": secret, "": ""}
        ),
        lambda api, secret: api.user.set_app_metadata("a", {"b": secret, "c": b"x"}),
        lambda api, secret: api.user.set_user_metadata("a.b", secret),
        lambda api, secret: api.id_token.set_custom_claim("a", [secret, b"x"]),
        lambda api, secret: api.saml_response.set_attribute("a", secret * 1000),
        lambda api, secret: api.transaction.set_metadata("a", secret * 1000),
    ],
    ids=["payload", "key", "token", "query", "app", "user", "claim", "saml", "transaction"],
)
def test_no_frame_of_the_package_holds_a_secret_or_a_value(
    call: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Error trackers record the local variables of each frame of a logged traceback."""
    outcome = Login().run(lambda event, api: call(api, SECRET))
    assert outcome.error is not None
    frames = [*walk_tb(outcome.error.__traceback__)]
    assert len(frames) > 3
    ours = [frame for frame, _ in frames if frame.f_globals["__name__"].startswith("auth0_meta")]
    assert [frame.f_code.co_name for frame in ours if SECRET in repr(frame.f_locals)] == []
