"""Sync actions, async actions and both together have the same effect, in a running loop and outside one."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import Consent, Login, ThreadLock

from auth0_meta import ActionTimeout, InputError, StateError
from auth0_meta.actions import Event, LoginOutcome

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def async_stage(event: Any, api: Any) -> None:
    """Stage after yielding to the loop."""
    await asyncio.sleep(0)
    api.user.set_app_metadata("async", len(event.user.app_metadata))


def sync_stage(event: Any, api: Any) -> None:
    """Stage without awaiting anything."""
    api.user.set_app_metadata("sync", len(event.user.app_metadata))


def with_run(login: Login, *actions: Any, **settings: Any) -> LoginOutcome:
    """Run in a thread without a loop."""
    return login.run(*actions, **settings)


def with_arun(login: Login, *actions: Any, **settings: Any) -> LoginOutcome:
    """Run in a running loop."""
    return asyncio.run(login.trigger(*actions, **settings).arun(login.event()))


both = pytest.mark.parametrize("run", [with_run, with_arun])


@both
def test_sync_and_async_actions_run_in_order(run: Any) -> None:
    """Each sees what earlier ones staged, and all of it is one PATCH."""
    login = Login()
    assert run(login, sync_stage, async_stage, sync_stage).allowed
    assert login.bodies == [{"app_metadata": {"sync": 2, "async": 1}}]


@both
def test_an_exception_in_an_async_action_is_a_failure(run: Any) -> None:
    """It discards what is staged and is the outcome's error."""
    login = Login()

    async def fail(event: Any, api: Any) -> None:
        raise LookupError

    outcome = run(login, sync_stage, fail)
    assert isinstance(outcome.error, LookupError)
    assert login.sent == []


@both
def test_an_async_action_past_the_budget_is_cancelled(run: Any) -> None:
    """It receives a CancelledError; nothing is written, and later actions don't run."""
    login, log = Login(), []

    async def endless(event: Any, api: Any) -> None:
        api.user.set_app_metadata("a", 1)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    outcome = run(login, sync_stage, endless, lambda event, api: log.append("late"), budget=0.02)
    assert isinstance(outcome.error, ActionTimeout)
    assert (log, login.sent) == (["cancelled"], [])


@both
def test_a_spent_budget_discards_everything_whatever_the_options_say(run: Any) -> None:
    """Once the budget is spent, nothing is written, not even what earlier actions staged."""
    login = Login()

    async def endless(event: Any, api: Any) -> None:
        await asyncio.sleep(60)

    outcome = run(login, sync_stage, endless, budget=0.02, error_discards="this")
    assert isinstance(outcome.error, ActionTimeout)
    assert (outcome.staged, login.sent) == ({}, [])


