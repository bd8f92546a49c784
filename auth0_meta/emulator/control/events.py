"""Stream the tenant's state and its journal to pages, as server-sent events."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

from auth0_meta.emulator.control.entries import LONGEST_TEXT, row, rows
from auth0_meta.emulator.control.fault_words import fault_json
from auth0_meta.emulator.http.message import to_any_json
from auth0_meta.emulator.state.tenant_state import TenantState

# Each open stream occupies one of the server's threads.
_MAX_STREAMS = 4
_INTERVAL = 0.2
# After this many intervals without news a comment is sent: only a failed write shows that a page was closed.
_MAX_QUIET_INTERVALS = 10
# One event has at most this many entries: a page that is opened late need not get the whole journal.
_MAX_ENTRIES = 1000


class EventStreams:
    """Open streams of events, only a few at a time."""

    def __init__(self, state: TenantState) -> None:
        self._state = state
        self._free = threading.Semaphore(_MAX_STREAMS)

    def state(self) -> dict[str, Any]:
        """Return the current state, without the users and requests themselves."""
        state = self._state
        now = state.now()
        return {
            "url": state.access.url,
            "now": now,
            "frozen": state.clock.frozen,
            "strict": state.access.strict,
            "users": len(state.users),
            "requests": len(state.journal),
            "not_served": {name[:LONGEST_TEXT]: count for name, count in state.journal.not_served.items()},
            "total": state.journal.total,
            "buckets": [
                {
                    "groups": groups,
                    "burst": limit.burst,
                    "per_second": limit.per_second,
                    "tokens": tokens,
                    "used": used,
                }
                for groups, limit, tokens, used in state.limiter.levels(now)
            ],
            "faults": [fault_json(fault) for fault in state.faults.all()],
        }

    def open(self, since: int) -> Iterator[bytes] | None:
        """Return a stream that begins after the `since`-th request, None if too many streams are open."""
        if not self._free.acquire(blocking=False):
            return None
        stream = self._stream(since)
        # A `finally` in the generator is not enough: it never runs if nothing is ever read from the generator.
        weakref.finalize(stream, self._free.release).atexit = False
        return stream

    def _stream(self, since: int) -> Iterator[bytes]:
        yield b": the local tenant\n\n"  # a comment, so that the response begins at once
        last: dict[str, Any] = {}
        quiet = 0
        while True:
            state = self.state()
            if {**state, "now": 0} != {**last, "now": 0}:
                yield _event("state", state)
                last, quiet = state, 0
            since, entries = self._state.journal.since(since)
            if entries:
                new = rows(since, entries[-_MAX_ENTRIES:])
                yield _event("requests", [row(*numbered) for numbered in new])
                quiet = 0
            quiet += 1
            if quiet > _MAX_QUIET_INTERVALS:
                yield b": still here\n\n"
                quiet = 0
            if self._state.stopped_within(_INTERVAL):
                return


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + to_any_json(value) + b"\n\n"
