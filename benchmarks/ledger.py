"""Plan, kill, resume and finish one large migration: memory, bytes on disk, and the time that a resume takes.

    python benchmarks/ledger.py [--users 1000000] [--most 100000] [--trust-plan] [--share-users 1500]

The tenant is a stub without a limit (benchmarks/canned.py).  Each stage runs in its own process; "at most" is the peak memory
of that process and of the one that the function runs in.  A second table shows what part of the rate a migration gets with
the default share: on a local tenant with a bucket of 50 at 50 per second, alongside an application that uses 30 % of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from canned import PROFILE, canned

TOKEN = "a.b.c"
BURST = RATE = 50
APPLICATION = 0.3 * RATE

MIGRATION = """
def migrate(user, tx):
    tx.app_metadata.set("billing.plan", user.app_metadata["plan"])
    tx.app_metadata.delete("plan")
"""


def rows(path: Path, users: int) -> None:
    """Write an export of users who all look like the stub's."""
    bag = json.dumps(PROFILE["app_metadata"])
    with path.open("w") as out:
        for n in range(users):
            out.write(f'{{"user_id":"auth0|{n:024x}","app_metadata":{bag}}}\n')


def stage(name: str, url: str, folder: Path, *, trust: bool, most: int) -> None:
    """Run one stage of the migration, and print what it cost."""
    from auth0_meta import ManagementClient
    from auth0_meta.migrate import UserDone, apply, plan

    began = time.monotonic()
    first: list[float] = []
    written, enough = 0, threading.Event()

    def seen(event: object) -> None:
        nonlocal written
        if isinstance(event, UserDone):
            first.append(time.monotonic() - began) if not first else None
            written += 1
            if written == most:
                enough.set()

    job = folder / "job.db"
    with ManagementClient(url, token=TOKEN, max_wait=None) as client:
        if name == "plan":
            plan(folder / "move.py", to=job, client=client, users=str(folder / "rows.ndjson"))
        else:
            apply(job, client, share=1.0, trust_plan=trust, cancel=enough, on_event=seen)
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cost = {
        "seconds": time.monotonic() - began,
        "peak_mb": peak / 1024,
        "first": first[0] if first else None,
        "written": written,
    }
    print(json.dumps(cost))


def start(name: str, url: str, folder: Path, *flags: str) -> subprocess.Popen[str]:
    """Start a stage in its own process."""
    command = [sys.executable, __file__, "--stage", name, "--url", url, "--folder", str(folder), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a stage and return what it printed."""
    out, _ = process.communicate()
    assert process.returncode == 0, process.returncode
    found: dict[str, Any] = json.loads(out)
    return found


def done(job: Path) -> int:
    """Return how many users have been written, as another process sees it."""
    with sqlite3.connect(f"file:{job}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT n FROM counts WHERE state = 2").fetchone()[0])


def sizes(job: Path, users: int) -> tuple[float, float]:
    """Return the bytes per user of the whole job file, and of it without operations, documents and images."""
    with sqlite3.connect(f"file:{job}?mode=ro", uri=True) as db:
        held = db.execute(
            "SELECT SUM(LENGTH(CAST(plan AS BLOB)) + COALESCE(LENGTH(CAST(again AS BLOB)), 0)) FROM users"
        )
        images = held.fetchone()[0]
    whole = sum(path.stat().st_size for path in job.parent.glob("job.db*"))
    return whole / users, (whole - images) / users


def large(users: int, *, trust: bool, most: int) -> None:
    """Plan, kill the apply after a tenth of the users (or `most`), and resume it until all (or `most`) are written."""
    flags = ["--trust-plan"] if trust else []
    with canned(reflect=True) as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = folder / "job.db"
        (folder / "move.py").write_text(MIGRATION)
        rows(folder / "rows.ndjson", users)
        planned = finish(start("plan", url, folder))
        print(
            f"{users} users planned in {planned['seconds']:.0f} s ({users / planned['seconds']:.0f}/s), "
            f"at most {planned['peak_mb']:.0f} MB",
            flush=True,
        )
        process = start("apply", url, folder, *flags)
        while done(job) < min(users // 10, most or users):
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = users - done(job)
        applied = finish(start("apply", url, folder, *flags, "--most", str(most)))
        assert most or done(job) == users
        whole, rest = sizes(job, users)
    print(
        f"killed with {left} left; resumed: first user after {applied['first']:.2f} s (goal 2), {applied['written']} after "
        f"{applied['seconds']:.0f} s ({applied['written'] / applied['seconds']:.0f}/s), at most {applied['peak_mb']:.0f} MB (goal 200)\n"
        f"ledger {whole:.0f} B per user, {rest:.0f} without operations and images (goal 350)",
        flush=True,
    )


def neighbor(users: int) -> None:
    """Migrate with the default share alongside an application, and print what part of the rest the migration got."""
    from auth0_meta import ManagementClient, RateLimitError
    from auth0_meta.emulator import LocalTenant
    from auth0_meta.migrate import apply, plan

    profiles = [
        {"user_id": f"auth0|{n:024x}", "app_metadata": dict(PROFILE["app_metadata"])} for n in range(users)
    ]
    with (
        tempfile.TemporaryDirectory() as name,
        LocalTenant(rate_limit=f"{BURST}@{RATE}", users=profiles, latency=0.02) as tenant,
        ManagementClient(tenant.url, token=TOKEN, max_wait=None) as client,
        ManagementClient(tenant.url, token="d.e.f", max_wait=0) as application,
    ):
        folder, job = Path(name), Path(name) / "job.db"
        (folder / "move.py").write_text(MIGRATION)
        rows(folder / "rows.ndjson", users)
        plan(folder / "move.py", to=job, client=client, users=str(folder / "rows.ndjson"))
        stop, calls, refused = threading.Event(), 0, 0
        arrivals = random.Random(7)

        def live() -> None:
            nonlocal calls, refused
            while not stop.wait(arrivals.expovariate(APPLICATION)):
                calls += 1
                try:
                    application.users.get("auth0|" + "0" * 24)
                except RateLimitError:
                    refused += 1

        thread = threading.Thread(target=live)
        thread.start()
        began = time.monotonic()
        result = apply(job, client)
        took = time.monotonic() - began
        stop.set()
        thread.join()
    allowed = RATE * took + 0.5 * BURST - (calls - refused)
    print(
        f"{users} users at {BURST}@{RATE}, default share, alongside {calls / took:.1f} calls/s of an application: "
        f"{result.requests / allowed:.3f} of the rest (goal 0.97); refused: {result.refusals} requests of the migration, "
        f"{refused} of {calls} calls of the application"
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--share-users", type=int, default=1500)
    parser.add_argument(
        "--most", type=int, default=0, help="stop after this many users of the resumed run (0: all)"
    )
    parser.add_argument("--trust-plan", action="store_true", help="skip the reads")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        return stage(options.stage, options.url, options.folder, trust=options.trust_plan, most=options.most)
    print(f"{os.cpu_count()} cores")
    if options.share_users:
        neighbor(options.share_users)
    if options.users:
        large(options.users, trust=options.trust_plan, most=options.most)


if __name__ == "__main__":
    main()