def test_an_action_that_fails_while_it_is_cancelled_is_still_a_timeout() -> None:
    """The loop does not report its exception as never retrieved."""
    login, reported = Login(), []

    async def untidy(event: Any, api: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise LookupError

    async def main() -> LoginOutcome:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        return await login.trigger(untidy, budget=0.02).arun(login.event())

    assert isinstance(asyncio.run(main()).error, ActionTimeout)
    gc.collect()
    assert reported == []


@both
def test_an_action_that_cancels_itself_has_failed(run: Any) -> None:
    """It does not look as if the whole login had been cancelled."""
    login = Login()

    async def odd(event: Any, api: Any) -> None:
        raise asyncio.CancelledError

    outcome = run(login, sync_stage, odd)
    assert isinstance(outcome.error, StateError)
    assert UID in str(outcome.error)
    assert login.sent == []


@both
def test_a_callable_object_may_be_async(run: Any) -> None:
    """An async `__call__` makes an async action."""
    login = Login()

    class Action:
        async def __call__(self, event: Any, api: Any) -> None:
            await async_stage(event, api)

    assert run(login, Action()).allowed
    assert login.app_metadata == {"async": 0}


@both
def test_an_awaitable_that_nothing_awaits_is_an_error(run: Any) -> None:
    """Otherwise a plain function that returns a coroutine or a future would silently do nothing."""
    login = Login()

    class Later:
        def __await__(self) -> Any:
            raise AssertionError

    def forgetful(event: Any, api: Any) -> Any:
        return async_stage(event, api)

    for action in (forgetful, lambda event, api: Later()):
        outcome = run(login, action)
        assert isinstance(outcome.error, InputError)
        assert "async function" in str(outcome.error)


def test_sync_actions_do_not_load_asyncio() -> None:
    """It is slow to import, and only async actions need it."""
    code = """
import sys
from auth0_meta import ManagementClient
from auth0_meta.actions import Event, PostLoginTrigger
client = ManagementClient("http://127.0.0.1:1", token="never.sent.anywhere")
event = Event.from_profile({"user_id": "auth0|1"})
assert PostLoginTrigger(client, [lambda event, api: None]).run(event).allowed
assert "asyncio" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_run_inside_a_loop_points_to_arun() -> None:
    """`run` can't await there; sync actions can be run anywhere."""
    login = Login()

    async def inside() -> LoginOutcome:
        with pytest.raises(StateError, match="arun"):
            login.run(async_stage)
        return login.run(sync_stage)

    assert asyncio.run(inside()).allowed
    assert login.sent == ["PATCH"]


def test_async_actions_of_one_run_share_a_loop_and_leave_nothing_behind() -> None:
    """The next action can use what one has opened on the loop; leftover tasks are cancelled."""
    login, loops, log = Login(), [], []

    async def background() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            log.append("cancelled")

    async def action(event: Any, api: Any) -> None:
        loops.append(asyncio.get_running_loop())
        loops.append(asyncio.create_task(background()))
        await asyncio.sleep(0)

    assert login.run(action, action).allowed
    assert loops[0] is loops[2]
    assert loops[0].is_closed()
    assert log == ["cancelled", "cancelled"]


def test_sync_actions_run_in_the_callers_thread_outside_the_loop() -> None:
    """Code that looks for a running loop, or keeps something per thread, works as it does without async actions."""
    login, seen = Login(), []

    def action(event: Any, api: Any) -> None:
        seen.append(threading.get_ident())
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    assert login.run(async_stage, action).allowed
    assert seen == [threading.get_ident()]


def test_arun_does_not_block_the_loop() -> None:
    """Sync actions and the update run in one other thread, with the caller's context variables."""
    login, threads, ticks = Login(), [], []
    going = threading.Event()

    def action(event: Any, api: Any) -> None:
        threads.append(threading.get_ident())
        assert VARIABLE.get() == "caller"
        assert going.wait(5)
        api.user.set_app_metadata("a", 1)

    async def main() -> LoginOutcome:
        VARIABLE.set("caller")
        login.tenant.before("PATCH", UID, lambda _: threads.append(threading.get_ident()))
        running = asyncio.create_task(login.trigger(action, action).arun(login.event()))
        while not threads:
            await asyncio.sleep(0.001)
            ticks.append(1)
        going.set()
        return await running

    assert asyncio.run(main()).allowed
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    assert len(threads) == 3


def test_a_lock_that_belongs_to_a_thread_works_with_arun() -> None:
    """The same thread takes and releases it."""
    login, lock = Login(), ThreadLock()
    for _ in range(2):
        assert with_arun(login, sync_stage, async_stage, lock=lambda user_id: lock).allowed
    assert lock.lock.acquire(timeout=1)


def cancelled_at(
    login: Login, action: Callable[..., Any], started: threading.Event, log: list[Any], **settings: Any
) -> list[Any]:
    """Cancel a login once `started` is set; return what `log` contains when the cancellation is complete."""

    async def main() -> list[Any]:
        task = asyncio.create_task(login.trigger(action, **settings).arun(login.event()))
        while not started.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(log)

    return asyncio.run(main())


def test_cancelling_a_login_discards_and_releases_the_lock() -> None:
    """A client that disconnects during an async action leaves nothing behind: no PATCH, no lock, no task."""
    login, lock, started, ended = Login(), ThreadLock(), threading.Event(), []

    async def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("a", 1)
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    assert cancelled_at(login, action, started, ended, lock=lambda user_id: lock) == [1]
    assert login.sent == ["GET"]
    assert lock.lock.acquire(timeout=5)


def test_cancelling_during_a_sync_action_lets_it_finish() -> None:
    """A thread can't be stopped: the lock is released after it has ended, and nothing is written."""
    login, started, order = Login(), threading.Event(), []

    class Lock:
        def __enter__(self) -> None:
            order.append("enter")

        def __exit__(self, *args: object) -> None:
            order.append("exit")

    def action(event: Any, api: Any) -> None:
        started.set()
        threading.Event().wait(0.05)
        order.append("finished")

    seen = cancelled_at(login, action, started, order, lock=lambda user_id: Lock())
    assert (seen, login.sent) == (["enter", "finished", "exit"], ["GET"])


def test_redirects_work_with_async_actions() -> None:
    """`arun` and `aresume` do the same as `run` and `resume` with an async object."""

    class AsyncConsent(Consent):
        async def on_continue_post_login(self, event: Any, api: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            super().on_continue_post_login(event, api)

    async def in_a_loop(login: Login) -> LoginOutcome:
        trigger = login.trigger(AsyncConsent(), async_stage)
        outcome = await trigger.arun(login.event(), browser="b")
        assert outcome.redirect is not None
        return await trigger.aresume(outcome.redirect.state, query={"answer": "yes"}, browser="b")

    def without(login: Login) -> LoginOutcome:
        trigger = login.trigger(AsyncConsent(), async_stage)
        outcome = trigger.run(login.event(), browser="b")
        assert outcome.redirect is not None
        return trigger.resume(outcome.redirect.state, query={"answer": "yes"}, browser="b")

    for way in (lambda login: asyncio.run(in_a_loop(login)), without):
        login = Login()
        assert way(login).allowed
        assert login.app_metadata == {"asked": True, "consent": "yes", "async": 2}


def test_fifty_logins_in_one_loop() -> None:
    """What concurrent logins of one trigger stage is kept apart."""
    login = Login()
    users = [login.tenant.users.add() for _ in range(50)]

    async def action(event: Any, api: Any) -> None:
        await asyncio.sleep(0)
        api.user.set_app_metadata("me", event.user.user_id)

    async def main() -> list[LoginOutcome]:
        trigger = login.trigger(action)
        logins: list[Coroutine[Any, Any, LoginOutcome]] = [
            trigger.arun(Event.from_profile(dict(user))) for user in users
        ]
        return await asyncio.gather(*logins)

    assert all(outcome.allowed for outcome in asyncio.run(main()))
    assert [user.app_metadata for user in users] == [{"me": user.user_id} for user in users]
    assert login.tenant.journal.count("PATCH") == 50


def resumed_with_arun(login: Login, action: Any) -> LoginOutcome:
    """Send a user away, and run `action` when they come back."""

    class Away:
        def on_execute_post_login(self, event: Any, api: Any) -> None:
            api.redirect.send_user_to("https://example.com/")

        def on_continue_post_login(self, event: Any, api: Any) -> None:
            action(event, api)

    async def both_ways() -> LoginOutcome:
        trigger = login.trigger(Away())
        outcome = await trigger.arun(login.event())
        assert outcome.redirect is not None
        return await trigger.aresume(outcome.redirect.state)

    return asyncio.run(both_ways())


@pytest.mark.parametrize("run", [with_arun, resumed_with_arun])
def test_stop_iteration_in_a_sync_action_ends_the_login(run: Any) -> None:
    """A future can't hold one, so awaiting it must not take forever."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        next(iter([]))

    async def bounded() -> LoginOutcome:
        return await asyncio.wait_for(asyncio.to_thread(run, login, action), 20)

    assert isinstance(asyncio.run(bounded()).error, StopIteration)
    assert login.bodies == []


def test_run_does_not_wait_for_a_thread_that_an_action_left_behind() -> None:
    """The action is cancelled when the budget is spent; the thread it started can't be."""
    login, going, left = Login(), threading.Event(), threading.Event()

    def slow() -> None:
        going.wait(60)
        left.set()

    async def action(event: Any, api: Any) -> None:
        await asyncio.to_thread(slow)

    trigger = login.trigger(action, budget=0.05)
    assert isinstance(trigger.run(login.event()).error, ActionTimeout)
    assert not left.is_set()
    going.set()
    assert left.wait(20)
