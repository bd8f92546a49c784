"""The immutable models that the client returns."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta import CommitResult, Job, Page, RateLimit, User, Wait
from auth0_meta.errors import ConfigError, StoredDataError

PROFILE: dict[str, Any] = {
    "user_id": "auth0|1",
    "email": "ada@example.com",
    "name": "Ada",
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-02T00:00:00.000Z",
    "app_metadata": {"plan": "canary"},
    "custom": [1],
}


def test_a_user_shows_its_profile() -> None:
    """Known fields are attributes; all fields can be read by their names in JSON."""
    user = User.from_dict(PROFILE)
    assert (user.user_id, user.email, user.name) == ("auth0|1", "ada@example.com", "Ada")
    assert (user.created_at, user.updated_at) == (PROFILE["created_at"], PROFILE["updated_at"])
    assert user.app_metadata == {"plan": "canary"}
    assert user["custom"] == user.get("custom") == [1]
    assert user.get("gone", 5) == 5
    assert "custom" in user
    assert "gone" not in user
    assert list(user) == list(PROFILE)
    with pytest.raises(KeyError):
        user["gone"]


@pytest.mark.parametrize("stored", [[], ["canary"], "canary", "", 0, False])
def test_metadata_that_is_not_an_object_is_a_typed_error(stored: Any) -> None:
    """It is not passed on to code that would fail on it; `raw` has it."""
    user = User({"user_id": "auth0|1", "app_metadata": stored})
    with pytest.raises(StoredDataError, match=type(stored).__name__) as caught:
        _ = user.app_metadata
    assert (caught.value.user_id, caught.value.bag) == ("auth0|1", "app_metadata")
    assert "canary" not in f"{caught.value} {user!r}"
    assert user.raw["app_metadata"] == stored


@pytest.mark.parametrize("raw", [{}, {"user_metadata": None, "app_metadata": None}, {"user_metadata": {}}])
def test_absent_metadata_reads_as_empty(raw: dict[str, Any]) -> None:
    """Metadata that is absent, null or empty is {}, and other absent fields are None or ""."""
    user = User(raw)
    assert (user.user_metadata, user.app_metadata) == ({}, {})
    assert (user.user_id, user.email, user.name, user.created_at, user.updated_at) == (
        "",
        None,
        None,
        None,
        None,
    )
    assert "no metadata" in repr(user)


def test_the_repr_says_what_was_not_requested() -> None:
    """It is unknown, and not absent."""
    user = User({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}, frozenset({"user_metadata"}))
    assert repr(user) == "<User 'auth0|1': app_metadata(plan 5 B), user_metadata not requested>"
    both = frozenset({"user_metadata", "app_metadata"})
    assert repr(User({}, both)) == "<User '': user_metadata not requested, app_metadata not requested>"


def test_users_are_equal_by_profile() -> None:
    """Two users with equal profiles are equal; since they hold dicts, they can't be hashed."""
    assert User(PROFILE) == User(dict(PROFILE)) != User({})
    assert User(PROFILE) != PROFILE
    with pytest.raises(TypeError):
        hash(User(PROFILE))


def test_a_user_is_a_mapping() -> None:
    """Whatever takes a mapping takes a user, and `dict` makes one of plain JSON."""
    user = User.from_dict(PROFILE)
    assert isinstance(user, Mapping)
    assert len(user) == len(PROFILE)
    assert dict(user) == {**user} == PROFILE
    assert list(user.items()) == list(PROFILE.items())
    assert list(user.keys()) == list(PROFILE)
    assert list(user.values()) == list(PROFILE.values())
    assert json.loads(json.dumps(dict(user))) == PROFILE
    assert json.loads(json.dumps(user.app_metadata)) == dict(user.app_metadata) == PROFILE["app_metadata"]
    assert user.get("gone") is None
    assert user.get("gone", default=5) == 5
    assert not User({})
    for view in (user.keys(), user.values(), user.items()):
        assert "canary" not in repr(view)


def test_a_user_matches_a_pattern() -> None:
    """By fields, and by the attributes of the class."""
    match User.from_dict(PROFILE):
        case {"email": str(email), "app_metadata": {"plan": plan}, **rest}:
            assert (email, plan) == ("ada@example.com", "canary")
            assert rest.keys() == PROFILE.keys() - {"email", "app_metadata"}
        case _:
            raise AssertionError
    match User.from_dict(PROFILE):
        case User(name="Ada", email=None | "ada@example.com"):
            pass
        case _:
            raise AssertionError


@pytest.mark.parametrize("stored", [None, [], "canary", 0])
def test_odd_metadata_does_not_keep_a_user_from_being_a_mapping(stored: Any) -> None:
    """It is shown as it is stored; only the property says that it is not an object."""
    profile = {"user_id": "auth0|1", "app_metadata": stored}
    assert dict(User(profile)) == profile
    assert json.loads(json.dumps(dict(User(profile)))) == profile


def test_no_repr_shows_a_value() -> None:
    """Reprs of users, pages, jobs and results show only names and sizes."""
    user = User(PROFILE)
    result = CommitResult(
        outcome="updated", document={"app_metadata": {"plan": "canary", "old": None}}, user=user
    )
    page = Page(users=(user,), start=0, limit=50)
    job = Job(id="job_1", type="users_import", status="pending", raw={"x": "canary"})
    for one in (user, result, page, job):
        assert "canary" not in repr(one)
    assert "plan 8 B" in repr(result)
    assert "old deleted" in repr(result)


def test_a_count_of_one_is_singular() -> None:
    """A result shows "1 request", not "1 requests"."""
    assert "1 request, 1 attempt," in repr(CommitResult(outcome="updated", requests=1, attempts=1))
    assert "2 requests, 0 attempts," in repr(CommitResult(outcome="updated", requests=2))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (User(PROFILE, frozenset({"user_metadata"})), "raw"),
        (RateLimit(50, 16), "burst"),
        (Wait(reason="rate limit", seconds=1.0, retry_at=2.0, attempt=1, bucket="users write"), "reason"),
        (CommitResult(outcome="unchanged"), "outcome"),
        (Page(users=(), start=0, limit=50, total=0), "users"),
        (Job(id="1", type="t", status="s", raw={}), "id"),
    ],
)
def test_models_are_frozen_and_pickle(value: Any, field: str) -> None:
    """A model can't be changed, and survives pickling."""
    again = pickle.loads(pickle.dumps(value))  # noqa: S301
    assert (type(again), again) == (type(value), value)
    with pytest.raises(AttributeError):
        setattr(value, field, "other")


@given(st.integers(1, 10**6), st.floats(0.001, 10**6))
def test_a_rate_limit_keeps_its_numbers(burst: int, per_second: float) -> None:
    """The burst may be any whole number above 0, the rate any number above 0."""
    limit = RateLimit(burst, per_second)
    assert (limit.burst, limit.per_second) == (burst, per_second)


@pytest.mark.parametrize("burst", [0, -1, 2.7, True, "50", None, float("nan"), float("inf")])
def test_a_burst_is_a_whole_number(burst: Any) -> None:
    """A burst that is not a whole number above 0 is refused, not rounded."""
    with pytest.raises(ConfigError):
        RateLimit(burst, 1)
    assert RateLimit(2.0, 1).burst == 2


@pytest.mark.parametrize("rate", [0, -1, True, "16", None, float("nan"), float("inf")])
def test_a_rate_is_a_number_above_zero(rate: Any) -> None:
    """A refill rate that is not a number above 0 is refused."""
    with pytest.raises(ConfigError):
        RateLimit(1, rate)
