"""Which keys are made from data, and the template that stands for them; PURE."""

from __future__ import annotations

import functools
import re

_YEAR = r"(?:19|20)\d\d"
# The parts of a key that are data, in this order.
_PARTS = {
    "<uuid>": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "<time>": r"\d{4}-\d\d-\d\d[T ]\d\d:?\d\d(?::?\d\d)?(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?",
    "<date>": rf"{_YEAR}(?P<a>[-/._])\d\d?(?P=a)\d\d?|\d\d?(?P<b>[-/._])\d\d?(?P=b){_YEAR}"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])",
    "<month>": rf"{_YEAR}-(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])-{_YEAR}",
    "<week>": rf"{_YEAR}-?W(?:0[1-9]|[1-4]\d|5[0-3])",
    "<quarter>": rf"{_YEAR}-Q[1-4]|Q[1-4]-{_YEAR}",
    "<email>": r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}",
    # Not in an object identifier, such as urn:oid:2.5.4.42, which is a fixed name.
    "<ip>": r"(?<![:.])(?:\d{1,3}\.){3}\d{1,3}(?!\.\d)|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    r"|(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}",
    "<mac>": r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}",
    "<user_id>": r"[a-z][\w-]{0,63}\|[\w|.@-]+",
    "<phone>": r"\+\d{7,15}",
    # Auth0's own: 16 letters and digits after org_, con_ or rol_, which may look like words.
    "<id>": r"(?<=org_|con_|rol_|grp_)(?=[A-Za-z]*\d(?:[0-9A-Za-z]*[A-Za-z]|\d\d))[0-9A-Za-z]{16}|[0-7][0-9A-HJKMNP-TV-Z]{25}"
    r"|(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{16,}|(?=\d*[A-F])(?=[A-F]*\d)[0-9A-F]{16,}",
    "<number>": r"(?<!\d\.)\d{6,}(?!\.\d)",
}
# A longer key is not a name, whatever it consists of.
_LONGEST = 200
# Shorter runs of letters and digits are not judged by how they look.
_SHORTEST_ID = 12
# In one of this length chance plays less of a part, so names and random text differ more clearly.
_LONG_ID = 24
# The letters and digits of one case in a row.  In names they are words; in random text they are about two long.
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_RUNS = re.compile(r"[0-9A-Za-z]+")
# Part of an order number; alone it is not data, such as in budget_2026.
_YEAR_BESIDE = re.compile(rf"(?<![0-9A-Za-z]){_YEAR}(?![0-9A-Za-z])")
# Several of them in a row, before an id, belong to the id.
_JOINTS = re.compile(r"[-_]+\Z")
_VOWELS = frozenset("aeiouyAEIOUY")
_NAMES = tuple(_PARTS)


@functools.cache
def _part() -> re.Pattern[str]:
    """Compile on first use, not at import."""
    names = [f"(?P<p{number}>{pattern})" for number, pattern in enumerate(_PARTS.values())]
    return re.compile(r"(?<![0-9A-Za-z])(?:" + "|".join(names) + r")(?![0-9A-Za-z])")


def dynamic(key: str, /) -> str | None:
    """Return the template of a key that is made from data, or None for a fixed name.

    >>> dynamic("mfa_required_5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11"), dynamic("2026-11-23"), dynamic("sha256")
    ('mfa_required_<uuid>', '<date>', None)
    >>> dynamic("session-V1StGXR8Z5jdHi6BmyT4"), dynamic("hasAcceptedTermsOfServiceVersion2")
    ('session-<id>', None)
    """
    if len(key) > _LONGEST:
        return "<text>"
    if len(key) < 6 or (key.isalpha() and key.islower()):
        return None
    template = _part().sub(_named, key)
    if template != key:
        return _YEAR_BESIDE.sub("<year>", template)
    return _without_id(key) if len(key) >= _SHORTEST_ID else None


def _named(match: re.Match[str]) -> str:
    return _NAMES[int((match.lastgroup or "p0")[1:])]


def _without_id(key: str) -> str | None:
    """Return a key with `<id>` in the place of what looks random, or None if nothing does."""
    odd = [run for run in _RUNS.finditer(key) if not _word(run.group())]
    texts = [run.group() for run in odd]
    if max(map(len, texts), default=0) < 6 or not _random("".join(texts)):
        return None
    # Several runs are one id in an alphabet with "-" and "_", and what follows may belong to it.
    after = key[odd[-1].end() :].rstrip("-_") if len(odd) == 1 else ""
    return f"{_JOINTS.sub(_joint, key[: odd[0].start()])}<id>{after if after.islower() else ''}"


def _joint(match: re.Match[str]) -> str:
    return match.group()[:1] if match.start() else ""


def _random(text: str) -> bool:
    """Return whether letters and digits alternate as in random text, and as in no name of several words."""
    if len(text) < _SHORTEST_ID:
        return False
    pieces = _PIECES.findall(text)
    numbers = sum(piece.isdigit() for piece in pieces)
    longest = (2.8 if numbers else 2.3) if len(text) < _LONG_ID else (2.95 if numbers else 2.45)
    return numbers >= 3 or (len(pieces) >= 6 and len(text) < longest * len(pieces))


def _word(run: str) -> bool:
    """Return whether a run of letters is a word or several, rather than part of an id."""
    return run.isalpha() and len(run) >= 3 * len(_PIECES.findall(run)) and not _VOWELS.isdisjoint(run)
