from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from support.json_strategies import json_objects

from auth0_meta.checks import sizes


@given(json_objects)
def test_profile_size_is_that_of_the_compact_body(profile: dict[str, Any]) -> None:
    """A profile counts as compact UTF-8 JSON."""
    body = json.dumps(profile, ensure_ascii=False, separators=(",", ":")).encode()
    assert sizes.profile_size(profile) == len(body)


def test_the_profile_limit_is_the_recommended_one() -> None:
    """It is 10 KB."""
    assert sizes.PROFILE_LIMIT == 10_240


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        (0, ()),
        (7_999, ()),
        (8_000, ("near_limit",)),
        (10_000, ("near_limit",)),
        (10_001, ("oversized",)),
        (100_000, ("oversized",)),
        (100_001, ("over_allowance", "oversized")),
    ],
)
def test_kinds_of_a_size(size: int, kinds: tuple[str, ...]) -> None:
    """Each threshold of a profile, on both sides."""
    assert sizes.size_kinds(size) == kinds
