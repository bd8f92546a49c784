"""The journal's assertion, a user's history and the diff report what has really happened."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.rules.differences import ABSENT, differences


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1.0}, {"a": (1, 1.0)}),
        ({"a": 1}, {"a": True}, {"a": (1, True)}),
        ({"a": None}, {}, {"a": (None, ABSENT)}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, {"a": ([1, {"b": 2}], [1, {"b": 3}])}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {}}}, {"a.b.c": (1, ABSENT)}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": ({"b": 1}, 5)}),
        ({"updated_at": 1}, {"updated_at": 2}, {}),
        (None, {"a": 1}, {"": (None, {"a": 1})}),
        (5, 5, {}),
    ],
)
def test_differences_are_found_by_path(before: Any, after: Any, found: dict[str, Any]) -> None:
    """Lists are compared whole, types count, and updated_at does not."""
    assert differences(before, after) == found


class TestTheDiff:
    """`diff` returns what the code under test has changed."""

    def test_it_has_what_requests_and_second_writers_changed(self, api: Any) -> None:
        """Users whom the test itself adds don't count as changes, nor does a PATCH that changes nothing."""
        tenant = api.tenant
        one, two = tenant.users.add(app_metadata={"plan": "free", "n": 1}), tenant.users.add()
        assert tenant.diff() == {}
        api.patch(one.user_id, {"app_metadata": {"plan": "pro"}, "user_metadata": {"new": 1}})
        api.patch(two.user_id, {})
        assert tenant.diff() == {
            one.user_id: {"app_metadata.plan": ("free", "pro"), "user_metadata": (ABSENT, {"new": 1})}
        }
        one.patch(app_metadata={"plan": "free"}, user_metadata={})
        assert tenant.diff() == {one.user_id: {"user_metadata": (ABSENT, {})}}

    def test_it_has_users_who_were_added_or_deleted(self, api: Any) -> None:
        """A new or a deleted user is shown whole; a user who was created and deleted meanwhile is not shown."""
        kept = api.tenant.users.add(user_id="auth0|kept")
        api.delete(kept.user_id)
        made = api.create(email="a@example.com").json()
        other = api.create(email="b@example.com").json()["user_id"]
        api.tenant.users[other].delete()
        found = api.tenant.diff()
        assert set(found) == {"auth0|kept", made["user_id"]}
        assert found["auth0|kept"][""][1] is None
        assert found[made["user_id"]][""] == (None, made)

    def test_it_has_what_imports_changed_and_begins_again_at_a_mark(self, api: Any) -> None:
        """What a job wrote is a change; after `mark` only later changes count."""
        files = [
            ("users", ("u.json", b'[{"email": "a@example.com"}]', "application/json")),
            ("connection_id", (None, "con_localDatabase001")),
        ]
        api("POST", "/api/v2/jobs/users-imports", files=files)
        assert len(api.tenant.diff()) == 1
        api.tenant.mark()
        assert api.tenant.diff() == {}
        (user,) = api.tenant.users
        api.patch(user.user_id, {"nickname": "x"})
        assert api.tenant.diff() == {user.user_id: {"nickname": ("a", "x")}}

    def test_it_is_empty_if_the_test_adds_a_deleted_user_again(self, api: Any) -> None:
        """After a DELETE request and `users.add` there is nothing to report."""
        user = api.tenant.users.add(user_id="auth0|1")
        api.delete(user.user_id)
        api.tenant.users.add(user_id="auth0|1")
        assert api.tenant.diff() == {}


def test_a_history_has_each_write(api: Any) -> None:
    """Each entry has the time, who wrote and what changed; entries are copies, the newest hundred, and reset removes them."""
    user = api.tenant.users.add(user_metadata={"n": 0})
    api.patch(user.user_id, {"user_metadata": {"n": 1}})
    user.patch(user_metadata={"n": 2})
    first, second = user.history
    assert (first.by, second.by) == ("PATCH /api/v2/users/{id}", "tenant.users")
    assert (first.changed, first.time) == ({"user_metadata.n": (0, 1)}, 1_800_000_000.0)
    assert second.before == first.after
    assert first.after is not None
    first.after["user_metadata"]["n"] = 99
    assert user.history[0].changed == {"user_metadata.n": (0, 1)}
    for number in range(150):
        user.patch(user_metadata={"n": number})
    assert len(user.history) == 100
    user.delete()
    user.delete()
    assert user.history[-1].after is None
    api.tenant.reset()
    assert user.history == []


class TestTheAssertion:
    """`journal.assert_called` finds a request, or names the nearest ones."""

    @pytest.fixture
    def journal(self, api: Any) -> Any:
        """Make a journal of three requests for two users."""
        users = [api.tenant.users.add(user_id=f"auth0|{n}") for n in (1, 2)]
        api.patch(users[0].user_id, {"app_metadata": {"plan": "free"}})
        api.patch(users[0].user_id, {"app_metadata": {"plan": "free"}})
        api.get(users[1].user_id)
        return api.tenant.journal

    def test_it_passes_for_requests_that_came(self, journal: Any) -> None:
        """Any criteria may be combined; the number is at least one or exactly `times`."""
        body = {"app_metadata": {"plan": "free"}}
        journal.assert_called("patch", "/api/v2/users/{id}", json=body, times=2)
        journal.assert_called("PATCH", user_id="auth0|1", status=200)
        journal.assert_called("GET", "/api/v2/users/", json=None)
        journal.assert_called("DELETE", times=0)
        journal.assert_called()

    def test_it_names_near_misses(self, journal: Any) -> None:
        """The nearest requests come first, with what was expected and what was found."""
        with pytest.raises(AssertionError) as caught:
            journal.assert_called(
                "PATCH", "/api/v2/users/{id}", json={"app_metadata": {"plan": "pro"}}, times=1
            )
        lines = str(caught.value).splitlines()
        assert lines[0] == (
            "expected 1 matching (method='PATCH', path='/api/v2/users/{id}', json={'app_metadata': {'plan': 'pro'}}), "
            "but the journal has 0"
        )
        assert lines[1:3] == [
            "  near miss: PATCH /api/v2/users/auth0%7C1 -> 200",
            "    json.app_metadata.plan: expected 'pro', got 'free'",
        ]
        assert "    method: expected 'PATCH', got 'GET'" in lines

    def test_it_names_what_differs(self, journal: Any) -> None:
        """It names user, status and path too."""
        with pytest.raises(AssertionError, match=r"expected 'auth0\|3', got 'auth0\|1'"):
            journal.assert_called("PATCH", user_id="auth0|3")
        with pytest.raises(AssertionError, match="status: expected 500, got 200"):
            journal.assert_called("PATCH", status=500)
        with pytest.raises(AssertionError, match="path: expected '/oauth/token'"):
            journal.assert_called(path="/oauth/token")
        with pytest.raises(AssertionError, match="at least one matching"):
            journal.assert_called("PATCH", json=None)

    def test_too_many_requests_fail_it_too(self, journal: Any) -> None:
        """With `times` the number is exact, and requests that match are not near misses."""
        with pytest.raises(AssertionError, match=r"expected 1 matching .* but the journal has 2"):
            journal.assert_called("PATCH", times=1)

    def test_it_says_if_the_journal_is_empty(self) -> None:
        """There are no near misses then."""
        with pytest.raises(AssertionError, match="the journal is empty"):
            LocalTenant(serve=False).journal.assert_called("PATCH")
