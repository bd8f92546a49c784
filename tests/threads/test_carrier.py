"""The carrier: bounded threads, one wake-up for many results, and an end of everything."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.loops import run, until

from auth0_meta.errors import StateError
from auth0_meta.threads import carrier as module
from auth0_meta.threads.carrier import Carrier
from auth0_meta.threads.errand import Errand


def mine(carrier: Carrier) -> int:
    """Return how many threads a carrier has."""
    return sum(thread.name.startswith(f"{carrier._name}_") for thread in threading.enumerate())


def test_blocking_calls_get_as_many_threads_as_there_may_be() -> None:
    """Calls that wait are no reason to keep others in line: all threads are used, and never more."""
    carrier = Carrier(20, name="test-many")
    at_work, most, gate = [0], [0], threading.Event()
    lock = threading.Lock()

    def work() -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        assert gate.wait(60)
        with lock:
            at_work[0] -= 1

    async def main() -> None:
        tasks = [asyncio.ensure_future(carrier.carry(Errand(work))) for _ in range(50)]
        await until(lambda: most[0] == 20)
        gate.set()
        await asyncio.gather(*tasks)
        assert (most[0], mine(carrier)) == (20, 20)

    run(main())
    carrier.close()


def test_few_busy_calls_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """While calls are young, only a few are begun, so that they leave the interpreter to the loop."""
    monkeypatch.setattr(module, "_YOUNG", 3600.0)
    monkeypatch.setattr(module, "_YOUNG_WHEN_LATE", 3600.0)
    carrier = Carrier(64, name="test-few")
    at_work, most = [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.002)
        with lock:
            at_work[0] -= 1

    async def main() -> None:
        carrier._young = 3600.0
        await asyncio.gather(*(carrier.carry(Errand(work)) for _ in range(100)))

    run(main())
    assert 1 <= most[0] <= module._MOST_YOUNG
    carrier.close()


def test_results_that_come_together_wake_the_loop_once() -> None:
    """And are handed out in slices, between which other tasks run."""
    wakes: list[None] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        carrier = Carrier(1, name="test-wakes")
        call_soon = loop.call_soon_threadsafe

        def counted(callback: Any, *args: Any, **settings: Any) -> Any:
            wakes.append(None)
            return call_soon(callback, *args, **settings)

        errands = [Errand(int) for _ in range(100)]
        tasks = [asyncio.ensure_future(carrier.carry(errand)) for errand in errands]
        await asyncio.sleep(0)
        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        while not errands[-1].ended:
            time.sleep(0.001)  # the loop stands still meanwhile
            if not carrier._threads:
                await asyncio.sleep(0)
        assert len(wakes) <= 2
        await asyncio.gather(*tasks)
        carrier.close()

    run(main())


def test_hundreds_of_transactions_begin_in_slices() -> None:
    """A round of the loop begins a few of them, so that a task that only ticks gets its turn in between."""
    local = Local({"n": 1})
    rounds: list[int] = []
    begun = [0]

    async def change() -> None:
        async with local.client.atransaction(UID, join=False):
            begun[0] += 1

    async def main() -> None:
        tasks = [asyncio.ensure_future(change()) for _ in range(200)]
        cancelled = tasks.pop()
        while begun[0] < 199:
            before = begun[0]
            await asyncio.sleep(0)
            cancelled.cancel()
            rounds.append(begun[0] - before)
        await asyncio.gather(*tasks)
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    run(main())
    assert max(rounds) <= module._SLICE


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are new ones when there is work again."""
    monkeypatch.setattr(module, "_IDLE", 0.05)
    carrier = Carrier(4, name="test-idle")

    async def main() -> None:
        for _ in range(3):
            await asyncio.gather(*(carrier.carry(Errand(int)) for _ in range(10)))
            await until(lambda: not mine(carrier))
        assert not carrier._threads

    run(main())
    carrier.close()


def test_threads_that_end_just_when_work_comes_lose_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An errand is done although the thread that was to do it had just given up waiting."""
    monkeypatch.setattr(module, "_IDLE", 0.001)
    carrier = Carrier(2, name="test-race")

    async def main() -> None:
        for n in range(200):
            assert await carrier.carry(Errand(lambda n=n: n)) == n  # type: ignore[misc]
            await asyncio.sleep(0.001 * (n % 3))

    run(main())
    carrier.close()


def test_a_closed_carrier_refuses_errands_and_ends_its_threads() -> None:
    """What is in line is still done."""
    carrier = Carrier(1, name="test-closed")
    gate = threading.Event()

    async def main() -> None:
        tasks = [asyncio.ensure_future(carrier.carry(Errand(lambda: gate.wait(60)))) for _ in range(3)]
        await until(lambda: carrier._begun)
        carrier.close()
        with pytest.raises(StateError, match="closed"):
            await carrier.carry(Errand(int))
        gate.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        await until(lambda: not mine(carrier))

    run(main())
