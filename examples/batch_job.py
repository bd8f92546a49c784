"""Change many users at the tenant's pace, and watch it: nothing is configured, nobody is refused.

    python examples/batch_job.py [--rate-limit free] [IDS]

Every user of IDS (a file with one id in each line, - for stdin) is counted once more in `app_metadata.stats.touched`.
A real tenant needs IDS.  Without AUTH0_DOMAIN in the environment it runs on a local tenant with the rate limit of a
plan, or SIZE@PER_SECOND.  Ctrl-C finishes what is in flight and tells how many were not sent.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from _tenant import connect, say

from auth0_meta import Auth0MetaError, ConfigError, ManagementClient, MetadataBatch
from auth0_meta.transactions.batch_result import BatchResult, Progress

BEFORE = [{"app_metadata": {"stats": {"touched": n}}} for n in range(8)]


@contextmanager
def shown() -> Iterator[Callable[[Progress], object]]:
    """Give what draws progress: a live line where rich is installed and somebody watches, plain lines otherwise."""
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra
        from rich.live import Live  # noqa: PLC0415
    except ImportError:
        yield plain
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield plain
        return
    with Live("staging", console=console) as live:
        yield lambda progress: live.update(line(progress))


def line(progress: Progress) -> str:
    """Word how far it is."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.done} of {progress.staged} users, {progress.per_second:.1f} a second{failed}"


def plain(progress: Progress) -> None:
    """Say how far it is on a line of its own."""
    say(line(progress))


def touch(
    client: ManagementClient, users: Iterable[str], tell: Callable[[Progress], object]
) -> MetadataBatch:
    """Count each user once more; one that fails is named and does not stop the rest."""

    def named(result: BatchResult) -> None:
        if result.error is not None:
            say(f"{result.user_id}: {result.error}")

    # A local tenant of two tokens has no room for a floor; on a live one leave `share` as it is.
    share = 1.0 if not os.environ.get("AUTH0_DOMAIN") else 0.5
    batch = MetadataBatch(client, share=share, on_error="collect", on_result=named, on_progress=tell)
    try:
        with batch:
            for user_id in users:
                batch.user(user_id).app_metadata.increment("stats.touched")
    except KeyboardInterrupt:
        say("interrupted")
    return batch


def read(path: str) -> Iterator[str]:
    """Yield ids as they are needed: the file may be longer than memory."""
    with open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-") as file:
        yield from (found for found in map(str.strip, file) if found)


def main() -> int:
    """Touch every user and print the counts."""
    parser = argparse.ArgumentParser(description="Change many users at the tenant's pace.")
    parser.add_argument("--rate-limit", default="free", help="of the local tenant")
    parser.add_argument(
        "ids", nargs="?", metavar="IDS", help="a file with one user id in each line, - for stdin"
    )
    given = parser.parse_args()
    if given.ids is None and os.environ.get("AUTH0_DOMAIN"):
        parser.print_usage(sys.stderr)
        say("AUTH0_DOMAIN is set: say whom to change")
        return 2
    try:
        with connect(*BEFORE, rate_limit=given.rate_limit) as (client, local), shown() as tell:
            batch = touch(client, read(given.ids) if given.ids else local, tell)
    except UnicodeDecodeError as error:
        say(f"{given.ids} is no UTF-8 text: {error.reason}. Users named before that may have been changed")
        return 2
    except (OSError, ConfigError) as error:
        say(str(error))
        return 2
    except Auth0MetaError as error:
        say(str(error))
        return 1
    counts = {name: count for name, count in batch.results.counts.items() if count}
    print(", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to do")
    return 1 if counts.keys() & {"failed", "not_sent"} else 0


if __name__ == "__main__":
    sys.exit(main())
