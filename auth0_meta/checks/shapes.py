"""The shape of a text, in which numbers with separators are found as fast as a word; PURE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_SHAPES: Final = bytes(0x30 if 0x30 <= c <= 0x39 else 0x41 if 0x41 <= c <= 0x5A else c for c in range(256))
_BEFORE: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.+-/#@")
_AFTER: Final = r"[\w@-]|\.\d"
MOST: Final = 2_000
"""How many places of one form are looked at in one text, so that a megabyte of them takes no time."""


class Written(NamedTuple):
    """One way to write a number with its separators."""

    what: str
    shape: str
    """What it begins with, as a shape."""
    size: int
    """How many characters it has."""
    valid: Callable[[str], bool]
    alone: bool = False
    """Whether it counts only if nothing else is in the text, because a part of an order number may look like it."""


def shape_of(text: str, /) -> str:
    """Return a text with 0 for each digit and A for each capital letter; what is not ASCII is a ?.

    >>> shape_of("AB-12 \u00e4")
    'AA-00 ?'
    """
    return text.encode("ascii", "replace").translate(_SHAPES).decode("ascii")


def found(text: str, shape: str, part: str, size: int, /) -> Iterator[str]:
    """Yield what has `size` characters, begins with the shape `part`, and is not within something longer.

    That is a longer number, a word, a path or a decimal.

    >>> list(found("a 12-3, x12-3", shape_of("a 12-3, x12-3"), "00-", 4))
    ['12-3']
    """
    after = re.compile(_AFTER, re.ASCII)  # compiled once
    at = -1
    for _ in range(MOST):
        at = shape.find(part, at + 1)
        if at < 0:
            return
        if (at == 0 or text[at - 1] not in _BEFORE) and not after.match(text, at + size):
            yield text[at : at + size]


_MASK: Final = r"[*\u2022#\u2026]{2,}|[xX]{4,}|\.{3,}"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STAND_INS: Final = _words("""
    changed changeme deleted expired false hidden masked na no none null off on password placeholder redacted removed revoked
    secret set string todo true undefined unset yes
""")
_LONGEST_MASK: Final = 64


def is_masked(text: str, /) -> bool:
    """Return whether a text stands in place of a value, such as "***", "<redacted>" or "none".

    >>> is_masked("**** 1111"), is_masked("[REDACTED]"), is_masked("hunter2")
    (True, True, False)
    """
    if len(text) > _LONGEST_MASK:
        return False
    rest, masks = re.subn(_MASK, "", text)
    left = "".join(filter(str.isalnum, rest)).lower()
    return left in _STAND_INS or not left or (masks > 0 and len(left) <= 4)
