"""Plan into a new job file: what all kinds of migration have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from auth0_meta.arguments import callback, number, whole
from auth0_meta.client import ManagementClient
from auth0_meta.clock import Clock
from auth0_meta.errors import ConfigError, InputError
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import USER
from auth0_meta.migrate.events import MigrationEvent
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.planning.change_file import ChangeFile
from auth0_meta.migrate.planning.planner import Planner
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.planning.sources import Source, source
from auth0_meta.migrate.planning.summary import PlanSummary, Rates
from auth0_meta.telemetry import log

JobFile = str | os.PathLike[str]
Listener = Callable[[MigrationEvent], object]


def checked_plan(
    to: JobFile, users: Source | str | None, *, limit: int | None, share: float, on_event: Listener | None
) -> tuple[Path, Source | None]:
    """Check the arguments that every kind of plan has; return the path of the job file, and the source."""
    number("share", share, above=0, most=1)
    if limit is not None:
        whole("limit", limit)
    callback("on_event", on_event)
    path = file_path("to", to)
    chosen = source(users) if isinstance(users, str) else users
    if chosen is not None and not callable(getattr(chosen, "users", None)):
        raise InputError(f"users must be a source or text that names one, not {type(users).__name__}")
    return path, chosen


def plan_into(
    to: Path,
    facts: Mapping[str, Any],
    client: ManagementClient | None,
    *,
    source: Source | None,
    evaluator: Evaluator | None,
    changes: ChangeFile | None = None,
    limit: int | None,
    allow_unstable: bool = False,
    share: float,
    on_event: Listener | None,
    clock: Clock,
) -> PlanSummary:
    """Plan into a new job file, with the `facts` that are particular to this kind of migration; see `plan`."""

    def connect() -> ManagementClient:
        if client is None:
            raise ConfigError("this plan needs to read users from the tenant: pass a client")
        return client

    known = {
        "created": round(clock.time(), 3),
        "tenant": None if client is None else client._channel.transport.base,
        "migration_digest": None if evaluator is None else evaluator.digest,
        "source": "the users of the change file" if source is None else source.name,
    }
    with closing_evaluator(evaluator), Ledger.create(to, {**known, **facts}) as ledger:
        planner = Planner(
            ledger,
            connect,
            source=source,
            evaluator=evaluator,
            changes=changes,
            limit=limit,
            share=share,
            on_event=on_event,
            now=clock.monotonic,
        )
        with (
            nullcontext() if client is None else client._channel.listening(planner.waits.note),
            log.logged_run("plan", to) as ended,
        ):
            summary = planner.run()
            planned = {name: getattr(summary, name) for name in ("changing", "unchanged", "invalid")}
            ended(planned, seconds=summary.seconds, requests=summary.requests)
        if client is not None:
            summary.rates = _rates_of(client)
        ledger.complete(summary=summary.to_json(), allow_unstable=allow_unstable)
    return summary


def file_path(name: str, value: object) -> Path:
    """Return an argument that names a file as a path."""
    if isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str):
        return Path(value)
    raise InputError(f"{name} must be the path of a file, not {type(value).__name__}")


def closing_evaluator(evaluator: Evaluator | None) -> AbstractContextManager[object]:
    """Return a block at whose end the evaluator's processes are ended."""
    return nullcontext() if evaluator is None else closing(evaluator)


def _rates_of(client: HasChannel) -> Rates | None:
    """Return the rates that a client has learned or was given, None if it knows none."""
    reads, writes = (client._channel.bucket(group) for group in (USER.reads, USER.writes))
    read, write = reads.per_second or writes.per_second, writes.per_second or reads.per_second
    if not read or not write:
        return None
    shared = (reads.limit or writes.limit) == (writes.limit or reads.limit)
    return Rates(read=round(read, 3), write=round(write, 3), shared=shared)
