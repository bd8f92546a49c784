"""The words that a key consists of, however it is spelled; PURE."""

from __future__ import annotations

import re

_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")


def words(key: str, /) -> tuple[str, ...]:
    """Return the words of a key in lower case, however they are joined.

    >>> words("lastLoginIP"), words("last-login_ip"), words("oauth2")
    (('last', 'login', 'ip'), ('last', 'login', 'ip'), ('oauth', '2'))
    """
    return tuple(piece.lower() for piece in _PIECES.findall(key))
