"""Interrupts by real signals, and cancellations, at any instant of a login: the lock is released.

The instants are random, and what is asserted holds at each of them, so a busy machine changes nothing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from support.logins import Login, ThreadLock

from auth0_meta import ActionTimeout, ManagementClient, RateLimitError
from auth0_meta.actions import Event, LoginOutcome, PostLoginTrigger, post_login
from auth0_meta.emulator import LocalTenant
from auth0_meta.threads import daemons

INTERRUPTS = 80

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no interval timers")


class SoftTimeLimit(Exception):
    """What a task queue raises in the main thread, at any instant."""


@pytest.fixture(autouse=True)
def _nothing_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't log: pytest would keep the interrupts, and the sockets in their frames, past the test that expects them."""
    monkeypatch.setattr(logging.getLogger("auth0_meta.actions"), "disabled", True)


@contextmanager
def raising(error: type[BaseException]) -> Iterator[Callable[[float], object]]:
    """Return a function that raises `error` in this thread after some seconds; 0 calls that off."""

    def handler(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def tenant() -> Iterator[LocalTenant]:
    """Return a tenant with one user for each login, since an update that was interrupted may arrive late."""
    with LocalTenant() as tenant:
        for mark in range(INTERRUPTS):
            tenant.users.add(user_id=user(mark))
        yield tenant


def user(mark: int) -> str:
    """Return the id of the user who logs in."""
    return f"auth0|{mark}"


def with_run(client: ManagementClient, mark: int, lock: Any) -> LoginOutcome:
    """Log in with a synchronous action."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("mark", mark)

    return PostLoginTrigger(client, [action], lock=lock).run(Event.from_claims({"sub": user(mark)}))


def with_own_loop(client: ManagementClient, mark: int, lock: Any) -> LoginOutcome:
    """Log in with an async action."""

    async def action(event: Any, api: Any) -> None:
        await asyncio.sleep(0)
        api.user.set_app_metadata("mark", mark)

    return PostLoginTrigger(client, [action], lock=lock).run(Event.from_claims({"sub": user(mark)}))


def with_block(client: ManagementClient, mark: int, lock: Any) -> LoginOutcome:
    """Log in with a block."""
    with post_login(client, Event.from_claims({"sub": user(mark)}), lock=lock) as api:
        api.user.set_app_metadata("mark", mark)
    assert api.outcome is not None
    return api.outcome


# An interrupt leaves sockets and loops to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SoftTimeLimit])
@pytest.mark.parametrize("log_in", [with_run, with_own_loop, with_block])
def test_an_interrupt_at_any_instant_leaves_no_lock_behind(
    tenant: LocalTenant,
    log_in: Callable[..., LoginOutcome],
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it strikes, the user can log in again; and the outcome, if there is one, is true."""
    # An interrupt that strikes in a finalizer is not raised, and pytest would report it.
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)
    outcomes: dict[int, LoginOutcome] = {}
    for mark in range(INTERRUPTS):
        tenant.users[user(mark)].patch(app_metadata={"mark": None})
    instants, lock, took = random.Random(5), threading.Lock(), 0.0
    with raising(error) as raise_in:
        for mark in range(INTERRUPTS):
            # A client of its own: an interrupt may leave a lock of the connection pool's held.
            with tenant.client(token="any.given.token") as client:
                began = time.perf_counter()
                try:
                    try:
                        if mark:
                            raise_in(instants.random() * took * 1.3 + 1e-6)
                        outcomes[mark] = log_in(client, mark, lambda user_id: lock)
                    finally:
                        raise_in(0)
                except BaseException:  # noqa: BLE001, S110  # whatever asyncio and others make of it at that instant
                    pass
                took = took or time.perf_counter() - began
            assert lock.acquire(blocking=False), f"the lock is kept after interrupt {mark}"
            lock.release()
    gc.collect()
    for mark, outcome in outcomes.items():
        said = outcome.commit.outcome if outcome.commit is not None else "failed"
        if said != "unknown":
            written = said in ("updated", "confirmed")
            assert tenant.users[user(mark)].app_metadata == ({"mark": mark} if written else {})
            assert written or not outcome.allowed


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_signal_handler_may_log_somebody_in_with_the_same_trigger(tenant: LocalTenant) -> None:
    """Whatever the login that it interrupts was doing; neither keeps the other waiting."""
    instants, inside, outcomes = random.Random(7), [False], []

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("mark", event.request.query["mark"])
        api.cache.set("mark", str(event.request.query["mark"]))

    with tenant.client(token="any.given.token") as client:
        trigger = PostLoginTrigger(client, [action])

        def log_in(mark: int) -> LoginOutcome:
            return trigger.run(Event.from_claims({"sub": user(mark)}, request={"query": {"mark": mark}}))

        def handler(*_: object) -> None:
            if not inside[0]:  # one at a time: a signal may come while this runs
                inside[0] = True
                outcomes.append(log_in(0))
                inside[0] = False

        before = signal.signal(signal.SIGALRM, handler)
        try:
            for mark in range(1, INTERRUPTS):
                signal.setitimer(signal.ITIMER_REAL, instants.random() * 0.004 + 1e-6)
                assert log_in(mark).allowed
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert outcomes
    assert all(outcome.allowed for outcome in outcomes)
    for mark in range(INTERRUPTS):
        assert tenant.users[user(mark)].app_metadata["mark"] == mark


