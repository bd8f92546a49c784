"""Cut the values of a request out of what the server says about it; PURE.

Auth0 echoes parts of a request in its messages: whole, shortened, in lower case, escaped.  A value is cut wherever
it stands by itself.  Words of Auth0's own sentences stay, although somebody may have sent the same word: cut out
of "The user does not exist." they would protect nothing, and hide what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from auth0_meta.redact import printable

CUT = "***"
# Auth0's messages have a few hundred characters; the time for cutting grows with the square of the length.
_MOST_TEXT = 10_000
_SHORTEST = 3
# A value of this length does not occur in a text by chance, whatever stands around it.
_UNMISTAKABLE = 20
# A beginning of this length is taken for the value itself, cut short without a sign of it.
_SHORTENED = 8
# A sentence of its own is a value, whatever its words.
_MOST_WORDS = 3
_OPERATORS = frozenset({"AND", "OR", "NOT", "TO"})
_SIGNS = "*?~^+-<>=!&|/,;."
_FIELD = re.compile(r"[^\s:\\]+:(?=.)")
# A part of a term, such as the host of an email address, is cut only if it is long enough to mean something.
_SHORTEST_PART = 4
_TERMS = re.compile(r'"([^"]*)"|([^\s()\[\]{}"]+)')
_AROUND = r"[\w-]"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_QUOTES = "'\"`\u2018\u2019\u201c\u201d"
_DOTS = r"(?:\.{2,}|\u2026)"

# Words of the messages that the Management API and the Authentication API send.
_WORDS = frozenset(
    """
    a about above accept access account across action add additional after again all allow already also an and
    another any api app application are array as at attempt attribute audience auth auth0 authenticate
    authentication authorization authorize available bad be because become been before begin below between
    bigint block body boolean both but by call can cannot change character check claim client code complete
    configure conflict connect connection contain content correct could create credential current custom data
    database date day decode default define delete deny depend description detail did didn different disable do
    does doesn domain don done dotted duplicate during each either email empty enable encode encoding end
    endpoint enough entity error event exact example exceed exceeded except exist existing expect expire expired
    fail failure false field file find first following for forbidden form format found from full function future
    general get give given global go grant great had happen has have header here high hour how http identifier
    identity if import in include incorrect index information input insufficient integer internal into invalid
    is isn issue it item its job json just keep key know large last later least left length less like limit line
    link list local lock login long low made make malformed many match max maximum may mean member message meta
    metadata method min minimum minute miss missing more most much multiple must name near need new next no none
    not null number object occur of off old on once one only open operation option or order organization other
    out over page param parameter parse part pass password past patch path pattern payload pending per perform
    permission permit phone please point possible post prefix present prevent previous primary private process
    profile proper properly property provide provided provider public put quer query quota range rate reach read
    ready reason receive record redirect refer reference refuse reject release remove request require required
    reserved reset resource response result retry return role rule run same schema scope search second secondary
    see send sent separate server service session set several should show signature since single size so some
    something specific specified specify start state status still stop store string strong subject such suffix
    support system take tenant text than that the their them then there these they thing this those through time
    timeout to together token too total true try two type unable unauthorized under unexpected unique unknown
    unless unsupported until up update upgrade upload uri url use user username valid validate validation value
    verified verify version via view wait was way weak web were what when where whether which while who whole
    will with within without word work write wrong yet you your zero
    """.split()  # noqa: SIM905  # a paragraph is easier to read than a list of strings
)


class SentValues:
    """The values of one request: a parsed body, a query, a token, or a sequence of these."""

    def __init__(self, sent: Any) -> None:
        self._values = sorted({v for v in _values(sent) if len(v) >= _SHORTEST}, key=len, reverse=True)

    def cut(self, text: str | None) -> str:
        """Return a sentence without them, and without what a terminal or a log would obey."""
        text = _bounded(text or "")
        for value in self._values:
            text = _without(text, value, around=_AROUND, ordinary=_is_ordinary(value))
        return printable(text)

    def cut_from_code(self, code: str | None) -> str:
        """Return an error code without them; a code is made of words, which may be values by chance."""
        code = _bounded(code or "")
        for value in self._values:
            if not _is_plain(value):
                code = _without(code, value, around="[^\\W_]", ordinary=False)
        return printable(code)


def _bounded(text: str) -> str:
    """Return the beginning of a text that is too long; beside the dots a value that was cut through is cut out."""
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def _values(sent: Any) -> Iterator[str]:
    """Yield every value in its plain form, of a search query its terms too."""
    todo = [sent]
    while todo:
        one = todo.pop()
        if isinstance(one, Mapping):
            todo += one.values()
            if isinstance(query := one.get("q"), str):
                yield from _terms(query)
        elif isinstance(one, list | tuple):
            todo += one
        elif isinstance(one, str):
            yield one
            yield one.strip()
        elif one is not None and not isinstance(one, bool):
            yield str(one)
            if isinstance(one, float) and one.is_integer():
                yield str(int(one))


def _terms(query: str) -> Iterator[str]:
    """Yield what a query searches for, as it is written, without its signs and escapes, and in parts.

    A server repeats the words that it has found in a term.  The names of fields and the operators stay.
    """
    for phrase, word in _TERMS.findall(query):
        field = _FIELD.match(word)
        if word in _OPERATORS or (field and field[0] == "_exists_:"):
            continue
        for text in (phrase, *phrase.split()) if phrase else (word[field.end() :] if field else word,):
            bare = re.sub(r"[~^][\d.]*$", "", text.strip(_SIGNS)).strip(_SIGNS)
            plain = re.sub(r"\\(.)", r"\1", bare)
            yield from (text, bare, plain, *re.split(r"[^\w.+-]+", plain))
            yield from (part for part in re.split(r"\W+", plain) if len(part) >= _SHORTEST_PART)


def _is_plain(value: str) -> bool:
    """Return whether a value looks like words of an error code."""
    return value.isascii() and value.islower() and value.replace("_", "").isalpha()


def _is_ordinary(value: str) -> bool:
    """Return whether a value is a word, or a few, that Auth0's own sentences contain."""
    words = value.lower().strip(".,;:").split()
    return len(words) <= _MOST_WORDS and all(_is_known(word) for word in words)


