"""Simulate tenants, clients and an application in virtual time: one process, no threads, seeded.

The tenant follows the formula of Auth0's own limiter, as fitted to recorded traffic: Reset is the second, rounded
up, at which the bucket is full; Remaining is rounded down; a refused request takes nothing; `Date` is rounded
down to the second.  It shares no code with the package.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from auth0_meta.ratelimit.bucket import Bucket, Sent
from auth0_meta.ratelimit.headers import parse_headers

EPOCH = 1_800_000_000.0


@dataclass
class Tenant:
    """One bucket of `size` tokens: refilled at `rate` per second, or all at once every `window` seconds."""

    size: int
    rate: float
    window: float | None = None
    offset: float = 0.0
    headers: str = "all"  # "all", "no date", "none"
    tokens: float = field(init=False)
    at: float = 0.0
    accepted: int = 0
    refused: int = 0
    deaf_until: float = -math.inf  # a storm: everything is refused and shown as empty

    def __post_init__(self) -> None:
        self.tokens = float(self.size)

    def clock(self, now: float) -> float:
        """Return the epoch time by the tenant's clock."""
        return EPOCH + self.offset + now

    def take(self, now: float) -> tuple[bool, dict[str, str]]:
        """Serve one request; return whether it was accepted, and the headers of the response."""
        here = self.clock(now)
        if self.window is None:
            self.tokens = min(float(self.size), self.tokens + (now - self.at) * self.rate)
        elif here // self.window > self.clock(self.at) // self.window:
            self.tokens = float(self.size)
        self.at = now
        storm = now < self.deaf_until
        ok = self.tokens >= 1.0 - 1e-9 and not storm
        if ok:
            self.tokens -= 1.0
        self.accepted += ok
        self.refused += not ok
        if self.window is None:
            full = here + (self.size - self.tokens) / self.rate
        else:
            full = (here // self.window + 1) * self.window
        if self.headers == "none":
            return ok, {}
        found = {
            "X-RateLimit-Limit": str(self.size),
            "X-RateLimit-Remaining": "0" if storm else str(int(self.tokens + 1e-9)),
            "X-RateLimit-Reset": str(math.ceil(full - 1e-6)),
        }
        if self.headers == "all":
            found["Date"] = formatdate(math.floor(here), usegmt=True)
        return ok, found


class World:
    """Run events in the order of virtual time."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Schedule `action` for `time`."""
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, action))

    def run(self, until: float = math.inf, done: Callable[[], bool] = lambda: False) -> None:
        """Run until there are no more events, `until` has come, or `done` returns True."""
        while self._events and not done():
            time, _, action = self._events[0]
            if time > until:
                self.now = until
                return
            heapq.heappop(self._events)
            self.now = time
            action()


class Client:
    """Send `jobs` requests with `threads` workers; each worker waits for its response, and sends again after a 429."""

    def __init__(
        self,
        world: World,
        tenant: Tenant,
        *,
        jobs: float,
        threads: int = 8,
        share: float | None = None,
        latency: float = 0.05,
        skew: float = 0.0,
        drop: float = 0.0,
        bucket: Bucket | None = None,
        start: float = 0.0,
    ) -> None:
        self.world, self.tenant, self.share, self.latency = world, tenant, share, latency
        self.skew, self.drop, self.threads = skew, drop, threads
        self.bucket = bucket or Bucket()
        self.left = jobs
        self.done = self.refused = self.dropped = 0
        self.finished = 0.0
        self.log: list[tuple[float, bool]] = []
        self._line: deque[int] = deque()
        self._poll = math.inf
        world.at(start, self._begin)

    def _begin(self) -> None:
        for worker in range(self.threads):
            self._next(worker)
        self._pump()

    def _next(self, worker: int) -> None:
        if self.left >= 1:
            self.left -= 1
            self._line.append(worker)

    def _pump(self) -> None:
        """Send from the head of the line while that is allowed; otherwise look again when it will be."""
        now = self.world.now
        while self._line:
            seconds = self.bucket.wait(now, share=self.share)
            if seconds > 0:
                if not now < self._poll <= now + seconds:
                    self._poll = now + seconds
                    self.world.at(self._poll, self._tick)
                return
            self._send(self._line.popleft(), self.bucket.sent(now))

    def _tick(self) -> None:
        if self.world.now >= self._poll:
            self._poll = math.inf
        self._pump()

    def _leg(self) -> float:
        return self.latency / 2 * self.world.random.uniform(0.8, 1.2)

    def _send(self, worker: int, sent: Sent) -> None:
        def arrive() -> None:
            ok, headers = self.tenant.take(self.world.now)
            self.log.append((self.world.now, ok))
            self.world.at(self.world.now + self._leg(), lambda: back(ok, headers))

        def back(ok: bool, headers: dict[str, str]) -> None:
            now = self.world.now
            if self.drop and self.world.random.random() < self.drop:
                self.bucket.lost(sent)
                self.dropped += 1
                self._line.append(worker)
            else:
                wall = EPOCH + now + self.skew
                self.bucket.answered(
                    sent,
                    now,
                    parse_headers(headers),
                    refused=not ok,
                    wall=wall,
                    jitter=self.world.random.random(),
                )
                if ok:
                    self.done += 1
                    self.finished = now
                    self._next(worker)
                else:
                    self.refused += 1
                    self._line.append(worker)
            self._pump()

        self.world.at(self.world.now + self._leg(), arrive)


class Application:
    """Take tokens from the same bucket at seeded random times, on average `rate` per second, without retries."""

    def __init__(self, world: World, tenant: Tenant, *, rate: float, seed: int) -> None:
        self.world, self.tenant, self.rate = world, tenant, rate
        self.random = random.Random(f"application {seed}")
        self.accepted = self.refused = 0
        self._plan(0.0)

    def _plan(self, after: float) -> None:
        self.world.at(after + self.random.expovariate(self.rate), self._call)

    def _call(self) -> None:
        ok, _ = self.tenant.take(self.world.now)
        self.accepted += ok
        self.refused += not ok
        self._plan(self.world.now)
