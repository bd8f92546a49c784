"""Measure how much memory a local tenant needs for many writes, and for snapshots of many users.

Run: python benchmarks/state.py [--patches 1000000] [--users 300000] [--only patches,snapshot]

Each part runs in a process of its own, on a `db` in a temporary directory.  `patches` sends PATCHes to the users in turn
through the pipeline, without sockets.  `snapshot` saves and restores the users of a tenant that another process serves,
as `auth0-meta emulator snapshot` does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.process.transfer import load, save

BODY = b'{"app_metadata":{"n":%d,"plan":"pro"}}'


def peak(process: int | str = "self") -> float:
    """Return the most memory that a process has needed, in MB (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def profiles(count: int) -> Iterator[dict[str, Any]]:
    """Yield users of about a kilobyte."""
    for number in range(count):
        bag = {"prefs": {"lang": "fi", "n": number}, "text": "x" * 300}
        yield {
            "user_id": f"auth0|{number}",
            "email": f"u{number}@example.com",
            "user_metadata": bag,
            "app_metadata": {"plan": "free", "roles": ["a", "b"]},
        }


def filled(db: Path, users: int) -> LocalTenant:
    """Return a tenant with so many users in a file."""
    tenant = LocalTenant(serve=False, db=db, journal_limit=1000)
    tenant.users.replace(profiles(users))
    return tenant


def patches(folder: Path, count: int, users: int) -> None:
    """PATCH the users one after another, and again, so many times."""
    tenant = filled(folder / "users.db", users)
    handle, host = tenant._pipeline.handle, tenant.domain
    headers = {"host": host, "authorization": "Bearer x", "content-type": "application/json"}
    print(f"{users:,} users: {peak():.0f} MB", flush=True)
    begun = time.perf_counter()
    for number in range(count):
        path = f"/api/v2/users/auth0%7C{number % users}"
        response = handle(Request("PATCH", path, headers, BODY % number))
        assert response.status == 200, response.body
        if (number + 1) % (count // 5) == 0:
            spent = (time.perf_counter() - begun) / (number + 1) * 1e6
            print(f"{number + 1:,} PATCHes: {peak():.0f} MB, {spent:.0f} us each", flush=True)
    tenant.stop()


def snapshot(folder: Path, users: int) -> None:
    """Save the users of one served tenant, and restore them in another one."""
    filled(folder / "users.db", users).stop()
    os.environ["AUTH0_META_EMULATOR_DIR"] = str(folder)
    path, port = folder / "snapshot.json", 0
    for name, act in (("users.db", save), ("other.db", load)):
        line = [
            sys.executable,
            "-m",
            "auth0_meta",
            "emulator",
            "serve",
            "--port",
            str(port),
            "--db",
            str(folder / name),
        ]
        with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            while "Ctrl-C" not in server.stderr.readline():
                pass
            (announced,) = folder.glob("emulator-*.json")
            begun = time.perf_counter()
            count = act(path, int(announced.stem.rpartition("-")[2]))
            spent, needed = time.perf_counter() - begun, peak(server.pid)
            server.terminate()
            server.communicate()
        size = path.stat().st_size / 1e6
        print(
            f"{act.__name__}: {count:,} users, {size:.0f} MB in {spent:.1f} s;"
            f" the server needed {needed:.0f} MB, this process {peak():.0f} MB",
            flush=True,
        )


def main() -> None:
    """Run each part in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--only", default="patches,snapshot")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        with tempfile.TemporaryDirectory() as folder:
            if given.part == "patches":
                patches(Path(folder), given.patches, given.users)
            else:
                snapshot(Path(folder), given.users)
        return
    for part in given.only.split(","):
        line = [sys.executable, __file__, *sys.argv[1:], "--part", part]
        subprocess.run(line, check=True)


if __name__ == "__main__":
    main()
