"""What a plan or a run is waiting for: noted by its threads, announced once, and shown with its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable

from auth0_meta.migrate.events import Waiting
from auth0_meta.models import Wait
from auth0_meta.ratelimit.concurrency import PACED
from auth0_meta.ratelimit.throttle import PACING

_SILENT = 5.0
"""Seconds after which requests without a response are named."""


class Waits:
    """Note the waits of many threads; `on_event` is called once however many wait for the same thing."""

    def __init__(self, now: Callable[[], float], on_event: Callable[[Waiting], object] | None) -> None:
        self._now, self._on_event = now, on_event
        self._latest: tuple[float, str] = (0.0, "")
        self._announced: tuple[float, str] = (0.0, "")
        self._lock = threading.Lock()

    def note(self, wait: Wait) -> None:
        """Note a wait that is about to begin."""
        until = self._now() + wait.seconds
        self._latest = (until, wait.reason)
        if wait.reason == PACING:
            return
        with self._lock:
            known, reason = self._announced
            new = wait.reason != reason or until > known + PACED
            if new:
                self._announced = (until, wait.reason)
        if new and self._on_event is not None:
            self._on_event(Waiting(reason=wait.reason, seconds=wait.seconds, user_id=wait.user_id))

    def in_words(self, silent: float = 0.0) -> str:
        """Return what is waited for and for how long, "" if that is not worth a word.

        `silent`: for how many seconds there has been no result, without any of these waits perhaps.
        """
        until, reason = self._latest
        left = until - self._now()
        if left > PACED:
            return f"{reason}, {left:.0f} s"
        return f"requests under way, {silent:.0f} s so far" if silent >= _SILENT else ""
