"""Measure how close many updates come to the tenant's pace, compared with auth0-python: none lost, few refused.

Run: python benchmarks/pace.py [--only batch,threads,peers,neighbor,processes,clock,million] [--buckets 10@10,...]
     [--runs 3] [--quick]

A local tenant serves on a real socket in its own process.  Ratio: the time until the last update is confirmed,
less two round trips, as a multiple of the ideal (updates - burst) / rate.  Medians over the runs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from canned import canned

LATENCY = 0.02
THREADS = 8


class BucketKind(NamedTuple):
    """One bucket to run against: `limit` as LocalTenant takes it, `burst` and `rate` of writes."""

    limit: str
    burst: int
    rate: float
    updates: int
    window: bool = False
    nested: bool = False  # each update reads first, from a separate bucket


BUCKETS = {
    "10@10": BucketKind("10@10", 10, 10.0, 200),
    "10@10 window": BucketKind("10@10", 10, 10.0, 200, window=True),
    "50@1000/min": BucketKind("50@16.666667", 50, 1000 / 60, 400),
    "2@2": BucketKind("2@2", 2, 2.0, 60),
    "essentials": BucketKind("essentials", 20, 200 / 60, 80, nested=True),
}


class Seen(NamedTuple):
    """The result of one run."""

    ratio: float
    lost: int
    refused: float
    note: str = ""


# ---- the tenant, in its own process


def serve(settings: dict[str, Any]) -> None:
    """Serve until stdin ends; print the journal's counts as JSON for each line that is read."""
    from auth0_meta.emulator import LocalTenant

    users = settings.pop("users")
    with LocalTenant(latency=LATENCY, seed=1, **settings) as tenant:
        tenant.users.add_many({"user_id": f"auth0|{n}", "app_metadata": {}} for n in range(users))
        print(tenant.url, flush=True)
        for _ in sys.stdin:
            journal = tenant.journal.requests(path="/api/v2/")
            found = {
                "refused": sum(entry.status == 429 for entry in journal),
                "sent": len(journal),
                "done": sum(user.app_metadata.get("done") is True for user in tenant.users),
                "seconds": journal[-1].time - journal[0].time if journal else 0.0,
                "live": sum("live" in user.user_metadata for user in tenant.users),
            }
            print(json.dumps(found), flush=True)


class Tenant:
    """The tenant's process: its `url`, and what it has seen."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def seen(self) -> dict[str, Any]:
        """Return the journal's counts."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._line())
        return found


