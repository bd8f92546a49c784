"""Hold what concurrent logins keep, what they may lose, and that a lock closes it."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.emulator import LocalTenant

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
