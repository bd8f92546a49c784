"""Plan an offload; the other steps are those of every migration."""

from __future__ import annotations

from auth0_meta.arguments import whole
from auth0_meta.client import ManagementClient
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.external.store import ExternalStore
from auth0_meta.migrate.offloading.evaluator import OffloadEvaluator
from auth0_meta.migrate.offloading.job import facts_of, opened, url_of
from auth0_meta.migrate.offloading.paths import Paths, parse_paths
from auth0_meta.migrate.offloading.rule import Rule
from auth0_meta.migrate.plan_file import JobFile, Listener, checked_plan, plan_into
from auth0_meta.migrate.planning.sources import Source, source
from auth0_meta.migrate.planning.summary import PlanSummary
from auth0_meta.redact import discreet


@discreet
def offload(
    paths: Paths,
    /,
    *,
    to: JobFile,
    store: ExternalStore | str,
    client: ManagementClient | None = None,
    users: Source | str | None = None,
    smallest: int = 0,
    larger_than: int = 0,
    limit: int | None = None,
    share: float = 0.5,
    on_event: Listener | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> PlanSummary:
    """Plan to move the values under `paths` out of the profiles into an external store; nothing is stored or written yet.

    `paths`: one path as text, or several; they begin with the bag: "app_metadata.history".  `to`: the job file, for `apply`,
    `undo` and the other steps.  `store`: a store, or its URL; that is opened, or made if it is a file, to find out at once
    whether it works, and goes into the job file without its password.

    `users`, `limit`, `share`, `client`, `on_event`: see `plan`; without `users` they come from an export.  `smallest`: bytes
    that a value must have to be moved; 0 moves whatever is larger than its pointer, about 160 B.  `larger_than`: only profiles of more bytes
    than that lose values; 0 means all.  Sizes are those of compact JSON.

    `apply` stores each value, reads it back, and only then sends the PATCH that puts a pointer in its place.  `undo` puts
    values back from the job file; what is in the store stays there, until its `forget` or `delete`.

    Returns the summary of the plan; its `moved` counts values and bytes.  Raises what `plan` raises, `InputError` for a path
    that can't be moved, and `ConfigError` or `ExternalError` for a store that can't be used.  No file is left then.

    >>> import tempfile, pathlib
    >>> from auth0_meta.external import SqliteStore, load
    >>> from auth0_meta.migrate import apply, offload
    >>> folder = tempfile.TemporaryDirectory()
    >>> job = pathlib.Path(folder.name) / "job.db"
    >>> _ = tenant.users.add(user_id="auth0|1", app_metadata={"history": ["a login"] * 100, "plan": "pro"})
    >>> with tenant.client() as client, SqliteStore(f"{folder.name}/big.db") as store:
    ...     summary = offload("app_metadata.history", to=job, store=store, client=client, users="search:user_id:*")
    ...     result = apply(job, client, store=store)
    ...     user = client.users.get("auth0|1")
    ...     len(load(user.app_metadata["history"], store=store)), summary.moved.values, dict(result.counts)
    (100, 1, {'done': 1})
    >>> folder.cleanup()
    """
    parsed = parse_paths(paths)
    whole("smallest", smallest, least=0)
    whole("larger_than", larger_than, least=0)
    job, chosen = checked_plan(to, users, limit=limit, share=share, on_event=on_event)
    with opened(store) as one:
        rule = Rule(paths=parsed, store=one.name, smallest=smallest, larger_than=larger_than)
        facts = facts_of(rule, url_of(one))
    return plan_into(
        job,
        facts,
        client,
        source=source("export") if chosen is None else chosen,
        evaluator=OffloadEvaluator(rule),
        limit=limit,
        share=share,
        on_event=on_event,
        clock=clock,
    )
