"""Decide what may appear in a log, a repr or an error: names and sizes, never values; and make text safe to print."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What a terminal obeys instead of showing it: C0 and C1, the line breaks, the bidi controls; and halves of pairs,
# which can't be written at all.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return text that others may have written so that a terminal shows it and obeys none of it.

    Control characters, line breaks and bidi controls become `\uXXXX`; printed JSON stays JSON.  `lines` keeps "\n".

    >>> print(printable("Eve \x1b[31m\n\u202e"))
    Eve \u001b[31m\u000a\u202e
    """
    if lines:
        return "\n".join(printable(line) for line in text.split("\n"))
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
            parts.append(f"{_name(bag)}({size(keys)} B)")
        elif not keys:
            parts.append(f"{_name(bag)}(cleared)")
        else:
            inner = ", ".join(
                f"{_name(k)} deleted" if v is None else f"{_name(k)} {size(v)} B" for k, v in keys.items()
            )
            parts.append(f"{_name(bag)}({inner})")
    return ", ".join(parts) or "nothing"


def _name(key: object) -> str:
    return printable(str(key))
