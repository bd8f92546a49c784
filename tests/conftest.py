"""Register the fixtures that hold for the whole suite, doctests of the package included."""

from __future__ import annotations

import pytest
from support import isolation


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite-wide fixtures a plugin."""
    config.pluginmanager.register(isolation, "auth0_meta-everywhere")
