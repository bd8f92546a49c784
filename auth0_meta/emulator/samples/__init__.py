"""Users to start a tenant with, made up and always the same: "small" and "oversized"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auth0_meta.emulator.samples.oversized import oversized
from auth0_meta.emulator.samples.small import SMALL

SAMPLES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "small": lambda: [dict(user) for user in SMALL],
    "oversized": oversized,
}
"""What makes the users of each sample, as `users.add` takes them."""
