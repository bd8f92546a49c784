"""What a trigger keeps between logins is usable in a forked child, and from code that interrupts it in its own thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.forks import in_child
from support.scripted_server import Reply, ScriptedServer

from auth0_meta import ManagementClient
from auth0_meta.actions import Cache, Event, MemoryStates, PostLoginTrigger
from auth0_meta.actions.web import SigningKeys
from auth0_meta.testing import FakeClock

KEYS = {"keys": [{"kid": "k", "kty": "RSA"}]}

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


class Pausing(FakeClock):
    """A clock that can do something before it tells the time, for example stop; only what is being tested reads it."""

    before: Callable[[], object] | None = None

    def time(self) -> float:
        """Do it once, then tell the time."""
        before, self.before = self.before, None
        if before is not None:
            before()
        return super().time()


@posix
def test_a_child_can_use_a_cache_that_a_thread_of_its_parent_was_using() -> None:
    """Its lock is new, and what was cached is there."""
    clock, inside, go_on = Pausing(), threading.Event(), threading.Event()
    cache = Cache(clock)
    assert cache.set("key", "value").type == "success"

    def stop() -> None:
        inside.set()
        assert go_on.wait(60)

    clock.before = stop
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(cache.get, "key")
        try:
            assert inside.wait(60)
            result = in_child(lambda: f"{cache.get('key')} {cache.set('other', 'x').type}")
        finally:
            go_on.set()
        assert result == f"{busy.result(60)} success"


@posix
def test_a_child_forked_while_the_keys_are_fetched_fetches_its_own() -> None:
    """The thread that fetches is the parent's alone, and so is its lock."""
    fetching, go_on = threading.Event(), threading.Event()

    def respond(seen: Any) -> Reply:
        if not fetching.is_set():
            fetching.set()
            assert go_on.wait(60)
        return Reply(200, KEYS)

    with (
        ScriptedServer(respond) as server,
        ManagementClient(server.url, token="any.given.token") as client,
        ThreadPoolExecutor(1) as threads,
    ):
        keys = SigningKeys(client)
        busy = threads.submit(keys.get, "k")
        try:
            assert fetching.wait(60)
            result = in_child(lambda: str(keys.get("k")["kty"]))
        finally:
            go_on.set()
        assert result == busy.result(60)["kty"] == "RSA"


@posix
def test_a_child_forked_in_the_middle_of_a_login_can_log_users_in() -> None:
    """A thread of the parent is waiting for the user's profile, with connections and caches of the trigger in use."""
    reading, go_on = threading.Event(), threading.Event()

    def respond(seen: Any) -> Reply:
        if seen.path.endswith("%7C1") and not reading.is_set():
            reading.set()
            assert go_on.wait(60)
        return Reply(200, {"user_id": seen.path.rpartition("/")[2].replace("%7C", "|")})

    def action(event: Any, api: Any) -> None:
        api.cache.set("last", event.user.user_id)
        api.user.set_app_metadata("a", 1)

    with (
        ScriptedServer(respond) as server,
        ManagementClient(server.url, token="any.given.token") as client,
        ThreadPoolExecutor(1) as threads,
    ):
        trigger = PostLoginTrigger(client, [action])
        busy = threads.submit(trigger.run, Event.from_claims({"sub": "auth0|1"}))
        try:
            assert reading.wait(60)
            result = in_child(lambda: str(trigger.run(Event.from_claims({"sub": "auth0|2"})).allowed))
        finally:
            go_on.set()
        assert result == str(busy.result(60).allowed) == "True"


@posix
def test_a_child_can_take_a_login_that_was_suspended_before_the_fork() -> None:
    """Whatever the threads of the parent were doing with the store."""
    states, ended = MemoryStates(), threading.Event()
    states.put("a", "1", expires_at=10.0, now=0.0)

    def put_and_take() -> None:
        while not ended.is_set():
            states.put("b", "2", expires_at=10.0, now=0.0)
            states.take("b", now=1.0)

    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(put_and_take)
        try:
            results = {in_child(lambda: str(states.take("a", now=1.0))) for _ in range(10)}
        finally:
            ended.set()
        busy.result(60)
    assert results == {"1"}


def test_code_that_interrupts_a_cache_may_use_it() -> None:
    """A signal handler or a finalizer runs in the middle of any call, in the same thread."""
    clock = Pausing()
    cache = Cache(clock)
    assert cache.set("a", "1", ttl_ms=1000).type == "success"
    clock.advance(2.0)
    for call in (lambda: cache.get("a"), lambda: cache.delete("a"), lambda: cache.set("b", "2")):
        clock.before = lambda: cache.get("a")
        within_a_minute(call)
    assert cache.get("b") is not None


def test_code_that_interrupts_a_fetch_of_keys_may_need_a_key() -> None:
    """It fetches for itself."""
    clock = Interrupted()
    with (
        ScriptedServer(Reply(200, KEYS)) as server,
        ManagementClient(server.url, token="any.given.token", clock=clock) as client,
    ):
        keys = SigningKeys(client)
        clock.before = lambda: keys.get("k")
        within_a_minute(lambda: keys.get("k"))
        assert keys.get("k") == KEYS["keys"][0]


class Interrupted(FakeClock):
    """A clock whose monotonic reading is interrupted once."""

    before: Callable[[], object] | None = None

    def monotonic(self) -> float:
        """Do it once, then tell the time."""
        before, self.before = self.before, None
        if before is not None:
            before()
        return super().monotonic()


def within_a_minute(call: Callable[[], object]) -> None:
    """Call a function in a thread, and fail if it does not return."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
