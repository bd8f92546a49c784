"""Compare a local tenant's own HTTP server with cheroot, which serves the same tenant, or with an earlier checkout.

Run: python benchmarks/serving.py [--seconds 2] [--rounds 5] [--against DIRECTORY]

cheroot serves `tenant.wsgi`, and is left out if it is not installed.  DIRECTORY is a checkout of an earlier version, whose
own server is measured.  Sides alternate, so that other work on the machine affects all of them.  Each has one process, pinned to one core where the platform can do that, and four connections.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
from typing import Any

from emulator import BODY, USER, load, request

SERVER = """
import os, sys, threading, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {0})
from auth0_meta.emulator import LocalTenant
side = sys.argv[1]
tenant = LocalTenant(journal_limit=1000, serve=side == "own")
tenant.users.add(user_id="auth0|1", app_metadata={"plan": "free", "n": 1})
if side == "own":
    tenant.start()
    url = tenant.url
else:
    from cheroot.wsgi import Server
    server = Server(("127.0.0.1", 0), tenant.wsgi)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    url = f"http://127.0.0.1:{server.bind_addr[1]}"
print(url, flush=True)
for line in sys.stdin:
    if line == "token\\n":
        tenant._state.access.issue(tenant.now(), client_id="x")
        begun = time.process_time()
        for _ in range(100):
            tenant._state.access.issue(tenant.now(), client_id="x")
        print((time.process_time() - begun) / 100, flush=True)
    elif line == "stop\\n":
        begun = time.perf_counter()
        tenant.stop()
        print(time.perf_counter() - begun, flush=True)
    else:
        print(time.process_time(), flush=True)
os._exit(0)  # cheroot's threads would keep the process
"""


class Side:
    """A server in its own process."""

    def __init__(self, kind: str, checkout: str | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,  # the first place where an import looks
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, word: str) -> float:
        """Return a figure that only the server's process knows."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return float(self._line())

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


def measure(side: Side, kind: str, *, seconds: float) -> dict[str, float]:
    """Return the figures of one round."""
    figures: dict[str, float] = {}
    for name, raw in (
        ("PATCH", request(side.url, "PATCH", f"/api/v2/users/{USER}", BODY)),
        ("GET", request(side.url, "GET", f"/api/v2/users/{USER}")),
    ):
        before = side.ask("cpu")
        per_second = load(side.url, raw, seconds=seconds, connections=4)[0]
        figures[f"{name}/s"] = per_second
        figures[f"us of CPU per {name}"] = (side.ask("cpu") - before) / (per_second * seconds) * 1e6
    figures["ms of CPU per token"] = side.ask("token") * 1000
    if kind == "own":
        address = side.url.rpartition("/")[2].rpartition(":")
        with socket.create_connection((address[0], int(address[2]))):
            figures["ms for stop()"] = side.ask("stop") * 1000
    return figures


def main(argv: list[Any] | None = None) -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against")
    options = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    sides: dict[str, tuple[str, str | None]] = {"own server": ("own", None)}
    if options.against:
        sides["the checkout's"] = ("own", options.against)
    if importlib.util.find_spec("cheroot") is not None:
        sides["cheroot"] = ("cheroot", None)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name, (kind, checkout) in sides.items():
            print(number, name, file=sys.stderr)
            with Side(kind, checkout) as side:
                rounds[name].append(measure(side, kind, seconds=options.seconds))
    own = rounds["own server"]
    for name, runs in rounds.items():
        print(name)
        for figure in runs[0]:
            values = [run[figure] for run in runs]
            ratio = statistics.median(mine[figure] / run[figure] for mine, run in zip(own, runs, strict=True))
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"  {figure:24} {middle:9.1f} ({low:.1f} - {high:.1f})   own server / this: {ratio:5.2f}")


if __name__ == "__main__":
    main()
