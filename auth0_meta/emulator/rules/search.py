"""Compile the `q` of a search into a predicate on profiles: Lucene syntax, parsed by luqum, with Auth0's limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from auth0_meta.emulator.http.errors import Refusal, bad_request
from auth0_meta.emulator.rules.switches import Switches

Document = Mapping[str, Any]
Test = Callable[[Document], bool]
_Match = Callable[[Any], bool]

# Documented: the values of these are compared case-insensitively, all others case-sensitively.
_CASELESS = frozenset(("email", "name", "given_name", "family_name", "nickname"))
_SHORTEST_SUFFIX = 3
# One character of a term: a wildcard, or a letter, which may be escaped.
_CHARACTER = re.compile(r"([*?])|\\?(.)", re.DOTALL)
# Longer ones are refused, so that no query takes long; open: what Auth0's limits are.
_LONGEST_QUERY, _LONGEST_WILDCARD, _MOST_LEVELS, _MOST_NODES = 10_000, 256, 100, 2000
_SIGNED = ("Plus", "Prohibit", "Not")


@lru_cache(maxsize=128)
def matcher(q: str, *, switches: Switches) -> Test:
    """Return the predicate that `q` stands for, or refuse it with 400.

    Fields are root attributes, `email.domain`, or dotted paths, which look through arrays.  A quoted value
    must match exactly.  Wildcards and ranges are refused in user_metadata, and so are leading wildcards with
    fewer than three letters (documented); fuzziness, proximity, boosts and patterns are refused too (open).
    `*` and `*:*` match every user.  AND, OR and NOT must be upper case; otherwise they are terms.  A term
    without a field is searched for everywhere except in user_metadata.

    >>> matcher('app_metadata.plan:"pro" AND NOT blocked:true', switches=Switches())(
    ...     {"app_metadata": {"plan": "pro"}}
    ... )
    True
    """
    if not q.strip():
        return _anything
    if len(q) > _LONGEST_QUERY:
        raise _refused(f"the query has more than {_LONGEST_QUERY} characters")
    # luqum loads on use, because building its grammar takes a while.
    from luqum.exceptions import ParseError  # noqa: PLC0415
    from luqum.thread import parse  # noqa: PLC0415  # a lexer for each thread; luqum.parser shares one

    try:
        tree = parse(q)
    except (ParseError, RecursionError):
        raise _refused("the query can't be parsed") from None
    try:
        return _Compiler(switches).test(tree, None)
    except RecursionError:  # of luqum, which writes out what a field contains
        raise _refused("the query is nested too deeply") from None


def _refused(why: str) -> Refusal:
    """Return the refusal of a query (400); the wording is a guess."""
    return bad_request(f"Query syntax error: {why}.", "invalid_query_string")


class _Compiler:
    """Compile the nodes of a parsed query; `field` is the field of the enclosing group, None outside one."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._level = self._nodes = 0

    def test(self, node: Any, field: str | None) -> Test:
        """Return the predicate that a node stands for; what can be compiled can be evaluated too."""
        self._level += 1
        self._nodes += 1
        if self._level > _MOST_LEVELS:
            raise _refused("the query is nested too deeply")
        if self._nodes > _MOST_NODES:
            raise _refused("the query has too many terms")
        test = self._compiled(node, field)
        self._level -= 1
        return test

    def _compiled(self, node: Any, field: str | None) -> Test:
        match type(node).__name__:
            case "Group" | "FieldGroup":
                return self.test(node.expr, field)
            case "SearchField":
                return self._searchfield(node, field)
            case "Plus":
                return self.test(node.a, field)
            case "Not" | "Prohibit":
                return _negated(self.test(node.a, field))
            case "AndOperation":
                return _all_of([self.test(child, field) for child in node.children])
            case "OrOperation":
                return _any_of([self.test(child, field) for child in node.children])
            case "UnknownOperation":
                return self._joined(node.children, field)
            case "Phrase":
                return _on(field, _exact(_unescaped(node.value[1:-1]), _fold(field)))
            case "Word":
                return self._word(str(node.value), field)
            case "Range":
                return _between(
                    field, node.low, node.high, low_in=node.include_low, high_in=node.include_high
                )
            case "From":
                return _between(field, node.a, None, low_in=node.include)
            case "To":
                return _between(field, None, node.a, high_in=node.include)
            case other:
                raise _refused(f"{other.lower()} terms are not supported")

    def _searchfield(self, node: Any, field: str | None) -> Test:
        if field is not None:
            raise _refused("a field can't be nested in another field")
        inner = str(node.expr).strip()
        if node.name == "_exists_":
            return _exists(inner.strip('"'))
        if node.name == "_missing_" and self._switches.search_missing == "negate":
            return _negated(_exists(inner.strip('"')))
        if node.name == "_missing_":
            raise _refused("_missing_ is not supported: use NOT _exists_")
        if node.name == inner == "*":
            return _anything
        if "*" in node.name:
            raise _refused("the name of a field can't have wildcards")
        return self.test(node.expr, node.name)

    def _joined(self, nodes: Sequence[Any], field: str | None) -> Test:
        """Join terms without an operator; if one has `+`, the terms without a sign are optional, as in Lucene."""
        tests = [(type(node).__name__, self.test(node, field)) for node in nodes]
        if self._switches.search_operator == "AND":
            return _all_of([test for _, test in tests])
        required = [test for kind, test in tests if kind in _SIGNED]
        optional = [test for kind, test in tests if kind not in _SIGNED]
        if optional and not any(kind == "Plus" for kind, _ in tests):
            required.append(_any_of(optional))
        return _all_of(required)

    def _word(self, raw: str, field: str | None) -> Test:
        if any(wild for wild, _ in _CHARACTER.findall(raw)):
            return _wildcard(raw, field)
        wanted, fold = _unescaped(raw), _fold(field)
        whole = _exact(wanted, fold)
        if self._switches.search_words == "whole":
            return _on(field, whole)
        word = fold(wanted)
        return _on(
            field, lambda value: whole(value) or (isinstance(value, str) and word in fold(value).split())
        )


