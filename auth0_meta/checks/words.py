"""The words that a key consists of, however it is spelled; PURE."""

from __future__ import annotations

import functools
import re

# Plurals of abbreviations (IDs), abbreviations (IP), words (Login), digits.
_PIECES = r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+"
LONGEST = 256
"""The rest of a longer key is not read: it is data, not a name."""


def words(key: str, /) -> tuple[str, ...]:
    """Return the words of a key in lower case, however they are joined.

    >>> words("lastLoginIP"), words("last-login_ip"), words("deviceIDs2")
    (('last', 'login', 'ip'), ('last', 'login', 'ip'), ('device', 'ids', '2'))
    """
    return _words(key[:LONGEST])


@functools.lru_cache(4096)  # of short texts, so that the cache stays small
def _words(key: str) -> tuple[str, ...]:
    return tuple(piece.lower() for piece in re.findall(_PIECES, key))
