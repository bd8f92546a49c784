"""The tenant's logs, newest first: logins, sign-ups, token requests and writes."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.lookup import user_id_in_path
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import Route, documented, recorded
from auth0_meta.emulator.http.errors import refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.schema import PAGES, TEXT, Field
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.state.tenant_state import ApiWrite, TenantState

_TAKE = Field(type="integer", minimum=0, maximum=100, about="The number of entries to retrieve")


def list_logs(state: TenantState, call: Call) -> Reply:
    """List log events; unlike elsewhere, `from` and `take` return an array too."""
    test = matcher(call.query["q"], switches=state.switches) if "q" in call.query else None
    entries = [entry for entry in _all(state) if test is None or test(entry)]
    if "from" not in call.query and "take" not in call.query:
        return listed(state, call, "logs", entries)
    ids = [entry["log_id"] for entry in entries]
    first = call.query.get("from")
    # The events after the one that `from` names: the caller already has the older ones.
    end = ids.index(first) if first in ids else len(entries)
    return Reply(200, to_json(entries[max(0, end - call.query.get("take", 50)) : end]))


def get(state: TenantState, call: Call) -> Reply:
    """Get a log event."""
    for entry in _all(state):
        if entry["log_id"] == call.params["id"]:
            return Reply(200, to_json(entry))
    # The wording is a guess.
    raise refused(404, "The log event does not exist.", "inexistent_log")


def of_user(state: TenantState, call: Call) -> Reply:
    """List the log events about a user."""
    user_id = user_id_in_path(state, call)
    return listed(state, call, "logs", [entry for entry in _all(state) if entry.get("user_id") == user_id])


def _all(state: TenantState) -> list[dict[str, Any]]:
    """Return every log event, newest first."""
    entries = [
        *list(state.logs),
        *(_api_write(state, write) for write in list(state.api_writes)),
    ]
    entries.sort(key=lambda entry: int(entry["log_id"][-20:]), reverse=True)
    return [{**entry, "_id": entry["log_id"], "isMobile": False} for entry in entries]


def _api_write(state: TenantState, write: ApiWrite) -> dict[str, Any]:
    """Return the event of a write through the Management API; Auth0's has the bodies too, which may hold secrets."""
    client_id, by_client = write.subject.removesuffix("@clients"), write.subject.endswith("@clients")
    application = state.application(client_id) if by_client else None
    return {
        "date": iso(int(write.time * 1000)),
        "type": "sapi",
        "description": write.title,
        "client_id": client_id if by_client else "",
        "client_name": "" if application is None else application.name,
        "ip": "127.0.0.1",
        "user_agent": write.user_agent,
        "user_id": "" if by_client else write.subject,
        "details": {"request": {"method": write.method.lower(), "path": write.path, "channel": "api"}},
        "log_id": state.log_id(write.time, write.number),
    }


_SCOPES = "read:logs read:logs_users"
ROUTES = (
    Route(
        "GET",
        "/api/v2/logs",
        list_logs,
        scopes=_SCOPES,
        query={**PAGES, "q": TEXT, "take": _TAKE, "from": TEXT},
        evidence="recorded as arrays; `from` and `take` documented",
    ),
    documented("GET", "/api/v2/logs/{id}", get, scopes=_SCOPES),
    recorded("GET", "/api/v2/users/{id}/logs", of_user, scopes=_SCOPES, query=PAGES),
)
