"""Decide what runs here: tests that can't run here are deselected, and in CI no test may be skipped.

`.ci/run` sets AUTH0_META_REQUIRE_SERVICES.  A service, browser, program or extra that is missing then fails the
test that needs it.  Without the variable that test is skipped, and the summary names what is missing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from pathlib import Path

import pytest

REQUIRED = bool(os.environ.get("AUTH0_META_REQUIRE_SERVICES"))
ENVIRONMENT = os.environ.get("TOX_ENV_NAME", "")

# A checkout may have recordings next to it; they are not part of the project.
_BESIDE = Path(__file__).parents[2].parent / "shared" / "recordings" / "go_auth0_flows.json"
RECORDINGS = Path(os.environ.get("AUTH0_META_RECORDINGS") or _BESIDE)


def _belongs_here(item: pytest.Item) -> bool:
    own = item.get_closest_marker("own_environment")
    if own is not None and ENVIRONMENT not in own.args:
        return False
    pythons = item.get_closest_marker("pythons")
    if pythons is not None and ".".join(platform.python_version_tuple()[:2]) not in pythons.args:
        return False
    if item.get_closest_marker("recordings"):
        return RECORDINGS.is_file()
    if item.get_closest_marker("live"):
        return "AUTH0_META_LIVE_DOMAIN" in os.environ
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs an account, recordings, an environment or a Python that is not there."""
    elsewhere = [item for item in items if not _belongs_here(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def _refuse_to_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"AUTH0_META_REQUIRE_SERVICES is set, so this must not be skipped. {reason}"


# These are the outermost wrappers: pytest's own decide, after the inner ones, what was skipped or expected to fail.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """If no test may be skipped, turn a skip into a failure."""
    report = yield
    _refuse_to_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself while it is imported."""
    report = yield
    _refuse_to_skip(report)
    return report
