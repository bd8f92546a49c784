"""Sessions and refresh tokens of users: what a login page began, and what applications hold.

Source: Auth0 docs, "Manage User Sessions with Auth0 Management API" and "Manage Refresh Tokens with Auth0 Management API";
the fields are a part of the published schema.  Auth0 deletes a little later, hence 202.
"""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.lookup import user_id_in_path
from auth0_meta.emulator.api.paging import checkpoint
from auth0_meta.emulator.api.route import documented
from auth0_meta.emulator.http.errors import Refusal, refused
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.schema import CHECKPOINTS
from auth0_meta.emulator.state.logins import RefreshToken, Session
from auth0_meta.emulator.state.tenant_state import TenantState


def list_sessions(state: TenantState, call: Call) -> Reply:
    """List the sessions that a user began at this tenant's login page."""
    user_id, every = user_id_in_path(state, call), state.logins.sessions.all(now=call.now)
    found = [_session(one, until) for one, until in every if one.user_id == user_id]
    return Reply(200, to_json(checkpoint(call, "sessions", found)))


def end_sessions(state: TenantState, call: Call) -> Reply:
    """End every session of a user; refresh tokens stay."""
    user_id = user_id_in_path(state, call)
    ended = state.logins.sessions.drop(lambda session: session.user_id == user_id)
    return Reply(202, committed=ended)


def get_session(state: TenantState, call: Call) -> Reply:
    """Get a session."""
    every = state.logins.sessions.all(now=call.now)
    found = next((_session(*each) for each in every if each[0].sid == call.params["id"]), None)
    if found is None:
        raise _missing("session")
    return Reply(200, to_json(found))


def end_session(state: TenantState, call: Call) -> Reply:
    """End a session; refresh tokens stay, and the browser logs in again."""
    sid = call.params["id"]
    ended = state.logins.sessions.drop(lambda session: session.sid == sid)
    return Reply(202, committed=ended)


def list_tokens(state: TenantState, call: Call) -> Reply:
    """List a user's refresh tokens that can still be exchanged."""
    user_id, every = user_id_in_path(state, call), _valid(state, call)
    found = [_token(token, until) for token, until in every if _holder(token) == user_id]
    return Reply(200, to_json(checkpoint(call, "tokens", found)))


def revoke_tokens(state: TenantState, call: Call) -> Reply:
    """Revoke every refresh token of a user."""
    user_id = user_id_in_path(state, call)
    return _revoked([token for token, _ in _valid(state, call) if _holder(token) == user_id])


def get_token(state: TenantState, call: Call) -> Reply:
    """Get a refresh token by its id."""
    every = _valid(state, call)
    found = next((_token(*each) for each in every if each[0].id == call.params["id"]), None)
    if found is None:
        raise _missing("refresh token")
    return Reply(200, to_json(found))


def revoke_token(state: TenantState, call: Call) -> Reply:
    """Revoke a refresh token by its id."""
    return _revoked([token for token, _ in _valid(state, call) if token.id == call.params["id"]])


def _valid(state: TenantState, call: Call) -> list[tuple[RefreshToken, float]]:
    every = state.logins.refresh_tokens.all(now=call.now)
    return [each for each in every if each[0].used_at is None and not each[0].family.revoked]


def _revoked(tokens: list[RefreshToken]) -> Reply:
    for token in tokens:
        token.family.revoked = True
    return Reply(202, committed=bool(tokens))


def _missing(what: str) -> Refusal:
    return refused(404, f"The {what} does not exist.", f"inexistent_{what.replace(' ', '_')}")


def _holder(token: RefreshToken) -> str:
    return token.granted.login.session.user_id


def _session(session: Session, until: float) -> dict[str, Any]:
    since, end = iso(int(session.since * 1000)), iso(int(until * 1000))
    times = {"created_at": since, "authenticated_at": since, "expires_at": end}
    return {"id": session.sid, "user_id": session.user_id, **times}


def _token(token: RefreshToken, until: float) -> dict[str, Any]:
    login, scopes = token.granted.login, " ".join(token.granted.scopes)
    return {
        "id": token.id,
        "user_id": login.session.user_id,
        "created_at": iso(int(token.created_at * 1000)),
        # `until` is infinite for tokens that don't expire.
        "expires_at": iso(int(until * 1000)) if until != float("inf") else None,
        "client_id": login.authorization.client_id,
        "session_id": login.session.sid,
        "rotating": token.rotating,
        "resource_servers": [{"audience": login.authorization.audience or "", "scopes": scopes}],
    }


_OF_USER = "/api/v2/users/{id}"
_ENDS, _REVOKES = "delete:sessions", "delete:refresh_tokens"
ROUTES = (
    documented("GET", f"{_OF_USER}/sessions", list_sessions, scopes="read:sessions", query=CHECKPOINTS),
    documented("DELETE", f"{_OF_USER}/sessions", end_sessions, scopes=_ENDS),
    documented("GET", "/api/v2/sessions/{id}", get_session, scopes="read:sessions"),
    documented("DELETE", "/api/v2/sessions/{id}", end_session, scopes=_ENDS),
    documented(
        "GET", f"{_OF_USER}/refresh-tokens", list_tokens, scopes="read:refresh_tokens", query=CHECKPOINTS
    ),
    documented("DELETE", f"{_OF_USER}/refresh-tokens", revoke_tokens, scopes=_REVOKES),
    documented("GET", "/api/v2/refresh-tokens/{id}", get_token, scopes="read:refresh_tokens"),
    documented("DELETE", "/api/v2/refresh-tokens/{id}", revoke_token, scopes=_REVOKES),
)
