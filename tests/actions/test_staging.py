"""What actions stage, who sees it when, and which requests are sent for it."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.local_tenant import UID
from support.logins import Login

from auth0_meta import InputError, MetadataError, MetadataWarning, StateError, StoredDataError
from auth0_meta.actions import Event


def test_five_setters_in_two_actions_are_one_patch() -> None:
    """The PATCH has both metadata objects, with the changed keys and no others."""
    login = Login({"theme": "light", "tour": 1}, {"plan": "free", "old": 1})

    def first(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro").user.set_app_metadata("logins", 3)
        api.user.set_user_metadata("theme", "dark")

    def second(event: Any, api: Any) -> None:
        api.user.set_app_metadata("old", None)
        api.user.set_user_metadata("seen", ["a", {"b": None}])

    outcome = login.run(first, second)
    assert outcome.allowed
    assert login.sent == ["PATCH"]
    assert login.bodies == [
        {
            "user_metadata": {"theme": "dark", "seen": ["a", {"b": None}]},
            "app_metadata": {"plan": "pro", "logins": 3, "old": None},
        }
    ]
    assert login.user_metadata == {"theme": "dark", "tour": 1, "seen": ["a", {"b": None}]}
    assert login.app_metadata == {"plan": "pro", "logins": 3}
    assert outcome.commit is not None
    assert outcome.commit.outcome == "updated"
    assert outcome.staged["app_metadata"] == {"plan": "pro", "logins": 3, "old": None}


def test_stored_values_send_nothing() -> None:
    """Identical values, and None for an absent key, send no request; True is not 1."""
    login = Login(None, {"plan": "pro", "n": 1, "deep": {"a": [1, 2]}})

    def same(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro").user.set_app_metadata("deep", {"a": [1, 2]})
        api.user.set_user_metadata("absent", None).user.set_app_metadata("n", 1.0)

    outcome = login.run(same)
    assert login.sent == []
    assert outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "unchanged"
    login.run(lambda event, api: api.user.set_app_metadata("n", True) and None)
    assert login.bodies == [{"app_metadata": {"n": True}}]


def test_no_actions_and_nothing_staged_send_nothing() -> None:
    """A login that changes nothing sends no request."""
    login = Login()
    assert login.run().allowed
    outcome = login.run(lambda event, api: None)
    assert outcome.allowed
    assert (outcome.commit is not None and outcome.commit.outcome, login.sent) == ("unchanged", [])


def test_later_actions_see_what_was_staged_but_the_same_action_does_not() -> None:
    """event.user is a snapshot for each action; the next one's includes the staged values."""
    login = Login(None, {"plan": "free", "old": 1})
    seen: list[Any] = []

    def first(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro").user.set_app_metadata("old", None)
        api.user.set_app_metadata("new", {"a": [1]})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MetadataWarning)
            seen.append(dict(event.user.app_metadata))
        seen.append(dict(api.user.app_metadata))

    def second(event: Any, api: Any) -> None:
        seen.append(dict(event.user.app_metadata))
        with pytest.raises(InputError):
            event.user.app_metadata["new"]["a"].append(2)

    assert login.run(first, second).allowed
    before, after = {"plan": "free", "old": 1}, {"plan": "pro", "new": {"a": [1]}}
    assert seen == [before, after, after]


@pytest.mark.parametrize(
    "read",
    [
        lambda bag: bag["plan"],
        lambda bag: bag.get("plan"),
        lambda bag: "plan" in bag,
        list,
        dict,
        lambda bag: {**bag},
        lambda bag: list(bag.items()),
        lambda bag: list(bag.values()),
        lambda bag: bag | {"a": 1},
        lambda bag: bag.copy(),
    ],
)
def test_reading_a_key_that_the_same_action_staged_warns(read: Any) -> None:
    """Such a read returns the previous value, so it warns, at the action's own line; other keys don't."""
    login = Login(None, {"plan": "free", "other": 1})
    login.write(user_metadata={"plan": 1})

    def action(event: Any, api: Any) -> None:
        read(event.user.app_metadata)
        api.user.set_app_metadata("plan", "pro")
        assert event.user.app_metadata["other"] == 1
        assert "absent" not in event.user.app_metadata
        assert event.user.app_metadata.get("absent", 5) == 5
        read(event.user.user_metadata)
        with pytest.warns(MetadataWarning, match=r"app_metadata\['plan'\]") as caught:
            read(event.user.app_metadata)
        assert {warning.filename for warning in caught} == {__file__}

    outcome = login.run(action)
    assert outcome.error is None