def _is_known(word: str) -> bool:
    """Return whether a word, or what it is a plural or a participle of, is one of the server's."""
    stems = {word, *(word.removesuffix(ending) for ending in ("s", "es", "d", "ed", "ing", "ly"))}
    if word.endswith(("ing", "ies")):
        stems |= {word[:-3] + "e", word[:-3] + "y"}
    return not _WORDS.isdisjoint(stems)


_FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("\\", lambda value: json.dumps(value)[1:-1]),
    ("\\", lambda value: json.dumps(value, ensure_ascii=False)[1:-1]),
    ("\\", lambda value: json.dumps(value)[1:-1].replace("/", "\\/")),
    ("%", lambda value: quote(value, safe="", errors="replace")),
    ("%", lambda value: quote(value, errors="replace")),
    ("+", lambda value: quote_plus(value, errors="replace")),
    ("&", lambda value: value.translate(_HTML)),
)
"""What an escaped form contains in any case, and how a value looks in it."""


def _without(text: str, value: str, *, around: str, ordinary: bool) -> str:
    """Return `text` without one value, in any of its forms, the whole ones before the shortened ones."""
    forms = dict.fromkeys((value, *(form(value) for sign, form in _FORMS if sign in text)))
    for form in forms:
        if form.lower() in text.lower():
            text = _cut(text, form, around=around, ordinary=ordinary)
    if not ordinary:
        for form in forms:
            lowered, sought = text.lower(), form.lower()
            if sought[:_SHORTEST] in lowered or sought[-_SHORTEST:] in lowered:
                text = _cut_short(text, form, around=around)
    return text


def _cut(text: str, form: str, *, around: str, ordinary: bool) -> str:
    """Cut a whole value, wherever it stands by itself; an ordinary one only where it is quoted, or all there is."""
    pattern = re.escape(form)
    if ordinary:
        pattern = rf"(?<=[{_QUOTES}]){pattern}(?=[{_QUOTES}])|\A{pattern}\Z"
    elif len(form) < _UNMISTAKABLE:
        pattern = rf"(?<!{around}){pattern}(?!{around})"
    return re.sub(pattern, CUT, text, flags=re.IGNORECASE)


def _lower(text: str) -> str:
    """Return a text in lower case with every character in its place: some have two in lower case."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower()[:1] for c in text)


def _cut_short(text: str, form: str, *, around: str) -> str:
    """Cut a beginning or an end of a value beside dots, and a long beginning without them."""
    lowered, whole = _lower(text), _lower(form)
    for match in reversed(list(re.finditer(_DOTS, lowered))):
        start, end = match.span()
        head = next(
            (n for n in range(min(len(whole), start), 0, -1) if lowered.endswith(whole[:n], 0, start)), 0
        )
        tail = next((n for n in range(len(whole), 0, -1) if lowered.startswith(whole[-n:], end)), 0)
        if head >= _SHORTEST and not re.match(around, lowered[start - head - 1 : start - head]):
            text = text[: start - head] + CUT + text[end + (tail if tail >= _SHORTEST else 0) :]
        elif tail >= _SHORTEST:
            text = text[:start] + CUT + text[end + tail :]
        lowered = _lower(text)
    at = lowered.find(whole[:_SHORTENED]) if len(whole) > _SHORTENED else -1
    while at >= 0:
        end = at
        while end < len(lowered) and end - at < len(whole) and lowered[end] == whole[end - at]:
            end += 1
        inside = end < len(lowered) and re.match(around, lowered[end]) and re.match(around, lowered[end - 1])
        end = at + len(lowered[at:end].rstrip())
        if not inside and not re.match(around, lowered[at - 1 : at]) and not _is_ordinary(lowered[at:end]):
            text = text[:at] + CUT + text[end:]
            lowered = _lower(text)
            end = at + len(CUT)
        at = lowered.find(whole[:_SHORTENED], end)
    return text
