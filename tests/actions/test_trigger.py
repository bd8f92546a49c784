"""How a login ends: denied, failed, late or refused; and what is written then."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Consent, Login, state_of

from auth0_meta import (
    ActionTimeout,
    BadRequestError,
    ConfigError,
    InputError,
    RateLimitError,
)
from auth0_meta.actions import Event, LoginOutcome, MemoryStates, PostLoginTrigger
from auth0_meta.actions.execution import Execution


def stage(key: str, value: Any = 1) -> Any:
    """Return an action that stages one key."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata(key, value)

    return action


def deny(event: Any, api: Any) -> None:
    """Stage, deny, stage again."""
    api.user.set_app_metadata("before", 1)
    api.access.deny("no access").access.deny("again")
    api.user.set_app_metadata("after", 1)
    api.id_token.set_custom_claim("a", 1)


def fail(event: Any, api: Any) -> None:
    """Stage, and raise."""
    api.user.set_app_metadata("lost", 1)
    raise LookupError("broken")


def test_deny_commits_and_stops() -> None:
    """The denying action runs to its end, what is staged is written, and later actions don't run."""
    login, ran = Login(), []
    outcome = login.run(stage("first"), deny, lambda event, api: ran.append(1))
    assert (outcome.allowed, outcome.denied, outcome.error, ran) == (False, "no access", None, [])
    assert login.app_metadata == {"first": 1, "before": 1, "after": 1}
    assert login.sent == ["PATCH"]
    assert outcome.id_token_claims == {}
    assert "denied" in repr(outcome)


def test_deny_can_keep_only_what_the_denying_action_staged() -> None:
    """deny_keeps="this" drops what earlier actions staged."""
    login = Login()
    outcome = login.run(stage("first"), deny, deny_keeps="this")
    assert outcome.denied == "no access"
    assert login.app_metadata == {"before": 1, "after": 1}


def test_a_validation_error_stops_like_a_denial() -> None:
    """Codes and messages are in the outcome, and what is staged is written."""
    login, ran = Login(), []

    def invalid(event: Any, api: Any) -> None:
        api.validation.error("age", "too young").validation.error("name", "missing")

    outcome = login.run(stage("a"), invalid, lambda event, api: ran.append(1))
    assert outcome.validation_errors == (("age", "too young"), ("name", "missing"))
    assert (outcome.allowed, outcome.denied, ran) == (False, None, [])
    assert login.app_metadata == {"a": 1}


def test_an_exception_discards_everything() -> None:
    """No action's metadata is written, later actions don't run, and the error is in the outcome."""
    login, ran = Login(), []
    outcome = login.run(stage("first"), fail, lambda event, api: ran.append(1))
    assert isinstance(outcome.error, LookupError)
    assert (outcome.allowed, outcome.denied, outcome.staged, ran, login.sent) == (False, None, {}, [], [])
    assert "LookupError" in repr(outcome)
    assert "broken" not in repr(outcome)


def test_an_exception_after_a_denial_discards_too() -> None:
    """An action that denies and then raises has failed."""
    login = Login()

    def both(event: Any, api: Any) -> None:
        api.access.deny("no")
        raise LookupError

    outcome = login.run(stage("a"), both)
    assert isinstance(outcome.error, LookupError)
    assert login.sent == []


def test_an_exception_can_keep_what_earlier_actions_staged() -> None:
    """error_discards="this" writes what earlier actions staged; the login still fails."""
    login = Login()
    outcome = login.run(stage("first"), fail, error_discards="this")
    assert isinstance(outcome.error, LookupError)
    assert not outcome.allowed
    assert login.app_metadata == {"first": 1}
    assert outcome.staged == {"app_metadata": {"first": 1}}


