"""The executor of daemon threads that migrations and logins share."""

from __future__ import annotations

import threading

from auth0_meta.threads.daemons import Threads

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


def test_calls_run_ahead_of_one_that_takes_long() -> None:
    """Results come in order; while the first one is awaited, so many are begun or done, and the caller hears that it waits."""
    threads = Threads(3, name=NAME)
    gate, done, idled = threading.Event(), [], []

    def call(n: int) -> int:
        if n == 0:
            gate.wait(60)
        done.append(n)
        return n

    def idle(_: float) -> None:
        idled.append(sorted(done))
        gate.set()

    results = threads.in_order(call, range(30), at_once=lambda n: False, ahead=10, idle=idle)
    assert list(results) == list(range(30))
    assert idled[0] == list(range(1, 10))
    threads.shutdown()
