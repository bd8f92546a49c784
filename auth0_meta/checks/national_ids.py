"""National ids: how they are written, and their check digits; PURE.

Digits alone mean little: one random number in ten has a right check digit.  So a number is recognized by its separators,
or by the name of its key (`telling`); under a name that is used for other numbers too, the check digit must be right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from auth0_meta.checks.cards import luhn
from auth0_meta.checks.shapes import Written

# Patterns are kept as text: `re` compiles them on first use, so that importing this costs nothing.

# Dates and check digits ----------------------------------------------------------------------------------


_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _date(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _only(text: str) -> str:
    return "".join(c for c in text if "0" <= c <= "9")


def _usa(text: str) -> bool:
    area, group, serial = text[:3], text[4:6], text[7:]
    # 078-05-1120 and 123-45-6789 are the examples of a thousand forms: nobody's.
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _finland(text: str) -> bool:
    if not re.fullmatch(_HETU, text, re.ASCII) or not _date(int(text[:2]), int(text[2:4])):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10]


_HETU: Final = r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"


def _sweden(text: str) -> bool:
    digits = _only(text)
    if len(digits) not in {10, 12} or (len(digits) == 12 and digits[:2] not in {"18", "19", "20"}):
        return False
    digits = digits[-10:]
    return _date(int(digits[4:6]) % 60, int(digits[2:4])) and luhn(digits)


# What consists of digits may be an order or a time.  Few users were born since 2010.
def _finland_in_digits(text: str) -> bool:
    return _finland(text) and not _is_recent(text)


def _sweden_in_digits(text: str) -> bool:
    last_century = len(text) > 11 and text[:2] == "19"
    return _sweden(text) and (last_century or not _is_recent(text[-11:]))


def _is_recent(text: str) -> bool:
    """Return whether a text begins with a date of the years 2010 to 2039, as YYMMDD."""
    return text[0] in "123" and _date(int(text[4:6]), int(text[2:4]))


def _norway(text: str) -> bool:
    digits = _only(text)
    if len(digits) != 11 or not _date(int(digits[:2]) % 40, int(digits[2:4])):
        return False
    first = -_weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    return first == int(digits[9]) and -_weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 == int(
        digits[10]
    )


def _denmark(text: str) -> bool:
    # Since 2007 numbers without the check digit are given out as well; these are found by the name of their key.
    digits = _only(text)
    return (
        len(digits) == 10
        and _date(int(digits[:2]), int(digits[2:4]))
        and _weighted(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def _netherlands(text: str) -> bool:
    return len(text) == 9 and _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and text != "000000000"


def _belgium(text: str) -> bool:
    digits = _only(text)
    if len(digits) != 11 or not (int(digits[2:4]) % 20 <= 12 and int(digits[4:6]) <= 31):
        return False
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def _france(text: str) -> bool:
    digits = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    if not digits.isdecimal() or len(digits) != 15 or digits[0] not in "12":
        return False
    return (1 <= int(digits[3:5]) <= 12 or digits[3:5] == "20") and 97 - int(digits[:13]) % 97 == int(
        digits[13:]
    )


def _spain(text: str) -> bool:
    digits = text.upper().replace("-", "").replace(" ", "")
    if not re.fullmatch(_DNI, digits, re.ASCII):
        return False
    first = {"X": "0", "Y": "1", "Z": "2"}.get(digits[0], digits[0])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(first + digits[1:8]) % 23] == digits[8]


_DNI: Final = r"[XYZ0-9]\d{7}[A-Z]"


def _italy(text: str) -> bool:
    if not re.fullmatch(_CODICE, text, re.ASCII):
        return False
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in text]
    return (sum(_ODD[value] for value in values[0:15:2]) + sum(values[1:15:2])) % 26 == values[15]


_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CODICE: Final = r"[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]"


def _portugal(text: str) -> bool:
    if len(text) != 9 or text[0] not in "1235":
        return False
    check = -_weighted(text, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if check == 10 else check) == int(text[8])


def _poland(text: str) -> bool:
    if len(text) != 11 or not _date(int(text[4:6]), int(text[2:4]) % 20):
        return False
    return _weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _germany(text: str) -> bool:
    if len(text) != 11 or text[0] == "0" or len(set(text[:10])) not in {8, 9}:
        return False
    product = 10
    for digit in text[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(text[10])


def _brazil(text: str) -> bool:
    digits = _only(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    first = _weighted(digits, range(10, 1, -1)) * 10 % 11 % 10
    return first == int(digits[9]) and _weighted(digits, range(11, 1, -1)) * 10 % 11 % 10 == int(digits[10])


_VERHOEFF: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_TURNS: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def _india(text: str) -> bool:
    digits = _only(text)
    if len(digits) != 12 or digits[0] in "01":
        return False
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF[check][int(_TURNS[place % 8][int(digit)])])
    return check == 0


def _canada(text: str) -> bool:
    return len(text) == 9 and text[0] not in "08" and luhn(text)


def _switzerland(text: str) -> bool:
    digits = _only(text)
    return len(digits) == 13 and digits.startswith("756") and _weighted(digits, (1, 3) * 7) % 10 == 0


def _china(text: str) -> bool:
    if not re.fullmatch(_RESIDENT, text, re.ASCII) or not _date(int(text[12:14]), int(text[10:12])):
        return False
    return (
        "10X98765432"[_weighted(text[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]
        == text[17].upper()
    )


_RESIDENT: Final = r"[1-8]\d{5}(?:19|20)\d{9}[\dXx]"


def _estonia(text: str) -> bool:
    # Lithuania's numbers have the same rule.
    if len(text) != 11 or text[0] not in "123456" or not _date(int(text[5:7]), int(text[3:5])):
        return False
    check = _weighted(text, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = _weighted(text, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(text[10])


def _czechia(text: str) -> bool:
    digits = _only(text)
    return (
        len(digits) == 10
        and 1 <= int(digits[2:4]) % 50 % 20 <= 12
        and 1 <= int(digits[4:6]) <= 31
        and int(digits) % 11 == 0
    )


def _britain(text: str) -> bool:
    letters = text.replace(" ", "")
    return re.fullmatch(_NINO, letters, re.ASCII) is not None and letters[:2] not in {
        "BG",
        "GB",
        "NK",
        "KN",
        "TN",
        "NT",
        "ZZ",
    }


_NINO: Final = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]"


def _mexico(text: str) -> bool:
    return re.fullmatch(_CURP, text, re.ASCII) is not None and _date(int(text[8:10]), int(text[6:8]))


_CURP: Final = r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d"


WRITTEN: Final = (
    Written("a national id (USA)", "000-00-0000", 11, _usa),
    Written("a national id (Finland)", "000000-000A", 11, _finland),
    Written("a national id (Finland)", "000000-0000", 11, _finland_in_digits, alone=True),
    Written("a national id (Finland)", "000000A000", 11, _finland),
    Written("a national id (Finland)", "000000+000", 11, _finland),
    Written("a national id (Sweden)", "00000000-0000", 13, _sweden_in_digits, alone=True),
    Written("a national id (Sweden)", "000000-0000", 11, _sweden_in_digits, alone=True),
    Written("a national id (Norway)", "000000 00000", 12, _norway),
    Written("a national id (Brazil)", "000.000.000-00", 14, _brazil),
    Written("a national id (Belgium)", "00.00.00-000.00", 15, _belgium),
    Written("a national id (Switzerland)", "000.0000.0000.00", 16, _switzerland),
    Written("a national id (France)", "0 00 00 00 000 000 00", 21, _france),
    Written("a national id (France)", "0 00 00 0A 000 000 00", 21, _france),
    Written("a national id (India)", "0000 0000 0000", 14, _india, alone=True),
    Written("a national id (China)", "00000000000000000", 18, _china),
    Written("a national id (Italy)", "AAAAAA00A00A000A", 16, _italy),
    Written("a national id (Mexico)", "AAAA000000AAAAAA", 18, _mexico),
    Written("a national id (United Kingdom)", "AA 00 00 00 A", 13, _britain),
    Written("a national id (Spain)", "00000000-A", 10, _spain, alone=True),
    Written("a national id (Spain)", "A-0000000-A", 11, _spain, alone=True),
)

_BARE: Final = (
    _finland, _sweden, _norway, _denmark, _netherlands, _belgium, _france, _spain, _italy, _portugal, _poland, _germany,
    _brazil, _india, _canada, _switzerland, _china, _estonia, _czechia, _britain, _mexico,
)  # fmt: skip
_PLAIN: Final = r"[0-9A-Za-z](?:[ ./-]?[0-9A-Za-z]){7,20}"


def is_national_id(text: str, /) -> bool:
    """Return whether a text, with or without separators, is a national id of some country by its check digits.

    Many random numbers are one by chance, so ask only where a name suggests it.

    >>> is_national_id("111 222 333"), is_national_id("111 222 334")
    (True, False)
    """
    if not re.fullmatch(_PLAIN, text, re.ASCII):
        return False
    text = text.upper()
    plain = text.translate(_SEPARATORS)
    return _finland(text) or any(
        valid(plain) for valid in _BARE if plain.isdecimal() or valid in _WITH_LETTERS
    )


_SEPARATORS: Final = dict.fromkeys(map(ord, " ./-"))
_WITH_LETTERS: Final = (_spain, _italy, _china, _britain, _mexico, _france)
