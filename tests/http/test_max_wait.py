"""`max_wait` holds for every caller in a line, in threads and in asyncio, while other callers' 429s move the gate."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta import RateLimitError

MOVES = (1, 1, 600)
"""The seconds for which the gate closes: twice for a moment, then for long."""


class Gate:
    """Refuse every update, each time for as long as `MOVES` says."""

    def __init__(self) -> None:
        self._refusals = 0
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Reply:
        """Return the response to a request."""
        if seen.method == "GET":
            return Reply(200, {"user_id": seen.path.rpartition("/")[2]})
        with self._lock:
            seconds = MOVES[min(self._refusals, len(MOVES) - 1)]
            self._refusals += 1
        return Reply(
            429, {}, {"Retry-After": str(seconds), "X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"}
        )


async def in_asyncio(client: Any, user: str, max_wait: float) -> None:
    """Commit in a task."""
    async with client.atransaction(user, max_wait=max_wait) as tx:
        tx.app_metadata["seen"] = True


async def in_a_thread(client: Any, user: str, max_wait: float) -> None:
    """Commit in a thread, as code without asyncio does."""

    def commit() -> None:
        with client.transaction(user, max_wait=max_wait) as tx:
            tx.app_metadata["seen"] = True

    await asyncio.to_thread(commit)


@pytest.mark.slow
@pytest.mark.parametrize("update", [in_asyncio, in_a_thread])
def test_two_callers_behind_patient_ones_end_when_their_own_budget_does(update: Any) -> None:
    """The gate opens and closes before it closes for ten minutes: a caller with a minute is refused then, not after it."""

    async def main(client: Any) -> list[Any]:
        patient = [asyncio.create_task(in_asyncio(client, f"patient{n}", 3600.0)) for n in range(2)]
        await asyncio.sleep(0.3)
        hurried = [update(client, f"hurried{n}", 60.0) for n in range(2)]
        ended = await asyncio.gather(*hurried, return_exceptions=True)
        assert not any(task.done() for task in patient)
        for task in patient:
            task.cancel()
        await asyncio.gather(*patient, return_exceptions=True)
        return ended

    with ScriptedServer(Gate()) as server, connect(server) as client:
        for error in asyncio.run(main(client)):
            assert isinstance(error, RateLimitError)
            assert error.waited < 60.0
            assert error.retry_at is not None
