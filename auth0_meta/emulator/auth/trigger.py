"""Run the trigger that a tenant hosts, and read what it says; it is any callable, so by its looks only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.logins import BY_LOGIN, AuthorizationRequest, Session
from auth0_meta.emulator.state.tenant_state import TenantState

PEER = "127.0.0.1"
"""The address of whoever logs in: the tenant is for this machine."""
_log = logging.getLogger("auth0_meta.emulator")
_SILENT = "interaction_required"


@attrs.frozen(kw_only=True)
class LoginOutcome:
    """Tell what a trigger made of a login: on, elsewhere first (`url`, `state`), or refused (`error`, `reason`)."""

    url: str | None = None
    state: str = ""
    error: str | None = None
    reason: str = ""
    id_claims: Mapping[str, Any] = attrs.field(factory=dict)
    access_claims: Mapping[str, Any] = attrs.field(factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def scopes(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return the scopes that were asked for as the trigger changed them."""
        every = dict.fromkeys((*asked, *self.added))
        return tuple(scope for scope in every if scope not in self.removed)


def count_login(state: TenantState, user_id: str, ip: str) -> Profile | None:
    """Note a login with credentials in the profile; None where the user is gone.

    `last_login`, `last_ip`, `logins_count` and `updated_at` move before the trigger runs, whatever comes of it.
    Source: Auth0 docs, "User profile structure"; staff in the community for the order.
    """
    with state.users.lock:
        before = state.users.get(user_id)
        if before is None:
            return None  # pragma: no cover  # a race: deleted since the page was sent
        count = before.root.get("logins_count", 0)
        moved = {"last_ip": ip, "last_login": iso(state.milliseconds())}
        after = profiles.patched(
            before,
            {**moved, "logins_count": count + 1 if isinstance(count, int) else 1},
            now_ms=state.milliseconds(),
            switches=state.switches,
        )
        ordered = {"user_id": user_id} | {name: after.root[name] for name in sorted(after.root)}
        after = attrs.evolve(after, root=ordered)
        state.save(after, before=before, by=BY_LOGIN, limited=False)
    return after


def run(
    state: TenantState,
    request: Request,
    asked: AuthorizationRequest,
    session: Session,
    profile: Profile,
    *,
    protocol: str,
) -> LoginOutcome:
    """Run the hosted trigger for one login."""
    hook = state.logins.hook
    if hook is None:
        return LoginOutcome()
    event = _event(state, request, asked, session, profile, protocol)
    return _read(state, session, asked, lambda: hook(event))


def resumed(
    state: TenantState,
    request: Request,
    asked: AuthorizationRequest,
    session: Session,
    login_state: str,
    body: Mapping[str, str],
) -> LoginOutcome:
    """Let the hosted trigger go on after its redirect."""
    hook: Any = state.logins.hook
    if hook is None:
        return LoginOutcome()
    came = {**_request(request), "method": request.method}
    return _read(
        state,
        session,
        asked,
        lambda: hook.resume(login_state, query=request.query, body=dict(body), request=came),
    )


def _read(
    state: TenantState, session: Session, asked: AuthorizationRequest, call: Callable[[], Any]
) -> LoginOutcome:
    """Call the trigger and word its outcome as Auth0 does: every refusal is an `access_denied`."""
    try:
        outcome = call()
    except Exception as raised:  # noqa: BLE001  # the login fails, the tenant goes on
        _log.exception("the post-login trigger of the local tenant raised")
        return _failed(state, session, asked, raised)
    error = getattr(outcome, "error", None)
    if error is not None:
        return _failed(state, session, asked, error)
    denied = getattr(outcome, "denied", None)
    invalid = [message for _, message in getattr(outcome, "validation_errors", ())]
    if denied is not None or invalid:
        reason = denied if denied is not None else invalid[0]
        _note(state, "f", session, reason)
        return LoginOutcome(error="access_denied", reason=reason)
    redirect = getattr(outcome, "redirect", None)
    if redirect is not None:
        if asked.prompt == "none":
            return LoginOutcome(error=_SILENT, reason="The login needs a page, and prompt=none forbids one.")
        return LoginOutcome(url=redirect.url, state=redirect.state)
    _note(state, "s", session, "")
    return LoginOutcome(
        id_claims=getattr(outcome, "id_token_claims", {}),
        access_claims=getattr(outcome, "access_token_claims", {}),
        added=tuple(getattr(outcome, "added_scopes", ())),
        removed=tuple(getattr(outcome, "removed_scopes", ())),
    )


def _failed(
    state: TenantState, session: Session, asked: AuthorizationRequest, error: Exception
) -> LoginOutcome:
    """Refuse a login whose trigger failed; what failed is for the tenant's log, not for the application."""
    _note(state, "f", session, f"{type(error).__name__}: {error}")
    if asked.prompt == "none" and str(error).startswith(_SILENT):
        return LoginOutcome(error=_SILENT, reason="The login needs a page, and prompt=none forbids one.")
    return LoginOutcome(error="access_denied", reason=state.switches.login_failure_description)


def _note(state: TenantState, kind: str, session: Session, description: str) -> None:
    """Leave a tenant log: `s` a login, `f` one that failed."""
    entry = {"date": iso(state.milliseconds()), "type": kind, "user_id": session.user_id}
    state.logs.append(entry | ({"description": description} if description else {}))


def _request(request: Request) -> dict[str, Any]:
    headers = request.headers
    found = {
        "ip": PEER,
        "hostname": headers.get("host", "").rpartition(":")[0] or headers.get("host", ""),
        "user_agent": headers.get("user-agent"),
        "language": headers.get("accept-language"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _roles(state: TenantState, user_id: str) -> list[str]:
    kept = state.resources.of("roles")
    return [
        kept[role]["name"]
        for role in map(str, state.resources.links.of("user_roles", user_id))
        if role in kept
    ]


def _event(
    state: TenantState,
    request: Request,
    asked: AuthorizationRequest,
    session: Session,
    profile: Profile,
    protocol: str,
) -> dict[str, Any]:
    """Write down the login as Auth0's post-login event."""
    user = {"user_metadata": {}, "app_metadata": {}} | profile.document()
    identity = (user.get("identities") or [{}])[0]
    connection = identity.get("connection", "")
    provider = identity.get("provider", "")
    return {
        "user": user,
        "authentication": {"methods": [{"name": "pwd", "timestamp": iso(int(session.since * 1000))}]},
        "authorization": {"roles": _roles(state, session.user_id)},
        "client": {"client_id": asked.client_id, "name": asked.client_id, "metadata": {}},
        "configuration": {},
        "connection": {"id": f"con_{connection}", "name": connection, "strategy": provider, "metadata": {}},
        "request": {
            **_request(request),
            "method": "GET",
            "query": dict(asked.query),
            "body": {},
            "geoip": {},
        },
        "secrets": {},
        "session": {"id": session.sid},
        "stats": {"logins_count": user.get("logins_count", 0)},
        "tenant": {"id": state.tenant_name},
        "transaction": {
            "protocol": protocol,
            "redirect_uri": asked.redirect_uri,
            "requested_scopes": list(asked.scopes),
            "response_type": ["code"],
            "response_mode": "query",
            "prompt": [asked.prompt] if asked.prompt else [],
            "state": asked.state,
            "metadata": {},
        },
    }
