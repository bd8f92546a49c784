"""Hypothesis strategies for JSON values, paths, stored bags and staged calls; there are few keys, so that they often collide."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import Path
from auth0_meta.errors import PathError

BAGS = ("user_metadata", "app_metadata")

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A staging method, its arguments and its keywords; paths are tuples."""

KEYS = ("a", "b", "Å:/ é")
keys = st.sampled_from(KEYS)
"""Names that Auth0 accepts."""

numbers = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**52), 2**52),  # past 2**53 a warning is issued, which has tests of its own
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.1, 1.0]),
)
# Values that are equal in Python but not in JSON are drawn often.
scalars = st.one_of(st.sampled_from([None, True, False, 0, 1, 1.0, ""]), numbers, st.text(max_size=5))
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
"""What a bag can have under a key, None included."""

values = json_values.filter(lambda value: value is not None)
trees = st.recursive(scalars, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=10)
"""Values that are nested objects more often than not."""
json_objects = st.dictionaries(keys, trees | json_values, max_size=3)
"""Bags as stored or given: nested, with nulls at any level."""

paths: st.SearchStrategy[Path] = st.lists(keys, min_size=1, max_size=3).map(tuple)

profiles = st.fixed_dictionaries(
    {"user_id": st.just("auth0|1")},
    optional={"user_metadata": st.none() | json_objects, "app_metadata": st.none() | json_objects},
)
"""A stored user: each bag absent, null or an object."""


def _call(name: str, *arguments: st.SearchStrategy[Any], **keywords: st.SearchStrategy[Any]) -> Any:
    return st.tuples(st.just(name), st.tuples(*arguments), st.fixed_dictionaries(keywords))


small = st.integers(-3, 3) | st.sampled_from([0.1, 0.5])
nested_calls: st.SearchStrategy[Call] = st.one_of(
    _call("set", paths, trees | json_values),
    _call("delete", paths),
    _call("merge", json_objects),
    _call("append", paths, json_values, keep=st.none() | st.integers(1, 3)),
    _call("increment", paths, small),
)
calls: st.SearchStrategy[Call] = st.one_of(
    nested_calls, nested_calls, nested_calls, _call("replace", json_objects), _call("clear")
)
"""Every staging method of `BagChange`."""


def stage(change: BagChange, *staged: Call) -> BagChange:
    """Stage calls in order, skipping those that contradict earlier ones."""
    for name, arguments, keywords in staged:
        try:
            change = getattr(change, name)(*arguments, **keywords)
        except PathError:
            continue
    return change


def bag_changes(bag: str = "app_metadata", *, max_size: int = 6) -> st.SearchStrategy[BagChange]:
    """Draw what is staged for one bag, which may be nothing."""
    return st.lists(calls, max_size=max_size).map(lambda staged: stage(BagChange(bag), *staged))  # type: ignore[arg-type]


@st.composite
def _changes(draw: st.DrawFn) -> Change:
    change = Change()
    for bag in BAGS:
        change = change.with_bag(bag, draw(bag_changes(bag)))  # type: ignore[arg-type]
    return change


changes = _changes()
"""Draw what is staged for a user."""
