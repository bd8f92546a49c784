"""Make the fixtures of migration tests, and a served tenant, available to the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.migrations import job, move, ndjson

from auth0_meta.emulator import LocalTenant

__all__ = ["job", "move", "ndjson", "tenant"]


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a tenant, and point the AUTH0_* variables to it."""
    with LocalTenant() as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local
