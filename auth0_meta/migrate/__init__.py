"""Change the metadata of ten users or ten million: plan, apply at the tenant's pace, resume, undo."""

from __future__ import annotations

from auth0_meta.migrate.api import Migration, Status, apply, plan, purge, status, undo
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
from auth0_meta.migrate.offload_api import offload
from auth0_meta.migrate.offloading.paths import Paths
from auth0_meta.migrate.plan_file import JobFile, Listener
from auth0_meta.migrate.planning.addresses import ByEmail
from auth0_meta.migrate.planning.change_file import ChangeFile, UserChange
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.replan import DriftPolicy
from auth0_meta.migrate.planning.sources import Connect, ExportSource, FileSource, Found, SearchSource, Source
from auth0_meta.migrate.planning.summary import Cost, Moved, PathMoved, PlanSummary, Rates
from auth0_meta.migrate.report_types import (
    CostReport,
    CostsReport,
    InvalidReport,
    JobReport,
    MovedReport,
    PathMovedReport,
    RatesReport,
    RunReport,
    StatusReport,
    SummaryReport,
    TroubleReport,
)

Event = MigrationEvent
"""The name that `MigrationEvent` had before; `auth0_meta.actions.Event` is something else."""

__all__ = [
    "ApplyProgress",
    "BadLine",
    "ByEmail",
    "ChangeFile",
    "Connect",
    "Cost",
    "CostReport",
    "CostsReport",
    "DriftPolicy",
    "Event",
    "ExportProgress",
    "ExportSource",
    "FileSource",
    "Found",
    "InvalidReport",
    "JobFile",
    "JobReport",
    "Listener",
    "Migration",
    "MigrationEvent",
    "Moved",
    "MovedReport",
    "PathMoved",
    "PathMovedReport",
    "Paths",
    "PlanProgress",
    "PlanSummary",
    "Rates",
    "RatesReport",
    "RunReport",
    "RunResult",
    "SearchSource",
    "Source",
    "Status",
    "StatusReport",
    "SummaryReport",
    "TroubleReport",
    "UserChange",
    "UserDone",
    "Waiting",
    "apply",
    "offload",
    "plan",
    "purge",
    "render",
    "report",
    "status",
    "undo",
]