def test_a_failing_update_after_an_exception_is_reported_with_it() -> None:
    """If that update is refused too, its error is the outcome's, and the action's error is its context."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(stage("first"), fail, error_discards="this")
    assert isinstance(outcome.error, BadRequestError)
    assert isinstance(outcome.error.__context__, LookupError)
    assert outcome.staged == {}


def test_ctrl_c_in_an_action_is_raised_and_writes_nothing() -> None:
    """An interrupt reaches the caller, and is not in an outcome."""
    login = Login()

    def interrupted(event: Any, api: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        login.run(stage("a"), interrupted)
    assert login.sent == []


def test_stop_iteration_in_an_action_is_an_error_like_any_other() -> None:
    """A bare next() in an action must not end the login as if it were complete."""
    login = Login()
    outcome = login.run(stage("a"), lambda event, api: next(iter(())))
    assert isinstance(outcome.error, StopIteration)
    assert login.sent == []


def test_a_late_action_may_finish_but_its_changes_are_discarded() -> None:
    """After 20 s nothing is written, whatever the options say, and later actions don't run."""
    login, ran = Login(), []

    def slow(event: Any, api: Any) -> None:
        api.user.set_app_metadata("slow", 1)
        login.clock.sleep(20.0)
        ran.append("finished")

    outcome = login.run(stage("a"), slow, lambda event, api: ran.append("late"), error_discards="this")
    assert isinstance(outcome.error, ActionTimeout)
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.error.user_id == UID
    assert (outcome.allowed, ran, login.sent, outcome.staged) == (False, ["finished"], [], {})


def test_all_actions_share_one_budget() -> None:
    """Two actions of 6 s exceed a budget of 10 s; one does not."""
    login = Login()
    slow = lambda event, api: login.clock.sleep(6.0)  # noqa: E731
    assert login.run(slow, budget=10).allowed
    assert isinstance(login.run(slow, slow, budget=10).error, ActionTimeout)


def test_a_429_is_retried_within_the_budget() -> None:
    """The final update is sent again after Reset until it succeeds."""
    login = Login()
    login.tenant.fail(method="PATCH", status=429, reset=5, times=2)
    outcome = login.run(stage("a"))
    assert outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.attempts == 3
    assert 5 <= outcome.commit.waited < 20
    assert login.app_metadata == {"a": 1}


def test_a_429_beyond_the_remaining_budget_fails_the_login() -> None:
    """If the actions took 18 s and Reset is 5 s away, the login fails without waiting, and nothing is written."""
    login = Login()
    login.tenant.fail(method="PATCH", status=429, reset=5)
    outcome = login.run(lambda event, api: login.clock.sleep(18.0), stage("a"))
    assert isinstance(outcome.error, RateLimitError)
    assert not outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "failed"
    assert login.app_metadata == {}
    assert login.clock.slept == [18.0]


def test_the_wait_after_a_429_on_the_first_read_counts_too() -> None:
    """Waiting to read the user counts against the same budget."""
    login, ran = Login(), []
    login.tenant.fail(method="GET", status=429, reset=15)
    trigger = login.trigger(lambda event, api: ran.append(login.clock.sleep(10.0)))
    outcome = trigger.run(Event.from_claims({"sub": UID}))
    assert isinstance(outcome.error, ActionTimeout)
    assert ran == [None]


@pytest.mark.parametrize(
    ("fault", "error", "slept"),
    [({"status": 429, "reset": 30}, RateLimitError, []), ({"delay": 25.0}, ActionTimeout, [25.0])],
)
def test_a_first_read_beyond_the_budget_runs_no_action(
    fault: Any, error: type[Exception], slept: Any
) -> None:
    """If Reset is too far away, the trigger does not wait for it; a response that comes too late is not used."""
    login, ran = Login(), []
    login.tenant.fail(method="GET", **fault)
    outcome = login.trigger(lambda event, api: ran.append(1)).run(Event.from_claims({"sub": UID}))
    assert isinstance(outcome.error, error)
    assert (ran, login.clock.slept) == ([], slept)


def test_an_update_that_is_answered_after_the_budget_fails_the_login_and_is_said_to_be_written() -> None:
    """The user is not let in, and neither the error nor the outcome denies what is stored."""
    login = Login()
    login.tenant.fail(method="PATCH", delay=20.0, status=None)
    outcome = login.run(stage("a"))
    assert isinstance(outcome.error, ActionTimeout)
    assert (outcome.allowed, outcome.error.user_id) == (False, UID)
    assert "Its update was written" in str(outcome.error)
    assert outcome.commit is not None
    assert outcome.commit.outcome == "updated"
    assert outcome.staged == {"app_metadata": login.app_metadata} == {"app_metadata": {"a": 1}}


def test_a_login_that_ends_after_its_budget_is_not_allowed() -> None:
    """Whatever took the time: here it is the release of the lock, after an update in time."""
    login = Login()

    @contextmanager
    def slow_lock(user_id: str) -> Iterator[None]:
        yield
        login.clock.sleep(20.0)

    outcome = login.run(stage("a"), lock=slow_lock)
    assert isinstance(outcome.error, ActionTimeout)
    assert "Its update was written" in str(outcome.error)
    assert (outcome.allowed, login.app_metadata) == (False, {"a": 1})
    nothing = login.run(lambda event, api: None, lock=slow_lock)
    assert isinstance(nothing.error, ActionTimeout)
    assert nothing.commit is None


