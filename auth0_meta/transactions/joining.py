"""Tell which transactions belong together."""

from __future__ import annotations

import sys
import threading
from typing import Any


class _Here(threading.local):
    """Give each thread an object of its own; its number would be used again when it has ended."""

    def __init__(self) -> None:
        self.thread = object()


_here = _Here()


def join_key(user_id: str) -> tuple[Any, ...]:
    """Return what must agree for two transactions to be one: thread, asyncio task and user."""
    # Another thread may be importing asyncio just now; a thread that runs a loop has all of it.
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    task = None
    if running is not None and running() is not None:
        task = sys.modules["asyncio"].current_task()
    return _here.thread, task, user_id
