"""Measure how many requests per second a local tenant handles, and how soon it starts.

Run: python benchmarks/emulator.py [--seconds 5] [--connections 4] [--users 100000]

The load comes from a separate process over raw keep-alive sockets, so that no client library is
measured; the server has one process, pinned to one core where the platform can do that.  For
comparison, moto's server (skipped without `pip install "moto[server,s3]"`) handles a PUT of the same size.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

USER = "auth0%7C1"
BODY = b'{"user_metadata":{"theme":"dark","prefs":{"lang":"fi"}}}'
SERVER = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {0})
from auth0_meta.emulator import LocalTenant
users = int(sys.argv[1])
db = sys.argv[2] if len(sys.argv) > 2 else None
tenant = LocalTenant(journal_limit=1000, **({"db": db} if db else {}))
for number in range(1, users + 1):
    if f"auth0|{number}" not in tenant.users:
        tenant.users.add(user_id=f"auth0|{number}", app_metadata={"plan": "free", "n": number})
with tenant:
    print(tenant.url, flush=True)
    sys.stdin.read()
"""


class Server:
    """Run a server in its own process until the block ends."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> str:
        """Return its URL."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


def request(url: str, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return the bytes of one request."""
    host = urlsplit(url).netloc
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    text = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer x\r\n{headers}{length}\r\n"
    return text.encode() + body


def read(sock: socket.socket, rest: bytes) -> bytes:
    """Read one response; return what came after it."""
    while b"\r\n\r\n" not in rest:
        rest += _more(sock)
    head, _, rest = rest.partition(b"\r\n\r\n")
    assert head[9:12] in (b"200", b"204"), head
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(rest) < length:
        rest += _more(sock)
    return rest[length:]


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    assert data, "the server closed the connection"
    return data


def load(url: str, raw: bytes, *, seconds: float, connections: int) -> tuple[float, float, float]:
    """Send one request over and over on each connection; returns (per second, median ms, 99 % ms).

    One thread takes the connections in turn: it sends on all, then reads from all.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    socks = [socket.create_connection(address) for _ in range(connections)]
    for sock in socks:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rests = [b""] * connections
    spent: list[float] = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        for sock in socks:
            sock.sendall(raw)
        for index, sock in enumerate(socks):
            rests[index] = read(sock, rests[index])
        spent.append(time.perf_counter() - now)
    elapsed = time.perf_counter() - started
    for sock in socks:
        sock.close()
    spent.sort()
    return (
        len(spent) * connections / elapsed,
        spent[len(spent) // 2] * 1000,
        spent[len(spent) * 99 // 100] * 1000,
    )


def load_anew(url: str, raw: bytes, *, seconds: float) -> tuple[float, float, float]:
    """Send one request over and over, each on a new connection: moto's server keeps none open."""
    parts = urlsplit(url)
    spent: list[float] = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as sock:
            sock.sendall(raw)
            read(sock, b"")
        spent.append(time.perf_counter() - now)
    elapsed = time.perf_counter() - started
    spent.sort()
    return len(spent) / elapsed, spent[len(spent) // 2] * 1000, spent[len(spent) * 99 // 100] * 1000


def report(name: str, figures: tuple[float, float, float]) -> None:
    """Print one line."""
    per_second, median, tail = figures
    print(f"{name:34} {per_second:8,.0f} /s   median {median:6.2f} ms   99 % {tail:6.2f} ms")


def measure_tenant(options: argparse.Namespace) -> None:
    """Measure PATCH and GET with many connections, then with one."""
    with Server("100") as url:
        patch = request(url, "PATCH", f"/api/v2/users/{USER}", BODY)
        get = request(url, "GET", f"/api/v2/users/{USER}")
        for name, raw in (("PATCH", patch), ("GET", get)):
            many = load(url, raw, seconds=options.seconds, connections=options.connections)
            report(f"{name}, {options.connections} connections", many)
        report("PATCH, 1 connection", load(url, patch, seconds=options.seconds, connections=1))
        report("PATCH, a new connection each", load_anew(url, patch, seconds=options.seconds))


def measure_file(options: argparse.Namespace) -> None:
    """Measure one connection against a SQLite file of many users; the goal is 2 ms each."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "tenant.db")
        with Server(str(options.users), path) as url:
            for name, raw in (
                ("PATCH", request(url, "PATCH", f"/api/v2/users/auth0%7C{options.users // 2}", BODY)),
                ("GET", request(url, "GET", f"/api/v2/users/auth0%7C{options.users // 3}")),
            ):
                figures = load(url, raw, seconds=options.seconds / 2, connections=1)
                report(f"{name}, {options.users:,} users in a file", figures)


def measure_start() -> None:
    """Measure from starting the interpreter to the first response; the goal is half a second."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        with Server("1") as url:
            parts = urlsplit(url)
            with socket.create_connection((parts.hostname or "", parts.port or 0)) as sock:
                sock.sendall(request(url, "GET", f"/api/v2/users/{USER}"))
                read(sock, b"")
            best = min(best, time.perf_counter() - started)
    print(f"{'start to first response, best of 5':34} {best:8.2f} s")


def measure_moto(options: argparse.Namespace) -> None:
    """Measure moto's server with a PUT of an object, if it is installed."""
    if importlib.util.find_spec("moto") is None:
        print('moto is not installed (pip install "moto[server,s3]"): skipped')
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import os, sys\n"
        "if hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {0})\n"
        "from moto.server import main; main(['-p', sys.argv[1]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    aws = "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
    try:
        wait_for(port)
        one = request(url, "PUT", "/bucket", headers=aws + "Content-Length: 0\r\n")
        raw = request(url, "PUT", "/bucket/key", BODY, aws)
        for prepare in (one, raw):
            load_anew(url, prepare, seconds=0.01)
        report("moto's server, PUT object", load_anew(url, raw, seconds=options.seconds))
    except (OSError, AssertionError) as error:
        print(f"moto's server could not be measured: {error}")
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, *, seconds: float = 20) -> None:
    """Wait until something listens."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def main(argv: list[Any] | None = None) -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--users", type=int, default=100_000)
    options = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    measure_tenant(options)
    measure_moto(options)
    measure_start()
    measure_file(options)


if __name__ == "__main__":
    main()
