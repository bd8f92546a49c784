"""For tests of asyncio: run a coroutine in debug mode, and find out what a loop complains of."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, seconds: float = 60) -> T:
    """Run a coroutine on a loop of its own, in debug mode; fail if the loop complains, or if it takes long."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await asyncio.wait_for(main, seconds)

    try:
        return asyncio.run(watched(), debug=True)
    finally:
        gc.collect()
        assert complaints == []


async def until(condition: Callable[[], object]) -> None:
    """Wait until another thread has made the condition true."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


class Gate:
    """What a scripted server waits at: `arrived` is set once a request is there, `open` lets it go on."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        """Let requests go on."""
        self._open.set()

    def wait(self) -> None:
        """Note a request, and hold it until the gate is open."""
        self.arrived.set()
        assert self._open.wait(60)
