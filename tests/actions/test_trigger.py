"""How a login ends: denied, failed, late, refused; and what is written then."""

from __future__ import annotations

from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Login

from auth0_meta import ActionTimeout, BadRequestError, ConfigError, InputError, RateLimitError
from auth0_meta.actions import Event, PostLoginTrigger


def stage(key: str, value: Any = 1) -> Any:
    """Make an action that stages one key."""

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
    """The denying action runs to its end, what was staged is written, later actions do not run."""
    login, ran = Login(), []
    outcome = login.run(stage("first"), deny, lambda event, api: ran.append(1))
    assert (outcome.allowed, outcome.denied, outcome.error, ran) == (False, "no access", None, [])
    assert login.app_metadata == {"first": 1, "before": 1, "after": 1}
    assert login.sent == ["PATCH"]
    assert outcome.id_token_claims == {}
    assert "denied" in repr(outcome)


def test_deny_may_keep_only_its_own() -> None:
    """deny_keeps="this": what earlier actions staged is dropped; the open question has a switch."""
    login = Login()
    outcome = login.run(stage("first"), deny, deny_keeps="this")
    assert outcome.denied == "no access"
    assert login.app_metadata == {"before": 1, "after": 1}


def test_a_validation_error_stops_like_a_denial() -> None:
    """Codes and messages reach the outcome, what was staged is written."""
    login, ran = Login(), []

    def invalid(event: Any, api: Any) -> None:
        api.validation.error("age", "too young").validation.error("name", "missing")

    outcome = login.run(stage("a"), invalid, lambda event, api: ran.append(1))
    assert outcome.validation_errors == (("age", "too young"), ("name", "missing"))
    assert (outcome.allowed, outcome.denied, ran) == (False, None, [])
    assert login.app_metadata == {"a": 1}


def test_an_exception_discards_everything() -> None:
    """No action's metadata is written, later actions do not run, and run returns the error."""
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


def test_an_exception_may_leave_earlier_actions_alone() -> None:
    """error_discards="this": earlier actions' metadata is written, the login fails all the same."""
    login = Login()
    outcome = login.run(stage("first"), fail, error_discards="this")
    assert isinstance(outcome.error, LookupError)
    assert not outcome.allowed
    assert login.app_metadata == {"first": 1}
    assert outcome.staged == {"app_metadata": {"first": 1}}


def test_a_failing_rescue_is_reported_with_what_came_before() -> None:
    """When that update is refused as well, its error is the outcome's and the action's its context."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(stage("first"), fail, error_discards="this")
    assert isinstance(outcome.error, BadRequestError)
    assert isinstance(outcome.error.__context__, LookupError)
    assert outcome.staged == {}


def test_ctrl_c_in_an_action_goes_on_and_writes_nothing() -> None:
    """What is no Exception is not the outcome's to hold."""
    login = Login()

    def interrupted(event: Any, api: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        login.run(stage("a"), interrupted)
    assert login.sent == []


def test_stop_iteration_in_an_action_is_an_error_like_any_other() -> None:
    """A bare next() in an action must not end the flow as if it were done."""
    login = Login()
    outcome = login.run(stage("a"), lambda event, api: next(iter(())))
    assert isinstance(outcome.error, StopIteration)
    assert login.sent == []


def test_a_late_action_is_let_finish_and_discarded() -> None:
    """Past 20 s nothing is written, whatever the switches say, and later actions do not run."""
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


def test_the_budget_is_one_for_all_actions() -> None:
    """Two actions of 6 s are past a budget of 10 s; one is not."""
    login = Login()
    slow = lambda event, api: login.clock.sleep(6.0)  # noqa: E731
    assert login.run(slow, budget=10).allowed
    assert isinstance(login.run(slow, slow, budget=10).error, ActionTimeout)


def test_a_429_is_waited_out_within_the_budget() -> None:
    """The final update is sent again after Reset, until it lands."""
    login = Login()
    login.tenant.fail(method="PATCH", status=429, reset=5, times=2)
    outcome = login.run(stage("a"))
    assert outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.attempts == 3
    assert 5 <= outcome.commit.waited < 20
    assert login.app_metadata == {"a": 1}


def test_a_429_past_what_is_left_fails_the_login() -> None:
    """Actions took 18 s, Reset is 5 s away: no wait, the login fails, nothing is written."""
    login = Login()
    login.tenant.fail(method="PATCH", status=429, reset=5)
    outcome = login.run(lambda event, api: login.clock.sleep(18.0), stage("a"))
    assert isinstance(outcome.error, RateLimitError)
    assert not outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "failed"
    assert login.app_metadata == {}
    assert login.clock.slept == [18.0]


def test_a_429_of_the_first_read_counts_too() -> None:
    """Waiting to read the user uses up the same budget."""
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
def test_a_first_read_past_the_budget_runs_no_action(fault: Any, error: type[Exception], slept: Any) -> None:
    """A Reset that is too far is not waited for; an answer that came too late is none."""
    login, ran = Login(), []
    login.tenant.fail(method="GET", **fault)
    outcome = login.trigger(lambda event, api: ran.append(1)).run(Event.from_claims({"sub": UID}))
    assert isinstance(outcome.error, error)
    assert (ran, login.clock.slept) == ([], slept)


def test_a_rejected_update_fails_the_login_with_the_reason() -> None:
    """Auth0's 400 is the outcome's error; there is nothing that may be shown to the user."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(stage("a"))
    assert isinstance(outcome.error, BadRequestError)
    assert (outcome.allowed, outcome.denied, outcome.staged) == (False, None, {})
    assert login.sent == ["PATCH"]


def test_a_denial_whose_update_is_refused_is_both() -> None:
    """The reason can be shown, the error logged."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(deny)
    assert outcome.denied == "no access"
    assert isinstance(outcome.error, BadRequestError)


def test_a_lost_answer_is_found_out() -> None:
    """The update whose answer was lost is read back: applied once, the login goes on."""
    login = Login()
    login.tenant.fail(method="PATCH", drop="after_commit")
    outcome = login.run(stage("a"))
    assert outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "confirmed"
    assert login.app_metadata == {"a": 1}


def test_a_profile_past_10_kb_can_be_refused() -> None:
    """oversize= is the transaction's: "error" fails the login before the PATCH."""
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
def test_settings_that_can_not_work_are_refused(settings: Any) -> None:
    """They fail when the trigger is made."""
    with pytest.raises(ConfigError):
        PostLoginTrigger(Login().client, [], **settings)


@pytest.mark.parametrize("event", [{"user": {"user_id": UID}}, None])
def test_run_takes_an_event_only(event: Any) -> None:
    """A plain dict is no event: which source it has decides what an absent bag means."""
    with pytest.raises(InputError, match="from_dict"):
        Login().trigger().run(event)


def test_secrets_reach_actions_and_no_repr() -> None:
    """The trigger's secrets are added to the event's, for every action."""
    login, seen = Login(), []
    trigger = login.trigger(lambda event, api: seen.append(dict(event.secrets)), secrets={"KEY": "s3cret"})
    assert trigger.run(login.event(secrets={"OTHER": "x"})).allowed
    assert seen == [{"OTHER": "x", "KEY": "s3cret"}]
    assert "s3cret" not in repr(trigger)


def test_configuration_that_json_can_not_hold_is_refused() -> None:
    """When the trigger is made, and not at the first login."""
    with pytest.raises(InputError, match=r"configuration\.a"):
        Login().trigger(configuration={"a": b"x"})
