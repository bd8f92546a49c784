"""The public API, pinned: what each package exports, and the import paths that the documentation has named."""

from __future__ import annotations

import importlib

import pytest

import auth0_meta
from auth0_meta import errors

EXPORTED = {
    "auth0_meta": """
        AsyncJobs AsyncManagementClient AsyncMetadataBatch AsyncMetadataTransaction AsyncUsers BatchOutcome BatchResult BatchResults Change Check ClientSettings Clock CommitResult
        JSONObject JSONValue Job Jobs KeyPath Lock ManagementClient MaxWait MetadataBag MetadataBatch MetadataDict
        MetadataTransaction Outcome Oversize Page Progress RateLimit RequestInfo Savepoint State TransactionSettings User UserId
        Users Wait
        __version__""",
    "auth0_meta.actions": """
        Action ActionObject Api Cache CacheRecord CacheResult Event LoginOutcome MemoryStates PostLoginTrigger Redirect
        SqliteStates States TriggerSettings post_login""",
    "auth0_meta.actions.web": "Login ReturnUrls SigningKeys verify_id_token",
    "auth0_meta.emulator": "Entry Fault Hook Journal LiveUser LocalTenant Switches Users",
    "auth0_meta.migrate": """
        ApplyProgress ChangeFile Cost Event ExportProgress ExportSource FileSource Found MigrationEvent PlanProgress
        PlanSummary Rates RunResult SearchSource Source Status UserDone Waiting apply plan purge render report status undo""",
    "auth0_meta.testing": "FakeClock Simulation asimulate simulate",
}
# errors.py itself lists the errors, and test_packaging.py compares them.
ERRORS = {name for name in errors.__all__ if name[0].isupper()}

# Paths that the documentation or an example names or once named, but that are in no __all__.
PATHS = """
    auth0_meta.bag.MetadataBag auth0_meta.clock.Clock auth0_meta.errors.RateLimitError auth0_meta.jobs.Jobs
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
