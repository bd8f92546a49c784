"""The lock of a trigger: when it is held, how it fails, and what concurrent logins lose without it."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Login

from auth0_meta import ActionTimeout
from auth0_meta.actions import Event, MemoryStates, PostLoginTrigger
from auth0_meta.emulator import LocalTenant


def stage(key: str, value: Any = 1) -> Any:
    """Make an action that stages one key."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata(key, value)

    return action


def fail(event: Any, api: Any) -> None:
    """Stage, and raise."""
    api.user.set_app_metadata("lost", 1)
    raise LookupError("broken")


class Lock:
    """Note when it is held; optionally fail."""

    def __init__(self, *, fail_at: str = "") -> None:
        self.log: list[str] = []
        self.fail_at = fail_at
        self.thread: int | None = None

    def __enter__(self) -> None:
        self.log.append("enter")
        self.thread = threading.get_ident()
        if self.fail_at == "enter":
            raise LookupError("lock")

    def __exit__(self, *args: object) -> None:
        self.log.append("exit")
        assert self.thread == threading.get_ident()
        if self.fail_at == "exit":
            raise LookupError("lease")


def test_a_lock_is_held_from_a_fresh_read_to_the_update() -> None:
    """The user is read again under the lock, as the event may be older than it."""
    login, lock = Login(None, {"log": [1]}), Lock()
    event = login.event()
    login.write(app_metadata={"log": [1, 2]})
    asked: list[str] = []

    def lock_for(user_id: str) -> Lock:
        asked.append(user_id)
        return lock

    def append(event: Any, api: Any) -> None:
        assert lock.log == ["enter"]
        api.user.set_app_metadata("log", [*event.user.app_metadata["log"], 3])

    login.tenant.before("PATCH", UID, lambda _: lock.log.append("PATCH"))
    outcome = login.trigger(append, lock=lock_for).run(event)
    assert outcome.allowed
    assert login.app_metadata == {"log": [1, 2, 3]}
    assert (login.sent, lock.log, asked) == (["GET", "PATCH"], ["enter", "PATCH", "exit"], [UID])


