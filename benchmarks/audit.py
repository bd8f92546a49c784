"""Measure how fast an audit reads profiles, beside a loop over json.loads and jq, and how much memory it takes.

    python benchmarks/audit.py [--users 20000] [--rounds 7]
    python benchmarks/audit.py --memory 1000000

Profiles have about 1 KB.  The sides read the same file in turn; ratios are medians over the rounds, of CPU time and of
the clock.  jq is used if it is there.  For the memory, profiles come through a pipe; every tenth has keys that no other one
has, at the first level and below it.  The figure is the peak of the process that audits them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from auth0_meta.audit import audit

HERE = Path(__file__).resolve().parent.parent
GOALS = {"sizes": 0.4, "all": 0.12}
MOST_MB = 150
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "iris",
    "juniper",
    "kestrel",
    "lumen",
    "maple",
    "nectar",
    "onyx",
    "pebble",
]
JQ = ["jq", "-c", "tojson | utf8bytelength"]


def loop(path: str) -> None:
    """Read a file as anybody would."""
    with open(path) as file:
        for line in file:
            json.loads(line)


SIDES: dict[str, Callable[[str], object]] = {
    "json.loads": loop,
    "sizes": lambda path: audit(path, checks="sizes"),
    "all": audit,
    "jq (size of each)": lambda path: subprocess.run([*JQ, path], check=True, stdout=subprocess.PIPE),
}


def profiles(users: int) -> Iterator[dict[str, Any]]:
    """Yield ordinary profiles of about 1 KB."""
    chance = random.Random(5)

    def at() -> str:
        return f"202{chance.randrange(1, 7)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T10:{chance.randrange(60):02}:07.{chance.randrange(1000):03}Z"

    for n in range(users):
        first, last = chance.choice(WORDS), chance.choice(WORDS)
        yield {
            "user_id": f"auth0|{n:024x}",
            "email": f"{first}.{last}{n}@example.com",
            "email_verified": True,
            "name": f"{first} {last}".title(),
            "picture": f"https://s.example.com/avatar/{chance.getrandbits(128):032x}?s=480",
            "created_at": at(),
            "updated_at": at(),
            "last_login": at(),
            "logins_count": chance.randrange(500),
            "identities": [{"user_id": f"{n:024x}", "provider": "auth0", "connection": "Users", "isSocial": False}],
            "user_metadata": {
                "preferences": {"theme": chance.choice(["dark", "light"]), "lang": "fi", "newsletter": True},
                "address": {"street": f"{chance.randrange(99)} {last} street", "city": first, "zip": f"{chance.randrange(99999):05}"},
                "phone": f"+358 40 {chance.randrange(10**7):07}",
                "consents": [{"id": word, "given": True, "at": at()} for word in WORDS[:2]],
                "tags": chance.sample(WORDS, 3),
            },
            "app_metadata": {
                "plan": chance.choice(["free", "pro"]),
                "roles": ["user"],
                "billing": {"customer": f"cus_{chance.getrandbits(64):016x}", "seats": chance.randrange(50), "since": at()},
                "flags": {"beta": False, "new_ui": True},
                "orders": [f"ORD-2026-{chance.randrange(10**6):06}" for _ in range(chance.randrange(5))],
            },
        }  # fmt: skip


def used() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def speed(users: int, rounds: int) -> None:
    """Print the table of rates."""
    sides = {name: side for name, side in SIDES.items() if shutil.which("jq") or not name.startswith("jq")}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "users.ndjson"
        with path.open("w") as file:
            file.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in profiles(users))
        size = path.stat().st_size // users
        for _ in range(rounds):
            for name, side in sides.items():
                cpu, began = used(), time.monotonic()
                side(str(path))
                took[name].append((used() - cpu, time.monotonic() - began))
    print(f"{users} users of {size} bytes, medians of {rounds} rounds (least - greatest)")
    for name, rows in took.items():
        cpu_us = [row[0] / users * 1e6 for row in rows]
        pairs = list(zip(took["json.loads"], rows, strict=True))
        by_cpu, by_clock = (statistics.median(one[n] / row[n] for one, row in pairs) for n in (0, 1))
        goal = f" (goal: {GOALS[name]})" if name in GOALS else ""
        print(
            f"  {name:18} {statistics.median(cpu_us):6.1f} us of CPU per user ({min(cpu_us):.1f} - {max(cpu_us):.1f}),"
            f" {by_cpu:.2f} x the rate of the loop, by the clock {by_clock:.2f} x{goal}"
        )


def memory(users: int, every: int) -> None:
    """Print the peak of an audit of profiles with many different keys."""
    code = (
        "import resource\nfrom auth0_meta.audit import audit\nreport = audit('-')\n"
        "print(report.users, len(report.findings), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, report.seconds)"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert child.stdin is not None
    assert child.stdout is not None
    some = [json.dumps(one, separators=(",", ":")) for one in profiles(2_000)]
    for n in range(users):
        word = "".join(chr(97 + int(digit)) for digit in f"{n:07}")
        own = (
            ""
            if n % every
            else f'"x{word}":{{"at":1}},"carts":{{"y{word}":{{"total":{n}}}}},"mfa_required_{n:032x}":true,'
        )
        line = some[n % len(some)].replace('"app_metadata":{', f'"app_metadata":{{{own}', 1)
        child.stdin.write(f'{{"user_id":"auth0|{n:024x}",{line[line.index(",") + 1 :]}\n'.encode())
    child.stdin.close()
    count, findings, peak, seconds = child.stdout.read().split()
    child.wait()
    print(
        f"{count.decode()} users with {3 * users // every} different keys: at most {peak.decode()} MB (goal: {MOST_MB}), "
        f"{findings.decode()} findings, {float(seconds):.0f} s"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", type=int, metavar="USERS", help="measure the memory instead")
    parser.add_argument(
        "--every", type=int, default=10, help="how many users there are to one with keys of their own"
    )
    options = parser.parse_args()
    if options.memory:
        memory(options.memory, options.every)
    else:
        speed(options.users, options.rounds)


if __name__ == "__main__":
    main()