class Cycle:
    """Garbage that does something when the collector finds it."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.do, self.me = do, self

    def __del__(self) -> None:
        self.do()


def test_a_finalizer_may_log_somebody_in_with_the_same_trigger(tenant: LocalTenant) -> None:
    """The garbage collector runs it in the middle of any call."""
    inside, outcomes = [False], []

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("mark", event.user.user_id)

    with tenant.client(token="any.given.token") as client:
        trigger = PostLoginTrigger(client, [action])

        def log_in() -> None:
            # Not in a thread of the tenant, which could not respond then.
            if threading.current_thread() is threading.main_thread() and not inside[0]:
                inside[0] = True
                outcomes.append(trigger.run(Event.from_claims({"sub": user(0)})))
                inside[0] = False

        threshold = gc.get_threshold()
        gc.set_threshold(20)
        try:
            for mark in range(1, INTERRUPTS // 2):
                Cycle(log_in)
                assert trigger.run(Event.from_claims({"sub": user(mark)})).allowed
        finally:
            gc.set_threshold(*threshold)
        gc.collect()
    assert outcomes
    assert all(outcome.allowed for outcome in outcomes)


@pytest.mark.parametrize("make", [ThreadLock, threading.RLock])
def test_a_cancellation_at_any_instant_leaves_no_lock_behind(tenant: LocalTenant, make: Any) -> None:
    """A lock that belongs to a thread is released by it; once the cancellation is through, another login can have it."""
    instants, lock = random.Random(5), make()

    def is_free() -> bool:
        one = getattr(lock, "lock", lock)
        return bool(one.acquire(blocking=False)) and one.release() is None

    async def main(client: ManagementClient) -> None:
        took = 0.0
        for mark in range(INTERRUPTS):

            async def action(event: Any, api: Any, mark: int = mark) -> None:
                await asyncio.sleep(0.001)
                api.user.set_app_metadata("mark", mark)

            trigger = PostLoginTrigger(client, [lambda event, api: None, action], lock=lambda user_id: lock)
            began = time.perf_counter()
            login = asyncio.ensure_future(trigger.arun(Event.from_claims({"sub": user(mark)})))
            await asyncio.wait({login}, timeout=instants.random() * took if mark else None)
            login.cancel()
            (outcome,) = await asyncio.gather(login, return_exceptions=True)
            assert isinstance(outcome, LoginOutcome | asyncio.CancelledError)
            took = took or time.perf_counter() - began
            assert is_free(), f"the lock is kept after cancellation {mark}"

    with tenant.client(token="any.given.token") as client:
        asyncio.run(main(client))


def test_an_interrupt_that_strikes_while_the_thread_of_a_login_starts_leaves_no_lock_behind(
    tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is running by then and has taken the lock; it is also the one that releases it."""

    class Interrupted(threading.Thread):
        def start(self) -> None:
            super().start()
            assert taken.wait(60)
            raise KeyboardInterrupt

    class Seen(ThreadLock):
        def __enter__(self) -> None:
            super().__enter__()
            taken.set()

    taken, lock = threading.Event(), Seen()
    monkeypatch.setattr(daemons, "threading", SimpleNamespace(Thread=Interrupted))
    with tenant.client(token="any.given.token") as client:
        trigger = PostLoginTrigger(client, [stage], lock=lambda user_id: lock)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(trigger.arun(Event.from_claims({"sub": user(0)})))
        assert lock.lock.acquire(timeout=60)