@pytest.mark.parametrize("ending", ["action fails", "read fails", "interrupted"])
def test_the_lock_is_given_back_whatever_happens(ending: str) -> None:
    """A failure in the flow leaves no lock behind."""
    login, lock = Login(), Lock()
    trigger = login.trigger(fail, lock=lambda user_id: lock)
    if ending == "read fails":
        login.tenant.fail(method="GET", status=400)
    if ending == "interrupted":

        def interrupted(event: Any, api: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            login.run(interrupted, lock=lambda user_id: lock)
    else:
        assert trigger.run(login.event()).error is not None
    assert lock.log == ["enter", "exit"]


def test_a_lock_that_can_not_be_had_fails_the_login() -> None:
    """Nothing is read or written without it."""
    login, lock = Login(), Lock(fail_at="enter")
    outcome = login.run(stage("a"), lock=lambda user_id: lock)
    assert isinstance(outcome.error, LookupError)
    assert (login.sent, lock.log) == ([], ["enter"])


def test_a_lock_that_ran_out_is_reported() -> None:
    """A lock that fails when it is given back may not have protected: the outcome says so."""
    login, lock = Login(), Lock(fail_at="exit")
    outcome = login.run(stage("a"), lock=lambda user_id: lock)
    assert isinstance(outcome.error, LookupError)
    assert not outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "updated"


def test_waiting_for_a_lock_uses_up_the_budget() -> None:
    """A lock that took 20 s leaves no time; nothing is read."""
    login, lock = Login(), Lock()

    def lock_for(user_id: str) -> Lock:
        login.clock.sleep(20.0)
        return lock

    assert isinstance(login.run(stage("a"), lock=lock_for).error, ActionTimeout)
    assert (login.sent, lock.log) == ([], ["enter", "exit"])


class Away:
    """Stage something and send the user away."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Go."""
        api.user.set_app_metadata("a", 1)
        api.redirect.send_user_to("https://example.com/")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Come back."""


def test_a_lock_that_ran_out_after_the_update_leaves_what_was_written() -> None:
    """The outcome does not say that what is stored was discarded."""
    login, lock = Login(), Lock(fail_at="exit")
    outcome = login.run(stage("a"), lock=lambda user_id: lock)
    assert (outcome.staged, login.app_metadata) == ({"app_metadata": {"a": 1}}, {"a": 1})


def test_a_login_that_fails_after_it_was_suspended_is_not_suspended() -> None:
    """There is no redirect beside an error, and nothing that could go on."""
    login, lock, states = Login(), Lock(fail_at="exit"), MemoryStates()
    outcome = login.run(Away(), lock=lambda user_id: lock, states=states)
    assert isinstance(outcome.error, LookupError)
    assert (outcome.redirect, outcome.allowed) == (None, False)
    assert outcome.staged == {"app_metadata": {"a": 1}}
    assert states._stored == {}


def test_a_suspended_login_that_can_not_be_taken_back_is_reported_with_what_came_before() -> None:
    """The store may fail as well; both errors are there."""

    class Broken(MemoryStates):
        def take(self, key: str, *, now: float) -> str | None:
            raise OSError("gone")

    login, lock = Login(), Lock(fail_at="exit")
    outcome = login.run(Away(), lock=lambda user_id: lock, states=Broken())
    assert isinstance(outcome.error, OSError)
    assert isinstance(outcome.error.__context__, LookupError)
    assert outcome.redirect is None


LOGINS = 50


def log_login(event: Any, api: Any) -> None:
    """Append to a list: a read-modify-write of one key."""
    api.user.set_app_metadata("log", [*event.user.app_metadata.get("log", ()), event.request.query["n"]])


def own_key(event: Any, api: Any) -> None:
    """Write a key that no other login writes."""
    api.user.set_user_metadata(f"k{event.request.query['n']}", 1)


def log_in_all(tenant: LocalTenant, user_ids: list[str], **settings: Any) -> None:
    """Log all users in at the same moment, each with what GET /users/{id} gave before."""
    with tenant.client() as client:
        trigger = PostLoginTrigger(client, [log_login, own_key], **settings)
        events = [
            Event.from_profile(dict(tenant.users[user_id]), request={"query": {"n": str(n)}})
            for n, user_id in enumerate(user_ids)
        ]
        barrier = threading.Barrier(LOGINS)

        def log_in(event: Event) -> bool:
            barrier.wait(30)
            return trigger.run(event).allowed

        with ThreadPoolExecutor(LOGINS) as pool:
            assert all(pool.map(log_in, events))


def test_fifty_users_lose_nothing() -> None:
    """50 logins of 50 users: each has its own entry, 1 PATCH each."""
    with LocalTenant() as tenant:
        users = [tenant.users.add() for _ in range(LOGINS)]
        log_in_all(tenant, [user.user_id for user in users])
        assert [user.app_metadata for user in users] == [{"log": [str(n)]} for n in range(LOGINS)]
        assert tenant.journal.count("PATCH") == LOGINS
        assert tenant.journal.count("GET") == 0


def test_fifty_logins_of_one_user_lose_what_is_documented() -> None:
    """Keys that one login writes all survive; the list that all write is the last writer's."""
    with LocalTenant() as tenant:
        user = tenant.users.add(app_metadata={"other": 1})
        log_in_all(tenant, [user.user_id] * LOGINS)
        assert set(user.user_metadata) == {f"k{n}" for n in range(LOGINS)}
        assert user.app_metadata["other"] == 1
        assert len(user.app_metadata["log"]) == 1
        assert tenant.journal.count("PATCH") == LOGINS


def test_a_lock_loses_nothing() -> None:
    """With lock= the list holds all 50 as well: read, change and write belong together."""
    locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
    with LocalTenant() as tenant:
        user = tenant.users.add(app_metadata={"other": 1})
        log_in_all(tenant, [user.user_id] * LOGINS, lock=lambda user_id: locks[user_id])
        assert sorted(user.app_metadata["log"], key=int) == [str(n) for n in range(LOGINS)]
        assert set(user.user_metadata) == {f"k{n}" for n in range(LOGINS)}
        assert tenant.journal.count("PATCH") == LOGINS
