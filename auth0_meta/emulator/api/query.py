"""Read the query of the users endpoints: paging, fields, sorting, the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from auth0_meta.emulator.http.errors import Refusal, bad_request, problem, query_error
from auth0_meta.emulator.rules.switches import Switches

Document = Mapping[str, Any]
_SORT = "Field to sort by. Use field:order where order is 1 for ascending and -1 for descending"
_PAGE = "Page index of the results to return. First page is 0."
_PER_PAGE = "Number of results per page. Defaults to 50"
_PAGING_DOC = "https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation"


def page_of(query: Mapping[str, str], *, switches: Switches) -> tuple[int, int]:
    """Return (page, per_page), or refuse as recorded: more than 100, or past the first 1000."""
    page = whole(query, "page", 0, _PAGE, highest=None)
    per_page = whole(query, "per_page", 50, _PER_PAGE, highest=100)
    if (page + 1) * per_page > switches.paging_cap:
        message = f"You can only page through the first {switches.paging_cap} records. See {_PAGING_DOC}"
        raise bad_request(message, "invalid_paging")
    return page, per_page


def whole(query: Mapping[str, str], name: str, default: int, about: str, *, highest: int | None) -> int:
    """Read a whole number of at least 0, or refuse."""
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise query_error("Expected type integer but found type string", name, about)
    value = int(text)
    if value < 0:
        raise query_error(f"Value {value} is less than minimum 0", name, about)
    if highest is not None and value > highest:
        raise query_error(f"Value {value} is greater than maximum {highest}", name, about)
    return value


def flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read true or false."""
    text = query.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise query_error("Expected type boolean but found type string", name, "true or false")
    return text == "true"


def projection(query: Mapping[str, str]) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """Return what `fields` and `include_fields` make of a profile, None for the whole of it.

    Names are of the first level; whether Auth0 takes nested paths is open, here they match nothing.

    >>> pick = projection({"fields": "email,name"})
    >>> pick({"user_id": "auth0|1", "email": "a@b.io"})
    {'email': 'a@b.io'}
    """
    names = frozenset(name.strip() for name in query.get("fields", "").split(",") if name.strip())
    include = flag(query, "include_fields", default=True)
    if not names:
        return None
    return lambda document: {name: value for name, value in document.items() if (name in names) is include}


def sort_key(query: Mapping[str, str]) -> tuple[Callable[[Document], Any], bool] | None:
    """Return (key, descending) for `sort=field:1|-1` on a root attribute; None without one.

    Documented: no sorting by metadata.  The wording of these refusals is not sourced.
    """
    text = query.get("sort")
    if text is None:
        return None
    name, _, direction = text.rpartition(":")
    if direction not in ("1", "-1") or not re.fullmatch(r"\w+", name):
        raise query_error(
            f"String does not match pattern ^((([a-zA-Z0-9_\\.]+))\\:(1|-1))$: {text}", "sort", _SORT
        )
    if name in ("user_metadata", "app_metadata"):
        raise query_error("Sorting by metadata is not supported", "sort", _SORT)

    def key(document: Document) -> tuple[int, float, str]:
        value = document.get(name)
        if value is None:
            return 2, 0.0, ""
        return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value).casefold())

    return key, direction == "-1"


def check_engine(query: Mapping[str, str], *, switches: Switches) -> None:
    """Refuse a search engine that is no more, and a query that is too long (documented statuses)."""
    taken = ("v3", "v2") if switches.search_engine_v2 == "accept" else ("v3",)
    engine = query.get("search_engine", "v3")
    if engine in ("v1", "v2") and engine not in taken:
        message = f"You are not allowed to use search_engine={engine}. Please use search_engine=v3."
        raise bad_request(message, "invalid_query_string")
    if engine not in taken:
        raise query_error(f"No enum match for: {engine}", "search_engine", "The version of the search engine")
    flag(query, "primary_order", default=True)
    if len(query.get("q", "")) > switches.query_limit:
        raise Refusal(414, problem(414, "The query is too long"))
