"""A clock that can be frozen and advanced."""

from __future__ import annotations

import threading

from auth0_meta.clock import Clock
from auth0_meta.errors import InputError
from auth0_meta.redact import discreet

# datetime ends with the year 9999; leave room for lifetimes.
_END = 253_370_764_800.0


@discreet
class TenantClock:
    """A `Clock` that follows another clock, except that it can be frozen and advanced.

    Rate limits, expiry, `updated_at`, jobs and the search index all use it.  While it is frozen,
    `sleep` advances it and returns at once: pass it to your own code (a client from the tenant's
    `client()` has it), and a test of an hour's wait takes no time.  Thread-safe.

    >>> from auth0_meta.testing import FakeClock
    >>> clock = TenantClock(FakeClock(start=100.0))
    >>> clock.freeze()
    >>> clock.sleep(5); clock.advance(60); clock.time()
    165.0
    """

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._steady = 0.0
        self._frozen: tuple[float, float] | None = None

    def __repr__(self) -> str:
        return f"<TenantClock {'frozen' if self.frozen else 'running'} at {self.time()}>"

    @property
    def frozen(self) -> bool:
        """Return whether time stands still."""
        return self._frozen is not None

    @property
    def ahead(self) -> float:
        """Return by how many seconds it is ahead of the clock that it follows; negative if it is behind."""
        return self.time() - self._base.time()

    def time(self) -> float:
        """Return seconds since the epoch."""
        frozen = self._frozen
        return self._base.time() + self._ahead if frozen is None else frozen[0]

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        frozen = self._frozen
        return self._base.monotonic() + self._steady if frozen is None else frozen[1]

    def freeze(self, at: float | None = None) -> None:
        """Stop time at the epoch second `at` (None: now); if it is stopped already, move it there.

        Raises `InputError` for a time before 1970 or after the year 9998.
        """
        if at is not None and not 0 <= at < _END:
            msg = "freeze takes epoch seconds from 0 up to the year 9999; the time was not changed"
            raise InputError(msg)
        with self._lock:
            self._frozen = (self.time() if at is None else float(at), self.monotonic())

    def resume(self) -> None:
        """Let time run on from where it stopped; has no effect on a running clock."""
        with self._lock:
            if self._frozen is not None:
                self._ahead = self._frozen[0] - self._base.time()
                self._steady = self._frozen[1] - self._base.monotonic()
                self._frozen = None

    def advance(self, seconds: float) -> None:
        """Move time forward, frozen or not; raises `InputError` for a step back, or one past the year 9998."""
        if not 0 <= seconds < float("inf"):
            raise InputError("advance takes a number of seconds, 0 or more; freeze(at=...) sets any time")
        with self._lock:
            if self.time() + seconds >= _END:
                raise InputError("the tenant's time can't move past the year 9998; it was not changed")
            if self._frozen is None:
                self._ahead += seconds
                self._steady += seconds
            else:
                self._frozen = (self._frozen[0] + seconds, self._frozen[1] + seconds)

    def reset(self) -> None:
        """Follow the base clock again, as at the start; `monotonic` continues from its current value."""
        with self._lock:
            self._steady = self.monotonic() - self._base.monotonic()
            self._ahead = 0.0
            self._frozen = None

    def sleep(self, seconds: float) -> None:
        """Sleep or, while time stands still, advance it instead."""
        if self.frozen:
            self.advance(max(0.0, seconds))
        else:
            self._base.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait on a held condition for at most `seconds` or, while time stands still, advance it instead."""
        if seconds is None or not self.frozen:
            return self._base.wait(condition, seconds)
        self.advance(max(0.0, seconds))
        return condition.wait(0)
