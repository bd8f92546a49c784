"""What looks like a secret, a token, a card number or a national id; PURE.

Metadata is not a secure data store; source: Auth0's metadata field names and types.  Reasons never contain the value.
The whole text is examined, however long: every pattern reads a character a bounded number of times.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

from auth0_meta.checks.cards import CARD
from auth0_meta.checks.national_ids import is_national_id
from auth0_meta.checks.numbers import number
from auth0_meta.checks.shapes import is_masked, shape_of
from auth0_meta.checks.telling import Telling, telling
from auth0_meta.checks.tokens import token

BY_NAME: Final = "a secret, by its name"
NATIONAL_ID: Final = "a national id"
SHORTEST: Final = 10
"""Characters of the shortest secret that is recognized by itself, whatever its key is called."""
_FEWEST_DIGITS: Final = 6
"""Digits that a card number or national id has at least, even if a name says what it is."""


# The most frequent long text in metadata, and harmless.
_IS_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
).fullmatch


def telling_name(key: str, /) -> Telling:
    """Return what kind of secret the name of a key announces, or "" if none.

    >>> telling_name("clientSecret"), telling_name("secretary"), telling_name("order_id")
    ('secret', '', '')
    """
    name = telling(key)
    return "" if name == "another number" else name


def secret(text: str, /, key: str = "") -> str | None:
    """Return what the text under a key looks like, such as "a card number", or None if it is harmless.

    >>> secret("4111 1111 1111 1111"), secret("dark", "theme"), secret("x", "password")
    ('a card number', None, 'a secret, by its name')
    """
    name = telling(key) if key else ""
    if name and name != "another number" and (what := _named(text, name)) is not None:
        return what
    if len(text) < SHORTEST or (text[10:11] == "T" and _IS_TIME(text)):
        return None
    if (what := token(text)) is not None:
        return what
    return number(text, shape_of(text), bare=name != "another number")


def _named(text: str, name: Telling) -> str | None:
    """Return what a text is, given what the name of its key says."""
    if name == "secret":
        return None if not text or is_masked(text) else BY_NAME
    if name == "token":
        return BY_NAME if _looks_random(text) else None
    if len(text) > _LONGEST_NUMBER or (digits := shape_of(text).count("0")) < _FEWEST_DIGITS:
        return None
    if name == "card":
        return CARD if digits >= _FEWEST_CARD_DIGITS and not any(map(str.isalpha, text)) else None
    if name == "person" or is_national_id(text):
        return NATIONAL_ID
    return None


_LONGEST_NUMBER: Final = 40
_FEWEST_CARD_DIGITS: Final = 12


def _looks_random(text: str) -> bool:
    """Return whether a text is long, one word, and has digits and letters."""
    return len(text) >= 16 and 0 < shape_of(text).count("0") < len(text) and not any(map(str.isspace, text))


def secret_number(value: float, /, key: str) -> str | None:
    """Return what the number under a key looks like, or None: only the name of the key says so.

    >>> secret_number(4111111111111111, "card_number"), secret_number(4111111111111111, "id")
    ('a card number', None)
    """
    name = telling(key)
    if name not in _NUMBERS or isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return _named(str(value), name) if value < _LARGEST else None


_NUMBERS: Final = frozenset({"card", "person", "perhaps a person"})
_LARGEST: Final = 10**20


def sensitive(value: object, path: tuple[str, ...], /) -> str | None:
    """Return why a value looks like a secret, a card number or a national id, or None if it does not.

    Texts at any depth are examined.  The reason names the path and never contains the value.

    >>> sensitive({"card": "4111 1111 1111 1111"}, ("billing",))
    'billing.card looks like a card number'
    >>> sensitive("dark", ("theme",)) is None
    True
    """
    # Each item with its last key and the way to it, which is put together only for a reason.
    found: list[tuple[Any, _Way]] = [(value, (None, path))]
    while found:
        item, way = found.pop()
        if isinstance(item, str):
            what = secret(item, way[1][-1] if way[1] else "")
            if what is BY_NAME:
                return f"{_dotted(way)} has a name that is used for secrets"
            if what is not None:
                return f"{_dotted(way)} looks like {what}"
        elif isinstance(item, dict):
            found.extend((inner, (way, (str(key),))) for key, inner in reversed(item.items()))
        elif isinstance(item, (list, tuple)):
            found.extend((inner, way) for inner in reversed(item))
    return None


_Way: TypeAlias = "tuple[_Way | None, tuple[str, ...]]"


def _dotted(way: _Way) -> str:
    keys: list[str] = []
    at: _Way | None = way
    while at is not None:
        at, last = at
        keys.extend(reversed(last))
    return ".".join(reversed(keys))
