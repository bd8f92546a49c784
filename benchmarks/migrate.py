"""Move the metadata of many users: this package's migration compared with thread pools on auth0-python and on requests.

    python benchmarks/migrate.py [--users 1000] [--limited-users 300] [--runs 3]

All of them run in turn against the same local tenant, which has its own process; the others use 8 threads.  There are
two tenants: one without a limit, where CPU time and users per second count, and one with a bucket of 50 at 50 per second,
where lost users, refusals and the ratio to the ideal time, (requests - burst) / rate, count.  The migration may use the
whole bucket (`share=1.0`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

TOKEN = "a.b.c"
BURST = RATE = 50
THREADS = 8

MIGRATION = """
def migrate(user, tx):
    plan = user.app_metadata.get("plan")
    if plan is not None:
        tx.app_metadata.set("billing.plan", plan)
        tx.app_metadata.delete("plan")
"""


def serve(limit: str, users: int, pipe: Any) -> None:
    """Serve the tenant: a fresh set of users for each "start", the outcome for each "stop"."""
    from auth0_meta.emulator import LocalTenant

    profiles = [
        {"user_id": f"auth0|{n:024x}", "app_metadata": {"plan": "pro", "billing": {"vat": 24}}}
        for n in range(users)
    ]
    while pipe.recv() == "start":
        with LocalTenant(rate_limit=limit, users=profiles, latency=0.005) as tenant:
            pipe.send((tenant.url, [dict(user) for user in tenant.users]))
            pipe.recv()
            moved = sum(user.app_metadata == {"billing": {"vat": 24, "plan": "pro"}} for user in tenant.users)
            pipe.send((moved, tenant.journal.count(status=429)))


@contextlib.contextmanager
def tenant(limit: str, users: int) -> Iterator[Callable[[], Any]]:
    """Yield a function that starts a fresh tenant and returns its URL, its users, and a function that ends it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(limit, users, theirs), daemon=True
    )
    process.start()

    def fresh() -> Any:
        ours.send("start")
        url, rows = ours.recv()

        def end() -> tuple[int, int]:
            ours.send("stop")
            found: tuple[int, int] = ours.recv()
            return found

        return url, rows, end

    yield fresh
    ours.send("end")
    process.join(10)


def moved(bag: dict[str, Any]) -> dict[str, Any]:
    """Return the new first-level values, which the other contenders must compute themselves."""
    return {"billing": {**bag.get("billing", {}), "plan": bag["plan"]}, "plan": None}


def pooled(ids: list[str], one: Callable[[str], object]) -> None:
    """Change all users on 8 threads; a user who fails is lost."""

    def safe(user_id: str) -> None:
        with contextlib.suppress(Exception):  # what a script without a ledger does
            one(user_id)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(safe, ids))


def by_requests(url: str, rows: list[dict[str, Any]]) -> None:
    """Read and patch every user over one session."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

    def one(user_id: str) -> None:
        place = f"{url}/api/v2/users/{quote(user_id, safe='')}"
        found = session.get(place, timeout=30)
        found.raise_for_status()
        session.patch(
            place, json={"app_metadata": moved(found.json()["app_metadata"])}, timeout=30
        ).raise_for_status()

    pooled([row["user_id"] for row in rows], one)


def by_sdk(url: str, rows: list[dict[str, Any]]) -> None:
    """Read and update every user with auth0-python and its default settings."""
    from auth0.management.client import Auth0

    sdk = Auth0(base_url=f"{url}/api/v2", token=TOKEN)

    def one(user_id: str) -> None:
        found = sdk.users.get(user_id)
        sdk.users.update(user_id, app_metadata=moved(dict(found.app_metadata)))

    pooled([row["user_id"] for row in rows], one)


def by_migration(url: str, rows: list[dict[str, Any]]) -> float:
    """Plan and apply with a job file; return the seconds of the planning, which the tenant does not limit."""
    from auth0_meta import ManagementClient
    from auth0_meta.migrate import apply, plan

    with tempfile.TemporaryDirectory() as folder, ManagementClient(url, token=TOKEN, max_wait=None) as client:
        source, script, job = (Path(folder) / name for name in ("rows.ndjson", "move.py", "job.db"))
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        script.write_text(MIGRATION)
        began = time.monotonic()
        plan(script, to=job, client=client, users=str(source))
        planning = time.monotonic() - began
        apply(job, client, share=1.0)
    return planning


def contenders() -> dict[str, Callable[[str, list[dict[str, Any]]], float | None]]:
    """Return the contenders by name."""
    found: dict[str, Any] = {"auth0_meta migrate": by_migration, "requests, 8 threads": by_requests}
    try:
        import auth0.management.client  # noqa: F401
    except ImportError:
        print("auth0-python is not installed: skipped", file=sys.stderr)
    else:
        found["auth0-python, 8 threads"] = by_sdk
    return found


def measure(limit: str, users: int, runs: int) -> None:
    """Print one table; the contenders take turns."""
    rows: dict[str, list[tuple[float, float, float, int, int]]] = {name: [] for name in contenders()}
    with tenant(limit, users) as fresh:
        for _ in range(runs):
            for name, run in contenders().items():
                url, profiles, end = fresh()
                began, used = time.monotonic(), time.process_time()
                planning = run(url, profiles) or 0.0
                seconds, cpu = time.monotonic() - began, time.process_time() - used
                good, refused = end()
                rows[name].append((seconds - planning, planning, cpu / users * 1e3, users - good, refused))
    ideal = (2 * users - BURST) / RATE
    print(f"\n{users} users, limit {limit}; medians of {runs}")
    print(
        f"  {'':26} {'users/s':>8} {'planned in':>11} {'CPU ms/user':>12} {'lost':>6} {'429s':>6}  time/ideal"
    )
    for name, found in rows.items():
        seconds, planning, cpu, lost, refused = (
            statistics.median(column) for column in zip(*found, strict=True)
        )
        ratio = "" if limit == "off" else f"{seconds / ideal:.3f}"
        before = f"{planning:.1f} s" if planning else ""
        print(
            f"  {name:26} {users / seconds:8.1f} {before:>11} {cpu:12.2f} {lost:6.0f} {refused:6.0f}  {ratio}"
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--limited-users", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    measure("off", options.users, options.runs)
    measure(f"{BURST}@{RATE}", options.limited_users, options.runs)


if __name__ == "__main__":
    main()
