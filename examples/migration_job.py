"""Move many users to a new metadata layout: plan, look, apply; on the way the job meets a 429 and waits.

    python examples/migration_job.py [USERS [JOB.db]]

`app_metadata.plan` becomes `app_metadata.billing.plan`.  USERS is `export` (everyone), `search:QUERY` (at most 1000)
or a file of profiles or ids; for a real tenant it is required.  JOB.db keeps the plan: run the same command again
to resume after Ctrl-C, a crash or a failure.  Without AUTH0_DOMAIN in the environment it runs on a local tenant.

The command line does the same: `auth0-meta migrate plan examples/migration_job.py -o job.db`, then
`auth0-meta migrate apply job.db`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from _tenant import connect, say

from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.migrate import MigrationEvent, RunResult, UserDone, Waiting, apply, plan

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

BEFORE = [{"app_metadata": {"plan": "pro" if n % 3 == 0 else "free", "seats": n}} for n in range(12)]


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Stage the changes for one user; planning calls this in a process of its own."""
    current = user.app_metadata.get("plan")
    if current is not None:
        tx.app_metadata.set("billing.plan", current)
        tx.app_metadata.delete("plan")


def report(event: MigrationEvent) -> None:
    """Print each wait, and each user who was not migrated."""
    if isinstance(event, Waiting):
        say(f"waiting {event.seconds:.1f} s: {event.reason}")
    elif isinstance(event, UserDone) and event.outcome != "done":
        say(f"{event.user_id} {event.outcome}: {event.note}")


def run(client: ManagementClient, users: str, job: Path) -> RunResult:
    """Plan, unless the job file exists already, and apply what is left."""
    if not job.exists():
        summary = plan(__file__, to=job, client=client, users=users)
        say(f"{summary.read} users read: {summary.changing} to change, {summary.invalid} invalid")
    return apply(job, client, on_event=report)


def one_429(tenant: LocalTenant) -> None:
    """Have the local tenant refuse the fifth PATCH, as a busy tenant would."""
    tenant.fail(method="PATCH", nth=5, status=429, reset=2)


def main() -> int:
    """Migrate; failures are printed and do not stop the others."""
    users, job = (*sys.argv[1:], None, None)[:2]
    if users is None and os.environ.get("AUTH0_DOMAIN"):
        say("usage: migration_job.py USERS [JOB.db], for example search:'app_metadata.plan:\"free\"'")
        say("AUTH0_DOMAIN is set: name the users to migrate")
        return 2
    with connect(*BEFORE, prepare=one_429) as (client, _), tempfile.TemporaryDirectory() as folder:
        result = run(client, users or "search:user_id:*", Path(job or Path(folder) / "job.db"))
    print(
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.counts.items())) or "nothing to do"
    )
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
