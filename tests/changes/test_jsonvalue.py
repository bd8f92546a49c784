from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from support.json_strategies import json_values

from auth0_meta.changes.jsonvalue import (
    ABSENT,
    UNKNOWN,
    ObservedDict,
    ReadOnlyDict,
    ReadOnlyList,
    freeze,
    json_equal,
    json_size,
    thaw,
)
from auth0_meta.errors import MetadataError


def canonical(value: Any) -> str:
    """Return one text per JSON value: equal numbers look the same, and keys are sorted."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    return "{" + ",".join(f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"


@given(json_values, json_values)
def test_equality_is_that_of_json(a: Any, b: Any) -> None:
    """Two values are equal exactly if their canonical texts are equal."""
    assert json_equal(a, b) == (canonical(a) == canonical(b))
    assert json_equal(a, json.loads(json.dumps(a)))


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ([True], [1], False),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        (None, ABSENT, False),
        (None, {}, False),
        ("1", 1, False),
    ],
)
def test_equality_by_example(a: Any, b: Any, equal: bool) -> None:
    """Booleans are not numbers, 1 is 1.0, lists are ordered and objects are not."""
    assert json_equal(a, b) is json_equal(b, a) is equal


@given(json_values)
def test_size_is_that_of_compact_utf8(value: Any) -> None:
    """The size is the length of the compact JSON in UTF-8."""
    assert json_size(value) == len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("mark", [ABSENT, UNKNOWN], ids=repr)
def test_marks_are_singletons(mark: Any) -> None:
    """A mark is true, shows its name and stays itself when copied and pickled."""
    assert mark
    assert repr(mark) in ("ABSENT", "UNKNOWN")
    assert copy.deepcopy(mark) is pickle.loads(pickle.dumps(mark)) is mark  # noqa: S301 - our own bytes


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

    seen: list[object]

    def _looked_at(self, key: object) -> None:
        self.seen.append(key)

    def _looked_at_all(self) -> None:
        self.seen.append("*")


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (lambda d: d["a"], "a"),
        (lambda d: d.get("b", 1), "b"),
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
