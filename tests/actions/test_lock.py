"""The lock of a trigger: when it is held, how it fails, and what concurrent logins lose without it."""

from __future__ import annotations

import asyncio
import linecache
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Login, state_of

from auth0_meta import ActionTimeout, MetadataWarning
from auth0_meta.actions import Event, MemoryStates, PostLoginTrigger
from auth0_meta.emulator import LocalTenant


def stage(key: str, value: Any = 1) -> Any:
    """Return an action that stages one key."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata(key, value)

    return action


def fail(event: Any, api: Any) -> None:
    """Stage, and raise."""
    api.user.set_app_metadata("lost", 1)
    raise LookupError("broken")


class Lock:
    """A lock that logs when it is held, and fails if asked to."""

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
    """The user is read again under the lock, because the event may be out of date."""
    login, lock = Login(None, {"log": [1]}), Lock()
    event = login.event()
    login.write(app_metadata={"log": [1, 2]})
    user_ids: list[str] = []

    def lock_for(user_id: str) -> Lock:
        user_ids.append(user_id)
        return lock

    def append(event: Any, api: Any) -> None:
        assert lock.log == ["enter"]
        api.user.set_app_metadata("log", [*event.user.app_metadata["log"], 3])

    login.tenant.before("PATCH", UID, lambda _: lock.log.append("PATCH"))
    outcome = login.trigger(append, lock=lock_for).run(event)
    assert outcome.allowed
    assert login.app_metadata == {"log": [1, 2, 3]}
    assert (login.sent, lock.log, user_ids) == (["GET", "PATCH"], ["enter", "PATCH", "exit"], [UID])


@pytest.mark.parametrize("ending", ["action fails", "read fails", "interrupted"])
def test_the_lock_is_released_whatever_happens(ending: str) -> None:
    """A failure during the login leaves no lock behind."""
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


def test_a_lock_that_cannot_be_taken_fails_the_login() -> None:
    """Without the lock, nothing is read or written."""
    login, lock = Login(), Lock(fail_at="enter")
    outcome = login.run(stage("a"), lock=lambda user_id: lock)
    assert isinstance(outcome.error, LookupError)
    assert (login.sent, lock.log) == ([], ["enter"])


@pytest.mark.parametrize("action", [stage("a"), lambda event, api: None], ids=["updated", "unchanged"])
def test_a_lock_that_fails_on_release_does_not_change_the_outcome(action: Any) -> None:
    """Its lease may have expired, but what was written is written: the outcome says so, and a warning is given."""
    login, lock = Login(), Lock(fail_at="exit")
    with pytest.warns(MetadataWarning, match="LookupError") as warned:
        outcome = login.run(action, lock=lambda user_id: lock)
    assert (outcome.allowed, outcome.error, outcome.lock_lost) == (True, None, True)
    assert outcome.staged == ({"app_metadata": login.app_metadata} if login.app_metadata else {})
    assert UID in str(warned[0].message)
    assert outcome.commit is not None
    assert outcome.commit.lock_lost
    assert "lock lost" in repr(outcome)
    assert not login.run(action).lock_lost


def _run(trigger: PostLoginTrigger, event: Event) -> None:
    trigger.run(event)  # here


def _arun(trigger: PostLoginTrigger, event: Event) -> None:
    asyncio.run(trigger.arun(event))  # here


def _await(trigger: PostLoginTrigger, event: Event) -> None:
    async def main() -> None:
        await trigger.arun(event)  # here

    asyncio.run(main())


def _gather(trigger: PostLoginTrigger, event: Event) -> None:
    async def main() -> None:
        await asyncio.gather(trigger.arun(event))  # here

    asyncio.run(main())


def _cancel(trigger: PostLoginTrigger, event: Event) -> None:
    async def main() -> None:
        login = asyncio.create_task(trigger.arun(event))  # here
        while not (login.done() or _begun.is_set()):
            await asyncio.sleep(0.01)
        login.cancel()
        await asyncio.wait([login])

    asyncio.run(main())


_begun = threading.Event()


async def _long(event: Any, api: Any) -> None:
    _begun.set()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("way", [_run, _arun, _await, _gather, _cancel])
@pytest.mark.parametrize("action", [stage("a"), _long], ids=["sync", "async"])
def test_the_warning_of_a_lost_lock_points_at_the_callers_line(
    way: Callable[[PostLoginTrigger, Event], None], action: Any
) -> None:
    """That is the line that ran the login, or made the task that does, and never a line of the standard library."""
    login = Login()
    _begun.clear()
    trigger = login.trigger(action, lock=lambda user_id: Lock(fail_at="exit"))
    with pytest.warns(MetadataWarning, match="LookupError") as warned:
        way(trigger, login.event())
    (warning,) = warned
    assert warning.filename == __file__
    assert linecache.getline(__file__, warning.lineno).endswith("# here\n")


def test_the_warning_of_a_lost_lock_after_a_redirect_points_at_the_callers_line() -> None:
    """The same with `aresume`."""
    login, states = Login(), MemoryStates()
    outcome = login.run(Away(), states=states)
    trigger = login.trigger(Away(), states=states, lock=lambda user_id: Lock(fail_at="exit"))
    with pytest.warns(MetadataWarning, match="LookupError") as warned:
        asyncio.run(trigger.aresume(state_of(outcome)))  # here
    assert linecache.getline(__file__, warned[0].lineno).endswith("# here\n")


@pytest.mark.parametrize("way", [_run, _arun])
def test_a_warning_about_an_action_points_into_the_action(
    way: Callable[[PostLoginTrigger, Event], None],
) -> None:
    """It is not the caller of the login who reads what was just staged."""

    def read_back(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro")
        event.user.app_metadata.get("plan")  # here

    login = Login()
    with pytest.warns(MetadataWarning, match="plan") as warned:
        way(login.trigger(read_back, lock=lambda user_id: Lock()), login.event())
    assert linecache.getline(__file__, warned[0].lineno).endswith("# here\n")


@pytest.mark.filterwarnings("error")
def test_a_lost_lock_does_not_fail_a_login_whatever_the_warning_filters_are() -> None:
    """A warning that a filter turns into an error is dropped: the login was written."""
    login, lock = Login(), Lock(fail_at="exit")
    outcome = login.run(stage("a"), lock=lambda user_id: lock)
    assert (outcome.allowed, outcome.lock_lost, login.app_metadata) == (True, True, {"a": 1})


def test_an_error_stays_the_outcome_when_the_lock_is_lost_too() -> None:
    """Each is told by itself."""
    login, lock = Login(), Lock(fail_at="exit")
    with pytest.warns(MetadataWarning):
        outcome = login.run(fail, lock=lambda user_id: lock)
    assert isinstance(outcome.error, LookupError)
    assert (str(outcome.error), outcome.lock_lost) == ("broken", True)


def test_waiting_for_a_lock_counts_against_the_budget() -> None:
    """After 20 s of waiting for the lock, no time is left, and nothing is read."""
    login, lock = Login(), Lock()

    def lock_for(user_id: str) -> Lock:
        login.clock.sleep(20.0)
        return lock

    assert isinstance(login.run(stage("a"), lock=lock_for).error, ActionTimeout)
    assert (login.sent, lock.log) == ([], ["enter", "exit"])


class Away:
    """An action that stages something and sends the user away."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Redirect."""
        api.user.set_app_metadata("a", 1)
        api.redirect.send_user_to("https://example.com/")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Do nothing."""


def test_a_lost_lock_leaves_a_suspended_login_to_continue() -> None:
    """The redirect stands, and the login continues."""
    login, lock = Login(), Lock(fail_at="exit")
    trigger = login.trigger(Away(), lock=lambda user_id: lock)
    with pytest.warns(MetadataWarning):
        outcome = trigger.run(login.event())
    assert (outcome.error, outcome.lock_lost) == (None, True)
    with pytest.warns(MetadataWarning):
        assert trigger.resume(state_of(outcome)).allowed


class Slow(MemoryStates):
    """A store that takes longer than the budget."""

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store it, slowly."""
        super().put(key, data, expires_at=expires_at, now=now)
        self.clock.sleep(20.0)


