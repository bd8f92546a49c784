from __future__ import annotations

import pytest

from auth0_meta.checks import names
from auth0_meta.checks.words import words


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


def test_the_words_of_a_key_are_those_that_people_read() -> None:
    """Underscores, dashes, capitals and digits separate them, in any alphabet; a long key is read in part."""
    assert words("lastLoginIP") == words("LAST-LOGIN_IP") == words("last login ip") == ("last", "login", "ip")
    assert words("deviceIDs") == ("device", "ids")
    assert words("käyttäjänRooli") == ("käyttäjän", "rooli")
    assert words("...") == words("") == ()
    assert words("a" * 300) == ("a" * 256,)
