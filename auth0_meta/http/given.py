"""Check what a caller gives a client; PURE."""

from __future__ import annotations

import math
import re
from typing import Literal
from urllib.parse import unquote

from auth0_meta.errors import ConfigError, InputError

MaxWait = float | Literal["client"] | None
"""Seconds that one operation may wait; "client" is the client's own setting, None no bound."""
Oversize = Literal["warn", "error", "off"]
"""What to do about a known profile past 10 KB."""


def check_max_wait(seconds: object) -> float | None:
    """Return a budget for waits, refusing what is none."""
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or math.isnan(seconds)
        or seconds < 0
    ):
        msg = "max_wait is in seconds, 0 or more, or None for no bound"
        raise ConfigError(msg)
    return float(seconds)


def check_timeout(timeout: float | tuple[float, float]) -> tuple[float, float]:
    """Return (connect, read); both are always set."""
    pair = (timeout, timeout) if isinstance(timeout, int | float) else timeout
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or any(isinstance(t, bool) or not isinstance(t, int | float) or not 0 < t < math.inf for t in pair)
    ):
        msg = "timeout is (connect, read) in seconds, both above 0"
        raise ConfigError(msg)
    return float(pair[0]), float(pair[1])


def endpoint_path(path: str) -> str:
    """Return an endpoint's path below /api/v2/, refusing what would leave it."""
    if not isinstance(path, str) or "://" in path or any(c.isspace() or not c.isprintable() for c in path):
        msg = "path is an endpoint below /api/v2/, such as users/auth0%7C1/roles (nothing was sent)"
        raise InputError(msg)
    short = path.lstrip("/").removeprefix("api/v2/")
    parts = short.partition("?")[0].split("/")
    broken = re.search("%(?![0-9A-Fa-f]{2})", short)  # it would make every other % count as data
    if not parts[0] or any(unquote(part) in (".", "..") for part in parts) or "#" in short or broken:
        msg = f"{path!r} is no endpoint below /api/v2/ (nothing was sent): percent-encode ids"
        raise InputError(msg)
    return "/api/v2/" + short