def test_a_login_that_fails_after_it_was_suspended_is_not_suspended() -> None:
    """An outcome with an error has no redirect, and no suspended login is left."""
    login = Login()
    states = Slow(login.clock)
    outcome = login.run(Away(), states=states)
    assert isinstance(outcome.error, ActionTimeout)
    assert (outcome.redirect, outcome.allowed) == (None, False)
    assert outcome.staged == {"app_metadata": {"a": 1}}
    assert states._stored == {}


def test_a_suspended_login_that_cannot_be_withdrawn_is_reported_with_the_first_error() -> None:
    """If the store fails as well, the outcome has both errors."""

    class Broken(Slow):
        def take(self, key: str, *, now: float) -> str | None:
            raise OSError("gone")

    login = Login()
    outcome = login.run(Away(), states=Broken(login.clock))
    assert isinstance(outcome.error, OSError)
    assert isinstance(outcome.error.__context__, ActionTimeout)
    assert outcome.redirect is None


LOGINS = 50


def log_login(event: Any, api: Any) -> None:
    """Append to a list: a read-modify-write of one key."""
    api.user.set_app_metadata("log", [*event.user.app_metadata.get("log", ()), event.request.query["n"]])


def own_key(event: Any, api: Any) -> None:
    """Write a key that no other login writes."""
    api.user.set_user_metadata(f"k{event.request.query['n']}", 1)


def log_in_all(tenant: LocalTenant, user_ids: list[str], **settings: Any) -> None:
    """Log all users in at the same moment, each with a profile that was read before."""
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


def test_fifty_logins_of_fifty_users_lose_nothing() -> None:
    """Each has an entry and a PATCH."""
    with LocalTenant() as tenant:
        users = [tenant.users.add() for _ in range(LOGINS)]
        log_in_all(tenant, [user.user_id for user in users])
        assert [user.app_metadata for user in users] == [{"log": [str(n)]} for n in range(LOGINS)]
        assert tenant.journal.count("PATCH") == LOGINS
        assert tenant.journal.count("GET") == 0


def test_fifty_logins_of_one_user_lose_what_is_documented() -> None:
    """Keys that only one login writes survive; of the list that all write, the last version does."""
    with LocalTenant() as tenant:
        user = tenant.users.add(app_metadata={"other": 1})
        log_in_all(tenant, [user.user_id] * LOGINS)
        assert set(user.user_metadata) == {f"k{n}" for n in range(LOGINS)}
        assert user.app_metadata["other"] == 1
        assert len(user.app_metadata["log"]) == 1
        assert tenant.journal.count("PATCH") == LOGINS


def test_with_a_lock_nothing_is_lost() -> None:
    """With lock= the list has all 50 entries, because no login comes between another's read and write."""
    locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
    with LocalTenant() as tenant:
        user = tenant.users.add(app_metadata={"other": 1})
        log_in_all(tenant, [user.user_id] * LOGINS, lock=lambda user_id: locks[user_id])
        assert sorted(user.app_metadata["log"], key=int) == [str(n) for n in range(LOGINS)]
        assert set(user.user_metadata) == {f"k{n}" for n in range(LOGINS)}
        assert tenant.journal.count("PATCH") == LOGINS
