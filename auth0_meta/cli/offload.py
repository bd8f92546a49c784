"""Plan to move large values out of the profiles, from the shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from auth0_meta import migrate as steps
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import bulk_client, bulk_options, dump, flag
from auth0_meta.cli.groups import Command, json_option
from auth0_meta.cli.migrate.view import show_summary
from auth0_meta.cli.progress_bar import Bar
from auth0_meta.migrate.offloading.job import VARIABLE
from auth0_meta.migrate.offloading.paths import parse_paths
from auth0_meta.migrate.planning.sources import ROOT_FIELDS, ExportSource, source

_PENDING = 3


@click.command(
    cls=Command,
    help=COMMANDS["offload"]
    + """

    Each value under a PATH, such as app_metadata.history, is to go into the STORE, and a pointer of about 160 bytes
    takes its place. This command only plans: it reads the users, writes the job file, and checks that the store can
    be opened. `auth0-meta migrate apply` then moves the values, each of which is in the store, and was read back,
    before its user is written. `auth0-meta migrate undo` puts them back.
    """,
    epilog="""\b
auth0-meta offload app_metadata.history --store sqlite:///big.db -o job.db
auth0-meta migrate show job.db
auth0-meta migrate apply job.db""",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--store",
    metavar="URL",
    required=True,
    envvar=VARIABLE,
    show_envvar=True,
    help="Where the values go: sqlite:///FILE, or the URL of another database (extra: sql). A password in it is not "
    f"kept: apply takes it from --store or {VARIABLE} again.",
)
@click.option("-o", "--output", "job", required=True, metavar="JOB.db", help="The job file to write.")
@click.option(
    "--source",
    "where",
    metavar="export|search:QUERY|FILE",
    default="export",
    help="Where the users come from: a users-export job, a search (at most 1000 users), or a file of profiles, ids or "
    "e-mail addresses.",
)
@click.option(
    "--smallest",
    metavar="BYTES",
    type=click.IntRange(0),
    default=0,
    help="Leave values of fewer bytes where they are. Those that are not larger than their pointer stay in any case.",
)
@click.option(
    "--larger-than",
    metavar="BYTES",
    type=click.IntRange(0),
    default=0,
    help="Only users whose profile has more bytes of JSON than this, such as 10000; with 0, all.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Plan only this many users.")
@flag("--exit-code", "Exit with 3 if something would move, but still with 1 if some users can't be planned.")
@json_option("Print the outcome as JSON, which contains no metadata values.")
@bulk_options
def offload(
    *, paths: tuple[str, ...], job: str, where: str, exit_code: bool, as_json: bool, **settings: Any
) -> int:
    """Plan it, and print what would move."""
    parse_paths(paths)  # before a client is made, which may need a token
    reads_tenant = where.partition(":")[0] in ("export", "search")
    with bulk_client(settings, optional=not reads_tenant) as client, Bar("planning") as bar:
        users = source(where)
        if where == "export":
            users = ExportSource(fields=ROOT_FIELDS, limit=settings["limit"], on_progress=bar.show_export)
        try:
            summary = steps.offload(paths, to=job, client=client, users=users, on_event=bar.show, **settings)
        except KeyboardInterrupt:
            if not Path(job).exists():
                bar.say(f"{job} was not written: a plan is made as a whole. Nothing was moved")
            raise
    if as_json:
        click.echo(dump({"job": job, **summary.to_json()}))
    else:
        show_summary(job, summary)
        if summary.changing:
            click.echo(f"next: auth0-meta migrate apply {shlex.quote(job)}", err=True)
    return 1 if summary.invalid else _PENDING if summary.changing and exit_code else 0
