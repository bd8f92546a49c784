"""Compare two JSON values, and list the differences by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class _Absent:
    """The type of `ABSENT`.  None can't stand for a missing value, because it is a value: JSON null."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = _Absent()
"""What `differences` returns in place of a missing value."""


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Return the differences as (before, after) by dotted path, except `updated_at`; lists are compared as a whole.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    {'a.c': (2, 3)}
    >>> differences({}, {"a": None})
    {'a': (<absent>, None)}
    """
    return dict(_differences(before, after, ""))


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else str(name)
            if inner != "updated_at":
                yield from _differences(before.get(name, ABSENT), after.get(name, ABSENT), inner)
    elif type(before) is not type(after) or before != after:
        yield path, (before, after)
