"""Return lists as the Management API does: as an array, in the totals envelope, or by checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from auth0_meta.emulator.http.errors import bad_request
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.state.tenant_state import TenantState

Document = Mapping[str, Any]
_PAGING_DOC = "https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation"


def page_of(state: TenantState, call: Call) -> tuple[int, int]:
    """Return the index of the first item and how many to show, or refuse a page past the first 1000 (recorded)."""
    page, per_page = call.query.get("page", 0), call.query.get("per_page", 50)
    cap = state.switches.paging_cap
    if (page + 1) * per_page > cap:
        message = f"You can only page through the first {cap} records. See {_PAGING_DOC}"
        raise bad_request(message, "invalid_paging")
    return page * per_page, per_page


def shown(call: Call, documents: Iterable[Document]) -> list[Document]:
    """Return the documents with the fields that `fields` and `include_fields` select.

    Only first-level names match; whether Auth0 accepts nested paths is open.
    """
    names = {name.strip() for name in call.query.get("fields", "").split(",")} - {""}
    if not names:
        return list(documents)
    include = call.query.get("include_fields", True)
    return [
        {name: value for name, value in document.items() if (name in names) is include}
        for document in documents
    ]


def array_or_envelope(call: Call, part: list[Document], envelope: Mapping[str, Any]) -> Reply:
    """Return a reply with an array or, if `include_totals` asks for it, with the envelope (recorded)."""
    return Reply(200, to_json(envelope if call.query.get("include_totals") else part))


class Later(Sequence[Document]):
    """Documents that are made of other things only when a page of them is asked for; None leaves one out.

    >>> Later(range(1000), lambda number: {"n": number} if number % 2 else None)[10:13]
    [{'n': 11}]
    """

    def __init__(self, things: Sequence[Any], show: Callable[[Any], Document | None]) -> None:
        self._things, self._show = things, show

    def __len__(self) -> int:
        return len(self._things)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        part = self._things[index] if isinstance(index, slice) else [self._things[index]]
        made = [document for thing in part if (document := self._show(thing)) is not None]
        return made if isinstance(index, slice) else made[0]


def listed(state: TenantState, call: Call, name: str, items: Sequence[Document]) -> Reply:
    """Return a reply with a page of `items`; `take` and `from`, if the route has them, override `include_totals`."""
    if "take" in call.query or "from" in call.query:
        return Reply(200, to_json(checkpoint(call, name, items)))
    start, count = page_of(state, call)
    part = shown(call, items[start : start + count])
    envelope = {name: part, "start": start, "limit": count, "total": len(items)}
    return array_or_envelope(call, part, envelope)


def checkpoint(call: Call, name: str, items: Sequence[Document]) -> dict[str, Any]:
    """Return one page, and where the next one begins unless it was the last (documented)."""
    take, start = call.query.get("take", 50), call.query.get("from", 0)
    page: dict[str, Any] = {name: shown(call, items[start : start + take])}
    if start + take < len(items):
        page["next"] = str(start + take)
    return page
