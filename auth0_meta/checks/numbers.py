"""Card numbers, bank accounts and national ids in a text; PURE."""

from __future__ import annotations

import functools
import re
from typing import Final

from auth0_meta.checks.cards import CARD, GROUPED, IBAN, has_card, has_card_shape, has_iban
from auth0_meta.checks.national_ids import WRITTEN
from auth0_meta.checks.shapes import Written, found, shape_of

# Each way to write a number contains one of these; most texts contain none.
_PARTS: Final = (
    "000000-000", "000000 000", "000000A000", "000000+000", "0000 0000", "0000-0000-", "0000.0000", "-00-0000", "000.000.", ".00.00-",
    "0 00 00 ", "AA00", " 00 00 00 ", "0000000-A", "00000000000000",
)  # fmt: skip


@functools.cache
def _ways() -> tuple[tuple[str, tuple[Written, ...]], ...]:
    ways: dict[str, list[Written]] = {part: [] for part in _PARTS}
    for row in (*GROUPED, *WRITTEN):
        ways[next(part for part in _PARTS if part in row.shape)].append(row)
    return tuple((part, tuple(rows)) for part, rows in ways.items())


_LONG: Final = 512
_FEWEST_DIGITS: Final = 6
_FEWEST_IN_DIGITS: Final = 9
"""Digits of a number that has no capital letters."""


def number(text: str, shape: str, /, *, bare: bool = True) -> str | None:
    """Return which number a text contains that identifies a person or an account, or None.

    `shape`: what `shape_of(text)` returns.  `bare`: whether digits without separators may be a card number.

    >>> [number(text, shape_of(text)) for text in ("my SSN is 219-09-9999", "card: 4111 1111 1111 1111, exp 12/30")]
    ['a national id (USA)', 'a card number']
    """
    if (digits := shape.count("0")) < _FEWEST_DIGITS or (digits < _FEWEST_IN_DIGITS and "A" not in shape):
        return None
    ways = _ways()
    if len(text) > _LONG:  # what can't be there is not looked for again and again
        absent = {mark for mark in " -.+A" if mark not in shape}
        ways = tuple(way for way in ways if absent.isdisjoint(way[0]))
    for part, rows in ways:
        if part in shape:
            for what, begin, size, valid, alone in rows:
                if alone:
                    if len(text) == size and shape.startswith(begin) and valid(text):
                        return what
                elif begin in shape and any(map(valid, found(text, shape, begin, size))):
                    return what
    if bare and "00000000000000" in shape and has_card(text):
        return CARD
    return IBAN if "AA00" in shape and has_iban(text) else None


def by_chance(text: str, /) -> bool:
    """Return whether a text has the form of a number that is known by its check digit alone.

    One in ten such texts is right by chance.  Where a path has many of them and few pass, they are something else.

    >>> by_chance("4111111111111112"), by_chance("811218-9876"), by_chance("219-09-9999")
    (True, True, False)
    """
    if not _HAS_FORM(text):
        return False
    return has_card_shape(text.translate(_SEPARATORS)) or shape_of(text) in _BY_CHANCE


_FEWEST: Final = 11
LONGEST_BY_CHANCE: Final = 23
"""Characters that such a text has at most."""
_HAS_FORM: Final = re.compile(rf"[\d .-]{{{_FEWEST - 1},{LONGEST_BY_CHANCE - 1}}}\d", re.ASCII).fullmatch
_SEPARATORS: Final = dict.fromkeys(map(ord, " .-"))
_BY_CHANCE: Final = {"000000-0000", "00000000-0000", "0000 0000 0000"}
