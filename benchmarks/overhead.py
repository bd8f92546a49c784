"""Measure what one committed flat transaction costs this process, compared with its peers.

Run: python benchmarks/overhead.py [--runs 7] [--calls 2000]

It prints the CPU time of this process per PATCH, against one canned server in a separate process; every
contender runs once per round, and the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

from canned import canned

USER = "auth0|507f1f77bcf86cd799439020"
BODY = {"user_metadata": {"theme": "dark", "prefs": {"lang": "fi"}}}
TOKEN = "eyJ" + "x" * 900 + ".e30.s"
GOALS = {"requests.Session.patch": 1.0, "auth0-python users.update": 0.8}


def contenders(url: str) -> dict[str, Callable[[], object]]:
    """Build one callable per contender, each sending one PATCH."""
    import requests
    import urllib3

    from auth0_meta import ManagementClient, MetadataTransaction

    client = ManagementClient(url, token=TOKEN)

    def transaction() -> None:
        with MetadataTransaction(client, USER) as tx:
            tx.user_metadata["theme"] = "dark"
            tx.user_metadata["prefs"] = {"lang": "fi"}

    session = requests.Session()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    path = f"{url}/api/v2/users/auth0%7C507f1f77bcf86cd799439020"

    def requests_patch() -> object:
        return session.patch(path, json=BODY, headers=headers, timeout=(3.05, 30)).json()

    pool = urllib3.PoolManager()
    typed = headers | {"Content-Type": "application/json"}

    def urllib3_patch() -> object:
        return json.loads(pool.request("PATCH", path, body=json.dumps(BODY).encode(), headers=typed).data)

    found: dict[str, Callable[[], object]] = {
        "auth0_meta transaction": transaction,
        "requests.Session.patch": requests_patch,
        "urllib3.PoolManager": urllib3_patch,
    }
    try:
        from auth0.management.client import Auth0
    except ImportError:
        print("auth0-python is not installed: skipped", file=sys.stderr)
    else:
        theirs = Auth0(base_url=f"{url}/api/v2", token=TOKEN)
        found["auth0-python users.update"] = lambda: theirs.users.update(
            USER, user_metadata=BODY["user_metadata"]
        )
    return found


def measure(call: Callable[[], object], calls: int) -> float:
    """Return CPU microseconds per call."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls * 1e6


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with canned() as url:
        calls = contenders(url)
        for call in calls.values():
            measure(call, 200)
        rows: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(options.runs):
            for name, call in calls.items():
                rows[name].append(measure(call, options.calls))
    ours = statistics.median(rows["auth0_meta transaction"])
    print(
        f"CPU per PATCH, median of {options.runs} runs of {options.calls} (min - max), and ours as a multiple of it"
    )
    for name, values in rows.items():
        middle = statistics.median(values)
        goal = f"   goal: at most {GOALS[name]}" if name in GOALS else ""
        print(
            f"  {name:28} {middle:7.0f} us ({min(values):.0f} - {max(values):.0f})  {ours / middle:5.2f} x{goal}"
        )


if __name__ == "__main__":
    main()
