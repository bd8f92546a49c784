"""The public API, pinned: what each package exports, and the import paths that the documentation has named."""

from __future__ import annotations

import importlib

import pytest

import auth0_meta
from auth0_meta import errors

EXPORTED = {
    "auth0_meta": """
        AsyncJobs AsyncManagementClient AsyncMetadataBatch AsyncMetadataTransaction AsyncUsers Bag BagChange
        BatchOutcome BatchResult BatchResults BatchSettings Change Check ClientSettings Clock CommitResult
        JSONObject JSONValue Job Jobs KeyPath Lock ManagementClient MaxWait MetadataBag MetadataBatch MetadataDict
        MetadataTransaction OnRequest Outcome Oversize Page PathValues Progress RateLimit RequestInfo Savepoint State Timeout TransactionSettings User UserId
        Users Wait
        __version__""",
    "auth0_meta.actions": """
        Action ActionObject AllOrThis Api Cache CacheRecord CacheResult Event LockFactory LoginOutcome MemoryStates PostLoginTrigger Redirect
        SqliteStates States TriggerSettings post_login""",
    "auth0_meta.actions.event": """
        Actor Agent AnonymousSession Application Authentication Authorization Connection Cookie CustomDomain
        Device EnrolledFactor EventUser Experiment Frozen FrozenList FrozenMetadata GeoIp Identity
        Method Organization Prompt RefreshPolicy RefreshToken RefreshTokenSettings Request ResourceGrant
        ResourceServer RiskAssessment SecurityContext Session SessionClient SessionTransferToken Stats Tenant
        TokenRequest Transaction""",
    "auth0_meta.actions.web": "Login ReturnUrls SigningKeys verify_id_token",
    "auth0_meta.audit": """
        AuditJSON AuditProgress AuditReport BaselineJSON Checks Difference DifferenceJSON Finding FindingJSON KeyWeight
        OnAuditProgress OversizedJSON OversizedUser Problems ProblemsJSON Sizes SizesJSON WeightJSON audit""",
    "auth0_meta.emulator": """
        Change Drop Entry Fault Hook Journal LiveUser LocalTenant RecordedResponse Switches TenantClock Users""",
    "auth0_meta.external": """
        ExternalStore MOST_BYTES Pointer SqlStore SqliteStore decode discard encode is_pointer load open_store pointer
        resolve save""",
    "auth0_meta.migrate": """
        ApplyProgress BadLine ByEmail ChangeFile Connect Cost CostReport CostsReport DriftPolicy Event ExportProgress
        ExportSource FileSource Found InvalidReport JobFile JobReport Listener Migration MigrationEvent Moved MovedReport PathMoved
        PathMovedReport Paths PlanProgress PlanSummary Rates RatesReport RunReport RunResult SearchSource Source Status StatusReport SummaryReport
        TroubleReport UserChange UserDone Waiting apply offload plan purge render report status undo""",
    "auth0_meta.testing": "FakeClock Simulation asimulate simulate",
}
# errors.py itself lists the errors, and test_packaging.py compares them.
ERRORS = {name for name in errors.__all__ if name[0].isupper()}

# Paths that the documentation or an example names or once named, but that are in no __all__.
PATHS = """
    auth0_meta.bag.MetadataBag auth0_meta.clock.Clock auth0_meta.errors.RateLimitError
    auth0_meta.external.conformance.ExternalStoreTests auth0_meta.jobs.Jobs
    auth0_meta.jwt.sign_hs256 auth0_meta.jwt.verify_hs256 auth0_meta.models.CommitResult auth0_meta.models.User
    auth0_meta.users.Users"""


@pytest.mark.parametrize("package", EXPORTED)
def test_a_package_exports_these_names(package: str) -> None:
    """A name is added only on purpose and never removed, because users import it."""
    module = importlib.import_module(package)
    exported = set(module.__all__) - (ERRORS if package == "auth0_meta" else set())
    assert exported == set(EXPORTED[package].split())
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", PATHS.split())
def test_a_documented_path_can_still_be_imported(path: str) -> None:
    """A path that a page once named leads to the same object as the current one."""
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert found is getattr(auth0_meta, name, found)
