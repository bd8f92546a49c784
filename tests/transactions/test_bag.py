"""Staging and reading with a bag (promises 4 and 8)."""

from __future__ import annotations

import contextlib
import operator
import traceback
import warnings
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import (
    Auth0MetaError,
    InputError,
    MetadataError,
    MetadataWarning,
    PathError,
    User,
)
from auth0_meta.changes.rules import MAX_REQUEST
from auth0_meta.checks.names import RESERVED
from auth0_meta.transactions.bag import MetadataBag

STORED = {"theme": "light", "prefs": {"lang": "en", "tz": "UTC"}, "log": [1, {"a": 1}], "n": 1, "flag": True}
CANARY = "canary-77aa"
Stage = Callable[[MetadataBag], object]


def _cycle() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


# Promise 4: (what is staged, what the bag contains afterwards)
STAGED: dict[str, tuple[Stage, dict[str, Any]]] = {
    "[]= None deletes": (lambda bag: bag.__setitem__("theme", None), {"theme": None}),
    "set None deletes": (lambda bag: bag.set("prefs.lang", None), {"prefs": {"tz": "UTC"}}),
    "merge None deletes at any depth": (lambda bag: bag.merge({"prefs": {"lang": None}, "n": None}), {"prefs": {"tz": "UTC"}, "n": None}),
    "None inside a whole value is data": (lambda bag: bag.set("prefs", {"lang": None}), {"prefs": {"lang": None}}),
    "None inside a list is data": (lambda bag: bag.merge({"log": [None]}), {"log": [None]}),
    "absent parents are created": (lambda bag: bag.set("a.b.c", 1), {"a": {"b": {"c": 1}}}),
    "append creates": (lambda bag: bag.append("a.b", 1), {"a": {"b": [1]}}),
    "append keeps": (lambda bag: bag.append("log", 3, keep=2), {"log": [{"a": 1}, 3]}),
    "increment creates": (lambda bag: bag.increment("a.b"), {"a": {"b": 1}}),
    "increment by a keyword argument": (lambda bag: bag.increment("n", by=-2.5), {"n": -1.5}),
    "increment by a positional argument": (lambda bag: bag.increment("n", 4), {"n": 5}),
    "delete of an absent path creates nothing": (lambda bag: bag.delete("a.b.c"), {}),
    "delete of an absent key": (lambda bag: bag.__delitem__("none"), {}),
    "delete through a scalar": (lambda bag: bag.delete("theme.a"), {}),
    "merge overwrites a scalar": (lambda bag: bag.merge({"theme": {"a": 1}}), {"theme": {"a": 1}}),
    "a tuple is a path": (lambda bag: bag.set(("prefs", "lang"), "fi"), {"prefs": {"lang": "fi", "tz": "UTC"}}),
    "update": (lambda bag: bag.update({"theme": "dark"}, n=2), {"theme": "dark", "n": 2}),
    "|=": (lambda bag: operator.ior(bag, {"theme": "dark", "n": 2}), {"theme": "dark", "n": 2}),
    "pop": (lambda bag: bag.pop("theme"), {"theme": None}),
    "setdefault": (lambda bag: (bag.setdefault("n", 9), bag.setdefault("m", 9)), {"m": 9}),
    "merge of any mapping": (lambda bag: bag.merge(MappingProxyType({"a": 1})), {"a": 1}),
    "a tuple is a list": (lambda bag: bag.set("a", (1, 2)), {"a": [1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("stage", "change"), STAGED.values(), ids=STAGED)
def test_each_staging_call_has_its_effect(stage: Stage, change: dict[str, Any], *, base: bool) -> None:
    """The effect is seen at the tenant, with and without a base; None deletes or is data, as promised."""
    local = Local(STORED)
    with local.tx(base=local.profile() if base else None) as tx:
        stage(tx.user_metadata)
        shown = tx.user_metadata.to_dict()
    expected = {
        key: value for key, value in (STORED | change).items() if key not in change or value is not None
    }
    assert local.user_metadata == expected == shown


def test_replace_accepts_the_other_bag() -> None:
    """`replace` takes any mapping, including the other bag of the transaction."""
    local = Local(STORED, {"old": 1})
    with local.tx() as tx:
        tx.app_metadata.replace(tx.user_metadata)
    assert local.app_metadata == STORED


WRONG: dict[str, tuple[Stage, str]] = {
    "set through a scalar": (lambda bag: bag.set("theme.a", 1), "theme"),
    "set through a list": (lambda bag: bag.set("log.a", 1), "log"),
    "append onto an object": (lambda bag: bag.append("prefs", 1), "prefs"),
    "append through a scalar": (lambda bag: bag.append("n.a", 1), "n"),
    "increment a string": (lambda bag: bag.increment("prefs.lang"), "prefs.lang"),
    "increment a boolean": (lambda bag: bag.increment("flag"), "flag"),
}


@pytest.mark.parametrize(("stage", "path"), WRONG.values(), ids=WRONG)
def test_without_a_base_wrong_types_are_found_at_commit(stage: Stage, path: str) -> None:
    """They are found after the GET and before the PATCH: PathError, and nothing is written."""
    local = Local(STORED)
    with pytest.raises(PathError) as raised, local.tx() as tx:
        stage(tx.user_metadata)
    assert local.sent == ["GET"]
    _names(raised.value, path)


@pytest.mark.parametrize(("stage", "path"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("how", ["given", "read"])
def test_with_a_base_wrong_types_are_found_when_staging(stage: Stage, path: str, how: str) -> None:
    """With a base that was given or read, staging raises PathError and stages nothing; the block may continue."""
    local = Local(STORED)
    with local.tx(base=local.profile() if how == "given" else None) as tx:
        if how == "read":
            tx.user_metadata.get("n")
        with pytest.raises(PathError) as raised:
            stage(tx.user_metadata)
        assert not tx.pending
        tx.user_metadata["ok"] = 1
    _names(raised.value, path)
    assert local.bodies == [{"user_metadata": {"ok": 1}}]


@pytest.mark.parametrize("how", ["one", "all"])
def test_wrong_types_are_found_by_a_read(how: str) -> None:
    """A read that applies staged changes to the wrong type raises PathError too."""
    local = Local(STORED)
    with contextlib.suppress(LookupError), local.tx() as tx:
        tx.user_metadata.append("theme", 1)
        with pytest.raises(PathError) as raised:
            tx.user_metadata.get("theme") if how == "one" else len(tx.user_metadata)
        _names(raised.value, "theme")
        raise LookupError


def _names(error: MetadataError, path: str) -> None:
    """Check that an error names user and path, and says that nothing was written."""
    assert (error.user_id, error.bag, ".".join(error.path)) == (UID, "user_metadata", path)
    assert UID in str(error)
    assert repr(path) in str(error)
    assert "nothing was written" in str(error)


# Promise 8: refused when staged.
BAD: dict[str, Stage] = {
    "a dot in a key": lambda bag: bag.__setitem__("a.b", 1),
    "a dot in a key of a tuple": lambda bag: bag.set(("a", "b.c"), 1),
    "a dollar": lambda bag: bag.set("a.$b", 1),
    "a dot at depth": lambda bag: bag.set("a", {"b": [{"c.d": 1}]}),
    "a dollar at depth": lambda bag: bag.merge({"a": {"b": {"$c": 1}}}),
    "a dollar in a list item": lambda bag: bag.append("a", {"$c": 1}),
    "a dot in replace": lambda bag: bag.replace({"a.b": 1}),
    "a key that is not a string": lambda bag: bag.__setitem__(1, 1),  # type: ignore[index]
    "a nested key that is not a string": lambda bag: bag.set("a", {1: 1}),
    "an empty key": lambda bag: bag.__setitem__("", 1),
    "an empty path": lambda bag: bag.set("", 1),
    "an empty part": lambda bag: bag.set("a..b", 1),
    "no path": lambda bag: bag.set((), 1),
    "a path of another type": lambda bag: bag.delete(5),  # type: ignore[arg-type]
    "del of a path": lambda bag: bag.__delitem__("a.b"),
    "NaN": lambda bag: bag.set("a", float("nan")),
    "infinity at depth": lambda bag: bag.merge({"a": [float("inf")]}),
    "bytes": lambda bag: bag.set("a", b"x"),
    "a set": lambda bag: bag.set("a", {1}),
    "an object": lambda bag: bag.append("a", object()),
    "a cycle": lambda bag: bag.set("a", _cycle()),
    "a lone surrogate": lambda bag: bag.set("a", "\ud800"),
    "a number too large for a double": lambda bag: bag.set("a", 10**400),
    "more than 1 MB": lambda bag: bag.set("a", "x" * MAX_REQUEST),
    "increment by text": lambda bag: bag.increment("a", "1"),  # type: ignore[arg-type]
    "increment by True": lambda bag: bag.increment("a", True),
    "increment by NaN": lambda bag: bag.increment("a", float("nan")),
    "keep of 0": lambda bag: bag.append("a", 1, keep=0),
    "merge of a list": lambda bag: bag.merge([("a", 1)]),  # type: ignore[arg-type]
    "replace by None": lambda bag: bag.replace(None),  # type: ignore[arg-type]
    "reading a dotted key": lambda bag: bag["a.b"],
    "reading an empty path": lambda bag: bag.get(""),
    "a path in `in`": lambda bag: "a.b" in bag,
}


@pytest.mark.parametrize("bag", ["user_metadata", "app_metadata"])
@pytest.mark.parametrize("stage", BAD.values(), ids=BAD)
def test_bad_input_fails_when_staged(stage: Stage, bag: str) -> None:
    """Bad keys and values raise MetadataError where they are written, before any request, and stage nothing."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["ok"] = 1
        with pytest.raises(MetadataError) as raised:
            stage(getattr(tx, bag))
        assert isinstance(raised.value, ValueError)
        assert raised.value.bag == bag
        assert local.sent == []
    assert local.bodies == [{"user_metadata": {"ok": 1}}]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_refused(name: str) -> None:
    """A name that Auth0 reserves is refused in app_metadata and accepted in user_metadata."""
    local = Local()
    with local.tx() as tx:
        for stage in (
            lambda bag: bag.set(name, 1),
            lambda bag: bag.merge({name: 1}),
            lambda bag: bag.delete(name),
        ):
            with pytest.raises(MetadataError, match=f"{UID.split('|')[1]}.*{name}"):
                stage(tx.app_metadata)
        tx.user_metadata[name] = 1
    assert local.user_metadata == {name: 1}


def test_the_megabyte_is_for_both_bags_together() -> None:
    """1 MB is the limit for the whole request: two halves that fit alone are refused together, and the first stays staged."""
    local = Local()
    with local.tx(oversize="off") as tx:
        tx.user_metadata["a"] = "x" * (MAX_REQUEST // 2)
        with pytest.raises(MetadataError, match="bytes are staged"):
            tx.app_metadata["a"] = "x" * (MAX_REQUEST // 2)
        assert list(tx.pending.touched) == [("user_metadata", "a")]
        tx.rollback()


def test_errors_contain_no_values() -> None:
    """No error of staging shows a value, in its message or its chain."""
    local = Local({"s": CANARY})
    wrong: list[Stage] = [
        lambda bag: bag.set("a", {CANARY}),
        lambda bag: bag.set("a", [CANARY, float("nan")]),
        lambda bag: bag.append("s", CANARY),
        lambda bag: bag.set("s.a", CANARY),
        lambda bag: bag.increment("s"),
        lambda bag: bag.increment("a", CANARY),  # type: ignore[arg-type]
    ]
    with local.tx(base=local.profile()) as tx:
        for stage in wrong:
            with pytest.raises(Auth0MetaError) as raised:
                stage(tx.user_metadata)
            assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("bag", ["user_metadata", "app_metadata"])
def test_a_bag_can_not_be_assigned_to(bag: str) -> None:
    """tx.user_metadata = {...} would stage nothing, so it raises an error that names the calls that do."""
    local = Local()
    with local.tx() as tx:
        with pytest.raises(InputError, match=rf"tx\.{bag}\.replace.*tx\.{bag}\.merge"):
            setattr(tx, bag, {"a": 1})
        getattr(tx, bag)["b"] = 2
    assert getattr(local, bag) == {"b": 2}


def test_a_bag_can_be_extended_in_place() -> None:
    """`|=` stages as `update` does, in a part too; what it assigns is the bag itself, and no other one passes."""
    local = Local({"a": {"x": 1}})
    with local.tx() as tx:
        tx.user_metadata |= {"a": {"y": 2}}
        with tx.nested() as part:
            part.app_metadata |= {"b": 3}
            with pytest.raises(InputError):
                part.user_metadata = part.app_metadata
            with pytest.raises(InputError):
                tx.user_metadata = part.user_metadata
        with pytest.raises(MetadataError):
            tx.app_metadata |= {"email": 1}
    assert (local.user_metadata, local.app_metadata) == ({"a": {"y": 2}}, {"b": 3})


def test_a_profile_is_not_metadata() -> None:
    """A `User` is a mapping, but merging one would store its whole profile; its metadata is taken as usual."""
    local = Local({"a": {"x": 1}})
    user = User.from_dict({"user_id": "auth0|2", "user_metadata": {"a": {"y": 2}}})
    with local.tx() as tx:
        for stage in (tx.user_metadata.merge, tx.user_metadata.replace):
            with pytest.raises(MetadataError, match="User"):
                stage(user)
        assert not tx.pending
        tx.user_metadata.merge(user.user_metadata)
    assert local.user_metadata == {"a": {"x": 1, "y": 2}}


# Reads.


def test_reads_see_what_is_stored_and_staged() -> None:
    """A read shows the stored bag overlaid with everything that is staged; one GET serves all reads."""
    local = Local(STORED)
    with local.tx() as tx:
        bag = tx.user_metadata
        bag.set("prefs.lang", "fi")
        bag.append("log", 2)
        bag.increment("n")
        del bag["flag"]
        assert bag["prefs"] == {"lang": "fi", "tz": "UTC"}
        assert bag.get("prefs.tz") == "UTC"
        assert bag.get(("prefs", "lang")) == "fi"
        assert bag["log"] == [1, {"a": 1}, 2]
        assert (bag["n"], bag.get("flag"), bag.get("flag", 7), bag.get("a.b", 8)) == (2, None, 7, 8)
        assert sorted(bag) == ["log", "n", "prefs", "theme"]
        assert (len(bag), "flag" in bag, "theme" in bag, 5 in bag) == (4, False, True, False)
        with pytest.raises(KeyError, match="flag"):
            bag["flag"]
        assert local.sent == ["GET"]
        tx.rollback()


def test_reads_of_staged_values_send_nothing() -> None:
    """This goes for a path and for a whole bag."""
    local = Local(STORED)
    with local.tx() as tx:
        bag = tx.user_metadata
        bag["prefs"] = {"lang": "fi", "none": None}
        bag.merge({"log": {"a": [1]}})
        del bag["n"]
        assert (bag["prefs"], bag.get("prefs.lang"), bag.get("prefs.none", 1)) == (
            {"lang": "fi", "none": None},
            "fi",
            None,
        )
        assert (bag.get("log.a"), bag.get("n"), bag.get("prefs.other", 3)) == ([1], None, 3)
        tx.app_metadata.replace({"a": 1})
        assert (dict(tx.app_metadata), len(tx.app_metadata), "b" in tx.app_metadata) == ({"a": 1}, 1, False)
        assert tx.app_metadata == {"a": 1}
        assert local.sent == []
        tx.rollback()


def test_bags_compare_as_json() -> None:
    """Bags are equal to mappings and to each other as JSON, unequal to anything else; they are not hashable."""
    local = Local({"a": 1}, {"a": 1.0})
    with local.tx() as tx:
        assert tx.user_metadata == {"a": 1} == tx.user_metadata
        assert tx.user_metadata == tx.app_metadata
        assert tx.user_metadata != {"a": True}
        assert tx.user_metadata != [("a", 1)]
        with pytest.raises(TypeError):
            hash(tx.user_metadata)


VIEWS: list[tuple[Callable[[Any], object], str]] = [
    (lambda bag: bag["prefs"].__setitem__("lang", "fi"), "tx.user_metadata.set('prefs.lang', ...)"),
    (lambda bag: bag.get("prefs").update(lang="fi"), "tx.user_metadata.merge({...})"),
    (lambda bag: bag["prefs"].pop("lang"), "tx.user_metadata.delete('prefs.lang')"),
    (lambda bag: bag["log"].append(2), "tx.user_metadata.append('log', ...)"),
    (lambda bag: bag["log"].__setitem__(0, 2), "tx.user_metadata.set('log', [...])"),
    (lambda bag: bag["log"][1].__setitem__("a", 2), "tx.user_metadata.set('log', [...])"),
    (lambda bag: dict(bag.items())["prefs"].clear(), "tx.user_metadata.set('prefs', {})"),
]


@pytest.mark.parametrize(("change", "call"), VIEWS)
def test_what_is_read_is_read_only(change: Callable[[Any], object], call: str) -> None:
    """Changing a value that was read raises an error that names the call that stages the change; staged values are views too."""
    local = Local(STORED)
    with local.tx() as tx:
        for _ in range(2):
            with pytest.raises(MetadataError) as raised:
                change(tx.user_metadata)
            assert call in str(raised.value)
            tx.user_metadata["prefs"] = {"lang": "en"}
            tx.user_metadata["log"] = [1, {"a": 1}]
        tx.rollback()


def test_to_dict_returns_a_copy() -> None:
    """The copy is plain and deep: changing it changes nothing here."""
    local = Local(STORED)
    with local.tx() as tx:
        plain = tx.user_metadata.to_dict()
        assert plain == STORED
        plain["prefs"]["lang"] = "fi"
        plain["log"].append(2)
        assert tx.user_metadata == STORED


def test_the_repr_sends_nothing_and_shows_no_values() -> None:
    """It shows names and sizes of what is staged."""
    local = Local({"s": CANARY})
    with local.tx() as tx:
        assert repr(tx.user_metadata) == "<MetadataBag user_metadata, staged: nothing>"
        tx.user_metadata["theme"] = CANARY
        tx.app_metadata.append("log", CANARY)
        shown = [repr(tx), repr(tx.user_metadata), str(tx.app_metadata), repr(tx.pending)]
        assert "theme 13 B" in shown[1]
        assert local.sent == []
    shown += [repr(tx), repr(tx.result), str(tx.result), repr(tx.result and tx.result.user)]
    assert CANARY not in "".join(shown)


# Values that look like secrets.

SECRET = "AKIAABCDEFGHIJKLMNOP"
TOLD: dict[str, Stage] = {
    "[]=": lambda bag: bag.__setitem__("aws", SECRET),
    "set": lambda bag: bag.set("keys.aws", {"id": [SECRET]}),
    "merge": lambda bag: bag.merge({"keys": {"aws": SECRET}}),
    "replace": lambda bag: bag.replace({"aws": SECRET}),
    "append": lambda bag: bag.append("keys", SECRET),
    "update": lambda bag: bag.update(aws=SECRET),
    "|=": lambda bag: operator.ior(bag, {"aws": SECRET}),
    "setdefault": lambda bag: bag.setdefault("aws", SECRET),
}


@pytest.mark.parametrize("stage", TOLD.values(), ids=TOLD)
def test_secrets_in_user_metadata_warn(stage: Stage) -> None:
    """A value that looks like a secret causes a warning at the caller's line, without the value; it is staged."""
    local = Local({})
    with local.tx() as tx:
        with pytest.warns(MetadataWarning) as caught:
            stage(tx.user_metadata)
        (warning,) = caught
        assert warning.filename == __file__
        assert SECRET not in str(warning.message)
        assert UID in str(warning.message)
        assert "aws" in str(warning.message) or "keys" in str(warning.message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stage(tx.app_metadata)
    assert SECRET in str(local.user_metadata)


def test_a_warning_turned_into_an_error_stages_nothing() -> None:
    """If warnings are errors, the value is not staged."""
    local = Local()
    with warnings.catch_warnings(), local.tx() as tx:
        warnings.simplefilter("error")
        with pytest.raises(MetadataWarning):
            tx.user_metadata["aws"] = SECRET
        assert not tx.pending
    assert local.sent == []


def test_a_bag_builds_operations_for_any_holder() -> None:
    """A bag parses and checks a call itself; its holder gets the bag's name and finished operations."""
    calls: list[Any] = []

    class Holder:
        user_id = UID

        def _stage(self, bag: str, operations: Any, *, reset: bool = False) -> None:
            calls.append((bag, [operation.to_json() for operation in operations], reset))

        def _read(self, *args: Any) -> Any:
            calls.append(args)
            return {"a": 1}

        def _staged(self, bag: Any) -> Any:
            raise AssertionError

    bag = MetadataBag(Holder(), "app_metadata")
    bag.append("a.b", 1, keep=2)
    bag.replace({"a": 1, "none": None})
    assert next(iter(bag)) == "a"
    assert calls == [
        ("app_metadata", [["append", ["a", "b"], 1, 2]], False),
        ("app_metadata", [["set", ["a"], 1]], True),
        ("app_metadata", ()),
    ]
