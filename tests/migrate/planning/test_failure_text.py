"""What is said of an exception that a migration raised: only what can't be a metadata value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auth0_meta.migrate.planning.failure_text import describe, where

SECRET = "canary-7f3a"  # a metadata value


def missing(found: dict[str, int]) -> object:
    """Fail: missing."""
    return found["absent"]


def missing_value(found: dict[str, int]) -> object:
    """Fail: missing value."""
    return found[SECRET]


def popped(found: dict[str, int]) -> object:
    """Fail: popped."""
    return found.pop("absent")


def raised(found: dict[str, int]) -> object:
    """Fail: raised."""
    raise KeyError(SECRET, found)


def attribute(found: dict[str, int]) -> object:
    """Fail: attribute."""
    return found.plan  # type: ignore[attr-defined]


def computed(found: dict[str, int]) -> object:
    """Fail: computed."""
    return getattr(found, SECRET)


def undefined(found: dict[str, int]) -> object:
    """Fail: undefined."""
    return nothing_of_the_kind  # type: ignore[name-defined]  # noqa: F821


def fixed(found: dict[str, int]) -> object:
    """Fail: fixed."""
    return [][len(found)]


def quoted(found: dict[str, int]) -> object:
    """Fail: quoted."""
    return int(SECRET)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (missing, "KeyError: 'absent'"),
        (popped, "KeyError: 'absent'"),
        (missing_value, "KeyError: a key that is not written there, so it may be a value and is not shown"),
        (raised, "KeyError: a key that is not written there, so it may be a value and is not shown"),
        (attribute, "AttributeError: dict has no attribute 'plan'"),
        (computed, "AttributeError"),
        (undefined, "NameError: 'nothing_of_the_kind' is not defined"),
        (fixed, "IndexError: list index out of range"),
        (quoted, "ValueError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_said_that_may_be_a_value(function: Callable[[dict[str, int]], object], said: str) -> None:
    """The class and the line always are; a key, an attribute or a name if the failing line itself has it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # any
        function({})
    line = function.__code__.co_firstlineno + 2  # type: ignore[attr-defined]
    assert describe(caught.value, __file__) == f"{said} (test_failure_text.py line {line})"
    assert where(caught.value, "another file").startswith("test_failure_text.py line ")
    assert SECRET not in describe(caught.value, __file__)
