"""The only access to time; everything else takes a `Clock`.

`auth0_meta.testing.FakeClock` follows the same protocol; it moves only when it is advanced or slept on.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

LOOK_AGAIN = 1.0
"""Seconds that one call may wait in C.  A signal that arrives just before it is handled only after it."""
CANCEL_POLL = 0.1
"""Seconds between two checks of the event that cancels a wait: neither a lock nor a sleep can wait for both."""


class Cancelled(Exception):  # a signal to whoever set the event, not an error
    """End a wait early because the caller's event was set; nothing was taken or sent."""


class Clock(Protocol):
    """What the package needs from a clock: two readings and two ways to wait."""

    def time(self) -> float:
        """Return seconds since the epoch by the local clock, which may be wrong or may step."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps."""

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait on a held condition for at most `seconds` (None: until notified); return whether it was notified."""


class SystemClock:
    """Read the machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""
        end = time.monotonic() + seconds
        time.sleep(min(seconds, LOOK_AGAIN))
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_AGAIN))

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait on `condition`, which the caller holds, for at most `seconds`; return whether it was notified."""
        left = math.inf if seconds is None else seconds
        end = time.monotonic() + left
        while not (notified := condition.wait(min(left, LOOK_AGAIN))):
            left = end - time.monotonic()
            if left <= 0:
                break
        return notified


SYSTEM_CLOCK: Clock = SystemClock()