def test_the_last_call_for_a_key_wins() -> None:
    """A key that is staged twice, in one action or in two, is sent once, as last staged."""
    login = Login(None, {"a": 1})

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("a", 2).user.set_app_metadata("b", 1)
        api.user.set_app_metadata("a", 3)

    login.run(action, lambda event, api: api.user.set_app_metadata("b", None) and None)
    assert login.bodies == [{"app_metadata": {"a": 3}}]


def test_staged_values_are_copied() -> None:
    """Changing a value after staging it has no effect."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        value = {"a": [1]}
        api.user.set_app_metadata("x", value)
        value["a"].append(2)

    login.run(action)
    assert login.app_metadata == {"x": {"a": [1]}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a.b", 1),
        ("", 1),
        (1, 1),
        ("email", "x"),
        ("a", {"b$": 1}),
        ("a", float("nan")),
        ("a", b"x"),
        ("a", "x" * 33_000),
    ],
)
def test_bad_input_fails_at_the_setter_and_fails_the_login(key: Any, value: Any) -> None:
    """The setter raises for a key or value that Auth0 does not accept, or for more than 32 kB; nothing is sent."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        with pytest.raises(MetadataError):
            api.user.set_app_metadata(key, value)
        api.user.set_app_metadata(key, value)

    outcome = login.run(lambda event, api: api.user.set_user_metadata("a", 1) and None, action)
    assert isinstance(outcome.error, MetadataError)
    assert not outcome.allowed
    assert login.sent == []


def test_all_actions_share_the_32_kb() -> None:
    """What earlier actions staged counts; a key that is replaced counts once."""
    login = Login()
    big = "x" * 20_000

    def once(event: Any, api: Any) -> None:
        api.user.set_app_metadata("a", big)

    def more(event: Any, api: Any) -> None:
        api.user.set_app_metadata("b", big)

    assert login.trigger(once, once, oversize="off").run(login.event()).allowed
    assert isinstance(login.run(once, more).error, MetadataError)


def test_unknown_metadata_is_read_once_before_the_first_action() -> None:
    """An ID token has no metadata: one GET, then the actions, then one PATCH of what differs from what was read."""
    login = Login({"theme": "dark"}, {"plan": "pro"})
    seen: list[Any] = []

    def first(event: Any, api: Any) -> None:
        seen.append((login.sent, dict(event.user.app_metadata), event.user.nickname, event.user.role))
        api.user.set_app_metadata("plan", "pro").user.set_user_metadata("theme", "light")

    event = Event.from_claims({"sub": UID, "role": "admin"})
    outcome = login.trigger(first, first).run(event)
    assert outcome.allowed
    assert seen[0] == (["GET"], {"plan": "pro"}, "507f1f77bcf86cd799439020", "admin")
    assert login.sent == ["GET", "PATCH"]
    assert login.bodies == [{"user_metadata": {"theme": "light"}}]


def test_an_unknown_user_fails_the_login() -> None:
    """Reading an unknown user gets a 404, which is the outcome's error; no action runs."""
    login, ran = Login(), []
    outcome = login.trigger(lambda event, api: ran.append(1)).run(Event.from_claims({"sub": "auth0|nobody"}))
    assert type(outcome.error).__name__ == "NotFoundError"
    assert (ran, outcome.allowed, outcome.user_id) == ([], False, "auth0|nobody")


def test_metadata_that_is_not_an_object_cannot_be_changed() -> None:
    """Its setter fails; the other metadata object can be written."""
    login = Login("odd", {"a": 1})
    outcome = login.run(lambda event, api: api.user.set_user_metadata("x", 1) and None)
    assert isinstance(outcome.error, StoredDataError)
    assert UID in str(outcome.error)

    def other(event: Any, api: Any) -> None:
        assert event.user["user_metadata"] == "odd"
        with pytest.raises(StoredDataError, match=UID):
            event.user.user_metadata  # noqa: B018  # code that takes it for an object would fail with AttributeError
        api.user.set_app_metadata("a", 2)

    assert login.run(other).allowed
    assert login.bodies == [{"app_metadata": {"a": 2}}]


