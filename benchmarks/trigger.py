"""Measure what the post-login trigger adds to its actions, without a network.

Run: python benchmarks/trigger.py [--runs 7] [--logins 300] [--actions 10]

Each action reads one key and stages two, one in `user_metadata` and one in `app_metadata`, of a profile of
about 2 KB.  What it stages equals what is stored, so there is nothing to send.  The bare functions get the
same event, and an api that only fills two dicts.  The figures are CPU time of this process, medians over the
runs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from canned import PROFILE

from auth0_meta import ManagementClient
from auth0_meta.actions import Event, PostLoginTrigger

GOAL_US = 100.0
STORED = {
    **PROFILE,
    "app_metadata": {"plan": "pro", "log": ["x" * 40] * 20, **{f"k{n}": n for n in range(20)}},
    "user_metadata": {"theme": "dark", "prefs": {"lang": "fi", "tags": ["a", "b", "c"]}},
}


class Bare:
    """A stand-in for the api, with the minimum that can store a staged value."""

    def __init__(self) -> None:
        self.user = self
        self.app: dict[str, Any] = {}
        self.own: dict[str, Any] = {}

    def set_app_metadata(self, key: str, value: Any) -> None:
        """Store a value."""
        self.app[key] = value

    def set_user_metadata(self, key: str, value: Any) -> None:
        """Store a value."""
        self.own[key] = value


def action(event: Any, api: Any) -> None:
    """Read one key, stage two."""
    api.user.set_app_metadata("plan", event.user.app_metadata["plan"])
    api.user.set_user_metadata("theme", "dark")


async def async_action(event: Any, api: Any) -> None:
    """Do the same in a coroutine."""
    action(event, api)


def measure(login: Callable[[], object], logins: int) -> float:
    """Return CPU microseconds per login."""
    start = time.process_time()
    for _ in range(logins):
        login()
    return (time.process_time() - start) / logins * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--logins", type=int, default=300)
    parser.add_argument("--actions", type=int, default=10)
    options = parser.parse_args()
    event = Event.from_profile(STORED)
    client = ManagementClient("http://127.0.0.1:1", token="never.sent.anywhere")
    trigger = PostLoginTrigger(client, [action] * options.actions)
    empty = PostLoginTrigger(client, [])
    mixed = PostLoginTrigger(client, [async_action] * options.actions)

    def bare() -> None:
        api = Bare()
        for _ in range(options.actions):
            action(event, api)

    loop = asyncio.new_event_loop()
    cases: dict[str, Callable[[], object]] = {
        "bare functions": bare,
        "trigger.run": lambda: trigger.run(event),
        "await trigger.arun, async actions": lambda: loop.run_until_complete(mixed.arun(event)),
        "trigger.run without actions": lambda: empty.run(event),
        "Event.from_profile": lambda: Event.from_profile(STORED),
    }
    assert trigger.run(event).allowed
    assert loop.run_until_complete(mixed.arun(event)).allowed
    rows: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(options.runs + 1):  # the first one warms up
        for name, case in cases.items():
            took = measure(case, options.logins)
            if run:
                rows[name].append(took)
    loop.close()
    middle = {name: statistics.median(values) for name, values in rows.items()}
    base = middle["bare functions"]
    print(
        f"CPU per login of {options.actions} actions, median of {options.runs} runs of {options.logins} (min - max)"
    )
    for name, values in rows.items():
        line = f"  {name:34} {middle[name]:8.1f} us ({min(values):.1f} - {max(values):.1f})"
        if name in ("trigger.run", "await trigger.arun, async actions"):
            added = (middle[name] - base) / options.actions
            verdict = "met" if added < GOAL_US else "MISSED"
            line += f"  {middle[name] / base:5.1f} x bare, {added:.1f} us added per action (goal: under {GOAL_US:.0f}: {verdict})"
        print(line)


if __name__ == "__main__":
    main()
