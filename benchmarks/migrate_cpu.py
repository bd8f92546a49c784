"""Measure the CPU time that planning and applying take for each user, compared with an earlier version and with requests.

    python benchmarks/migrate_cpu.py [--users 20000] [--applied 1500] [--rounds 5] [--against DIRECTORY]

Planning is from a file of profiles by a migration file, and by change files as NDJSON and CSV beside that file of profiles;
DIRECTORY is a checkout of the earlier version.  The rate is that of the clock, CPU time includes the processes of the
function.  Applying reads and patches every user of a canned server in another process; beside it, 8 threads over one
requests.Session do the same.  Sides alternate, each in a process of its own, and ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from canned import PROFILE, canned

HERE = Path(__file__).resolve().parent.parent
TOKEN = "a.b.c"
THREADS = 8
MIGRATION = """
def migrate(user, tx):
    tx.app_metadata.set("billing.plan", user.app_metadata["plan"])
    tx.app_metadata.delete("plan")
"""
GOAL_RATE, GOAL_APPLY = 3.0, 0.5


def write_files(folder: Path, users: int) -> None:
    """Write the file of profiles and the migrations."""
    bag = json.dumps(PROFILE["app_metadata"])
    ids = [f"auth0|{n:024x}" for n in range(users)]
    (folder / "rows.ndjson").write_text(
        "".join(f'{{"user_id":"{one}","app_metadata":{bag}}}\n' for one in ids)
    )
    (folder / "move.py").write_text(MIGRATION)
    change = '"app_metadata":{"billing":{"plan":"pro"}}'
    (folder / "changes.ndjson").write_text("".join(f'{{"user_id":"{one}",{change}}}\n' for one in ids))
    rows = "".join(f"{one},pro,{n % 7}\n" for n, one in enumerate(ids))
    (folder / "changes.csv").write_text(f"user_id,app_metadata.billing.plan,app_metadata.seats:=\n{rows}")


def cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def side(what: str, folder: Path, url: str) -> None:
    """Do one side's work in this process, and print its seconds and CPU seconds."""
    users = sum(1 for _ in (folder / "rows.ndjson").open())
    ids = [f"auth0|{n:024x}" for n in range(users)]
    if what == "requests":
        import requests

        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

        def one(user_id: str) -> None:
            place = f"{url}/api/v2/users/{quote(user_id, safe='')}"
            bag = session.get(place, timeout=30).json()["app_metadata"]
            document = {"app_metadata": {"billing": {"plan": bag["plan"]}, "plan": None}}
            session.patch(place, json=document, timeout=30).raise_for_status()

        began, used = time.monotonic(), cpu()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, ids))
    else:
        from auth0_meta import ManagementClient
        from auth0_meta.migrate import apply, plan

        job, rows = folder / f"{os.getpid()}.db", str(folder / "rows.ndjson")
        if what == "apply":
            plan(folder / "move.py", to=job, users=rows)
            with ManagementClient(url, token=TOKEN, max_wait=None) as client:
                began, used = time.monotonic(), cpu()
                result = apply(job, client, share=1.0)
            assert result.counts == {"done": users}
        else:
            began, used = time.monotonic(), cpu()
            summary = plan(folder / what, to=job, users=rows)
            assert summary.changing == users
    print(json.dumps({"seconds": time.monotonic() - began, "cpu": cpu() - used}))


def run(what: str, folder: Path, url: str, code: Path) -> dict[str, float]:
    """Run one side in its own process, with the package from a checkout."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(code), str(HERE / "benchmarks")))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, __file__, "--side", what, "--folder", str(folder), "--url", url]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(
    name: str, users: int, rounds: int, sides: dict[str, tuple[str, Path]], folder: Path, url: str
) -> dict[str, Any]:
    """Print each side's medians, and return the medians of the first side's ratios to the second."""
    rows: dict[str, list[dict[str, float]]] = {label: [] for label in sides}
    for _ in range(rounds):
        for label, (what, code) in sides.items():
            rows[label].append(run(what, folder, url, code))
    print(f"{name}, {users} users, medians of {rounds} rounds (least - greatest)")
    for label, found in rows.items():
        used = [one["cpu"] / users * 1e6 for one in found]
        rate = statistics.median(users / one["seconds"] for one in found)
        print(
            f"  {label:22} {statistics.median(used):6.0f} us of CPU per user ({min(used):.0f} - {max(used):.0f}), {rate:6.0f} users/s"
        )
    if len(rows) < 2:
        return {}
    pairs = list(zip(*list(rows.values())[:2], strict=True))
    return {field: statistics.median(a[field] / b[field] for a, b in pairs) for field in ("cpu", "seconds")}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--applied", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return side(options.side, options.folder, options.url)
    if options.users:
        with tempfile.TemporaryDirectory() as name:
            write_files(Path(name), options.users)
            for what in ("move.py", "changes.ndjson", "changes.csv"):
                sides = {"now": (what, HERE)}
                if options.against is not None:
                    sides["earlier"] = (what, options.against.resolve())
                ratios = compare(f"planning by {what}", options.users, options.rounds, sides, Path(name), "")
                if ratios:
                    print(
                        f"  CPU {ratios['cpu']:.2f} x, rate {1 / ratios['seconds']:.2f} x (goal: {GOAL_RATE} x)"
                    )
    if options.applied:
        with tempfile.TemporaryDirectory() as name, canned(reflect=True) as url:
            write_files(Path(name), options.applied)
            sides = {"apply": ("apply", HERE), "requests, 8 threads": ("requests", HERE)}
            if options.against is not None:
                sides["earlier apply"] = ("apply", options.against.resolve())
            ratios = compare("applying", options.applied, options.rounds, sides, Path(name), url)
            print(f"  apply {ratios['cpu']:.2f} x the CPU of requests (goal: {GOAL_APPLY} x)")
    return None


if __name__ == "__main__":
    main()