def test_a_call_after_the_action_has_ended_fails() -> None:
    """A callback that comes too late raises instead of losing what it stages."""
    login, apis = Login(), []
    login.run(lambda event, api: apis.append(api))
    for late in (
        lambda api: api.user.set_app_metadata("a", 1),
        lambda api: api.access.deny("no"),
        lambda api: api.id_token.set_custom_claim("a", 1),
        lambda api: api.transaction.set_metadata("a", 1),
        lambda api: api.redirect.send_user_to("https://example.com/"),
    ):
        with pytest.raises(StateError, match="too late"):
            late(apis[0])
    assert login.sent == []


def test_keys_that_another_writer_sets_meanwhile_survive() -> None:
    """Only changed first-level keys are sent, so other keys that others write survive."""
    login = Login(None, {"plan": "free"})
    login.second_writer("PATCH", app_metadata={"other": 1})
    assert login.run(lambda event, api: api.user.set_app_metadata("plan", "pro") and None).allowed
    assert login.app_metadata == {"plan": "pro", "other": 1}


def test_an_open_transaction_is_not_joined() -> None:
    """The trigger writes when its login ends, even inside a transaction for the same user."""
    login = Login()
    with login.tx() as tx:
        tx.app_metadata["outer"] = 1
        assert login.run(lambda event, api: api.user.set_app_metadata("inner", 1) and None).allowed
        assert login.bodies == [{"app_metadata": {"inner": 1}}]
    assert login.app_metadata == {"inner": 1, "outer": 1}


def test_run_does_not_change_its_event() -> None:
    """A second run starts from the same event, without the transaction metadata of the first."""
    login = Login()
    event = login.event(transaction={"metadata": {"a": 1}})
    seen: list[Any] = []

    def action(event: Any, api: Any) -> None:
        seen.append(dict(event.transaction.metadata))
        api.transaction.set_metadata("b", 2)

    trigger = login.trigger(action)
    trigger.run(event)
    trigger.run(event)
    assert seen == [{"a": 1}, {"a": 1}]


def as_json(value: Any) -> str:
    """Return a value as JSON, in which True is not 1 and keys have no order."""
    return json.dumps(value, sort_keys=True)


KEYS = st.sampled_from("abcd")
VALUES = st.sampled_from([0, 1, True, "x", [], [1], {"a": None}, {"a": {"b": 1}}])
BAG = st.none() | st.dictionaries(KEYS, VALUES, max_size=3)
CALL = st.tuples(st.sampled_from(["user_metadata", "app_metadata"]), KEYS, st.none() | VALUES)


@settings(max_examples=60)
@given(BAG, BAG, st.lists(st.lists(CALL, max_size=4), max_size=3), st.booleans())
def test_any_actions_have_the_effect_of_a_plain_dict(
    user_metadata: Any, app_metadata: Any, actions: Any, unknown: bool
) -> None:
    """For any calls, this checks what is stored, what each action sees, and that a PATCH has only the keys that differ."""
    login = Login(user_metadata, app_metadata)
    model = {"user_metadata": dict(user_metadata or {}), "app_metadata": dict(app_metadata or {})}
    before = {bag: dict(keys) for bag, keys in model.items()}

    def make(calls: Any) -> Any:
        def action(event: Any, api: Any) -> None:
            assert {bag: dict(event.user[bag]) for bag in model} == model
            for bag, key, value in calls:
                getattr(api.user, f"set_{bag}")(key, value)
            for bag, key, value in calls:
                model[bag].pop(key, None)
                if value is not None:
                    model[bag][key] = value
            assert {bag: dict(getattr(api.user, bag)) for bag in model} == model

        return action

    event = Event.from_claims({"sub": UID}) if unknown else login.event()
    outcome = login.trigger(*map(make, actions)).run(event)
    assert outcome.error is None
    assert as_json(login.user_metadata) == as_json(model["user_metadata"])
    assert as_json(login.app_metadata) == as_json(model["app_metadata"])
    changed = {
        bag: {
            key
            for key in {*keys, *before[bag]}
            if as_json(keys.get(key, "-")) != as_json(before[bag].get(key, "-"))
        }
        for bag, keys in model.items()
    }
    expected = [{bag: keys for bag, keys in changed.items() if keys}] if any(changed.values()) else []
    assert [{bag: set(keys) for bag, keys in body.items()} for body in login.bodies] == expected
    assert login.sent == ["GET"] * unknown + ["PATCH"] * len(expected)
