"""Register the fixtures and rules of the whole suite, doctests of the package included."""

from __future__ import annotations

import pytest
from support import isolation, requirements, services


def pytest_configure(config: pytest.Config) -> None:
    """Register as plugins what a conftest would give only to the tests in its folder."""
    for plugin in (isolation, requirements, services):
        config.pluginmanager.register(plugin, plugin.__name__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests with an address in memory: they differ from process to process, and nothing runs in parallel."""
    unsteady = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unsteady:
        raise pytest.UsageError(f"give these tests ids that are the same in every process: {unsteady}")