def _anything(_: Any) -> bool:
    return True


def _negated(test: Test) -> Test:
    return lambda document: not test(document)


def _all_of(tests: list[Test]) -> Test:
    return lambda document: all(test(document) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    return lambda document: any(test(document) for test in tests)


def _only_outside_user_metadata(what: str, field: str | None) -> None:
    if field is not None and field.partition(".")[0] == "user_metadata":
        raise _refused(f"{what} are not available on user_metadata")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _fold(field: str | None) -> Callable[[str], str]:
    """Return the function that makes two texts of a field equal if they match."""
    return str.casefold if field is not None and field.partition(".")[0] in _CASELESS else str


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _exact(wanted: str, fold: Callable[[str], str]) -> _Match:
    folded, number = fold(wanted), _number(wanted)

    def equal(value: Any) -> bool:
        if isinstance(value, bool):
            return wanted == ("true" if value else "false")
        if isinstance(value, str):
            return fold(value) == folded
        return number is not None and bool(value == number)

    return equal


def _wildcard(raw: str, field: str | None) -> Test:
    if raw == "*":
        return _anything if field is None else _exists(field)
    _only_outside_user_metadata("wildcards", field)
    characters = _CHARACTER.findall(raw)
    if characters[0][0] and sum(not wild for wild, _ in characters) < _SHORTEST_SUFFIX:
        raise _refused(f"a leading wildcard needs at least {_SHORTEST_SUFFIX} letters")
    if len(characters) > _LONGEST_WILDCARD:
        raise _refused(f"a term with wildcards has more than {_LONGEST_WILDCARD} characters")
    fold = _fold(field)
    # Between the stars every piece has a fixed length.  The first place where it fits is as good as any later one, so
    # nothing is tried twice; one expression with `.*` would try every combination.
    pieces: list[list[str]] = [[]]
    for wild, letter in characters:
        if wild == "*":
            pieces.append([])
        else:
            pieces[-1].append("." if wild else re.escape(fold(letter)))
    compiled = [re.compile("".join(piece), re.DOTALL) for piece in pieces]
    return _on(field, lambda value: isinstance(value, str) and _fits(fold(value), compiled, len(pieces[-1])))


def _fits(text: str, pieces: list[re.Pattern[str]], size_of_last: int) -> bool:
    """Return whether a text begins with the first piece, ends with the last, and has the others between them in order."""
    first, *middle = pieces
    if not middle:
        return first.fullmatch(text) is not None
    *middle, last = middle
    found = first.match(text)
    for piece in middle:
        if found is None:
            return False
        found = piece.search(text, found.end())
    end = len(text) - size_of_last
    return found is not None and found.end() <= end and last.match(text, end) is not None


def _between(field: str | None, low: Any, high: Any, *, low_in: bool = False, high_in: bool = False) -> Test:
    _only_outside_user_metadata("ranges", field)
    if field is None:
        raise _refused("a range needs a field")
    fold = _fold(field)
    bottom, top = _bound(low, fold), _bound(high, fold)
    above, below = (0, 1) if low_in else (1,), (0, -1) if high_in else (-1,)

    def within(value: Any) -> bool:
        text = fold(value) if isinstance(value, str) else value
        if bottom is not None and _order(text, bottom) not in above:
            return False
        return top is None or _order(text, top) in below

    return _on(field, within)


def _bound(node: Any, fold: Callable[[str], str]) -> str | None:
    """Return one end of a range as text, None for an open end."""
    text = "*" if node is None else _unescaped(str(node).strip().strip('"'))
    return None if text == "*" else fold(text)


def _order(value: Any, bound: str) -> int | None:
    """Compare as numbers if the value is a number, else as text, which orders ISO dates too; None if incomparable."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return (value > bound) - (value < bound)
    number = _number(bound)
    return None if number is None else (value > number) - (value < number)


def _exists(field: str) -> Test:
    path = _unescaped(field).split(".")
    return lambda document: any(True for _ in _walk(document, path))


def _on(field: str | None, match: _Match) -> Test:
    """Return a test of the values of a field or, without a field, of everything except user_metadata."""
    if field is None:
        return lambda document: any(map(match, _walk({**document, "user_metadata": None}, [])))
    if field == "email.domain":
        return lambda document: match(str(document.get("email", "")).rpartition("@")[2])
    path = _unescaped(field).split(".")
    return lambda document: any(map(match, _walk(document, path)))


def _walk(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield the indexed values at a path; null and empty arrays and objects are not indexed (documented)."""
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif path:
        if isinstance(value, Mapping) and path[0] in value:
            yield from _walk(value[path[0]], path[1:])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _walk(item, path)
    elif value is not None:
        yield value
