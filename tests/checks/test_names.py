from __future__ import annotations

import pytest

from auth0_meta.checks import names
from auth0_meta.checks.placement import authorization, device_state
from auth0_meta.checks.templates import dynamic


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


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("mfa_required_5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11", "mfa_required_<uuid>"),
        ("2026-11-23", "<date>"),
        ("1700000000000", "<number>"),
        ("address_line_2", None),
        ("sha256", None),
        ("utm_source", None),
    ],
)
def test_dynamic_keys(key: str, template: str | None) -> None:
    """A key made from data has a template, an ordinary name has none."""
    assert dynamic(key) == template


def test_placement() -> None:
    """The last key decides."""
    assert authorization(("roles",))
    assert not authorization(("roles", "note"))
    assert device_state(("last", "userAgent"))
    assert not device_state(("favorite_device_color",))
