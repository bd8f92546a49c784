"""Register the fixtures and rules of the whole suite, doctests of the package included."""

from __future__ import annotations

import pytest
from support import isolation, requirements, services


def pytest_configure(config: pytest.Config) -> None:
    """Register as plugins what a conftest would give only to the tests in its folder."""
    for plugin in (isolation, requirements, services):
        config.pluginmanager.register(plugin, plugin.__name__)
