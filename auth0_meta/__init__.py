"""Write Auth0 user metadata: nested changes, one PATCH, the rate limit waited out.

The public names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from auth0_meta._version import __version__

if TYPE_CHECKING:
    from auth0_meta.aio.batch import AsyncMetadataBatch
    from auth0_meta.aio.client import AsyncManagementClient
    from auth0_meta.aio.jobs import AsyncJobs
    from auth0_meta.aio.users import AsyncUsers
    from auth0_meta.changes.bag_change import BagChange
    from auth0_meta.changes.change import Change
    from auth0_meta.changes.jsonvalue import Bag, JSONObject, JSONValue, KeyPath
    from auth0_meta.changes.views import MetadataDict
    from auth0_meta.client import ManagementClient
    from auth0_meta.clock import Clock
    from auth0_meta.connection import ClientSettings
    from auth0_meta.doctor import Check
    from auth0_meta.endpoints.jobs import Jobs
    from auth0_meta.endpoints.users import Users
    from auth0_meta.errors import (
        ActionTimeout,
        AlreadyExistsError,
        AmbiguousUserError,
        ApiError,
        Auth0MetaError,
        AuthError,
        BadRequestError,
        BatchError,
        ConfigError,
        ConflictError,
        ExternalDamagedError,
        ExternalError,
        ExternalMismatchError,
        ExternalMissingError,
        ExternalUnavailableError,
        ForbiddenError,
        InputError,
        JobError,
        LedgerError,
        MetadataError,
        MetadataWarning,
        MissingExtraError,
        NotFoundError,
        NotSentError,
        OutcomeUnknown,
        PagingError,
        PathError,
        RateLimitError,
        RedirectError,
        ResourceConflictError,
        ScopeError,
        ServerError,
        StateError,
        StoredDataError,
        TransportError,
    )
    from auth0_meta.http.budget import MaxWait, OnRequest, Timeout
    from auth0_meta.models import (
        BatchOutcome,
        BatchResult,
        BatchResults,
        CommitResult,
        Job,
        Outcome,
        Page,
        Progress,
        RequestInfo,
        User,
        UserId,
        Wait,
    )
    from auth0_meta.ratelimit.plans import RateLimit
    from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction
    from auth0_meta.transactions.bag import MetadataBag
    from auth0_meta.transactions.batch import MetadataBatch
    from auth0_meta.transactions.options import BatchSettings, Lock, Oversize, PathValues, TransactionSettings
    from auth0_meta.transactions.savepoint import Savepoint
    from auth0_meta.transactions.transaction import MetadataTransaction
    from auth0_meta.transactions.unit import State

_HOMES = {
    "aio.batch": ("AsyncMetadataBatch",),
    "aio.client": ("AsyncManagementClient",),
    "aio.jobs": ("AsyncJobs",),
    "aio.users": ("AsyncUsers",),
    "changes.bag_change": ("BagChange",),
    "changes.change": ("Change",),
    "changes.jsonvalue": ("Bag", "JSONObject", "JSONValue", "KeyPath"),
    "changes.views": ("MetadataDict",),
    "client": ("ManagementClient",),
    "connection": ("ClientSettings",),
    "clock": ("Clock",),
    "doctor": ("Check",),
    "endpoints.jobs": ("Jobs",),
    "endpoints.users": ("Users",),
    "http.budget": ("MaxWait", "OnRequest", "Timeout"),
    "models": (
        "BatchOutcome",
        "BatchResult",
        "BatchResults",
        "CommitResult",
        "Job",
        "Outcome",
        "Page",
        "Progress",
        "RequestInfo",
        "User",
        "UserId",
        "Wait",
    ),
    "ratelimit.plans": ("RateLimit",),
    "transactions.async_transaction": ("AsyncMetadataTransaction",),
    "transactions.bag": ("MetadataBag",),
    "transactions.batch": ("MetadataBatch",),
    "transactions.options": ("BatchSettings", "Lock", "Oversize", "PathValues", "TransactionSettings"),
    "transactions.savepoint": ("Savepoint",),
    "transactions.transaction": ("MetadataTransaction",),
    "transactions.unit": ("State",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ActionTimeout",
    "AlreadyExistsError",
    "AmbiguousUserError",
    "ApiError",
    "AsyncJobs",
    "AsyncManagementClient",
    "AsyncMetadataBatch",
    "AsyncMetadataTransaction",
    "AsyncUsers",
    "Auth0MetaError",
    "AuthError",
    "BadRequestError",
    "Bag",
    "BagChange",
    "BatchError",
    "BatchOutcome",
    "BatchResult",
    "BatchResults",
    "BatchSettings",
    "Change",
    "Check",
    "ClientSettings",
    "Clock",
    "CommitResult",
    "ConfigError",
    "ConflictError",
    "ExternalDamagedError",
    "ExternalError",
    "ExternalMismatchError",
    "ExternalMissingError",
    "ExternalUnavailableError",
    "ForbiddenError",
    "InputError",
    "JSONObject",
    "JSONValue",
    "Job",
    "JobError",
    "Jobs",
    "KeyPath",
    "LedgerError",
    "Lock",
    "ManagementClient",
    "MaxWait",
    "MetadataBag",
    "MetadataBatch",
    "MetadataDict",
    "MetadataError",
    "MetadataTransaction",
    "MetadataWarning",
    "MissingExtraError",
    "NotFoundError",
    "NotSentError",
    "OnRequest",
    "Outcome",
    "OutcomeUnknown",
    "Oversize",
    "Page",
    "PagingError",
    "PathError",
    "PathValues",
    "Progress",
    "RateLimit",
    "RateLimitError",
    "RedirectError",
    "RequestInfo",
    "ResourceConflictError",
    "Savepoint",
    "ScopeError",
    "ServerError",
    "State",
    "StateError",
    "StoredDataError",
    "Timeout",
    "TransactionSettings",
    "TransportError",
    "User",
    "UserId",
    "Users",
    "Wait",
    "__version__",
]

logging.getLogger("auth0_meta").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Load a public name from its module; one that `_HOME` does not list is an error class."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
