"""What an API, a client grant and a user's permissions leave of the requested scopes."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator.rules.api_access import Api, user_scopes

API = {
    "identifier": "https://api.example.com",
    "scopes": [{"value": "read:x", "description": "Read"}, {"value": "write:x"}],
}


def test_an_api_without_settings_allows_what_it_defines() -> None:
    """Any user may have any of its scopes, machines need a grant, and refresh tokens are off."""
    api = Api.of(API)
    assert api.scopes == ("read:x", "write:x")
    assert (api.lifetime, api.user_policy, api.client_policy) == (86_400, "allow_all", "require_client_grant")
    assert {api.offline_access, api.enforces_policies, api.shows_permissions, api.follows_rfc9068} == {False}
    assert user_scopes(("openid", "read:x", "z"), api, permissions=(), grant=None) == ("openid", "read:x")


@pytest.mark.parametrize(
    ("changed", "shown", "rfc9068"),
    [
        ({"enforce_policies": True, "token_dialect": "access_token_authz"}, True, False),
        ({"enforce_policies": False, "token_dialect": "access_token_authz"}, False, False),
        ({"enforce_policies": True, "token_dialect": "access_token"}, False, False),
        ({"enforce_policies": True, "token_dialect": "rfc9068_profile_authz"}, True, True),
        ({"token_dialect": "rfc9068_profile"}, False, True),
    ],
    ids=["authz", "no rbac", "default", "rfc9068 authz", "rfc9068"],
)
def test_the_dialect_says_what_a_token_looks_like(
    changed: dict[str, Any], shown: bool, rfc9068: bool
) -> None:
    """Permissions are shown only where policies are enforced."""
    api = Api.of(API | changed)
    assert (api.shows_permissions, api.follows_rfc9068) == (shown, rfc9068)


def test_policies_limit_scopes_to_permissions() -> None:
    """The scopes about the user are not concerned."""
    api = Api.of(API | {"enforce_policies": True})
    requested = ("openid", "email", "read:x", "write:x")
    assert user_scopes(requested, api, permissions=("write:x",), grant=None) == ("openid", "email", "write:x")


def test_a_grant_limits_scopes_to_what_the_api_still_defines() -> None:
    """`allow_all_scopes` stands for all of them."""
    api = Api.of(API)
    assert api.granted({"scope": ["read:x", "gone"]}) == ("read:x",)
    assert api.granted({"scope": [], "allow_all_scopes": True}) == ("read:x", "write:x")
    assert user_scopes(("read:x", "write:x"), api, permissions=(), grant={"scope": ["write:x"]}) == (
        "write:x",
    )


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_a_refresh_token_needs_an_api_that_allows_it(allowed: bool) -> None:
    """/userinfo always does."""
    api = Api.of(API | {"allow_offline_access": allowed})
    requested = ("openid", "offline_access")
    assert user_scopes(requested, None, permissions=(), grant=None) == requested
    expected = requested if allowed else ("openid",)
    assert user_scopes(requested, api, permissions=(), grant=None) == expected


@pytest.mark.parametrize(
    "odd",
    [
        {"scopes": "read:x", "token_lifetime": "600", "subject_type_authorization": []},
        {"scopes": [1, {"value": 2}], "token_lifetime": True, "subject_type_authorization": {"user": 1}},
        {"scopes": None, "token_lifetime": -1, "subject_type_authorization": {"user": {"policy": "x"}}},
    ],
    ids=["texts", "numbers", "nonsense"],
)
def test_what_an_api_is_stored_with_does_no_harm(odd: dict[str, Any]) -> None:
    """The Management API stores what it is sent; values that make no sense count as absent."""
    assert Api.of(API | odd) == Api.of({"identifier": API["identifier"]})


def test_a_token_from_a_browser_lives_no_longer_than_any() -> None:
    """The lifetime of implicit and hybrid flows can't exceed the other one (documented)."""
    api = Api.of(API | {"token_lifetime": 600, "token_lifetime_for_web": 7200})
    assert (api.lifetime, api.browser_lifetime) == (600, 600)
