"""What looks like a secret, a token, a card number or a national id; PURE.

Metadata is not a secure data store; source: Auth0's metadata field names and types.  No reason contains the value.
"""

from __future__ import annotations

import functools
import re

_TELLING_NAMES = frozenset({
    "accesstoken", "apikey", "apisecret", "cardnumber", "clientsecret", "creditcard", "creditcardnumber",
    "cvc", "cvv", "cvv2", "passphrase", "passwd", "password", "privatekey", "refreshtoken", "secret", "secretkey",
    "socialsecuritynumber", "ssn",
})  # fmt: skip
"""Key names, in lower case and without `_` and `-`, that make any string a secret, whatever it looks like."""

_SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    # One start in each run of its letters: after each "-", every start would read the rest of the run again.
    "a JSON Web Token": r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{10,}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[oprsu]_[0-9A-Za-z]{30,}|github_pat_\w{30,})",
    "a GitLab token": r"\bglpat-[\w-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "a Google API key": r"\bAIza[\w-]{35}",
    "a SendGrid key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
}
# The first digits are those of payment networks, so a time in milliseconds (13 digits, 1...) never matches.
_CARD = r"(?<![\w+.-])(?:2[2-7]|[3-6]\d)(?:[ -]?\d){11,17}(?![\w-])"
BY_NAME = "a secret, by its name"
_SHORTEST = 13
# The rest of a longer text is not examined: a megabyte would take half a second, in which no other thread runs.
_EXAMINED = 65_536


@functools.cache
def _patterns() -> tuple[dict[str, re.Pattern[str]], re.Pattern[str]]:
    """Compile on first use, not at import."""
    return {what: re.compile(pattern) for what, pattern in _SECRETS.items()}, re.compile(_CARD, re.ASCII)


def telling_name(key: str, /) -> bool:
    """Return whether a key is named for secrets, so that any text under it is one.

    >>> telling_name("clientSecret"), telling_name("secretary")
    (True, False)
    """
    return key.lower().replace("_", "").replace("-", "") in _TELLING_NAMES


def secret(text: str, /, key: str = "") -> str | None:
    """Return what the text under a key looks like, such as "a card number", or None if it is harmless.

    >>> secret("4111 1111 1111 1111"), secret("dark", "theme"), secret("x", "password")
    ('a card number', None, 'a secret, by its name')
    """
    if text and key and telling_name(key):
        return BY_NAME
    if len(text) < _SHORTEST:
        return None
    secrets, card = _patterns()
    text = text[:_EXAMINED]
    for what, pattern in secrets.items():
        if pattern.search(text):
            return what
    if any(_luhn(match.group()) for match in card.finditer(text)):
        return "a card number"
    return None


def may_hold_secret(line: bytes, /) -> bool:
    """Return False if no text of a JSON document looks like a secret by itself, so that only names need a look.

    >>> may_hold_secret(b'{"theme": "dark"}')
    False
    """
    return secret(line.decode("utf-8", "replace")) is not None


def sensitive(value: object, path: tuple[str, ...], /) -> str | None:
    """Return why a value looks like a secret or a card number, or None if it does not.

    Strings at any depth are examined.  The reason names the path and never contains the value.

    >>> sensitive({"card": "4111 1111 1111 1111"}, ("billing",))
    'billing.card looks like a card number'
    >>> sensitive("dark", ("theme",)) is None
    True
    """
    if isinstance(value, str):
        what = secret(value, path[-1] if path else "")
        if what is None:
            return None
        where = ".".join(path)
        return (
            f"{where} has a name that is used for secrets"
            if what is BY_NAME
            else f"{where} looks like {what}"
        )
    if isinstance(value, dict):
        found = (sensitive(item, (*path, str(key))) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        found = (sensitive(item, path) for item in value)
    else:
        return None
    return next((reason for reason in found if reason), None)


def _luhn(number: str) -> bool:
    """Return whether the last digit of a card number is right; separators are ignored."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
