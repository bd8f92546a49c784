from __future__ import annotations

import copy
import itertools
import json
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.json_strategies import (
    BAGS,
    KEYS,
    Call,
    bag_changes,
    calls,
    changes,
    json_objects,
    json_values,
    keys,
    paths,
    profiles,
    stage,
)

from auth0_meta.changes import rules
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, UNKNOWN, json_equal
from auth0_meta.changes.profile import stored_bag
from auth0_meta.changes.rules import first_level, parse_path, read
from auth0_meta.changes.views import freeze
from auth0_meta.errors import MetadataError, PathError, StateError, StoredDataError

CANARY = "canary-value"
EMPTY = BagChange("app_metadata")


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a call, or PathError if it raises that."""
    try:
        return function(*arguments)
    except PathError:
        return PathError


# Models, written without the code under test -------------------------------------------------------


class Wrong(Exception):
    """A call met the wrong type; `key` is its first-level key and `later` the calls after it."""

    def __init__(self, key: str, later: list[Call]) -> None:
        super().__init__(key)
        self.key = key
        self.later = later

    def is_dropped(self) -> bool:
        """Return whether a later call determines the key's whole value, whatever the failing one did."""
        return any(
            name in ("clear", "replace")
            or (name in ("set", "delete") and arguments[0] == (self.key,))
            or (name == "merge" and self.key in arguments[0] and not isinstance(arguments[0][self.key], dict))
            for name, arguments, _ in self.later
        )


def run(bag: dict[str, Any], staged: list[Call]) -> dict[str, Any]:
    """Do calls one after another on a mutable copy, in the plainest way."""
    bag = copy.deepcopy(bag)
    for number, (name, arguments, keywords) in enumerate(copy.deepcopy(staged), 1):
        if name in ("clear", "replace"):
            bag = {k: v for k, v in (arguments[0] if arguments else {}).items() if v is not None}
        elif name == "merge":
            rfc7396(bag, arguments[0])
        elif name == "delete" or (name == "set" and arguments[1] is None):
            node: Any = bag
            for key in arguments[0][:-1]:
                node = node.get(key) if isinstance(node, dict) else None
            if isinstance(node, dict):
                node.pop(arguments[0][-1], None)
        else:
            node = bag
            for key in arguments[0][:-1]:
                node = node.setdefault(key, {})
                if not isinstance(node, dict):
                    raise Wrong(arguments[0][0], staged[number:])
            last = arguments[0][-1]
            if name == "set":
                node[last] = arguments[1]
            elif name == "append":
                if not isinstance(node.setdefault(last, []), list):
                    raise Wrong(arguments[0][0], staged[number:])
                node[last].append(arguments[1])
                if keywords["keep"]:
                    del node[last][: -keywords["keep"]]
            else:
                if type(node.setdefault(last, 0)) not in (int, float):
                    raise Wrong(arguments[0][0], staged[number:])
                node[last] += arguments[1]
    return bag


