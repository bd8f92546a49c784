"""Tell which transactions belong together."""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["join_key"]


def join_key(user_id: str) -> tuple[Any, ...]:
    """Return what must agree for two transactions to be one: thread, asyncio task and user."""
    asyncio = sys.modules.get("asyncio")
    task = None
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
    return threading.get_ident(), task, user_id
