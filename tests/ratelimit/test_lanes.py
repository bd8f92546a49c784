"""The places in front of a bucket, and the bells that those who wait there listen to."""

from __future__ import annotations

import math
import threading

from auth0_meta.ratelimit.lanes import Bell

AT_LAST = 10.0
"""Seconds after which a thread that waits has been forgotten."""


def test_a_bell_that_has_rung_ends_one_wait() -> None:
    """However often it rang; the longest wait is longer than a lock can wait, and none at all ends at once too."""
    bell = Bell()
    for timeout in (0.0, math.inf, None):
        bell.notify()
        bell.notify()
        assert bell.wait(timeout)
        assert not bell.wait(0.0)


def test_a_wait_without_an_end_ends_with_the_bell() -> None:
    """A thread that waits is woken, and nothing else wakes it."""
    bell, woken = Bell(), threading.Event()

    def listen() -> None:
        if bell.wait():
            woken.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert not woken.wait(0.05)
    bell.notify()
    assert woken.wait(AT_LAST)
    thread.join()
