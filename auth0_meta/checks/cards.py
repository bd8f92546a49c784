"""Card numbers and bank accounts: which digits are one; PURE."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from auth0_meta.checks.shapes import MOST, Written

# First digits and lengths of the networks.  Visa's 13 digits are left out: none are issued any more, and German
# phone numbers look like them.  Maestro is left out: its numbers may have nearly any first digits and length.
_NETWORKS: Final = (
    r"4\d{15}(?:\d{3})?|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|3(?:0[0-5]|[68]\d|9\d)\d{11}(?:\d\d)?|35(?:2[89]|[3-8]\d)\d{12}|62\d{14}(?:\d{3})?"
)

FEWEST_DIGITS: Final = 14
MOST_DIGITS: Final = 19
"""Of the networks' numbers: the milliseconds of today have fewer than the former."""


def is_card(digits: str, /) -> bool:
    """Return whether digits are a card number: a network's first digits and length, and the right check digit.

    >>> is_card("4111111111111111"), is_card("4111111111111112"), is_card("1700000000000")
    (True, False, False)
    """
    return re.fullmatch(_NETWORKS, digits, re.ASCII) is not None and luhn(digits)


def has_card_shape(digits: str, /) -> bool:
    """Return whether digits have a network's first digits and length, whatever the check digit is.

    One in ten such numbers is right by chance.

    >>> has_card_shape("4111111111111112"), has_card_shape("1700000000000")
    (True, False)
    """
    return re.fullmatch(_NETWORKS, digits, re.ASCII) is not None


_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")


def luhn(digits: str, /) -> bool:
    """Return whether the last of the ASCII digits is the check digit of the others (Luhn's rule).

    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    code = digits.encode()  # 48 is that of 0
    return (sum(code[-1::-2]) + sum(code[-2::-2].translate(_DOUBLED)) - 48 * len(code)) % 10 == 0


def _is_grouped(text: str) -> bool:
    return is_card(text.translate(_SEPARATORS))


CARD: Final = "a card number"
IBAN: Final = "a bank account number"
_SEPARATORS: Final = dict.fromkeys(map(ord, " .-"))
GROUPED: Final = (
    Written(CARD, "0000 0000 0000 0000", 19, _is_grouped),
    Written(CARD, "0000-0000-0000-0000", 19, _is_grouped),
    Written(CARD, "0000.0000.0000.0000", 19, _is_grouped),
    Written(CARD, "0000 0000 0000 0000 000", 23, _is_grouped),
    Written(CARD, "0000-0000-0000-0000-000", 23, _is_grouped),
    Written(CARD, "0000 000000 00000", 17, _is_grouped),
    Written(CARD, "0000-000000-00000", 17, _is_grouped),
    Written(CARD, "0000 000000 0000", 16, _is_grouped),
    Written(CARD, "0000-000000-0000", 16, _is_grouped),
)
_BARE: Final = rf"(?<![\w.+/#@-])(?:{_NETWORKS})(?![\w@-]|\.\d)"


def has_card(text: str, /) -> bool:
    """Return whether a text contains a card number without separators.

    >>> has_card("card=4111111111111111"), has_card("order/4111111111111111")
    (True, False)
    """
    return any(luhn(one.group()) for one in islice(re.finditer(_BARE, text, re.ASCII), MOST))


_IBAN_SIZES: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_IBAN: Final = r"(?<![0-9A-Za-z_./#@-])([A-Z]{2})\d\d[0-9A-Za-z ]{11,40}"


def has_iban(text: str, /) -> bool:
    """Return whether a text contains an international bank account number with a right check digit.

    >>> has_iban("DE89 3704 0044 0532 0130 00")
    True
    """
    return any(
        _is_iban(match.group(), _IBAN_SIZES.get(match.group(1), 99))
        for match in islice(re.finditer(_IBAN, text), MOST)
    )


def _is_iban(text: str, size: int) -> bool:
    """Return whether a text, spaces aside, begins with an account number of that many characters."""
    places = [n for n, c in enumerate(text) if c != " "]
    if len(places) < size or text[places[size - 1] + 1 : places[size - 1] + 2].strip():
        return False
    number = "".join(text[n] for n in places[:size])
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1
