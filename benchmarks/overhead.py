"""Measure what one committed transaction costs this process, compared with its peers.

    python benchmarks/overhead.py [--rounds 40] [--calls 100]

CPU time of this process, against one canned server in a separate process.  All contenders take turns in each round, so
that other work on the machine affects all of them.  The figures are medians over the rounds, and so are the ratios, each of
which compares two contenders in one round.
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

FLAT, NESTED = "auth0_meta, flat", "auth0_meta, GET + PATCH"
URLLIB3, ADAPTER, SESSION = "urllib3.PoolManager", "requests' adapter", "requests.Session.patch"
THEIRS = "auth0-python users.update"
GOALS = {
    (FLAT, URLLIB3): 1.45,
    (FLAT, ADAPTER): 1.25,
    (FLAT, SESSION): 1.0,
    (FLAT, THEIRS): 0.8,
    (NESTED, URLLIB3): 2.8,
    (ADAPTER, URLLIB3): None,
}
"""What is compared with what, and the most that the ratio should be."""


def contenders(url: str) -> dict[str, Callable[[], object]]:
    """Return one function for each contender; a call sends one PATCH and parses the response."""
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
    from requests.structures import CaseInsensitiveDict

    from auth0_meta import ManagementClient, MetadataTransaction

    client = ManagementClient(url, token=TOKEN)

    def flat() -> None:
        with MetadataTransaction(client, USER) as tx:
            tx.user_metadata["theme"] = "dark"
            tx.user_metadata["prefs"] = {"lang": "fi"}

    def nested() -> None:
        with MetadataTransaction(client, USER) as tx:
            tx.user_metadata.set("prefs.lang", "sv")

    headers = {"Authorization": f"Bearer {TOKEN}"}
    typed = headers | {"Content-Type": "application/json"}
    path = f"{url}/api/v2/users/auth0%7C507f1f77bcf86cd799439020"
    session, pool, adapter = requests.Session(), urllib3.PoolManager(), HTTPAdapter()

    def session_patch() -> object:
        return session.patch(path, json=BODY, headers=headers, timeout=(3.05, 30)).json()

    def adapter_patch() -> object:
        # As cheap as it can be: `prepare()` takes a third of what a whole PATCH takes.
        prepared = requests.PreparedRequest()
        body = json.dumps(BODY).encode()
        sized = typed | {"Content-Length": str(len(body))}
        prepared.method, prepared.url, prepared.body = "PATCH", path, body
        prepared.headers = CaseInsensitiveDict(sized)
        return adapter.send(prepared, timeout=(3.05, 30)).json()

    def urllib3_patch() -> object:
        return json.loads(pool.request("PATCH", path, body=json.dumps(BODY).encode(), headers=typed).data)

    found: dict[str, Callable[[], object]] = {
        FLAT: flat,
        NESTED: nested,
        URLLIB3: urllib3_patch,
        ADAPTER: adapter_patch,
        SESSION: session_patch,
    }
    try:
        from auth0.management.client import Auth0
    except ImportError:
        print("auth0-python is not installed: skipped", file=sys.stderr)
    else:
        theirs = Auth0(base_url=f"{url}/api/v2", token=TOKEN)
        found[THEIRS] = lambda: theirs.users.update(USER, user_metadata=BODY["user_metadata"])
    return found


def cpu(call: Callable[[], object], calls: int) -> float:
    """Return microseconds of CPU time per call."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls * 1e6


def rounds(url: str, count: int, calls: int) -> dict[str, list[float]]:
    """Return each contender's microseconds per call, round by round."""
    functions = contenders(url)
    for function in functions.values():
        cpu(function, 200)
    figures: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(count):
        for name, function in functions.items():
            figures[name].append(cpu(function, calls))
    return figures


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=100, help="of each contender in a round")
    options = parser.parse_args()
    with canned() as url:
        figures = rounds(url, options.rounds, options.calls)
    print("CPU per call, in us: median (least - greatest)")
    for name, values in figures.items():
        print(f"  {name:26} {statistics.median(values):6.0f} ({min(values):.0f} - {max(values):.0f})")
    print("median of the ratios, each of one round (quartiles)")
    for (one, other), goal in GOALS.items():
        if other not in figures:
            continue
        ratios = [ours / theirs for ours, theirs in zip(figures[one], figures[other], strict=True)]
        low, _, high = statistics.quantiles(ratios)
        most = "" if goal is None else f"   goal: at most {goal}"
        print(f"  {one + ' / ' + other:52} {statistics.median(ratios):5.2f} ({low:.2f} - {high:.2f}){most}")


if __name__ == "__main__":
    main()
