"""Give the only access to time; everything else takes a `Clock`.

`auth0_meta.testing.FakeClock` follows the same protocol and moves only when told or slept on.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Describe what the package needs of time: two readings and two ways to wait."""

    def time(self) -> float:
        """Return seconds since the epoch by the local clock, which may be wrong or step."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""
        ...

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait on a held condition for at most `seconds` (None: until notified); True if notified."""
        ...


class SystemClock:
    """Read the machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    time = staticmethod(time.time)  # last: from here on the name is shadowed

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait on `condition`, which the caller holds, for at most `seconds`; True if notified."""
        return condition.wait(seconds)


SYSTEM_CLOCK: Clock = SystemClock()
