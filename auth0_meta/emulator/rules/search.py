"""Compile a search's `q` to a predicate on profiles: Lucene syntax, parsed by luqum, with Auth0's limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
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
_WILD = re.compile(r"\\(.)|([*?])", re.DOTALL)


def matcher(q: str, *, switches: Switches) -> Test:
    """Return the predicate that `q` stands for, or refuse it with 400.

    Fields are root attributes, `email.domain`, or dotted paths, which look through arrays.  A quoted value
    must match exactly.  Wildcards and ranges are refused in user_metadata, and so are leading wildcards with
    less than three letters (documented); fuzziness, proximity, boosts and patterns are refused too (open).
    `*` and `*:*` match everybody.  AND, OR and NOT must be upper case, otherwise they are terms.  A term
    without a field is searched everywhere except in user_metadata.

    >>> matcher('app_metadata.plan:"pro" AND NOT blocked:true', switches=Switches())(
    ...     {"app_metadata": {"plan": "pro"}}
    ... )
    True
    """
    if not q.strip():
        return _all
    return _matcher(q, switches)


@lru_cache(maxsize=128)
def _matcher(q: str, switches: Switches) -> Test:
    # luqum loads on use, because building its grammar takes a while.
    from luqum.exceptions import ParseError  # noqa: PLC0415
    from luqum.thread import parse  # noqa: PLC0415  # a lexer for each thread; luqum.parser shares one

    try:
        tree = parse(q)
    except (ParseError, RecursionError):
        raise _refused("the query can't be parsed") from None
    try:
        return _Compiler(switches).test(tree, None)
    except RecursionError:
        raise _refused("the query is nested too deeply") from None


def _refused(why: str) -> Refusal:
    """Return a 400 for a query; the wording is open."""
    return bad_request(f"Query syntax error: {why}.", "invalid_query_string")


class _Compiler:
    """Compile the nodes of a parsed query; `field` is that of the enclosing group, None outside of one."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    def test(self, node: Any, field: str | None) -> Test:
        kind = type(node).__name__
        handle = getattr(self, f"_{kind.lower()}", None)
        if handle is None:
            raise _refused(f"{kind.lower()} terms are not supported")
        made: Test = handle(node, field)
        return made

    def _searchfield(self, node: Any, field: str | None) -> Test:
        if field is not None:
            raise _refused("a field within a field")
        if node.name in ("_exists_", "_missing_"):
            path = _unescaped(str(node.expr).strip().strip('"'))
            if node.name == "_exists_":
                return lambda document: any(True for _ in _values(document, path))
            if self._switches.search_missing == "negate":
                return lambda document: not any(True for _ in _values(document, path))
            raise _refused("_missing_ is not supported, use NOT _exists_")
        if "*" in node.name:
            if node.name == str(node.expr).strip() == "*":
                return _all
            raise _refused("no wildcards in the name of a field")
        return self.test(node.expr, node.name)

    def _group(self, node: Any, field: str | None) -> Test:
        return self.test(node.expr, field)

    _fieldgroup = _group

    def _plus(self, node: Any, field: str | None) -> Test:
        return self.test(node.a, field)

    def _not(self, node: Any, field: str | None) -> Test:
        inner = self.test(node.a, field)
        return lambda document: not inner(document)

    _prohibit = _not

    def _andoperation(self, node: Any, field: str | None) -> Test:
        tests = [self.test(child, field) for child in node.children]
        return lambda document: all(test(document) for test in tests)

    def _oroperation(self, node: Any, field: str | None) -> Test:
        tests = [self.test(child, field) for child in node.children]
        return lambda document: any(test(document) for test in tests)

    def _unknownoperation(self, node: Any, field: str | None) -> Test:
        """Join terms without an operator; if one has `+`, the terms without a sign are optional, as in Lucene."""
        if self._switches.search_operator == "AND":
            return self._andoperation(node, field)
        signed = [child for child in node.children if type(child).__name__ in ("Plus", "Prohibit", "Not")]
        unsigned = [child for child in node.children if child not in signed]
        required = [self.test(child, field) for child in signed]
        optional = [self.test(child, field) for child in unsigned]
        has_plus = any(type(child).__name__ == "Plus" for child in signed)
        return lambda document: (
            all(test(document) for test in required)
            and (has_plus or not optional or any(test(document) for test in optional))
        )

    def _phrase(self, node: Any, field: str | None) -> Test:
        return _on(field, _exact(_unescaped(node.value[1:-1]), caseless=_is_caseless(field)))

    def _word(self, node: Any, field: str | None) -> Test:
        raw = str(node.value)
        if any(match[2] for match in _WILD.finditer(raw)):
            return self._wildcard(raw, field)
        wanted, caseless = _unescaped(raw), _is_caseless(field)
        whole = _exact(wanted, caseless=caseless)
        if self._switches.search_words == "whole":
            return _on(field, whole)
        word = _folded(wanted, caseless=caseless)

        def any_word(value: Any) -> bool:
            if not isinstance(value, str):
                return whole(value)
            return word in re.findall(r"[^\s]+", _folded(value, caseless=caseless)) or whole(value)

        return _on(field, any_word)

    def _wildcard(self, raw: str, field: str | None) -> Test:
        if raw == "*":
            if field is None:
                return _all
            return lambda document: any(True for _ in _values(document, _unescaped(field)))
        _only_outside_user_metadata("wildcards", field)
        literals = len(_WILD.sub(lambda match: match[1] or "", raw))
        if raw[0] in "*?" and literals < _SHORTEST_SUFFIX:
            raise _refused(f"a leading wildcard needs at least {_SHORTEST_SUFFIX} letters")
        caseless = _is_caseless(field)
        flags = re.DOTALL | (re.IGNORECASE if caseless else 0)
        pattern = re.compile(_as_pattern(raw), flags)
        return _on(field, lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None)

    def _range(self, node: Any, field: str | None) -> Test:
        return self._between(field, node.low, node.high, node.include_low, node.include_high)

    def _from(self, node: Any, field: str | None) -> Test:
        return self._between(field, node.a, None, node.include, False)

    def _to(self, node: Any, field: str | None) -> Test:
        return self._between(field, None, node.a, False, node.include)

    def _between(self, field: str | None, low: Any, high: Any, low_in: bool, high_in: bool) -> Test:  # noqa: FBT001
        _only_outside_user_metadata("ranges", field)
        if field is None:
            raise _refused("a range needs a field")
        caseless = _is_caseless(field)
        bottom, top = _bound(low, caseless=caseless), _bound(high, caseless=caseless)

        def within(value: Any) -> bool:
            if isinstance(value, str):
                value = _folded(value, caseless=caseless)
            return _above(value, bottom, equal=low_in) and _below(value, top, equal=high_in)

        return _on(field, within)