@contextmanager
def tenant(kind: BucketKind, users: int, **settings: Any) -> Iterator[Tenant]:
    """Run a tenant for one measurement."""
    settings = {"rate_limit": kind.limit, "window": kind.window, "users": users, **settings}
    command = [sys.executable, __file__, "--serve", json.dumps(settings)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if kind.window:  # the ideal begins with a full window
            time.sleep(math.ceil(time.time()) - time.time() + 0.02)
        yield Tenant(process)
    finally:
        process.kill()
        process.wait()


def ratio(kind: BucketKind, seconds: float, updates: int) -> float:
    """Return the time, less two round trips, as a multiple of the ideal."""
    return (seconds - 2 * LATENCY) / ((updates - kind.burst) / kind.rate)


# ---- ways to update


def change(tx: Any, *, nested: bool) -> None:
    """Stage one update."""
    tx.app_metadata["done"] = True
    if nested:
        tx.app_metadata.set("seen.by", "pace")


def by_batch(url: str, updates: int, *, nested: bool, share: float = 1.0, first: int = 0) -> int:
    """Update with a batch; return how many updates failed."""
    from auth0_meta import ManagementClient, MetadataBatch

    with ManagementClient(url, token="any.options.token") as client:
        with MetadataBatch(client, share=share, on_error="collect") as batch:
            for n in range(first, first + updates):
                change(batch.user(f"auth0|{n}"), nested=nested)
        return batch.results.counts["failed"]


def by_threads(update: Callable[[int], object], updates: int) -> int:
    """Update with 8 plain threads that share the work; return how many updates failed."""
    left, lock, lost = iter(range(updates)), threading.Lock(), []

    def work() -> None:
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            try:
                update(n)
            except Exception as error:  # noqa: BLE001  # counted
                lost.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(lost)


def plain(url: str, updates: int, *, nested: bool) -> int:
    """Update with 8 plain threads and one client; each change is a separate transaction."""
    from auth0_meta import ManagementClient

    with ManagementClient(url, token="any.options.token") as client:

        def update(n: int) -> None:
            with client.transaction(f"auth0|{n}") as tx:
                change(tx, nested=nested)

        return by_threads(update, updates)


def peer(url: str, updates: int, retries: int | None) -> int:
    """Update with auth0-python on 8 threads, whole first-level values only."""
    from auth0.management.client import Auth0

    theirs = Auth0(base_url=f"{url}/api/v2", token="any.options.token")
    options: Any = None if retries is None else {"max_retries": retries}

    def update(n: int) -> None:
        theirs.users.update(f"auth0|{n}", app_metadata={"done": True}, request_options=options)

    return by_threads(update, updates)


# ---- the measurements


def alone(kind: BucketKind, call: Callable[..., int], updates: int, **settings: Any) -> Seen:
    """Measure one way of updating, alone on the tenant."""
    with tenant(kind, updates, **settings) as server:
        start = time.monotonic()
        call(server.url, updates, nested=kind.nested)
        seconds = time.monotonic() - start
        seen = server.seen()
    return Seen(ratio(kind, seconds, updates), updates - seen["done"], seen["refused"] / updates)


class Live:
    """A live application: it sends PATCHes at seeded random times, and repeats none."""

    def __init__(self, url: str, rate: float, seconds: float, seed: int) -> None:
        self._url, self._ends = url, time.monotonic() + seconds
        self._random, self._rate = random.Random(seed), rate
        self.calls = self.refused = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Send requests until the time is up."""
        at = time.monotonic()
        while True:
            at += self._random.expovariate(self._rate)
            if at > self._ends:
                break
            time.sleep(max(0.0, at - time.monotonic()))
            thread = threading.Thread(target=self._call, args=(self.calls,))
            thread.start()
            self._threads.append(thread)
            self.calls += 1
        for thread in self._threads:
            thread.join()

    def _call(self, n: int) -> None:
        request = urllib.request.Request(  # noqa: S310  # loopback
            f"{self._url}/api/v2/users/auth0%7C{n % 50}",
            data=b'{"user_metadata":{"live":true}}',
            method="PATCH",
            headers={"Authorization": "Bearer any.options.token", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
        except OSError:
            with self._lock:
                self.refused += 1


def neighbor(kind: BucketKind, seconds: float, seed: int, *, batch: bool) -> tuple[int, int, int]:
    """Run the application, with or without a batch alongside; return its calls, its refusals, the batch's updates."""
    import auth0_meta

    with tenant(kind, 5000) as server:
        live = Live(server.url, 0.3 * kind.rate, seconds, seed)
        updates = 0
        if batch:
            client = auth0_meta.ManagementClient(server.url, token="any.options.token")
            thread = threading.Thread(target=live.run)
            thread.start()
            ends = time.monotonic() + seconds
            try:
                with auth0_meta.MetadataBatch(client, window=1) as running:
                    n = 50
                    while time.monotonic() < ends:
                        time.sleep(0 if running.results.done > n - 200 else 0.005)
                        if running.results.done > n - 200:
                            running.user(f"auth0|{n}").app_metadata["done"] = True
                            n += 1
                    raise InterruptedError
            except InterruptedError:
                updates = running.results.counts["updated"]
            thread.join()
        else:
            live.run()
    return live.calls, live.refused, updates


def processes(kind: BucketKind, updates: int, share: float) -> Seen:
    """Run four processes, each with a batch for a quarter of the users."""
    with tenant(kind, updates + 3) as server:
        own = [
            sys.executable,
            __file__,
            "--batch",
            server.url,
            str(-(-updates // 4)),
            str(share),
            str(int(kind.nested)),
        ]
        children = [subprocess.Popen([*own, str(n * -(-updates // 4))]) for n in range(4)]
        for child in children:
            assert child.wait(600) == 0
        seen = server.seen()
    seconds = seen["seconds"] + 2 * LATENCY  # without the start of the interpreters
    of_limit = (updates - kind.burst) / kind.rate / seen["seconds"]
    return Seen(
        ratio(kind, seconds, updates),
        updates - seen["done"],
        seen["refused"] / updates,
        f"{of_limit:.2f} of the limit",
    )


def million(users: int) -> None:
    """Run a generator of users through a batch, and single transactions for comparison; print both."""
    from auth0_meta import ManagementClient, MetadataBatch

    with canned() as url:
        client = ManagementClient(url, token="any.options.token")

        def single(count: int) -> float:
            start = time.process_time()
            for n in range(count):
                with client.transaction(f"auth0|{n:024}") as tx:
                    tx.app_metadata["plan"] = "pro"
            return (time.process_time() - start) / count * 1e6

        def batched(count: int) -> float:
            start = time.process_time()
            with MetadataBatch(client, share=1.0) as batch:
                for n in range(count):
                    batch.user(f"auth0|{n:024}").app_metadata["plan"] = "pro"
            assert batch.results.counts["updated"] == count
            return (time.process_time() - start) / count * 1e6

        single(500)
        slices = [(single(2000), batched(5000)) for _ in range(5)]
        start = time.monotonic()
        cost = batched(users)
        took = time.monotonic() - start
    ones, many = (statistics.median(values) for values in zip(*slices, strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"  {users} users in {took:.0f} s ({users / took:.0f}/s): at most {memory:.0f} MB, {cost:.0f} us CPU each; "
        f"in turn: one transaction {ones:.0f} us, batch {many:.0f} us: {many / ones:.2f} x   goal: 150 MB, 1.2 x"
    )


def row(name: str, seen: list[Seen], goal: str) -> None:
    """Print the medians of some runs."""
    ratios = sorted(s.ratio for s in seen)
    note = f"  {seen[0].note}" if seen[0].note else ""
    print(
        f"  {name:34} {statistics.median(ratios):6.3f} x ({ratios[0]:.3f} - {ratios[-1]:.3f})  "
        f"lost {max(s.lost for s in seen)}  429: {100 * statistics.median(s.refused for s in seen):.1f} % "
        f"(worst {100 * max(s.refused for s in seen):.1f} %){note}   goal: {goal}",
        flush=True,
    )


def main() -> None:
    """Print one block per measurement."""
    from auth0_meta import ManagementClient, MetadataBatch  # noqa: F401  # the import must not count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="batch,clock,threads,peers,neighbor,processes,million")
    parser.add_argument("--buckets", default=",".join(BUCKETS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--users", type=int, default=1_000_000, help="how many, for the batch in bounded memory"
    )
    parser.add_argument("--quick", action="store_true", help="one run, a third of the updates, 20,000 users")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--batch", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(json.loads(options.serve))
    if options.batch:
        url, updates, share, nested, first = options.batch
        failed = by_batch(url, int(updates), nested=nested == "1", share=float(share), first=int(first))
        sys.exit(min(failed, 1))
    only, runs = set(options.only.split(",")), 1 if options.quick else options.runs
    kinds = {name: BUCKETS[name] for name in options.buckets.split(",")}
    if options.quick:
        kinds = {n: k._replace(updates=max(k.updates // 3, k.burst + 10)) for n, k in kinds.items()}
    ways: dict[str, tuple[str, Callable[..., int], str]] = {
        "batch": ("batch, share=1.0", by_batch, "1.02 x, none lost, 429: 0 (window 1 %)"),
        "threads": ("8 plain threads", plain, "1.05 x, none lost, 429: 1 %"),
    }
    print(f"{os.cpu_count()} cores, {LATENCY * 1000:.0f} ms latency, {THREADS} threads, medians of {runs}")
    for name, kind in kinds.items():
        print(name, flush=True)
        for way, (title, call, goal) in ways.items():
            if way in only:
                row(title, [alone(kind, call, kind.updates) for _ in range(runs)], goal)
        if "clock" in only:
            for offset in (30.0, -3600.0):
                seen = [alone(kind, by_batch, kind.updates, clock_offset=offset) for _ in range(runs)]
                row(f"batch, clock {offset:+.0f} s off", seen, "as above")
        if "peers" in only:
            for title, retries in (("auth0-python, default", None), ("auth0-python, 10 retries", 10)):
                seen = [
                    alone(kind, lambda url, n, r=retries, **_: peer(url, n, r), kind.updates)
                    for _ in range(runs)
                ]
                row(title, seen, "none (a peer)")
        if "processes" in only:
            row(
                "4 processes, default share",
                [processes(kind, kind.updates, 0.5) for _ in range(runs)],
                "0.85 of the limit, 429: 1 %",
            )
        if "neighbor" in only and kind.burst >= 10:
            seconds = (kind.updates - kind.burst) / kind.rate
            got = []
            for seed in range(runs):
                calls, refused, updates = neighbor(kind, seconds, seed, batch=True)
                without = neighbor(kind, seconds, seed, batch=False)[1]
                left = kind.burst / 2 + kind.rate * seconds - (calls - refused)
                got.append((updates / left, refused, without, calls))
            print(
                f"  default share, alongside 30 %: the batch got {statistics.median(g[0] for g in got):.2f} of the rest "
                f"(worst {min(g[0] for g in got):.2f}); refused {sum(g[1] for g in got)} of {sum(g[3] for g in got)} calls of the "
                f"application, without the batch {sum(g[2] for g in got)}   goal: 0.85, no more",
                flush=True,
            )
    if "million" in only:
        million(20_000 if options.quick else options.users)


if __name__ == "__main__":
    main()
