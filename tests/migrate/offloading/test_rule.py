"""The rule of an offload: for any profile and any paths, nothing is lost and doing it again changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_strategies import KEYS, json_values
from support.offloads import resolved

from auth0_meta.checks.sizes import json_size, profile_size
from auth0_meta.external import decode, is_pointer
from auth0_meta.migrate.ledger.compare import after_image, image_of, undo_document
from auth0_meta.migrate.offloading.paths import OffloadPath, parse_paths
from auth0_meta.migrate.offloading.rule import Rule

UID = "auth0|1"
LARGE = ["a login"] * 40


def rule(*paths: str, **settings: Any) -> Rule:
    """Return a rule for these paths."""
    return Rule(paths=parse_paths(paths), store="big", **settings)


def merged(profile: dict[str, Any], document: Any) -> dict[str, Any]:
    """Return a profile after a PATCH, as Auth0 merges: by first-level keys, null deletes."""
    after = dict(profile)
    for bag, keys in document.items():
        bags = {**(profile.get(bag) or {}), **keys}
        after[bag] = {key: value for key, value in bags.items() if key not in keys or value is not None}
    return after


class Memory:
    """A store in memory, for what a rule moves."""

    name = "big"

    def __init__(self, moves: Any) -> None:
        self.data = {move.pointer["external"].split("/")[1]: move.data for move in moves}

    def get(self, key: str) -> bytes:
        """Return the data of a key."""
        return self.data[key]

    put = delete = keys = users = forget = close = None


large = st.builds(lambda value, n: {"a": [value] * n}, json_values, st.integers(20, 60)) | st.text(
    min_size=150, max_size=300
)
bags = st.recursive(
    json_values | large, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=6
)
objects = st.none() | st.dictionaries(st.sampled_from(KEYS), bags, max_size=3)
profiles = st.fixed_dictionaries(
    {"user_id": st.just(UID)}, optional={"user_metadata": objects, "app_metadata": objects}
)
some_paths = st.lists(
    st.tuples(
        st.sampled_from(("user_metadata", "app_metadata")),
        st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=4,
)


def apart(paths: list[OffloadPath]) -> tuple[OffloadPath, ...]:
    """Return the paths of which none is inside another."""
    found: list[OffloadPath] = []
    for bag, keys in paths:
        if not any(bag == b and (keys[: len(k)] == k or k[: len(keys)] == keys) for b, k in found):
            found.append((bag, keys))
    return tuple(found)


@given(profiles, some_paths.map(apart), st.integers(0, 400))
def test_what_is_moved_comes_back(profile: dict[str, Any], paths: Any, smallest: int) -> None:
    """Following the pointers gives the original profile, undo restores it to the byte, and a second offload finds nothing."""
    one = Rule(paths=paths, store="big", smallest=smallest)
    before = json.dumps(profile)
    moves = one.moves(profile)
    document = moves.change.document(profile)
    assert json.dumps(profile) == before
    after = merged(profile, document)
    store: Any = Memory(moves.moves)
    restored = {name: resolved(value, store, UID) for name, value in after.items()}
    assert json.dumps(restored, sort_keys=True) == json.dumps(profile, sort_keys=True)
    assert profile_size(after) + sum(len(m.data) - json_size(m.pointer) for m in moves.moves) == profile_size(
        profile
    )

    again = one.moves(after)
    assert (again.moves, again.moved) == ((), moves.moved + len(moves.moves))
    assert one.of(UID, image_of(document, profile), document) == moves.moves

    image, written = image_of(document, profile), after_image(document)
    body, kept = undo_document(after, document, image, written)
    assert (json.dumps(merged(after, body)), kept) == (before, [])


def test_only_what_saves_bytes_is_moved() -> None:
    """A value as large as its pointer stays, one byte more moves."""
    pointer = json_size(
        rule("app_metadata.a").moves({"user_id": UID, "app_metadata": {"a": "x" * 400}}).moves[0].pointer
    )
    for size, moved in ((pointer, 0), (pointer + 1, 1)):
        found = rule("app_metadata.a").moves({"user_id": UID, "app_metadata": {"a": "x" * (size - 2)}})
        assert (len(found.moves), found.smaller) == (moved, 1 - moved)


@pytest.mark.parametrize(("size", "moved"), [(499, 0), (500, 1)])
def test_smallest_is_the_size_that_moves(size: int, moved: int) -> None:
    """A value of exactly that many bytes moves."""
    found = rule("app_metadata.a", smallest=500).moves(
        {"user_id": UID, "app_metadata": {"a": "x" * (size - 2)}}
    )
    assert (len(found.moves), found.smaller) == (moved, 1 - moved)


def test_a_profile_has_to_be_larger_than_the_bound() -> None:
    """One of exactly that many bytes keeps its values."""
    profile = {"user_id": UID, "app_metadata": {"a": LARGE, "b": LARGE}}
    size = profile_size(profile)
    paths = ("app_metadata.a", "app_metadata.b")
    assert len(rule(*paths, larger_than=size - 1).moves(profile).moves) == 2
    found = rule(*paths, larger_than=size).moves(profile)
    assert (found.moves, found.light) == ((), 2)


def test_absent_values_and_pointers_stay() -> None:
    """So does what is not an object on the way, and a bag that is none."""
    made = rule("app_metadata.a").moves({"user_id": UID, "app_metadata": {"a": LARGE}}).moves[0].pointer
    profile = {"user_id": UID, "app_metadata": {"a": made, "b": [LARGE]}, "user_metadata": "text"}
    found = rule("app_metadata.a", "app_metadata.b.c", "app_metadata.d", "user_metadata.e").moves(profile)
    assert found == ((), 0, 1, 0, 0)


@pytest.mark.parametrize(
    ("bag", "moved", "stuck", "returns"),
    [
        ({"a": {"b": LARGE}, "x.y": 1}, 1, 0, True),  # first-level keys that are not touched are not sent
        ({"a": {"b": LARGE, "x.y": 1}}, 0, 1, True),  # this one would be sent with the pointer
        ({"a": {"b": LARGE, "c": [{"$d": 1}]}}, 0, 1, True),
        ({"a": {"b": {"x.y": LARGE}}}, 1, 0, False),  # Auth0 takes the pointer, but would refuse the value
        ({"a.b": LARGE}, 0, 1, True),  # a key that no PATCH can name
        ({"a": {"b": [float("inf")] * 99}}, 0, 1, True),
        ({"a": {"b": "x" * 1_048_577}}, 1, 0, False),
    ],
)
def test_what_auth0_would_refuse_to_be_sent_stays(bag: Any, moved: int, stuck: int, *, returns: bool) -> None:
    """What it would only refuse to take back moves, and is counted."""
    found = rule("app_metadata.a.b").moves({"user_id": UID, "app_metadata": bag})
    assert (len(found.moves), found.stuck) == (moved, stuck)
    assert all(move.returns is returns for move in found.moves)


def test_another_moved_value_beside_it_is_not_sent() -> None:
    """A key that Auth0 refuses may be in a value that leaves too."""
    profile = {"user_id": UID, "app_metadata": {"a": {"b": LARGE, "c": {"x.y": LARGE}}}}
    found = rule("app_metadata.a.b", "app_metadata.a.c").moves(profile)
    assert [decode(move.data) for move in found.moves] == [LARGE, {"x.y": LARGE}]


def test_a_rule_survives_the_job_file() -> None:
    """What can't be a rule is refused."""
    one = rule("app_metadata.a", "user_metadata.b.c", smallest=3, larger_than=4)
    facts = json.loads(json.dumps(one.to_json()))
    assert Rule.from_json(facts) == one
    for name, value in {"paths": [["app_metadata"]], "store": 3, "smallest": -1, "larger_than": True}.items():
        with pytest.raises((ValueError, TypeError)):
            Rule.from_json({**facts, name: value})


def test_a_document_of_anything_else_is_not_the_rules() -> None:
    """Neither another pointer, nor another key, nor a missing one."""
    profile = {"user_id": UID, "app_metadata": {"a": LARGE, "b": LARGE}}
    one = rule("app_metadata.a")
    document = one.moves(profile).change.document(profile)
    assert is_pointer(document["app_metadata"]["a"])
    before = image_of(document, profile)
    assert one.of(UID, before, document) is not None
    assert one.of("auth0|2", before, document) is None
    for other in (
        {"app_metadata": {"a": LARGE}},
        {},
        {"app_metadata": {**document["app_metadata"], "roles": ["admin"]}},
    ):
        assert one.of(UID, before, other) is None
