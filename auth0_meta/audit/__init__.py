"""Find oversized profiles, and what else in user metadata will cause trouble."""

from __future__ import annotations

from auth0_meta.audit.api import OnAuditProgress, audit
from auth0_meta.audit.progress import AuditProgress
from auth0_meta.audit.report import (
    AuditReport,
    Difference,
    Finding,
    KeyWeight,
    OversizedUser,
    Problems,
    Sizes,
)
from auth0_meta.audit.report_types import (
    AuditJSON,
    BaselineJSON,
    Checks,
    DifferenceJSON,
    FindingJSON,
    OversizedJSON,
    ProblemsJSON,
    SizesJSON,
    WeightJSON,
)

__all__ = [
    "AuditJSON",
    "AuditProgress",
    "AuditReport",
    "BaselineJSON",
    "Checks",
    "Difference",
    "DifferenceJSON",
    "Finding",
    "FindingJSON",
    "KeyWeight",
    "OnAuditProgress",
    "OversizedJSON",
    "OversizedUser",
    "Problems",
    "ProblemsJSON",
    "Sizes",
    "SizesJSON",
    "WeightJSON",
    "audit",
]
