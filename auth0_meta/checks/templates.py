"""Which keys are made from data, and the template that stands for them; PURE."""

from __future__ import annotations

import functools
import re

# The parts of a key that are data, in this order.
_PARTS = {
    "<uuid>": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "<time>": r"\d{4}-\d\d-\d\d[T ]\d\d:?\d\d(?::?\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    "<date>": r"(?:19|20)\d\d-\d\d-\d\d|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
    "<email>": r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
    "<ip>": r"(?:\d{1,3}\.){3}\d{1,3}(?!\d)",
    "<user_id>": r"[a-z][\w-]{0,63}\|[\w|.@-]+",
    "<id>": r"[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{24,}|[0-9A-F]{24,}",
    "<number>": r"\d{6,}",
}


@functools.cache
def _part() -> re.Pattern[str]:
    """Compile on first use, not at import."""
    names = [f"(?P<p{n}>{pattern})" for n, pattern in enumerate(_PARTS.values())]
    return re.compile(r"(?<![0-9A-Za-z])(?:" + "|".join(names) + r")(?![0-9A-Za-z])")


def dynamic(key: str, /) -> str | None:
    """Return the template of a key that is made from data, or None for a fixed name.

    >>> dynamic("mfa_required_5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11"), dynamic("2026-11-23"), dynamic("sha256")
    ('mfa_required_<uuid>', '<date>', None)
    """
    if len(key) < 6 or key.isalpha():
        return None
    template = _part().sub(_named, key)
    return template if template != key else None


def _named(match: re.Match[str]) -> str:
    return list(_PARTS)[int((match.lastgroup or "p0")[1:])]
