"""`path=` means the same for faults and the journal: a route, a whole path, or a prefix that is marked as one."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.errors import InputError

LIST, ONE = "/api/v2/users", "/api/v2/users/{id}"


def test_a_template_matches_only_its_own_route(api: Any) -> None:
    """The path of the list matches neither a single user nor users-by-email, and the journal counts the same."""
    api.tenant.users.add(user_id="auth0|1")
    fault = api.tenant.fail(method="GET", path=LIST, status=503)
    assert api.get("auth0|1").status_code == 200
    assert api("GET", "/api/v2/users-by-email?email=a@b.io").status_code == 200
    journal = api.tenant.journal
    with pytest.raises(AssertionError, match="path: expected '/api/v2/users', got '/api/v2/users/auth0%7C1'"):
        journal.assert_called("GET", LIST, times=1)
    assert (fault.fired, journal.count("GET", LIST), journal.count("GET", ONE)) == (0, 0, 1)
    assert api.list().status_code == 503
    journal.assert_called("GET", LIST, times=1)


@pytest.mark.parametrize(
    ("path", "matched"),
    [
        ("/api/v2/users/auth0%7C1", 1),
        ("/api/v2/users/auth0|1", 1),
        ("/api/v2/users/auth0%7c1", 1),
        ("/api/v2/users/auth0", 0),
        ("/api/v2/users/", 2),
        ("/api/v2/users/*", 2),
        ("/api/v2/users/auth0%7C1*", 2),
        ("/api/v2/", 3),
        ("/api/v2", 0),
        (ONE, 2),
    ],
)
def test_a_path_is_whole_unless_it_is_marked_as_a_prefix(api: Any, path: str, matched: int) -> None:
    """A path may be percent-encoded or not; only a `/` or `*` at the end makes it a prefix."""
    fault = api.tenant.fail(path=path, times=None, expire_token=True)
    for user_id in ("auth0|1", "auth0|11"):
        api.get(user_id)
    api.list()
    assert api.tenant.journal.count(path=path) == matched
    assert fault.fired == matched


def test_a_path_without_a_slash_is_refused(api: Any) -> None:
    """A path that can match nothing is an InputError."""
    with pytest.raises(InputError, match=r"path must be .* beginning with /"):
        api.tenant.fail(path="users", status=500)
