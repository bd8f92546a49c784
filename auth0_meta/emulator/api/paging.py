"""Show a list as the Management API does: an array, the totals envelope, or checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auth0_meta.emulator.api import query
from auth0_meta.emulator.http.errors import query_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.switches import Switches

_TAKE = "Number of results per page. Defaults to 50."
_FROM = "Optional Id from which to start selection."


def listed(
    call: Call,
    name: str,
    items: Sequence[Mapping[str, Any]],
    *,
    switches: Switches,
    checkpoints: bool = False,
) -> Reply:
    """Answer with a page of `items`: `fields` picks members, `include_totals` asks for the envelope (recorded).

    `take` and `from` ask for the checkpoint envelope where the endpoint has one; it wins over the totals.
    """
    asked = call.request.query
    pick = query.projection(asked)
    shown = [pick(dict(item)) for item in items] if pick else list(items)
    if checkpoints and ("take" in asked or "from" in asked):
        return Reply(200, to_json(checkpoint(asked, name, shown)))
    page, per_page = query.page_of(asked, switches=switches)
    totals = query.flag(asked, "include_totals", default=False)
    start = page * per_page
    part = shown[start : start + per_page]
    if not totals:
        return Reply(200, to_json(part))
    return Reply(200, to_json({name: part, "start": start, "limit": per_page, "total": len(shown)}))


def checkpoint(asked: Mapping[str, str], name: str, items: list[Any]) -> dict[str, Any]:
    """Return one page and where the next begins, nothing of the latter at the end (documented)."""
    take = query.whole(asked, "take", 50, _TAKE, highest=100)
    if take < 1:
        raise query_error(f"Value {take} is less than minimum 1", "take", _TAKE)
    start = query.whole(asked, "from", 0, _FROM, highest=None)
    body: dict[str, Any] = {name: items[start : start + take]}
    if start + take < len(items):
        body["next"] = str(start + take)
    return body
