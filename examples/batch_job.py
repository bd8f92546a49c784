"""Change many users at the tenant's pace and watch the progress; nothing needs to be configured.

    python examples/batch_job.py [--rate-limit free] [IDS]

IDS is a file with one user id per line, or - for stdin; each user's `app_metadata.stats.touched` is incremented.
Without AUTH0_DOMAIN in the environment it runs on a local tenant, with users of its own and the rate limit of a plan or
of SIZE@PER_SECOND.  A real tenant needs IDS.  Ctrl-C finishes the requests in flight and prints how many users were not
sent.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from _tenant import connect, say

from auth0_meta import Auth0MetaError, BatchResult, ConfigError, ManagementClient, MetadataBatch, Progress

BEFORE = [{"app_metadata": {"stats": {"touched": n}}} for n in range(8)]


@contextmanager
def progress_display() -> Iterator[Callable[[Progress], object]]:
    """Yield a function that shows progress: a live line on a terminal if rich is installed, otherwise plain lines."""
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra
        from rich.live import Live  # noqa: PLC0415
    except ImportError:
        yield print_line
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield print_line
        return
    with Live("staging", console=console) as live:
        yield lambda progress: live.update(line(progress))


def line(progress: Progress) -> str:
    """Return the progress in words."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.done} of {progress.staged} users, {progress.per_second:.1f} a second{failed}"


def print_line(progress: Progress) -> None:
    """Print the progress on a line of its own."""
    say(line(progress))


def touch(
    client: ManagementClient, users: Iterable[str], on_progress: Callable[[Progress], object]
) -> MetadataBatch:
    """Increment each user's counter; a failure is printed and does not stop the others."""

    def print_failure(result: BatchResult) -> None:
        if result.error is not None:
            say(f"{result.user_id}: {result.error}")

    # A bucket of two tokens is too small to share; on a real tenant leave `share` at its default.
    share = 1.0 if not os.environ.get("AUTH0_DOMAIN") else 0.5
    batch = MetadataBatch(
        client, share=share, on_error="collect", on_result=print_failure, on_progress=on_progress
    )
    try:
        with batch:
            for user_id in users:
                batch.user(user_id).app_metadata.increment("stats.touched")
    except KeyboardInterrupt:
        say("interrupted")
    return batch


def read(path: str) -> Iterator[str]:
    """Yield ids as they are needed: the file may be larger than memory."""
    with open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-") as file:
        yield from (user_id for user_id in map(str.strip, file) if user_id)


def main() -> int:
    """Change every user and print the counts."""
    parser = argparse.ArgumentParser(description="Change many users at the tenant's pace.")
    parser.add_argument("--rate-limit", default="free", help="rate limit of the local tenant")
    parser.add_argument("ids", nargs="?", metavar="IDS", help="a file with one user id per line, - for stdin")
    options = parser.parse_args()
    if options.ids is None and os.environ.get("AUTH0_DOMAIN"):
        parser.print_usage(sys.stderr)
        say("AUTH0_DOMAIN is set: name the users to change")
        return 2
    try:
        with (
            connect(*BEFORE, rate_limit=options.rate_limit) as (client, local),
            progress_display() as on_progress,
        ):
            batch = touch(client, read(options.ids) if options.ids else local, on_progress)
    except UnicodeDecodeError as error:
        say(f"{options.ids} is not UTF-8 text: {error.reason}. Users before that line may have been changed")
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
