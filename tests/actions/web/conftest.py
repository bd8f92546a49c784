"""The frameworks that the adapter tests run with."""

from __future__ import annotations

from typing import Any

import pytest
from support.web_adapters import Django, Fast, Flask


@pytest.fixture(params=[Flask, Django, Fast])
def kind(request: pytest.FixtureRequest) -> Any:
    """Return each framework."""
    return request.param
