"""Decide what may appear in a log, a repr or an error: names and sizes, never values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["outline", "size"]


def size(value: object) -> int:
    """Return the bytes that `value` takes as compact UTF-8 JSON (0 when JSON can't hold it).

    >>> size({"theme": "dark"})
    16
    """
    try:
        return len(
            json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        )
    except (TypeError, ValueError, RecursionError):
        return 0


def outline(bags: Mapping[Any, Any]) -> str:
    """Describe a PATCH body or profile by bag, first-level key and size.

    >>> outline({"user_metadata": {"theme": "dark", "old": None}, "app_metadata": {}})
    'user_metadata(theme 6 B, old deleted), app_metadata(cleared)'
    >>> outline({})
    'nothing'
    """
    parts = []
    for bag, keys in bags.items():
        if not isinstance(keys, Mapping):
            parts.append(f"{bag}({size(keys)} B)")
        elif not keys:
            parts.append(f"{bag}(cleared)")
        else:
            inner = ", ".join(f"{k} deleted" if v is None else f"{k} {size(v)} B" for k, v in keys.items())
            parts.append(f"{bag}({inner})")
    return ", ".join(parts) or "nothing"