def rfc7396(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge as RFC 7396 section 2 describes, in place."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif not isinstance(value, dict):
            target[key] = value
        else:
            if not isinstance(target.get(key), dict):
                target[key] = {}
            rfc7396(target[key], value)


def auth0(stored: dict[str, Any], sent: dict[str, Any] | None) -> dict[str, Any]:
    """Do what Auth0 does with a bag of a PATCH body: first-level merge, null deletes, {} clears."""
    if sent is None:
        return stored
    if sent == {}:
        return {}
    merged = {**stored, **sent}
    return {key: value for key, value in merged.items() if key not in sent or value is not None}


# What a change does ---------------------------------------------------------------------------------


@given(json_objects, st.lists(calls, max_size=6))
def test_a_change_does_what_its_calls_do_in_order(base: dict[str, Any], staged: list[Call]) -> None:
    """Staged calls, folded or not, give the same result as doing them one by one; wrong types raise in both."""
    change = EMPTY
    try:
        for name, arguments, keywords in staged:
            change = getattr(change, name)(*arguments, **keywords)
        actual: Any = change.apply(base)
    except PathError:
        actual = PathError
    try:
        expected: Any = run(base, staged)
    except Wrong as wrong:
        expected = wrong
    if isinstance(expected, Wrong):
        assert actual is PathError or expected.is_dropped()
    else:
        assert actual is not PathError
        assert json_equal(actual, expected)


@given(json_objects, bag_changes())
def test_apply_leaves_the_base_alone(base: dict[str, Any], change: BagChange) -> None:
    """Neither the base nor the change is altered by applying, verifying or creating a document."""
    before = json.dumps(base), dumped(change)
    for function in (change.apply, change.verify, change.document):
        outcome(function, base)
    assert (json.dumps(base), dumped(change)) == before


def dumped(change: BagChange) -> str:
    """Return everything that is staged as text."""
    return json.dumps(Change().with_bag(change.bag, change).to_json())


@given(json_objects, bag_changes())
def test_apply_works_on_read_only_views(base: dict[str, Any], change: BagChange) -> None:
    """A base of read-only views gives the same result as the plain base."""
    view = freeze(base, bag="app_metadata")
    assert json_equal_or_raised(outcome(change.apply, view), outcome(change.apply, base))


def json_equal_or_raised(a: Any, b: Any) -> bool:
    """Return whether two outcomes are equal as JSON, or the same error."""
    return (a is b) if PathError in (a, b) else json_equal(a, b)


@given(json_objects, bag_changes(), bag_changes())
def test_composing_changes_is_applying_both(base: dict[str, Any], first: BagChange, later: BagChange) -> None:
    """a.then(b) has the same result as applying a and then b, wherever both are defined."""
    try:
        one, two = first.then(later).apply(base), later.apply(first.apply(base))
    except PathError:
        assume(False)
    assert json_equal(one, two)


@given(bag_changes(), bag_changes(), bag_changes())
def test_composition_is_associative(a: BagChange, b: BagChange, c: BagChange) -> None:
    """(a then b) then c equals a then (b then c) whenever the left side is defined."""
    try:
        left = a.then(b).then(c)
    except PathError:
        assume(False)
    assert left == a.then(b.then(c))


@given(bag_changes())
def test_an_empty_change_is_neutral(change: BagChange) -> None:
    """Composing with an empty change changes nothing, and an empty change is false."""
    assert change.then(EMPTY) == EMPTY.then(change) == change
    assert not EMPTY
    assert bool(change) == (change != EMPTY)


@given(bag_changes(), st.lists(calls, min_size=1, max_size=4))
def test_an_old_change_stays_valid(change: BagChange, staged: list[Call]) -> None:
    """Staging on a change does not alter it, so a reference to it is a savepoint."""
    before = dumped(change)
    stage(change, *staged)
    assert dumped(change) == before


@given(json_objects, bag_changes())
def test_verify_raises_when_apply_does(base: dict[str, Any], change: BagChange) -> None:
    """Verifying, whole or key by key, finds exactly the wrong types that applying finds."""
    wrong = outcome(change.apply, base) is PathError
    assert (outcome(change.verify, base) is PathError) == wrong

    def by_key() -> None:
        for key in change.keys:
            change.verify(base, key=key)

    assert (outcome(by_key) is PathError) == wrong
    change.verify(base, key="no such key")


EVERY_PATH = [path for length in (1, 2, 3) for path in itertools.product(KEYS, repeat=length)]


@given(json_objects, bag_changes())
def test_a_read_from_staging_alone_holds_on_every_base(base: dict[str, Any], change: BagChange) -> None:
    """It is what applying results in on any base; after a reset there is always such a value."""
    after = outcome(change.apply, base)
    assume(after is not PathError)
    for path in EVERY_PATH:
        answer = change.answer(path)
        assert answer is not UNKNOWN or not change.reset
        assert answer is UNKNOWN or json_equal(read(after, path), answer)


@given(bag_changes())
def test_a_path_that_has_one_value_on_every_base_is_known(change: BagChange) -> None:
    """Staging alone returns it if it is the same on very different bases."""
    bases = [filled(leaf) for leaf in ({}, {"x": 1}, {"x": 2})]
    ends = [outcome(change.apply, base) for base in bases]
    assume(PathError not in ends)
    for path in EVERY_PATH:
        found = [read(end, path) for end in ends]
        if (
            not isinstance(found[0], dict)
            and json_equal(found[0], found[1])
            and json_equal(found[1], found[2])
        ):
            assert json_equal(change.answer(path), found[0])


def filled(leaf: Any, levels: int = 5) -> Any:
    """Return objects under every path, as deep as no drawn path goes, ending in `leaf`."""
    return {key: filled(leaf, levels - 1) for key in KEYS} if levels else leaf


@pytest.mark.parametrize(
    ("change", "path", "answer"),
    [
        (EMPTY, "a", UNKNOWN),
        (EMPTY.set("a", {"b": 1}), "a.b", 1),
        (EMPTY.set("a", 1), "a.b", ABSENT),
        (EMPTY.delete("a"), "a.b", ABSENT),
        (EMPTY.set("a.b", {"c": 1}), "a.b.c", 1),
        (EMPTY.set("a.b", 1), "a", UNKNOWN),
        (EMPTY.set("a.b", 1), "a.c", UNKNOWN),
        (EMPTY.delete("a.b"), "a.b.c", ABSENT),
        (EMPTY.delete("a.b").set("a.b.c", 1), "a.b", {"c": 1}),
        (EMPTY.merge({"a": {"b": {"c": 1, "d": None}}}), "a.b.c", 1),
        (EMPTY.merge({"a": {"b": {"c": 1, "d": None}}}), "a.b.d.e", ABSENT),
        (EMPTY.merge({"a": {"b": {"c": 1}}}), "a.b", UNKNOWN),
        (EMPTY.merge({"a": {"b": 1}}), "a.c", UNKNOWN),
        (EMPTY.append("a", 1), "a", UNKNOWN),
        (EMPTY.set("a.b", 1).increment("a.b"), "a.b", 2),
        (EMPTY.set("a.b", [1]).append("a.b", 2, keep=1), "a.b", [2]),
        (EMPTY.increment("a.b"), "a.b", UNKNOWN),
        (EMPTY.clear(), "a", ABSENT),
        (EMPTY.replace({"a": {"b": 1}}), "a.b", 1),
    ],
)
def test_reads_from_staging_by_example(change: BagChange, path: str, answer: Any) -> None:
    """The latest operation that covers a path decides, with the operations after it applied."""
    found = change.answer(parse_path(path, bag="app_metadata"))
    assert found is answer if answer in (ABSENT, UNKNOWN) else json_equal(found, answer)


def test_the_whole_bag_is_known_only_after_a_reset() -> None:
    """Path () can be read from staging after clear or replace, and otherwise not."""
    assert EMPTY.set("a", 1).answer(()) is UNKNOWN
    assert EMPTY.clear().set("a.b", 1).answer(()) == {"a": {"b": 1}}


# The document ---------------------------------------------------------------------------------------


@given(json_objects, bag_changes())
def test_the_document_makes_auth0_store_what_apply_returns(base: dict[str, Any], change: BagChange) -> None:
    """Auth0's first-level merge of the document into the base has the same result as applying the change."""
    after = outcome(change.apply, base)
    document = outcome(change.document, base)
    assert (document is PathError) == (after is PathError)
    if after is not PathError:
        assert json_equal(auth0(base, document), after)


@given(json_objects, bag_changes())
def test_the_document_is_smallest(base: dict[str, Any], change: BagChange) -> None:
    """Only first-level keys that change are in the document, and it is {} only if everything is deleted."""
    document = outcome(change.document, base)
    assume(document is not PathError)
    after = change.apply(base)
    if document is None:
        assert json_equal(after, base)
    elif document == {}:
        assert change.reset
        assert base
        assert not after
    else:
        assert all(not json_equal(after.get(key, ABSENT), base.get(key, ABSENT)) for key in document)


@given(json_objects, bag_changes())
def test_no_base_is_needed_where_the_document_says_so(base: dict[str, Any], change: BagChange) -> None:
    """Without a base the document is exact if `needs_base` is False, and refused otherwise."""
    if change.needs_base:
        with pytest.raises(StateError, match="read the user first"):
            change.document(None)
        return
    document = change.document(None)
    assert (document == {}) == (change.reset and not change.keys)
    assert (document is None) == (not change)
    assert json_equal(auth0(base, document), change.apply(base))


@pytest.mark.parametrize(
    ("change", "base", "document"),
    [
        (EMPTY, {"a": 1}, None),
        (EMPTY.merge({}), {"a": 1}, None),
        (EMPTY.set("a", 1), {"a": 1.0}, None),
        (EMPTY.set("a", 1), {"a": True}, {"a": 1}),
        (EMPTY.delete("a"), {}, None),
        (EMPTY.delete("a"), {"a": None}, {"a": None}),
        (EMPTY.delete("a.b"), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        (EMPTY.delete("a.b"), {"a": 5}, None),
        (EMPTY.delete("a.b"), {"a": None}, None),
        (EMPTY.delete("a.b.c"), {}, None),
        (EMPTY.clear(), {}, None),
        (EMPTY.clear(), {"a": None}, {}),
        (EMPTY.replace({}), {"a": 1}, {}),
        (EMPTY.replace({"a": None}), {"a": 1}, {}),
        (EMPTY.replace({"a": 1}), {"a": 1}, None),
        (EMPTY.replace({"a": 2}), {"a": 1, "b": 1}, {"b": None, "a": 2}),
        (EMPTY.clear().set("a", 1), {"b": 1}, {"b": None, "a": 1}),
        (EMPTY.clear().set("a", 1).delete("a"), {"a": 1}, {}),
        (EMPTY.set("a", {"b": None}), {}, {"a": {"b": None}}),
        (EMPTY.set("a", [None]), {}, {"a": [None]}),
        (EMPTY.set("a", None), {"a": 1}, {"a": None}),
        (EMPTY.append("a", None), {}, {"a": [None]}),
        (EMPTY.replace({"a": {"b": None}, "c": None}), {}, {"a": {"b": None}}),
        (EMPTY.append("a.b", 3, keep=2), {"a": {"b": [1, 2], "c": 0}}, {"a": {"b": [2, 3], "c": 0}}),
        (EMPTY.increment("a.b", 0.5), {"a": {"b": 1}}, {"a": {"b": 1.5}}),
        (EMPTY.increment("a", by=-2), {}, {"a": -2}),
        (EMPTY.merge({"a": {"b": {"c": None}}}), {"a": 1}, {"a": {"b": {}}}),
    ],
)
def test_documents_by_example(
    change: BagChange, base: dict[str, Any], document: dict[str, Any] | None
) -> None:
    """Each case has the document that is promised."""
    found = change.document(base)
    assert json_equal(found, document)


@given(changes, profiles)
def test_a_body_has_only_touched_bags(change: Change, profile: dict[str, Any]) -> None:
    """A bag that is untouched or stays the same is absent from the body, so Auth0 leaves it alone."""
    body = outcome(change.document, profile)
    assume(body is not PathError)
    assert body is not None
    for bag in BAGS:
        part = change.bag(bag).document(profile.get(bag) or {})  # type: ignore[arg-type]
        assert (bag in body) == (part is not None)
        if part is not None:
            assert change.bag(bag)  # type: ignore[arg-type]
            assert json_equal(body[bag], part)


@given(changes, profiles)
def test_two_bags_are_composed_and_applied_separately(change: Change, profile: dict[str, Any]) -> None:
    """A change composed with itself composes each bag; what it needs and touches covers both."""
    twice = outcome(change.then, change)
    assume(twice is not PathError)
    assert twice.user_metadata == change.user_metadata.then(change.user_metadata)
    assert twice.app_metadata == change.app_metadata.then(change.app_metadata)
    assert change.needs_base == (change.user_metadata.needs_base or change.app_metadata.needs_base)
    assert change.touched == tuple((bag, key) for bag in BAGS for key in change.bag(bag).keys)  # type: ignore[arg-type]
    assert bool(change) == bool(change.user_metadata or change.app_metadata)


def test_a_body_without_a_profile() -> None:
    """Whole first-level values of both bags give the body without a read."""
    change = Change()
    change = change.with_bag("user_metadata", change.user_metadata.clear())
    change = change.with_bag("app_metadata", change.app_metadata.set("a", 1).delete("b"))
    assert change.document(None) == {"user_metadata": {}, "app_metadata": {"a": 1, "b": None}}
    assert Change().document(None) == Change().document({"app_metadata": {"a": 1}}) == {}


@pytest.mark.parametrize("stored", [[], "x", 0, False, CANARY])
def test_a_stored_bag_must_be_an_object(stored: Any) -> None:
    """A touched bag that is stored as anything else raises, naming user and bag; an untouched one is ignored."""
    change = Change().with_bag("app_metadata", EMPTY.set("a.b", 1))
    with pytest.raises(StoredDataError, match=r"auth0\|1") as caught:
        change.document({"user_id": "auth0|1", "app_metadata": stored})
    assert (caught.value.user_id, caught.value.bag) == ("auth0|1", "app_metadata")
    assert CANARY not in str(caught.value)
    assert change.document({"user_metadata": stored}) == {"app_metadata": {"a": {"b": 1}}}
    assert stored_bag({"app_metadata": None}, "app_metadata") == {}


# Staging --------------------------------------------------------------------------------------------

# RFC 7396, Appendix A: target, patch, result; the rows in which all three are objects.
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_merge_is_rfc_7396(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    """The RFC's own table, as a merge and as a merge after a replace."""
    assert EMPTY.merge(patch).apply(target) == result
    replaced = {key: value for key, value in result.items() if value is not None}
    assert EMPTY.replace(target).merge(patch).apply({"z": 1}) == replaced


@given(bag_changes())
def test_staged_operations_have_a_normal_form(change: BagChange) -> None:
    """A whole value stands alone under its key, and after a reset nothing else does."""
    for key, ops in change.keys.items():
        assert len(ops) == 1 or not any(op.whole for op in ops)
        if change.reset:
            assert [(op.name, op.path) for op in ops] == [("set", (key,))]


@given(bag_changes())
def test_only_appends_and_increments_are_unsafe_to_repeat(change: BagChange) -> None:
    """They are unsafe if they apply to a stored value."""
    names = {op.name for ops in change.keys.values() for op in ops}
    assert change.repeatable == (not names & {"append", "increment"})
    both = Change().with_bag("app_metadata", change)
    assert both.repeatable == change.repeatable


@given(json_objects, json_values)
def test_what_is_staged_is_a_copy(document: dict[str, Any], value: Any) -> None:
    """Changing a value after staging it has no effect on what is staged."""
    mutable: dict[str, Any] = {"list": [value], "object": dict(document)}
    change = (
        EMPTY.set("set", mutable)
        .set("a.b", mutable)
        .merge({"merge": mutable})
        .append("append", mutable)
        .then(EMPTY.append("append", mutable))
    )
    replaced = EMPTY.replace(mutable)
    before = json.dumps(change.apply({})), json.dumps(replaced.apply({}))
    mutable["list"].append("later")
    mutable["object"]["later"] = True
    assert (json.dumps(change.apply({})), json.dumps(replaced.apply({}))) == before


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (EMPTY.set("a.b", 1), lambda change: change.set("a.b.c", 2)),
        (EMPTY.set("a", 1), lambda change: change.set("a.b", 2)),
        (EMPTY.set("a", "x"), lambda change: change.increment("a")),
        (EMPTY.set("a", True), lambda change: change.increment("a")),
        (EMPTY.set("a", {}), lambda change: change.append("a", 1)),
        (EMPTY.set("a.b", 1), lambda change: change.append("a", 1)),
        (EMPTY.append("a", 1), lambda change: change.increment("a")),
        (EMPTY.append("a", 1), lambda change: change.set("a.b", 1)),
        (EMPTY.increment("a"), lambda change: change.append("a", 1)),
        (EMPTY.merge({"a": {}}), lambda change: change.increment("a")),
        (EMPTY.clear().set("a", "x"), lambda change: change.increment("a")),
        (EMPTY.set("a", sys.float_info.max), lambda change: change.increment("a", sys.float_info.max)),
        (EMPTY.set("a", 0.5), lambda change: change.increment("a", 2**1023).increment("a", 2**1023)),
        (EMPTY.set("a.b", 1), lambda change: change.then(EMPTY.set("a.b.c", 2))),
    ],
)
def test_contradictions_are_found_when_staged(
    first: BagChange, then: Callable[[BagChange], BagChange]
) -> None:
    """A call that contradicts what is already staged raises at once, whatever is stored."""
    with pytest.raises(PathError, match="nothing was written") as caught:
        then(first)
    assert caught.value.bag == "app_metadata"
    assert caught.value.path[0] == "a"


@pytest.mark.parametrize(
    ("change", "base", "path", "found"),
    [
        (EMPTY.set("a.b.c", 1), {"a": {"b": CANARY}}, ("a", "b"), "not a string"),
        (EMPTY.set("a.b", 1), {"a": [CANARY]}, ("a",), "not an array"),
        (EMPTY.set("a.b", 1), {"a": None}, ("a",), "not null"),
        (EMPTY.append("a.b", 1), {"a": {"b": {CANARY: 1}}}, ("a", "b"), "not an object"),
        (EMPTY.append("a", 1), {"a": None}, ("a",), "not null"),
        (EMPTY.append("a.b", 1), {"a": 0}, ("a",), "not a number"),
        (EMPTY.increment("a"), {"a": True}, ("a",), "not a boolean"),
        (EMPTY.increment("a"), {"a": CANARY}, ("a",), "not a string"),
        (EMPTY.increment("a.b"), {"a": 1.5}, ("a",), "not a number"),
        (EMPTY.increment("a", 1.5), {"a": 10**400}, ("a",), "largest number"),
        (EMPTY.increment("a", 1e308), {"a": 1.7e308}, ("a",), "largest number"),
    ],
)
def test_wrong_types_are_named_and_not_shown(
    change: BagChange, base: dict[str, Any], path: tuple[str, ...], found: str
) -> None:
    """A PathError names the path and the type found there, and never the value."""
    view = freeze(base, bag="app_metadata")
    for stored in (base, view):
        with pytest.raises(PathError, match=found) as caught:
            change.apply(stored)
        assert (caught.value.bag, caught.value.path) == ("app_metadata", path)
        assert CANARY not in str(caught.value)


BAD_PATHS: list[Any] = [
    "",
    ".",
    "a..b",
    ".a",
    "a.",
    "a.$b",
    (),
    [],
    ("a", ""),
    ("a.b",),
    ("a", 1),
    ("$",),
    None,
    1,
    b"a",
    {"a"},
]


@pytest.mark.parametrize("path", [*BAD_PATHS, ("a",) * (rules.MAX_DEPTH + 1)], ids=repr)
def test_bad_paths_are_refused(path: Any) -> None:
    """A path that is empty or contains a bad key raises in every staging method."""
    for bad in (
        lambda: parse_path(path, bag="app_metadata"),
        lambda: EMPTY.set(path, 1),
        lambda: EMPTY.delete(path),
        lambda: EMPTY.append(path, 1),
        lambda: EMPTY.increment(path),
    ):
        with pytest.raises(MetadataError) as caught:
            bad()
        assert caught.value.bag == "app_metadata"


@given(paths)
def test_a_path_has_two_forms(path: tuple[str, ...]) -> None:
    """A dotted string, a tuple and a list name the same path."""
    for form in (".".join(path), path, list(path)):
        assert parse_path(form, bag="user_metadata") == path


@pytest.mark.parametrize("key", ["a.b", ("a", "b"), "", "$", 1, None])
def test_brackets_take_first_level_keys(key: Any) -> None:
    """`[]` and `del` refuse a path, naming the calls that accept one, and every bad key."""
    with pytest.raises(MetadataError) as caught:
        parse_path(first_level(key, bag="app_metadata"), bag="app_metadata")
    assert ('.set("a.b", ...)' in str(caught.value)) == (key in ("a.b", ("a", "b")))
    assert first_level("a", bag="app_metadata") == ("a",)


@pytest.mark.parametrize(
    "bad",
    [
        lambda change: change.set("a", {CANARY}),
        lambda change: change.set("a.b", {"c": {CANARY}}),
        lambda change: change.merge({"a": {"b": {CANARY}}}),
        lambda change: change.append("a", {CANARY}),
        lambda change: change.replace({"a": {CANARY}}),
        lambda change: change.increment("a", CANARY),
        lambda change: change.increment("a", True),
        lambda change: change.increment("a", None),
        lambda change: change.increment("a", float("nan")),
        lambda change: change.increment("a", float("inf")),
        lambda change: change.append("a", CANARY, keep=0),
        lambda change: change.append("a", CANARY, keep=-1),
        lambda change: change.append("a", CANARY, keep=True),
        lambda change: change.append("a", CANARY, keep=1.0),
        lambda change: change.merge([CANARY]),
        lambda change: change.merge(None),
        lambda change: change.replace(CANARY),
        lambda change: change.set("email", CANARY),
        lambda change: change.set("email.x", CANARY),
        lambda change: change.delete("email"),
        lambda change: change.merge({"email": CANARY}),
        lambda change: change.merge({"email": None}),
        lambda change: change.merge({"email": {"a": CANARY}}),
        lambda change: change.replace({"email": CANARY}),
        lambda change: change.append("email", CANARY),
        lambda change: change.increment("email"),
    ],
)
def test_bad_input_fails_when_staged(bad: Callable[[Any], Any]) -> None:
    """A value that JSON can't represent or Auth0 refuses raises at staging and is never shown."""
    with pytest.raises(MetadataError) as caught:
        bad(EMPTY)
    assert caught.value.bag == "app_metadata"
    assert CANARY not in str(caught.value)


def test_reserved_names_are_refused_at_the_first_level_only() -> None:
    """Below the first level, and in user_metadata, every name is free."""
    assert EMPTY.set("a.email", 1).merge({"a": {"user_id": 1}}).apply({}) == {"a": {"email": 1, "user_id": 1}}
    assert BagChange("user_metadata").set("email", "x").apply({}) == {"email": "x"}


# Sizes ----------------------------------------------------------------------------------------------


def length(body: Any) -> int:
    """Return the bytes of a request's body as it is sent."""
    return len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


@given(changes)
def test_the_staged_size_bounds_the_request(change: Change) -> None:
    """A request for a user with nothing stored is no larger than the staged size."""
    assert length(change.document({})) <= change.size


@given(json_objects, json_objects)
def test_the_size_of_whole_values_is_exact(user: dict[str, Any], app: dict[str, Any]) -> None:
    """If first-level keys are set or deleted whole, or a bag is cleared, the staged size is the request's length."""
    change = Change()
    for bag, document in ((change.user_metadata, user), (change.app_metadata, app)):
        staged = bag
        for key, value in document.items():
            staged = staged.set(key, value)
        change = change.with_bag(bag.bag, staged or bag.clear())
    assert change.size == length(change.document(None))


def test_a_request_has_one_megabyte() -> None:
    """The last byte that fits is accepted and the next one refused, in one bag and across both."""
    room = rules.MAX_REQUEST - len('{"app_metadata":{"k":""}}')
    full = EMPTY.set("k", "x" * room)
    assert length({"app_metadata": full.document(None)}) == rules.MAX_REQUEST
    with pytest.raises(MetadataError, match="bytes are staged"):
        EMPTY.set("k", "x" * (room + 1))
    with pytest.raises(MetadataError, match="bytes are staged"):
        full.set("l", 1)
    both = Change().with_bag("app_metadata", full)
    with pytest.raises(MetadataError, match="bytes are staged") as caught:
        both.with_bag("user_metadata", both.user_metadata.set("k", 1))
    assert caught.value.bag == "user_metadata"


def test_what_is_overwritten_does_not_count() -> None:
    """Setting, deleting or rewriting a known value over and over never fills the request."""
    half = "x" * (rules.MAX_REQUEST // 2)
    change = EMPTY.set("k", {})
    for _ in range(5):
        change = change.set("k.v", half)
    assert change.size > len(half)
    change = change.set("k", 1)
    for _ in range(5):
        change = change.set("l", half).delete("l")
    assert change.size < 100
    assert change.clear().set("k", half).clear().size < 100


def test_operations_on_what_is_stored_do_count() -> None:
    """Values for a key whose stored value is not known add up, because all of them are kept."""
    half = "x" * (rules.MAX_REQUEST // 2)
    with pytest.raises(MetadataError, match="bytes are staged"):
        EMPTY.append("log", half).append("log", half)


# The form in a job file -----------------------------------------------------------------------------


@given(changes)
def test_a_change_round_trips_through_json(change: Change) -> None:
    """A change that is written as JSON and read again is the same change."""
    assert Change.from_json(json.loads(json.dumps(change.to_json()))) == change


@given(changes)
def test_changes_pickle_and_copy(change: Change) -> None:
    """A change can go to another process."""
    assert pickle.loads(pickle.dumps(change)) == copy.deepcopy(change) == change  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "encoded",
    [
        None,
        [],
        {"metadata": {"reset": False, "ops": []}},
        {"app_metadata": []},
        {"app_metadata": {"reset": 1, "ops": []}},
        {"app_metadata": {"reset": False}},
        *(
            {"app_metadata": {"reset": False, "ops": [op]}}
            for op in (
                None,
                [],
                "set",
                [["set"], ["a"], 1],
                ["rename", ["a"], CANARY],
                ["set", ["a"]],
                ["delete", ["a"], CANARY],
                ["set", 2, CANARY],
                ["set", [], CANARY],
                ["set", ["email"], CANARY],
                ["merge", [CANARY]],
                ["append", ["a"], CANARY, 0],
                ["increment", ["a"], CANARY],
                ["__init__", "app_metadata"],
            )
        ),
    ],
)
def test_json_of_another_form_is_refused(encoded: Any) -> None:
    """Reading checks shape, operations, names and values, and shows none of them."""
    with pytest.raises(MetadataError) as caught:
        Change.from_json(encoded)
    assert CANARY not in str(caught.value)


def test_reading_json_finds_contradictions() -> None:
    """Operations that can't follow each other raise PathError when read, as when staged."""
    with pytest.raises(PathError):
        Change.from_json(
            {"app_metadata": {"reset": True, "ops": [["set", ["a"], 1], ["append", ["a"], 1, None]]}}
        )


# What is shown, and equality ------------------------------------------------------------------------


def test_reprs_show_names_and_sizes_only() -> None:
    """No repr of a change or an operation contains a value."""
    change = (
        EMPTY.set("theme", CANARY)
        .delete("old")
        .append("log.items", CANARY)
        .append("log.items", CANARY)
        .merge({"prefs": {"x": CANARY}})
        .set("a.b", CANARY)
    )
    both = Change().with_bag("app_metadata", change)
    assert repr(both) == "<Change app_metadata(theme 14 B, old deleted, log append, prefs merge, a set)>"
    assert repr(EMPTY.clear()) == "<BagChange app_metadata(cleared)>"
    assert repr(EMPTY.replace({"a": CANARY})) == "<BagChange app_metadata(replaced, a 14 B)>"
    assert repr(EMPTY) == "<BagChange app_metadata(untouched)>"
    assert repr(Change()) == "<Change nothing>"
    for shown in (repr(change), repr(change.keys), repr(both)):
        assert CANARY not in shown


def test_equality_is_json_equality_of_the_same_operations() -> None:
    """Changes are equal when bag, reset and operations are; True is not 1."""
    assert EMPTY.set("a", 1) == EMPTY.set("a", 1.0)
    assert EMPTY.set("a", 1) != EMPTY.set("a", True)
    assert EMPTY.set("a.b", 1) != EMPTY.increment("a.b", 1)
    assert EMPTY.clear() != EMPTY
    assert BagChange("user_metadata") != EMPTY
    assert EMPTY != "app_metadata"
    assert Change() != "nothing"
    assert Change() == Change().with_bag("app_metadata", EMPTY)
    (set_to_one,), (set_to_true,) = EMPTY.set("a", 1).keys["a"], EMPTY.set("a", True).keys["a"]
    assert set_to_one != set_to_true
    assert Change().with_bag("app_metadata", EMPTY.set("a", 1)) != Change()


@given(keys)
def test_read_stops_at_anything_but_an_object(key: str) -> None:
    """Reading through a scalar or a list finds nothing."""
    assert read({key: [1]}, (key, "0")) is ABSENT
    assert read({key: "x"}, (key, key)) is ABSENT
    assert read({key: None}, (key,)) is None
    assert read(ABSENT, (key,)) is ABSENT