def test_the_budget_of_a_continued_login_includes_the_store() -> None:
    """It begins when `resume` is called, not when the store has answered."""
    login = Login()

    class Slow(MemoryStates):
        def take(self, key: str, *, now: float) -> str | None:
            login.clock.sleep(20.0)
            return super().take(key, now=now)

    trigger = login.trigger(Consent(), states=Slow())
    outcome = trigger.resume(state_of(trigger.run(login.event())))
    assert isinstance(outcome.error, ActionTimeout)
    assert login.sent == ["PATCH"]


def test_a_failed_login_can_be_freed_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error's traceback and the login don't refer to each other, which would keep the profile in memory."""
    # pytest keeps what is logged, and so the error.
    monkeypatch.setattr(logging.getLogger("auth0_meta.actions"), "disabled", True)
    login = Login()
    trigger, event = login.trigger(fail), login.event()

    def alive() -> list[object]:
        return [one for one in gc.get_objects() if isinstance(one, Execution | LoginOutcome)]

    gc.collect()
    gc.disable()
    try:
        # pytest keeps what earlier tests have logged, and since Python 3.12 an error that was logged there refers, by
        # the frames of its traceback, to the login that ran.
        before = alive()
        outcome = trigger.run(event)
        assert outcome.error is not None
        del outcome
        assert alive() == before
    finally:
        gc.enable()


def test_a_rejected_update_fails_the_login_with_the_reason() -> None:
    """Auth0's 400 is the outcome's error; nothing may be shown to the user."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(stage("a"))
    assert isinstance(outcome.error, BadRequestError)
    assert (outcome.allowed, outcome.denied, outcome.staged) == (False, None, {})
    assert login.sent == ["PATCH"]


def test_a_denial_whose_update_is_refused_has_a_reason_and_an_error() -> None:
    """The outcome has the reason, which can be shown, and the error, which can be logged."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(deny)
    assert outcome.denied == "no access"
    assert isinstance(outcome.error, BadRequestError)


def test_an_update_whose_response_was_lost_is_read_back() -> None:
    """An update whose response was lost is read back; it was applied once, and the login is allowed."""
    login = Login()
    login.tenant.fail(method="PATCH", drop="after_commit")
    outcome = login.run(stage("a"))
    assert outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "confirmed"
    assert login.app_metadata == {"a": 1}


def test_a_profile_beyond_10_kb_can_be_refused() -> None:
    """oversize="error" fails the login before the PATCH, as in a transaction."""
    login = Login()
    outcome = login.run(stage("a", "x" * 11_000), oversize="error")
    assert type(outcome.error).__name__ == "MetadataError"
    assert login.sent == []


@pytest.mark.parametrize(
    "settings",
    [
        {"budget": 0},
        {"budget": float("inf")},
        {"budget": True},
        {"budget": "20"},
        {"suspend_for": -1},
        {"deny_keeps": "none"},
        {"error_discards": None},
        {"lock": 5},
        {"oversize": "maybe"},
    ],
)
def test_options_that_cannot_work_are_refused(settings: Any) -> None:
    """They are refused when the trigger is created."""
    with pytest.raises(ConfigError):
        PostLoginTrigger(Login().client, [], **settings)


@pytest.mark.parametrize("event", [{"user": {"user_id": UID}}, None])
def test_run_takes_only_an_event(event: Any) -> None:
    """A plain dict is refused, because its source decides whether absent metadata is empty or unknown."""
    with pytest.raises(InputError, match="from_dict"):
        Login().trigger().run(event)


def test_actions_get_the_secrets_and_no_repr_shows_them() -> None:
    """Every action gets the trigger's secrets in addition to the event's."""
    login, seen = Login(), []
    trigger = login.trigger(lambda event, api: seen.append(dict(event.secrets)), secrets={"KEY": "s3cret"})
    assert trigger.run(login.event(secrets={"OTHER": "x"})).allowed
    assert seen == [{"OTHER": "x", "KEY": "s3cret"}]
    assert "s3cret" not in repr(trigger)


def test_configuration_that_json_cannot_represent_is_refused() -> None:
    """It is refused when the trigger is made, not at the first login."""
    with pytest.raises(InputError, match=r"configuration\.a"):
        Login().trigger(configuration={"a": b"x"})
