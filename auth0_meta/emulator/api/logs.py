"""The tenant's log: the endpoints that list it, and what logins, sign-ups and token requests leave in it.

Types and their meaning: Auth0 docs, "Log Event Type Codes".  No event holds a secret, a token or a value of metadata.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from auth0_meta.emulator.api.lookup import first_identity, user_id_in_path
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import Route, documented, recorded
from auth0_meta.emulator.http.errors import NotServed, Refusal, refused
from auth0_meta.emulator.http.message import Call, Reply, Request, from_json, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import PAGES, TEXT, Field
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.state.tenant_state import CLIENT_ADDRESS, ApiWrite, TenantState

_LONGEST = 512  # of what the client made up: a name, a header
# The grant -> the types of an exchange that succeeds and one that fails, and what the former is called.
_EXCHANGES = {
    "authorization_code": ("seacft", "feacft", "Authorization Code for Access Token"),
    "client_credentials": ("seccft", "feccft", "Client Credentials for Access Token"),
    "refresh_token": ("sertft", "fertft", "Refresh Token for Access Token"),
}
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
        *state.logs,
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
        "ip": CLIENT_ADDRESS,
        "user_agent": write.user_agent,
        "user_id": "" if by_client else write.subject,
        "details": {"request": {"method": write.method.lower(), "path": write.path, "channel": "api"}},
        "log_id": state.log_id(write.time, write.number),
    }


# What happened --------------------------------------------------------------------------------------------


def note(
    state: TenantState,
    request: Request,
    kind: str,
    *,
    client_id: Any = "",
    user: Profile | None = None,
    description: Any = "",
    **more: Any,
) -> None:
    """Add a log event about a login of `client_id` and, if the user is known, of `user`."""
    application = state.application(_text(client_id))
    event: dict[str, Any] = {"user_id": "", "user_name": ""}
    if user is not None:
        identity = first_identity(user)
        event = {
            "user_id": user.user_id,
            "user_name": str(
                user.root.get("email") or user.root.get("username") or user.root.get("name", "")
            ),
            "connection": identity.get("connection", ""),
            "strategy": identity.get("provider", ""),
            "strategy_type": "social" if identity.get("isSocial") else "database",
        }
    event |= {
        "client_id": _text(client_id),
        "client_name": "" if application is None else application.name,
        "ip": CLIENT_ADDRESS,
        "user_agent": _text(request.headers.get("user-agent")),
        "hostname": _text(request.headers.get("host")),
    }
    event |= {name: value for name, value in more.items() if value not in ("", None)}
    if description:
        event["description"] = _text(description)
    state.add_log(kind, **event)


def token_requested(state: TenantState, call: Call, outcome: Reply | Refusal) -> None:
    """Note what became of a token request, unless the emulator does not model it."""
    form: dict[str, Any] = call.body if isinstance(call.body, dict) else {}
    grant, client_id = _text(form.get("grant_type")), form.get("client_id")
    if isinstance(outcome, Refusal):
        if isinstance(outcome, NotServed) or outcome.logged:
            return
        why = outcome.body.get("error_description")
        if grant in _EXCHANGES:
            note(
                state,
                call.request,
                _EXCHANGES[grant][1],
                client_id=client_id,
                description=why,
                audience=_text(form.get("audience")),
            )
        return
    if grant in _EXCHANGES:
        kind, _, description = _EXCHANGES[grant]
        tokens = from_json(outcome.body)
        claims = _claims(tokens["access_token"])
        audience = claims.get("aud")
        note(
            state,
            call.request,
            kind,
            client_id=claims.get("azp") or client_id,
            user=state.users.get(str(claims.get("sub"))),
            description=description,
            scope=tokens.get("scope"),
            audience=audience[0] if isinstance(audience, list) else audience,
        )


def wrong_password(state: TenantState, request: Request, name: str, *, client_id: str) -> None:
    """Note a login with a password that is wrong (`fp`), or with the name of nobody (`fu`)."""
    about: dict[str, Any] = {"client_id": client_id, "description": "Wrong email or password."}
    users = (*state.users.with_email(name.lower()), *state.users.with_username(name))
    user = next((user for user in users if first_identity(user).get("provider") == "auth0"), None)
    if user is None:
        note(state, request, "fu", **about, user_name=_text(name))
    else:
        note(state, request, "fp", **about, user=user)


def signed_up(state: TenantState, call: Call, outcome: Reply | Refusal) -> None:
    """Note what became of a sign-up."""
    body = call.body if isinstance(call.body, dict) else {}
    about: dict[str, Any] = {"client_id": body.get("client_id"), "connection": _text(body.get("connection"))}
    if isinstance(outcome, Refusal):
        why = outcome.body.get("message") or outcome.body.get("description") or outcome.body.get("error")
        note(state, call.request, "fs", **about, description=why, user_name=_text(body.get("email")))
    else:
        user = state.users.get(f"auth0|{from_json(outcome.body)['_id']}")
        note(state, call.request, "ss", **about, user=user)


def asked_for_password(state: TenantState, call: Call, outcome: Reply | Refusal) -> None:
    """Note that somebody asked for a new password."""
    body = call.body if isinstance(call.body, dict) else {}
    about: dict[str, Any] = {"client_id": body.get("client_id"), "connection": _text(body.get("connection"))}
    about["user_name"] = _text(body.get("email"))
    if isinstance(outcome, Refusal):
        note(state, call.request, "fcpr", **about, description=outcome.body.get("error"))
    else:
        note(state, call.request, "scpr", **about)


def logged_out(state: TenantState, request: Request, user_id: str, *, client_id: str | None) -> None:
    """Note that a session has ended."""
    about: dict[str, Any] = {"client_id": client_id, "description": "User successfully logged out"}
    note(state, request, "slo", **about, user=state.users.get(user_id))


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a token that this tenant has just signed; `jose` takes ten times as long."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


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
