"""Read-only views of stored metadata."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from support.json_strategies import json_values

from auth0_meta.changes.jsonvalue import json_equal, thaw
from auth0_meta.changes.views import MetadataDict, ObservedDict, ReadOnlyDict, ReadOnlyList, freeze
from auth0_meta.errors import MetadataError


@given(json_values)
def test_a_view_is_equal_and_its_copies_are_plain(value: Any) -> None:
    """A view compares and serializes as the value does; its copies and pickles are plain and mutable."""
    view = freeze(value, bag="user_metadata", path=("k",))
    assert json_equal(view, value)
    assert json.dumps(view) == json.dumps(value)
    copies = [thaw(view), copy.deepcopy(view), copy.copy(view), pickle.loads(pickle.dumps(view))]  # noqa: S301  # our own bytes
    for plain in (*copies, *([view.copy()] if isinstance(view, dict | list) else [])):
        assert json_equal(plain, value)
        assert_plain(plain)


def assert_plain(value: Any) -> None:
    """Fail on a container that is not exactly dict or list."""
    assert not isinstance(value, (ReadOnlyDict, ReadOnlyList))
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_plain(item)


def test_a_view_does_not_follow_the_original() -> None:
    """A later change to the original does not show."""
    value = {"tags": ["a"]}
    view = freeze(value, bag="user_metadata")
    value["tags"].append("b")
    assert view == {"tags": ["a"]}


def test_views_are_of_the_builtin_types() -> None:
    """A view is an instance of dict or list, at any depth."""
    view = freeze({"tags": [{"a": 1}]}, bag="user_metadata")
    assert isinstance(view, dict)
    assert isinstance(view["tags"], list)
    assert isinstance(view["tags"][0], dict)


CHANGES: list[tuple[tuple[Any, ...], str, Any, str]] = [
    (("prefs",), "__setitem__", ("lang", 1), "set('prefs.lang', ...)"),
    (("prefs",), "setdefault", ("lang", 1), "set('prefs.lang', ...)"),
    (("prefs",), "__delitem__", ("lang",), "delete('prefs.lang')"),
    (("prefs",), "pop", ("lang",), "delete('prefs.lang')"),
    (("prefs",), "popitem", (), "delete('prefs....')"),
    (("prefs",), "update", ({"lang": 1},), "merge({...})"),
    (("prefs",), "__ior__", ({"lang": 1},), "merge({...})"),
    (("prefs",), "clear", (), "set('prefs', {})"),
    (("prefs", "in"), "__setitem__", ("x", 1), "set('prefs.in.x', ...)"),
    (("tags",), "append", (1,), "append('tags', ...)"),
    (("tags",), "extend", ([1],), "append('tags', ...)"),
    (("tags",), "insert", (0, 1), "append('tags', ...)"),
    (("tags",), "__iadd__", ([1],), "append('tags', ...)"),
    (("tags",), "__setitem__", (0, 1), "set('tags', [...])"),
    (("tags",), "__delitem__", (0,), "set('tags', [...])"),
    (("tags",), "__imul__", (2,), "set('tags', [...])"),
    (("tags",), "clear", (), "set('tags', [...])"),
    (("tags",), "pop", (), "set('tags', [...])"),
    (("tags",), "remove", ("x",), "set('tags', [...])"),
    (("tags",), "reverse", (), "set('tags', [...])"),
    (("tags",), "sort", (), "set('tags', [...])"),
    (("tags", 1), "__setitem__", ("x", 1), "set('tags', [...])"),
    (("tags", 1, "deep"), "append", (1,), "set('tags', [...])"),
]


@pytest.mark.parametrize(("steps", "method", "arguments", "call"), CHANGES)
def test_every_change_to_a_view_is_refused(steps: Any, method: str, arguments: Any, call: str) -> None:
    """The error names the call to use instead, and nothing changes."""
    value = {"prefs": {"lang": "canary", "in": {"x": 1}}, "tags": ["x", {"deep": []}]}
    view = freeze(value, bag="app_metadata")
    at = view
    for step in steps:
        at = at[step]
    with pytest.raises(MetadataError) as caught:
        getattr(at, method)(*arguments)
    assert f"is read-only; use tx.app_metadata.{call}" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.bag == "app_metadata"
    assert view == value


def test_no_mutator_is_forgotten() -> None:
    """Every method of dict and list that an immutable mapping or sequence lacks is refused."""
    harmless = {"copy", "fromkeys", "__init__", "__setattr__", "__delattr__", "__init_subclass__"}
    for view, builtin, immutable in ((ReadOnlyDict, dict, ReadOnlyDict), (ReadOnlyList, list, tuple)):
        reads = {"get", "items", "keys", "values", "copy", "fromkeys"} if immutable is ReadOnlyDict else set()
        reads |= set(dir(tuple)) | harmless | {"__or__", "__ror__", "__reversed__", "__class_getitem__"}
        for name in set(dir(builtin)) - reads:
            assert name in vars(view), name


class _Noting(ObservedDict):
    """An object that notes what was looked at."""

    _bag = "app_metadata"
    seen: list[object]

    def _looked_at(self, keys: tuple[str, ...]) -> None:
        self.seen.append(".".join(keys))

    def _looked_at_all(self) -> None:
        self.seen.append("*")


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (lambda d: d["a"], "a"),
        (lambda d: d.get("b", 1), "b"),
        (lambda d: d.get("a"), "a"),
        (lambda d: "b" in d, "b"),
        (list, "*"),
        (lambda d: list(reversed(d)), "*"),
        (len, "*"),
        (lambda d: d == {}, "*"),
        (lambda d: d != {}, "*"),
        (lambda d: {} | d, "*"),
        (repr, "*"),
        (lambda d: d.keys(), "*"),
        (lambda d: d.values(), "*"),
        (lambda d: d.items(), "*"),
    ],
)
def test_every_look_is_reported(look: Any, seen: str) -> None:
    """A look at one key, or at the whole, has the result that it has on a dict."""
    noting = _Noting({"a": 1})
    noting.seen = []
    result = look(noting)
    assert noting.seen[:1] == [seen]
    expected = look({"a": 1})
    assert (
        list(result) == list(expected) if seen == "*" and hasattr(result, "__iter__") else result == expected
    )


def test_a_union_with_a_view_is_a_plain_dict() -> None:
    """On either side, and it may be changed."""
    view = freeze({"a": {"b": 1}}, bag="user_metadata")
    for union in (view | {"c": 2}, {"c": 2} | view):
        assert union == {"a": {"b": 1}, "c": 2}
        assert type(union) is dict
        union["d"] = 3
    changed = view | {}
    changed["a"]["b"] = 2
    assert view == {"a": {"b": 1}}


def test_a_change_to_a_whole_bag_names_the_call() -> None:
    """What was read is named by its bag, since a user has it as well as a transaction."""
    view = freeze({"a": 1}, bag="user_metadata")
    for method, arguments, call in (
        ("clear", (), "clear()"),
        ("__setitem__", ("b", 1), "set('b', ...)"),
        ("update", ({},), "merge({...})"),
    ):
        with pytest.raises(MetadataError) as caught:
            getattr(view, method)(*arguments)
        assert f"user_metadata is read-only; use tx.user_metadata.{call}" in str(caught.value)


def test_all_nested_objects_follow_paths() -> None:
    """Objects in objects and in lists as well."""
    view = freeze({"a": {"b": {"c": 1}}, "list": [{"x": {"y": 2}}]}, bag="user_metadata")
    assert view["a"].get("b.c") == view.get("a")["b"].get("c") == 1
    assert view["list"][0].get("x.y") == view.get("list")[0].get(("x", "y")) == 2
    assert isinstance(view["list"][0]["x"], MetadataDict)
