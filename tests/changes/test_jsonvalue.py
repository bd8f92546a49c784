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
    json_equal,
)
from auth0_meta.checks.sizes import json_size


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
