"""Immutable values with named fields."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from auth0_meta.models import CommitResult, Page, Wait
from auth0_meta.record import Record


class Point(Record):
    """A value with a default."""

    x: int
    y: int = 0


@pytest.mark.parametrize("values", [{}, {"y": 1}, {"x": 1, "z": 2}, {"x": 1, "_fields": ()}])
def test_the_fields_are_given_by_name(values: dict[str, Any]) -> None:
    """A field without a default is required, and there are no others."""
    with pytest.raises(TypeError, match="Point has the fields x, y"):
        Point(**values)


def test_a_positional_argument_is_refused() -> None:
    """Which number is which would be hard to see."""
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]


def test_a_record_can_not_be_changed() -> None:
    """No attribute can be set or deleted, known or not."""
    point = Point(x=1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match="can't be changed"):
            setattr(point, name, 2)
        with pytest.raises(AttributeError, match="can't be changed"):
            delattr(point, name)
    assert point == Point(x=1)


def test_records_are_compared_by_kind_and_fields() -> None:
    """Equal ones have equal hashes; a tuple or another kind with the same fields is different."""

    class Other(Record):
        x: int
        y: int = 0

    assert Point(x=1) == Point(x=1, y=0)
    assert hash(Point(x=1)) == hash(Point(x=1, y=0))
    assert Point(x=1) not in (Point(x=2), Other(x=1), (1, 0))


@pytest.mark.parametrize(
    "value",
    [
        CommitResult(outcome="updated", requests=2),
        Page(users=(), start=0, limit=50),
        Wait(reason="pacing", seconds=1.0, retry_at=5.0, attempt=1, bucket="other"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_are_values_and_not_tuples(value: Record) -> None:
    """They are formatted as a whole, can be copied and sent to another process, and can't be iterated over."""
    assert "%s" % value == str(value)  # noqa: UP031  # what is tested
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value  # noqa: S301
    with pytest.raises(TypeError):
        iter(value)  # type: ignore[call-overload]