def _all(_: Document) -> bool:
    return True


def _is_caseless(field: str | None) -> bool:
    return field is not None and field.partition(".")[0] in _CASELESS


def _only_outside_user_metadata(what: str, field: str | None) -> None:
    if field is not None and field.partition(".")[0] == "user_metadata":
        raise _refused(f"{what} are not available on user_metadata")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _as_pattern(raw: str) -> str:
    """Return a regular expression for a term with `*` and `?`."""
    parts, last = [], 0
    for match in _WILD.finditer(raw):
        parts.append(re.escape(raw[last : match.start()]))
        parts.append(re.escape(match[1]) if match[1] else {"*": ".*", "?": "."}[match[2]])
        last = match.end()
    return "".join(parts) + re.escape(raw[last:])


def _folded(text: str, *, caseless: bool) -> str:
    return text.casefold() if caseless else text


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _exact(wanted: str, *, caseless: bool) -> _Match:
    folded, number = _folded(wanted, caseless=caseless), _number(wanted)

    def equal(value: Any) -> bool:
        if isinstance(value, bool):
            return wanted == ("true" if value else "false")
        if isinstance(value, str):
            return _folded(value, caseless=caseless) == folded
        return number is not None and bool(value == number)

    return equal


def _bound(node: Any, *, caseless: bool) -> str | None:
    """Return one end of a range as text, None for an open end."""
    text = "*" if node is None else _unescaped(str(node).strip().strip('"'))
    return None if text == "*" else _folded(text, caseless=caseless)


def _above(value: Any, bound: str | None, *, equal: bool) -> bool:
    if bound is None:
        return True
    order = _order(value, bound)
    return order is not None and (order > 0 or (equal and order == 0))


def _below(value: Any, bound: str | None, *, equal: bool) -> bool:
    if bound is None:
        return True
    order = _order(value, bound)
    return order is not None and (order < 0 or (equal and order == 0))


def _order(value: Any, bound: str) -> int | None:
    """Compare as numbers if the value is a number, else as text, which also puts ISO dates in order."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return (value > bound) - (value < bound)
    number = _number(bound)
    return None if number is None else (value > number) - (value < number)


def _on(field: str | None, match: _Match) -> Test:
    """Match the values of a field, or without a field everything except user_metadata."""
    if field is None:
        return lambda document: any(match(value) for value in _everything(document))
    if field == "email.domain":
        return lambda document: match(str(document.get("email", "")).rpartition("@")[2])
    path = _unescaped(field)
    return lambda document: any(match(value) for value in _values(document, path))


def _values(document: Document, path: str) -> Iterator[Any]:
    """Yield the indexed values at a path; null and empty arrays and objects are not indexed (documented)."""
    yield from _walk(document, path.split("."))


def _walk(value: Any, path: list[str]) -> Iterator[Any]:
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


def _everything(document: Document) -> Iterator[Any]:
    for name, value in document.items():
        if name != "user_metadata":
            yield from _walk(value, [])
