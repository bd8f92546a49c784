"""What a pointer is, and the bytes of a value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_strategies import json_values

from auth0_meta import InputError, User
from auth0_meta.actions import Event
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.changes.views import freeze
from auth0_meta.external import MOST_BYTES, decode, encode, is_pointer, pointer

GOOD = {"external": "big/" + "a1" * 20, "sha256": "0f" * 32, "bytes": 2}
any_json = json_values | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(any_json)
def test_a_value_is_decoded_as_it_was(value: Any) -> None:
    """Nothing of a JSON value is lost: types, digits, null, and what is empty."""
    found = decode(encode(value))
    assert json_equal(found, value)
    assert encode(found) == encode(value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (2**53 + 1, b"9007199254740993"),
        (1, b"1"),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (5e-324, b"5e-324"),
        (True, b"true"),
        (None, b"null"),
        ("", b'""'),
        ({}, b"{}"),
        ([], b"[]"),
        ((1, "a"), b'[1,"a"]'),
        ("Å\u2028\U0001f600", '"Å\u2028\U0001f600"'.encode()),
        ("\0\x1f", b'"\\u0000\\u001f"'),
        ("a\udc00", b'"a\\udc00"'),
        ({"b": 1, "a": {"\ud800": 2, "": 3}}, b'{"a":{"":3,"\\ud800":2},"b":1}'),
    ],
)
def test_the_bytes_of_a_value(value: object, data: bytes) -> None:
    """Compact UTF-8, the keys in order; what UTF-8 can't represent is escaped."""
    assert encode(value) == data
    assert repr(decode(data)) == repr(json.loads(json.dumps(value, sort_keys=True)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1: "a"}, "key that is not a string"),
        ([{None: 1}], "key that is not a string"),
        (({"a": [{2.5: 1}]},), "key that is not a string"),
        ({1: 1, "1": 2}, "not JSON"),
        (float("nan"), "NaN or Infinity"),
        ([float("inf")], "NaN or Infinity"),
        (b"bytes", "bytes is not JSON serializable"),
        ({"s3cret"}, "set is not JSON serializable"),
        (10**5000, "4300 digits"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_not_json_is_refused(value: object, why: str) -> None:
    """The error names what is wrong, and not the value."""
    with pytest.raises(InputError, match=why) as refused:
        encode(value)
    assert "s3cret" not in str(refused.value)


def test_a_cycle_and_a_depth_that_nobody_can_read_are_refused() -> None:
    """Neither ends the process."""
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (cycle, deep):
        with pytest.raises(InputError, match=r"contains itself|nested too deeply"):
            encode(value)


def test_the_most_bytes() -> None:
    """4 MiB can be stored, and a byte more can't."""
    assert len(encode("x" * (MOST_BYTES - 2))) == MOST_BYTES
    with pytest.raises(InputError, match="4,194,305 bytes, and the most is 4,194,304"):
        encode("x" * (MOST_BYTES - 1))


@pytest.mark.parametrize(
    "change",
    [
        {"external": "a" * 64 + "/" + "0" * 40},
        {"external": "A.b_c-d/" + "0" * 40},
        {"bytes": 1},
        {"bytes": MOST_BYTES},
    ],
    ids=str,
)
def test_what_a_pointer_is(change: dict[str, Any]) -> None:
    """Exactly three keys, well-formed; in the read-only views of users and events too."""
    made = {**GOOD, **change}
    assert is_pointer(made)
    assert is_pointer(freeze(made, bag="app_metadata", path=("history",)))
    user = {"user_id": "auth0|1", "app_metadata": {"history": made}}
    assert is_pointer(User(user).app_metadata["history"])
    assert is_pointer(Event.from_profile(user).user.app_metadata["history"])


@pytest.mark.parametrize(
    "value",
    [
        None,
        "big/" + "a1" * 20,
        [GOOD],
        list(GOOD.items()),
        {},
        {**GOOD, "more": 1},
        {"external": GOOD["external"], "sha256": GOOD["sha256"]},
        {**GOOD, "external": "big"},
        {**GOOD, "external": "/" + "0" * 40},
        {**GOOD, "external": "-big/" + "0" * 40},
        {**GOOD, "external": "a" * 65 + "/" + "0" * 40},
        {**GOOD, "external": "big/a/" + "0" * 40},
        {**GOOD, "external": "big/" + "0" * 39},
        {**GOOD, "external": "big/" + "A" * 40},
        {**GOOD, "external": "big/" + "0" * 40 + "\n"},
        {**GOOD, "external": "bíg/" + "0" * 40},
        {**GOOD, "external": None},
        {**GOOD, "sha256": "0F" * 32},
        {**GOOD, "sha256": "0f" * 31},
        {**GOOD, "sha256": "0f" * 32 + "\n"},
        {**GOOD, "sha256": "\u0660" * 64},
        {**GOOD, "sha256": 0},
        {**GOOD, "bytes": 0},
        {**GOOD, "bytes": True},
        {**GOOD, "bytes": 2.0},
        {**GOOD, "bytes": "2"},
        {**GOOD, "bytes": MOST_BYTES + 1},
    ],
    ids=str,
)
def test_what_a_pointer_is_not(value: object) -> None:
    """Anything that `pointer` can't have made is a value."""
    assert not is_pointer(value)


users = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
paths = st.text(max_size=10).map(lambda text: f"app_metadata.{text}")


@given(st.tuples(users, paths, any_json), st.tuples(users, paths, any_json))
def test_a_pointer_depends_on_the_user_the_path_and_the_data(
    one: tuple[str, str, Any], other: tuple[str, str, Any]
) -> None:
    """The same three give the same pointer, any difference gives another id."""

    def made(user_id: str, path: str, value: Any) -> Any:
        return pointer(encode(value), store="big", user_id=user_id, path=path)

    assert made(*one) == made(*one)
    assert is_pointer(made(*one))
    same = (one[0], one[1], encode(one[2])) == (other[0], other[1], encode(other[2]))
    assert (made(*one)["external"] == made(*other)["external"]) is same


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"store": ""}, "name of a store"),
        ({"store": "a/b"}, "name of a store"),
        ({"store": "a" * 65}, "name of a store"),
        ({"store": None}, "name of a store"),
        ({"user_id": ""}, "a user id has"),
        ({"user_id": "a" * 769}, "a user id has"),
        ({"user_id": "a\0"}, "a user id has"),
        ({"user_id": "\ud800"}, "a user id has"),
        ({"user_id": None}, "a user id has"),
        ({"path": "history"}, "begins with the bag"),
        ({"path": ""}, "begins with the bag"),
        ({"path": ("app_metadata", "history")}, "begins with the bag"),
        ({"data": b""}, "bytes of a JSON value"),
        ({"data": "[1]"}, "bytes of a JSON value"),
        ({"data": b"x" * (MOST_BYTES + 1)}, "the most is"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_no_pointer_is_made_for(change: dict[str, Any], why: str) -> None:
    """Each argument is checked."""
    arguments: dict[str, Any] = {"data": b"1", "store": "big", "user_id": "auth0|1", "path": "app_metadata.a"}
    arguments |= change
    with pytest.raises(InputError, match=why):
        pointer(arguments.pop("data"), **arguments)


def test_both_sides_of_the_longest_user_id() -> None:
    """768 characters fit into the index of every database."""
    assert is_pointer(pointer(b"1", store="s", user_id="ä" * 768, path="app_metadata"))
