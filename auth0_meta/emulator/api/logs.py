"""Answer the tenant's logs: the few that this tenant leaves, newest first."""

from __future__ import annotations

import hashlib
from typing import Any

from auth0_meta.emulator.api import query
from auth0_meta.emulator.api.lookup import known
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.state.tenant_state import TenantState


def list_(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/logs; `from` and `take` give an array too, as this endpoint alone does (documented)."""
    asked = call.request.query
    test = matcher(asked["q"], switches=state.switches) if "q" in asked else None
    call.run_hooks()
    entries = [entry for entry in _all(state) if test is None or test(entry)]
    if "from" not in asked and "take" not in asked:
        return listed(call, "logs", entries, switches=state.switches)
    take = query.whole(asked, "take", 50, "The number of entries to retrieve", highest=100)
    ids = [entry["log_id"] for entry in entries]
    # What came after the entry that is named: older ones are known already.
    end = ids.index(asked["from"]) if asked.get("from") in ids else len(entries)
    return Reply(200, to_json(entries[max(0, end - take) : end]))


def one(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/logs/{id}."""
    call.run_hooks()
    for entry in _all(state):
        if entry["log_id"] == call.params["id"]:
            return Reply(200, to_json(entry))
    # The wording is not sourced.
    raise Refusal(404, problem(404, "The log event does not exist.", "inexistent_log"))


def of_user(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/users/{id}/logs: an array or the totals envelope."""
    user_id = known(state, call).user_id
    mine = [entry for entry in _all(state) if entry.get("user_id") == user_id]
    return listed(call, "logs", mine, switches=state.switches)


def _all(state: TenantState) -> list[dict[str, Any]]:
    """Return every log, newest first, each with an id that says nothing but stays."""
    entries = []
    for entry in list(state.logs):
        log_id = hashlib.sha256(to_json(entry)).hexdigest()[:32]
        entries.append({**entry, "log_id": log_id, "_id": log_id})
    return entries[::-1]
