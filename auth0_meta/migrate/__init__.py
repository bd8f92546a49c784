"""Change the metadata of ten users or ten million: plan, apply at the tenant's pace, resume, undo."""

from __future__ import annotations

from auth0_meta.migrate.api import Status, apply, plan, purge, status, undo
from auth0_meta.migrate.applying.run_result import RunResult
from auth0_meta.migrate.events import (
    ApplyProgress,
    ExportProgress,
    MigrationEvent,
    PlanProgress,
    UserDone,
    Waiting,
)
from auth0_meta.migrate.html_report import render, report
from auth0_meta.migrate.planning.change_file import ChangeFile
from auth0_meta.migrate.planning.sources import ExportSource, FileSource, Found, SearchSource, Source
from auth0_meta.migrate.planning.summary import Cost, PlanSummary, Rates

Event = MigrationEvent
"""The name that `MigrationEvent` had before; `auth0_meta.actions.Event` is something else."""

__all__ = [
    "ApplyProgress",
    "ChangeFile",
    "Cost",
    "Event",
    "ExportProgress",
    "ExportSource",
    "FileSource",
    "Found",
    "MigrationEvent",
    "PlanProgress",
    "PlanSummary",
    "Rates",
    "RunResult",
    "SearchSource",
    "Source",
    "Status",
    "UserDone",
    "Waiting",
    "apply",
    "plan",
    "purge",
    "render",
    "report",
    "status",
    "undo",
]
