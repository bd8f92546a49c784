"""The password grants at /oauth/token, with the bucket and the two refusals that were recorded."""

from __future__ import annotations

import secrets

from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.auth import grants, trigger
from auth0_meta.emulator.http.errors import oauth_error
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.logins import BLOCKED, AuthorizationRequest, Granted, Login, Session
from auth0_meta.emulator.state.tenant_state import TenantState

_REALM = "http://auth0.com/oauth/grant-type/password-realm"
# What Auth0 granted if the request asked for `openid`, or for nothing (recorded).
_DEFAULT = ("openid", "profile", "email", "address", "phone")


def grant(state: TenantState, call: Call, form: dict[str, str], client_id: str, *, proven: bool) -> Reply:
    """Sign in by email or username and password; the trigger runs as at any login."""
    reading = state.limiter.take("password", call.now)
    if reading is not None:
        call.reading = reading
        if not reading.allowed:
            raise oauth_error(429, "too_many_requests", reading.message)
    audience = form.get("audience") or None
    if audience is not None and not _known(state, audience):
        raise oauth_error(400, "invalid_request", "invalid audience specified for password grant exchange")
    profile = _user_with_password(state, form)
    if profile is None:
        raise oauth_error(403, "invalid_grant", "Wrong email or password.")
    if profile.root.get("blocked") is True:
        raise oauth_error(403, *BLOCKED)
    requested = form.get("scope", "").split()
    scopes = [*requested, *_DEFAULT] if "openid" in requested else requested or _DEFAULT
    authorization = AuthorizationRequest(
        client_id=client_id,
        redirect_uri="",
        scopes=tuple(dict.fromkeys(scopes)),
        audience=audience,
        prompt="none",
    )
    counted = trigger.count_login(state, profile.user_id) or profile
    login = Login(authorization, Session(profile.user_id, secrets.token_urlsafe(24), call.now))
    outcome = trigger.run(state, call.request, login, counted, protocol="oauth2-password")
    if outcome.error is not None:
        raise oauth_error(403, outcome.error, outcome.reason)
    granted = Granted(
        login=login,
        scopes=outcome.scopes(authorization.scopes),
        id_claims=outcome.id_claims,
        access_claims=outcome.access_claims,
    )
    call.committed = True
    return grants.tokens(state, call, granted, nonce=None, first=True)


def _known(state: TenantState, audience: str) -> bool:
    """Return whether a password grant may name this API: the Management API, or one created here."""
    if audience in state.access.audiences or (not state.access.strict and audience.endswith("/api/v2/")):
        return True
    return APIS.find_by(state, "identifier", audience) is not None


def _user_with_password(state: TenantState, form: dict[str, str]) -> Profile | None:
    """Return the user with this name and password, in the realm's connection if the form names one."""
    name, realm = form.get("username", ""), form.get("realm")
    for profile in (*state.users.with_email(name.lower()), *state.users.with_username(name)):
        first = first_identity(profile)
        here = first.get("connection") == realm if realm else first.get("provider") == "auth0"
        if here and state.resources.password_fits(profile.user_id, form.get("password", "")):
            return profile
    return None


GRANTS = {"password": grant, _REALM: grant}