def test_a_login_whose_loop_is_given_up_leaves_no_lock_behind(tenant: LocalTenant) -> None:
    """Nobody awaits it any more: the thread that took the lock releases it when the login is forgotten."""
    lock = threading.RLock()

    async def endless(event: Any, api: Any) -> None:
        reached.append(1)
        await asyncio.sleep(3600)

    reached: list[int] = []
    loop = asyncio.new_event_loop()
    with tenant.client(token="any.given.token") as client:
        trigger = PostLoginTrigger(client, [endless], lock=lambda user_id: lock, budget=3600)
        login = trigger.arun(Event.from_claims({"sub": user(0)}))
        task = loop.create_task(login)
        while not reached:
            loop.run_until_complete(asyncio.sleep(0.001))
        assert not lock.acquire(blocking=False)
        login.close()
        assert lock.acquire(timeout=30)
        lock.release()
        for left in (task, *asyncio.all_tasks(loop)):
            left.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()


def test_an_interrupt_that_asyncio_swallows_ends_the_login_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It struck in a callback of asyncio's own, which then does not wake the action, and asyncio would only log it."""

    def wake(*_: object) -> None:
        raise SoftTimeLimit

    wake.__module__ = "asyncio.futures"

    async def action(event: Any, api: Any) -> None:
        monkeypatch.setattr(asyncio.futures, "_set_result_unless_cancelled", wake)
        # An error in a callback of the action's own is only logged.
        asyncio.get_running_loop().call_soon(int, "none")
        await asyncio.sleep(0.01)

    login, lock = Login(), threading.Lock()
    outcome = login.run(action, stage, lock=lambda user_id: lock, budget=3600)
    assert isinstance(outcome.error, SoftTimeLimit)
    assert (login.bodies, lock.locked()) == ([], False)


def test_an_interrupt_in_the_entry_of_a_lock_leaves_it_free_even_if_the_error_is_kept() -> None:
    """A @contextmanager whose generator has got as far as its yield holds the lock; its `with` block never begins."""
    login, lock = Login(), threading.Lock()

    @contextmanager
    def locked() -> Iterator[None]:
        with lock:
            yield

    class Interrupted:
        """What `with` sees if the interrupt strikes right after the generator's yield."""

        def __init__(self) -> None:
            self.inner = locked()
            self.gen = self.inner.gen  # type: ignore[attr-defined]

        def __enter__(self) -> None:
            self.inner.__enter__()
            raise SoftTimeLimit

        def __exit__(self, *_: object) -> None:
            raise AssertionError

    outcome = login.run(stage, lock=lambda user_id: Interrupted())
    assert isinstance(outcome.error, SoftTimeLimit)
    assert not lock.locked()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SoftTimeLimit])
def test_an_interrupted_callback_ends_the_login_and_holds_nothing(error: type[BaseException]) -> None:
    """An interrupt that strikes in `on_wait` is raised, or the login's error; the next login is not kept waiting."""

    def interrupted(wait: Any) -> None:
        raise error

    login, lock = Login(on_wait=interrupted), threading.Lock()
    trigger = login.trigger(stage, lock=lambda user_id: lock)
    login.tenant.fail(method="GET", status=429, reset=2)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            trigger.run(login.event())
    else:
        assert isinstance(trigger.run(login.event()).error, error)
    assert not lock.locked()
    login.clock.sleep(10.0)
    assert trigger.run(login.event()).allowed


def test_a_callback_may_use_the_trigger_and_its_time_counts() -> None:
    """`on_wait` may log somebody else in; if it takes longer than the budget, the login is not allowed."""
    outcomes: list[LoginOutcome] = []
    other = "auth0|other"

    def on_wait(wait: Any) -> None:
        if wait.user_id != other:
            outcomes.append(trigger.run(Event.from_claims({"sub": other})))
            login.clock.sleep(takes)

    login = Login(on_wait=on_wait)
    login.tenant.users.add(user_id=other)
    trigger = login.trigger(stage)
    for takes in (0.0, 20.0):
        login.write(app_metadata={"a": None})
        login.tenant.fail(method="PATCH", status=429, reset=2)
        outcome = trigger.run(login.event())
        assert outcome.allowed == (not takes)
        assert isinstance(outcome.error, ActionTimeout | RateLimitError | None)
    assert len(outcomes) == 2
    assert all(outcome.allowed for outcome in outcomes)


def stage(event: Any, api: Any) -> None:
    """Stage one key."""
    api.user.set_app_metadata("a", 1)
