"""The paths of an offload: what is refused, before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta import InputError
from auth0_meta.migrate.offloading.paths import MOST_PATHS, dotted, parse_paths


@pytest.mark.parametrize(
    ("paths", "parsed"),
    [
        ("app_metadata.history", [("app_metadata", ("history",))]),
        (["user_metadata.a.b"], [("user_metadata", ("a", "b"))]),
        (
            [("app_metadata", "a", "b"), ["user_metadata", "a"]],
            [("app_metadata", ("a", "b")), ("user_metadata", ("a",))],
        ),
        # Names that only begin alike, and the same keys in the two bags, are apart.
        (["app_metadata.a", "app_metadata.ab", "user_metadata.a"], None),
        (["app_metadata.a.b", "app_metadata.a.c"], None),
        ("user_metadata.email", None),  # only app_metadata reserves this name
    ],
)
def test_paths_are_text_or_tuples(paths: Any, parsed: Any) -> None:
    """They begin with the bag."""
    found = parse_paths(paths)
    assert parsed is None or list(found) == parsed
    assert parse_paths(list(map(dotted, found))) == found


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        ([], "name at least one path"),
        ("", "begin with user_metadata or app_metadata"),
        ("history", "begin with user_metadata or app_metadata"),
        ("app_metdata.history", "did you mean app_metadata.history?"),
        ("app_metadata", "is a whole bag"),
        (("app_metadata", "history"), "is a whole bag"),
        ("app_metadata.", "must not be empty"),
        ("app_metadata.a..b", "must not be empty"),
        ("app_metadata.$a", "contains '.' or '$'"),
        ([("app_metadata", "a.b")], "contains '.' or '$'"),
        ([("app_metadata", 3)], "a key must be a string"),
        ([()], "begin with user_metadata or app_metadata"),
        ("app_metadata.email", "Auth0 reserves this name"),
        ([3], "not int"),
        (3, "not int"),
        (b"app_metadata.a", "not bytes"),
        (["app_metadata.a", "app_metadata.a"], "named twice"),
        (["app_metadata.a", "app_metadata.a.b"], "app_metadata.a.b is inside app_metadata.a"),
        (["app_metadata.a.b.c", "app_metadata.a.b"], "app_metadata.a.b.c is inside app_metadata.a.b"),
        ([f"app_metadata.k{n}" for n in range(MOST_PATHS + 1)], f"at most {MOST_PATHS} paths"),
    ],
)
def test_a_path_that_can_not_be_moved_is_refused(paths: Any, why: str) -> None:
    """The error says why, and what may have been meant."""
    with pytest.raises(InputError) as caught:
        parse_paths(paths)
    assert why in str(caught.value)


def test_as_many_paths_as_are_allowed_can_be_moved() -> None:
    """The bound itself is inside."""
    assert len(parse_paths([f"app_metadata.k{n}" for n in range(MOST_PATHS)])) == MOST_PATHS
