"""The executor of daemon threads that migrations and logins share."""

from __future__ import annotations

import threading

from auth0_meta.threads import Threads

NAME = "auth0-meta-test"


def running() -> list[threading.Thread]:
    """Return the threads of this test that are running."""
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_threads_end_when_nobody_has_them_any_more() -> None:
    """An interrupt may have kept their owner from shutting them down."""
    threads = Threads(3, name=NAME)
    gate = threading.Event()
    calls = [threads.submit(gate.wait, 60) for _ in range(3)]
    left = running()
    assert len(left) == 3
    gate.set()
    assert all(call.result() for call in calls)
    del threads
    for thread in left:
        thread.join(60)
    assert running() == []
