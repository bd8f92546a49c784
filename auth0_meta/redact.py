"""Describe metadata by names and sizes, never values, for logs, reprs and errors; make text safe to print."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What a terminal obeys instead of showing it: C0 and C1, line breaks and bidi controls.  And lone surrogates, which no
# encoding can write at all.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape what a terminal would obey in text that others may have written.

    Control characters, line breaks and bidi controls become `\uXXXX`, so printed JSON stays JSON.  `lines` keeps "\n".

    >>> print(printable("Eve \x1b[31m\n\u202e"))
    Eve \u001b[31m\u000a\u202e
    """
    if lines:
        return "\n".join(printable(line) for line in text.split("\n"))
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def count(number: int, noun: str) -> str:
    """Return a number of things in English.

    >>> count(1, "request"), count(2, "request")
    ('1 request', '2 requests')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(value: object) -> int:
    """Return the bytes that `value` takes as compact UTF-8 JSON, 0 if JSON can't represent it.

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
            inner = f"{size(keys)} B"
        else:
            told = (
                f"{key} deleted" if value is None else f"{key} {size(value)} B" for key, value in keys.items()
            )
            inner = ", ".join(told) or "cleared"
        parts.append(f"{bag}({inner})")
    return printable(", ".join(parts)) or "nothing"
