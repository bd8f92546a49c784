"""Tell pages what happens, as server-sent events: the journal as it grows, and the state around it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

from auth0_meta.emulator.control.report import told
from auth0_meta.emulator.http.message import to_json
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.state.faults import Fault, Hook
from auth0_meta.emulator.state.tenant_state import TenantState

# Each watcher keeps one of the server's threads.
_WATCHERS = 4
_EVERY = 0.2
# So often something is sent in any case: only a failing write shows that a page has gone.
_QUIET_TURNS = 10
_FIRST = 300


def entry_shown(number: int, entry: Entry) -> dict[str, Any]:
    """Return a request as JSON; `number` counts from 1 since the start."""
    names = ("time", "method", "path", "query", "route", "user_id", "body", "status", "outcome", "tokens")
    shown = {name: getattr(entry, name) for name in names}
    return {"number": number, **shown, "committed": entry.committed, "planned": entry.fault is not None}


def fault_shown(plan: Fault | Hook) -> dict[str, Any]:
    """Return a plan as JSON: its words, and how often it fired."""
    return {"plan": told(plan), "fired": plan.fired, "times": plan.times}


class Feed:
    """Open streams of events for a few watchers at a time."""

    def __init__(self, state: TenantState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._watchers = 0

    def state(self) -> dict[str, Any]:
        """Return what is true now, apart from users and requests themselves."""
        state = self._state
        now = state.now()
        buckets = [
            {"groups": groups, "burst": limit.burst, "per_second": limit.per_second, "tokens": tokens}
            for groups, limit, tokens in state.limiter.levels(now)
        ]
        return {
            "url": state.access.url,
            "now": now,
            "frozen": state.clock.frozen,
            "strict": state.access.strict,
            "users": len(state.users),
            "requests": len(state.journal),
            "buckets": buckets,
            "faults": [fault_shown(plan) for plan in state.faults.plans()],
        }

    def open(self, since: int) -> Iterator[bytes] | None:
        """Return a stream of events from the `since`-th request on, None where too many watch already."""
        with self._lock:
            if self._watchers >= _WATCHERS:
                return None
            self._watchers += 1
        stream = self._stream(since)
        # Not at the end of the stream itself: one that is never begun is never ended either.
        weakref.finalize(stream, self._leave).atexit = False
        return stream

    def _leave(self) -> None:
        with self._lock:
            self._watchers -= 1

    def _stream(self, since: int) -> Iterator[bytes]:
        yield b": the local tenant\n\n"
        last: dict[str, Any] = {}
        quiet = 0
        while True:
            state = self.state()
            if {**state, "now": 0} != {**last, "now": 0}:
                yield _event("state", state)
                last, quiet = state, 0
            since, entries = self._state.journal.since(since)
            entries = entries[-_FIRST:]
            if entries:
                first = since - len(entries) + 1
                yield _event("requests", [entry_shown(n, entry) for n, entry in enumerate(entries, first)])
                quiet = 0
            quiet += 1
            if quiet > _QUIET_TURNS:
                yield b": still here\n\n"
                quiet = 0
            if self._state.stopped_within(_EVERY):
                return


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + to_json(value) + b"\n\n"
