from __future__ import annotations

import pytest

from auth0_meta.checks import names


@pytest.mark.parametrize(
    ("key", "bad"), [("", True), ("a.b", True), ("$set", True), ("a:b/c d", False), ("ä", False)]
)
def test_bad_keys(key: str, bad: bool) -> None:
    """An empty key and those with a dot or a dollar sign are refused by Auth0; nothing else is."""
    assert names.bad_key(key) is bad


def test_reserved_names_are_those_of_app_metadata() -> None:
    """The same name is allowed in user_metadata."""
    assert names.reserved("app_metadata", "lastIP")
    assert not names.reserved("user_metadata", "lastIP")
    assert not names.reserved("app_metadata", "lastip")
