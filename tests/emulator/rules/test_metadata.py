"""Metadata writes as recorded, and a switch for each open question."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.rules.metadata import merge_bag

ABSENT = object()
BAGS = ("user_metadata", "app_metadata")
RECORDED: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("a first write is stored unchanged", ABSENT, {"baz": "qux", "foo": "bar"}, {"baz": "qux", "foo": "bar"}),
    ("null deletes and the rest merges", {"baz": 1, "foo": 2}, {"baz": None, "foo": "bars"}, {"foo": "bars"}),
    ("other keys stay", {"facts": ["a", "b"]}, {"foo": "bar"}, {"facts": ["a", "b"], "foo": "bar"}),
    ("a second key is added", {"foo": 1}, {"foo": 2, "foo2": 3}, {"foo": 2, "foo2": 3}),
    ("below the first level values are replaced", {"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3}}),
    ("arrays are replaced", {"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
    ("null for an unknown key changes nothing", {"a": 1}, {"b": None}, {"a": 1}),
]


def add(tenant: LocalTenant, **bags: Any) -> str:
    """Add a user with each of the two metadata objects that is not ABSENT."""
    return tenant.users.add(**{bag: value for bag, value in bags.items() if value is not ABSENT}).user_id


@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize(("rule", "before", "change", "after"), RECORDED, ids=[row[0] for row in RECORDED])
def test_a_write_merges_the_first_level(
    api: Any, bag: str, rule: str, before: Any, change: dict[str, Any], after: dict[str, Any]
) -> None:
    """A PATCH merges first-level keys as recorded, and a later GET shows the same."""
    user_id = add(api.tenant, **{bag: before})
    assert api.patch(user_id, {bag: change}).json()[bag] == after, rule
    assert api.get(user_id).json()[bag] == after


@pytest.mark.parametrize("before", [ABSENT, {}, {"a": 1}, {"a": {"b": 2}}])
def test_an_empty_object_clears_each_bag_in_its_own_way(api: Any, before: Any) -> None:
    """`{}` leaves user_metadata as `{}` and removes app_metadata, in the response and in later reads."""
    user_id = add(api.tenant, user_metadata=before, app_metadata=before)
    for document in (
        api.patch(user_id, {"user_metadata": {}, "app_metadata": {}}).json(),
        api.get(user_id).json(),
    ):
        assert document["user_metadata"] == {}
        assert "app_metadata" not in document


def test_a_create_shows_metadata_as_recorded(api: Any) -> None:
    """A POST with `{}` for both shows only user_metadata; a POST without them shows neither."""
    empty = api.create(email="a@example.com", user_metadata={}, app_metadata={}).json()
    assert empty["user_metadata"] == {}
    assert "app_metadata" not in empty
    neither = api.create(email="b@example.com").json()
    assert not set(BAGS) & set(neither)


@pytest.mark.parametrize("bag", BAGS)
def test_an_unsent_bag_is_untouched(api: Any, bag: str) -> None:
    """A PATCH does not change metadata that it does not name."""
    other = next(name for name in BAGS if name != bag)
    user_id = add(api.tenant, user_metadata={"u": {"x": 1}}, app_metadata={"a": {"x": 1}})
    before = api.get(user_id).json()[other]
    assert api.patch(user_id, {bag: {"new": 1}}).json()[other] == before


def test_keys_keep_their_order_and_app_metadata_comes_last(api: Any) -> None:
    """Existing keys stay where they are, new keys follow; app_metadata is the last field of a profile."""
    user_id = add(api.tenant, app_metadata={"b": 1, "a": 2})
    document = api.patch(user_id, {"app_metadata": {"c": 3, "b": 4}, "given_name": "Ann"}).json()
    assert list(document["app_metadata"]) == ["b", "a", "c"]
    assert list(document)[-2:] == ["given_name", "app_metadata"]


def test_a_write_replaces_stored_metadata_that_is_not_an_object(api: Any) -> None:
    """Metadata that is a string is returned unchanged, and the first write makes it an object."""
    user_id = add(api.tenant, user_metadata="text", app_metadata=[1])
    assert (api.get(user_id).json()["user_metadata"], api.get(user_id).json()["app_metadata"]) == (
        "text",
        [1],
    )
    document = api.patch(user_id, {"user_metadata": {"a": 1}, "app_metadata": {"b": 2}}).json()
    assert (document["user_metadata"], document["app_metadata"]) == ({"a": 1}, {"b": 2})


LAST = {"user_metadata": {"k": None}, "app_metadata": {"k": None}}
NESTED = {"user_metadata": {"a": {"b": None, "c": {"d": None}}, "l": [None]}}
OPEN: list[tuple[str, Switches, Any, dict[str, Any] | None]] = [
    (
        "a nested null is stored",
        Switches(),
        NESTED,
        {"user_metadata": {"k": 1, **NESTED["user_metadata"]}, "app_metadata": {"k": 1}},
    ),
    (
        "a nested null is dropped",
        Switches(nested_null="drop"),
        NESTED,
        {"user_metadata": {"k": 1, "a": {"c": {}}, "l": [None]}, "app_metadata": {"k": 1}},
    ),
    ("null for a bag is refused", Switches(), {"user_metadata": None}, None),
    (
        "null for a bag clears it",
        Switches(bag_null="clear"),
        {"user_metadata": None},
        {"user_metadata": {}, "app_metadata": {"k": 1}},
    ),
    ("nulling the last key acts as {}", Switches(), LAST, {"user_metadata": {}}),
    (
        "nulling the last key leaves {}",
        Switches(last_key_null="empty"),
        LAST,
        {"user_metadata": {}, "app_metadata": {}},
    ),
    ("nulling the last key leaves nothing", Switches(last_key_null="absent"), LAST, {}),
    ("an empty PATCH is accepted", Switches(), {}, {"user_metadata": {"k": 1}, "app_metadata": {"k": 1}}),
    ("an empty PATCH is refused", Switches(empty_patch="reject"), {}, None),
]


@pytest.mark.parametrize(("rule", "switches", "body", "after"), OPEN, ids=[row[0] for row in OPEN])
def test_open_questions_are_switches(
    talk: Any, rule: str, switches: Switches, body: Any, after: dict[str, Any] | None
) -> None:
    """A switch decides a question that no recording settles; None means a 400 that changes nothing."""
    api = talk(LocalTenant(serve=False, switches=switches))
    user_id = add(api.tenant, user_metadata={"k": 1}, app_metadata={"k": 1})
    response = api.patch(user_id, body)
    assert response.status_code == (400 if after is None else 200), rule
    expected = {"user_metadata": {"k": 1}, "app_metadata": {"k": 1}} if after is None else after
    document = api.get(user_id).json()
    assert {bag: document[bag] for bag in BAGS if bag in document} == expected


def test_nulling_keys_of_an_absent_bag_leaves_it_absent(api: Any) -> None:
    """Deleting a key that never existed does not create empty metadata."""
    user_id = add(api.tenant)
    document = api.patch(user_id, {"user_metadata": {"a": None}, "app_metadata": {"a": None}}).json()
    assert not set(BAGS) & set(document)


values = st.one_of(
    st.integers(), st.text(max_size=3), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)
bags = st.dictionaries(st.sampled_from("abcdef"), values, min_size=1, max_size=6)
changes = st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.none(), values), min_size=1, max_size=6)


@given(bag=st.sampled_from(BAGS), before=bags, change=changes)
def test_every_first_level_key_follows_the_change_or_stays(
    bag: str, before: dict[str, Any], change: dict[str, Any]
) -> None:
    """After a merge each key has the value that was sent, is gone if null was sent, and is otherwise unchanged."""
    kept = dict(before)
    after = merge_bag(bag, before, change, switches=Switches()) or {}
    for key in "abcdef":
        expected = change[key] if key in change else before.get(key)
        assert after.get(key) == expected
        assert (key in after) == (expected is not None)
    assert before == kept
