"""What logins, sign-ups and token requests leave in the tenant's log.

Types and their meaning: Auth0 docs, "Log Event Type Codes".  No event holds a secret, a token or a value of metadata.
"""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.http.errors import NotServed, Refusal
from auth0_meta.emulator.http.message import Call, Reply, Request, from_json
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.keys import parse_unverified
from auth0_meta.emulator.state.tenant_state import TenantState

CLIENT_ADDRESS = "127.0.0.1"
"""The address of every client that logs in: the tenant serves only this machine."""
_LONGEST = 512  # of what the client made up: a name, a header
# The grant -> the types of an exchange that succeeds and one that fails, and what the former is called.
_EXCHANGES = {
    "authorization_code": ("seacft", "feacft", "Authorization Code for Access Token"),
    "client_credentials": ("seccft", "feccft", "Client Credentials for Access Token"),
    "refresh_token": ("sertft", "fertft", "Refresh Token for Access Token"),
}


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
    grant, client_id = form.get("grant_type"), form.get("client_id")
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
        claims = parse_unverified(tokens["access_token"])[1]
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


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
