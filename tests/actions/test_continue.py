"""What /continue accepts and refuses, and what is stored meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import URL, Consent, Login, RedirectingAction, state_of

from auth0_meta import NotFoundError, RedirectError
from auth0_meta.actions import LoginOutcome, MemoryStates, PostLoginTrigger, SqliteStates
from auth0_meta.actions.staging import TokenChanges

# What is refused at /continue


@pytest.fixture(params=["memory", "sqlite"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return each kind of store."""
    return MemoryStates() if request.param == "memory" else SqliteStates(tmp_path / "states.db")


def refused(outcome: LoginOutcome) -> bool:
    """Return whether /continue was refused because of its state."""
    assert isinstance(outcome.error, RedirectError), outcome
    return (outcome.allowed, outcome.user_id, outcome.error.reason) == (False, None, "invalid_request")


@pytest.mark.parametrize("forged", ["", "x", "a\0b", "\ud800", None, 5])
def test_a_forged_state_is_refused(states: Any, forged: Any) -> None:
    """A state that was never issued continues nothing, and does not use up the real one."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event())
    assert refused(trigger.resume(forged))
    assert refused(trigger.resume(state_of(outcome) + "x"))
    assert login.sent == ["PATCH"]
    assert trigger.resume(state_of(outcome)).allowed


def test_a_replayed_state_is_refused(states: Any) -> None:
    """A state can be used once, even if that use failed."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    first, second = (state_of(trigger.run(login.event(request={"ip": f"192.0.2.{n}"}))) for n in (1, 2))
    assert trigger.resume(first).allowed
    assert refused(trigger.resume(first))
    login.tenant.fail(method="GET", status=400)
    assert not trigger.resume(second).allowed
    assert refused(trigger.resume(second))


def test_an_expired_state_is_refused(states: Any) -> None:
    """After suspend_for seconds the login has to be started again."""
    login = Login()
    trigger = login.trigger(Consent(), states=states, suspend_for=60)
    outcome, other = trigger.run(login.event()), trigger.run(login.event())
    login.clock.advance(59)
    assert trigger.resume(state_of(other)).allowed
    login.clock.advance(1)
    assert refused(trigger.resume(state_of(outcome)))


def test_a_state_sent_to_somebody_else_is_refused(states: Any) -> None:
    """Another browser can't continue the login, and the right one still can."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event(), browser="cookie-1")
    assert refused(trigger.resume(state_of(outcome), browser="cookie-2"))
    assert refused(trigger.resume(state_of(outcome)))
    assert trigger.resume(state_of(outcome), browser="cookie-1").allowed


def test_a_login_without_a_browser_is_not_continued_with_one(states: Any) -> None:
    """A login that was bound to no browser can't be claimed by one."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event())
    assert refused(trigger.resume(state_of(outcome), browser="cookie"))


def test_the_login_fails_if_the_user_was_deleted_meanwhile() -> None:
    """Reading the user gets a 404; no action runs."""
    login = Login()
    trigger = login.trigger(Consent())
    outcome = trigger.run(login.event())
    login.tenant.users[UID].delete()
    done = trigger.resume(state_of(outcome))
    assert isinstance(done.error, NotFoundError)
    assert done.user_id == UID


def test_actions_that_changed_meanwhile_do_not_continue(states: Any) -> None:
    """A deployment may have moved the action: the login is refused, and not continued in another one."""
    login = Login()
    trigger = login.trigger(lambda event, api: None, Consent(), states=states)
    for later in (
        [Consent()],
        [Consent(), RedirectingAction(lambda api: None)],
        [Consent(), lambda event, api: None],
    ):
        outcome = trigger.run(login.event())
        done = PostLoginTrigger(login.client, later, states=states).resume(state_of(outcome))
        assert isinstance(done.error, RedirectError)
        assert "have changed" in done.error.reason
        assert UID in str(done.error)


def test_what_is_stored_contains_no_secrets() -> None:
    """The store gets a hash, and no secrets, configuration, profile, metadata, body, query or state of the application."""
    login = Login({"u": "metadata-u"}, {"a": "metadata-a"})
    stored: dict[str, str] = {}

    class Spy(MemoryStates):
        def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
            stored[key] = data
            super().put(key, data, expires_at=expires_at, now=now)

    configured = {"configuration": {"C": "configuration-1"}}
    trigger = login.trigger(Consent(), states=Spy(), secrets={"S": "secret-1"}, **configured)
    request = {"query": {"q": "query-1"}, "body": {"password": "body-1"}}
    sections = {
        "configuration": {"D": "configuration-2"},
        "transaction": {"state": "state-1", "locale": "fi"},
    }
    event = login.event(secrets={"T": "secret-2"}, request=request, **sections)
    outcome = trigger.run(event, browser="cookie-1")
    ((key, data),) = stored.items()
    everything = key + data
    absent = (
        "secret-1",
        "secret-2",
        "configuration-",
        "state-1",
        "metadata-u",
        "metadata-a",
        "query-1",
        "body-1",
        "cookie-1",
        "@example.com",
    )
    assert [text for text in (*absent, state_of(outcome)) if text in everything] == []
    assert json.loads(data)["user_id"] == UID
    assert json.loads(data)["event"]["transaction"]["locale"] == "fi"
    assert len(state_of(outcome)) >= 43


def test_secrets_are_back_after_the_redirect() -> None:
    """They come from the trigger, not from the store."""
    login = Login()
    action = RedirectingAction(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(action, secrets={"S": "secret-1"}, configuration={"c": {"d": 1}})
    event = login.event(secrets={"T": "x"}, configuration={"e": 2})
    trigger.resume(state_of(trigger.run(event)))
    assert action.continued[0].secrets == {"S": "secret-1"}
    assert action.continued[0].configuration == {"c": {"d": 1}}


def test_the_repr_of_token_changes_shows_no_values() -> None:
    """Claims may be personal data, so the repr shows none."""
    carried = TokenChanges(id_token={"a": "SECRET"}, access_token={"b": "SECRET"}, saml={"c": "SECRET"})
    assert "SECRET" not in repr(carried)
