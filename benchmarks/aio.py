"""Measure commits in asyncio, beside auth0-python's async client: their rate, CPU, and how long the loop stands still.

Run: python benchmarks/aio.py [--runs 7] [--calls 1000]

Each contender sends PATCHes to one canned server in a separate process: 32 at a time, and 500 at once.  A task that
wakes every millisecond measures the stalls of the event loop: how much later than that it is woken.  Contenders
alternate, and the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

from canned import canned

USER = "auth0|507f1f77bcf86cd799439020"
METADATA = {"theme": "dark", "prefs": {"lang": "fi"}}
TOKEN = "eyJ" + "x" * 900 + ".e30.s"
TICK = 0.001
SHAPES = {"32 at a time": 32, "500 at once": 500}
OURS, THEIRS = "auth0_meta", "auth0-python"


class Round(NamedTuple):
    """What one round of one contender took."""

    per_second: float
    cpu: float
    """Microseconds of this process for each commit."""
    p99: float
    """The stall that 99 % of the ticks stay below, in milliseconds."""
    longest: float


async def _ours(stack: AsyncExitStack, url: str) -> Callable[[], Awaitable[object]]:
    from auth0_meta import AsyncManagementClient

    client = await stack.enter_async_context(AsyncManagementClient(url, token=TOKEN))

    async def commit() -> None:
        async with client.transaction(USER) as tx:
            for key, value in METADATA.items():
                tx.user_metadata[key] = value

    return commit


async def _theirs(stack: AsyncExitStack, url: str) -> Callable[[], Awaitable[object]]:
    import httpx
    from auth0.management.client import AsyncAuth0

    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    transport = await stack.enter_async_context(httpx.AsyncClient(limits=limits, timeout=60))
    client = AsyncAuth0(base_url=f"{url}/api/v2", token=TOKEN, httpx_client=transport)
    return lambda: client.users.update(USER, user_metadata=METADATA)


CONTENDERS = {OURS: _ours, THEIRS: _theirs}


async def _tick(stalls: list[float]) -> None:
    """Note how much later than asked for the loop wakes this task."""
    while True:
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        stalls.append((time.perf_counter() - due) * 1e3)


async def _round(commit: Callable[[], Awaitable[object]], calls: int, at_a_time: int) -> Round:
    gate = asyncio.Semaphore(at_a_time)

    async def one() -> None:
        async with gate:
            await commit()

    stalls: list[float] = []
    ticking = asyncio.create_task(_tick(stalls))
    await asyncio.sleep(0.01)
    gc.collect()
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(0, calls, at_a_time) if at_a_time > 100 else (0,):
        await asyncio.gather(*(one() for _ in range(at_a_time if at_a_time > 100 else calls)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    ticking.cancel()
    stalls.sort()
    return Round(calls / seconds, cpu / calls * 1e6, stalls[int(len(stalls) * 0.99)], stalls[-1])


def measure(name: str, url: str, calls: int, at_a_time: int) -> Round:
    """Run one round on a loop of its own, after warming up connections."""

    async def main() -> Round:
        async with AsyncExitStack() as stack:
            commit = await CONTENDERS[name](stack, url)
            await asyncio.gather(*(commit() for _ in range(64)))
            return await _round(commit, calls, at_a_time)

    return asyncio.run(main())


def main() -> None:
    """Print a table for each shape of load."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--calls", type=int, default=1000, help="commits in a round, a multiple of 500")
    parser.add_argument("--only", choices=list(CONTENDERS), help="measure one contender")
    options = parser.parse_args()
    names = [options.only] if options.only else list(CONTENDERS)
    with canned() as url:
        for shape, at_a_time in SHAPES.items():
            rows: dict[str, list[Round]] = {name: [] for name in names}
            for _ in range(options.runs):
                for name in names:
                    rows[name].append(measure(name, url, options.calls, at_a_time))
            middle = {
                name: Round(*map(statistics.median, zip(*found, strict=True))) for name, found in rows.items()
            }
            print(f"{shape}: medians of {options.runs} runs of {options.calls} commits")
            for name, found in middle.items():
                print(
                    f"  {name:14} {found.per_second:6.0f} commits/s, {found.cpu:5.0f} us of CPU each;"
                    f" stalls of the loop: p99 {found.p99:6.1f} ms, longest {found.longest:6.1f} ms"
                )
            if len(middle) == len(CONTENDERS):
                faster = middle[OURS].per_second / middle[THEIRS].per_second
                print(
                    f"  rate {faster:.1f} x (goal: at least 4), p99 stall {middle[OURS].p99 / middle[THEIRS].p99:.2f} x (goal: at most 1)"
                )


if __name__ == "__main__":
    sys.exit(main())
