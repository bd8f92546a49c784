"""Refresh tokens: issue them, exchange them with rotation and reuse detection, and revoke them.

Source: Auth0 docs, "Refresh Token Rotation", "Configure Refresh Token Rotation", "Configure Refresh Token Expiration"
and "Revoke Refresh Tokens".
"""

from __future__ import annotations

import math

from auth0_meta.emulator.http.errors import Refusal, oauth_error
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.state.logins import Family, Granted, RefreshToken
from auth0_meta.emulator.state.tenant_state import TenantState

_MAXIMUM, _IDLE = 2_592_000, 1_296_000


def unknown_token() -> Refusal:
    """Return the refusal of a refresh token that is unknown, revoked, used up or somebody else's (reported)."""
    return oauth_error(403, "invalid_grant", "Unknown or invalid refresh token.")


def new_refresh_token(state: TenantState, application: Application, granted: Granted, *, now: float) -> str:
    """Return the first refresh token of a login."""
    ends = now + _lifetime(application, "token_lifetime", _MAXIMUM)
    token = RefreshToken(granted, Family(), rotating=_rotates(application), created_at=now, ends=ends)
    return _put(state, application, token, now=now)


def known_token(state: TenantState, application: Application, key: str, *, now: float) -> RefreshToken:
    """Return a client's refresh token, or refuse; one that was exchanged before revokes its whole family."""
    token = state.logins.refresh_tokens.get(key, now=now)
    if token is None or token.family.revoked or _client_of(token) != application.client_id:
        raise unknown_token()
    if token.is_reused(now, _leeway(application)):
        token.family.revoked = True
        about = {"client_id": application.client_id, "client_name": application.name}
        user_id = token.granted.login.session.user_id
        state.add_log("ferrt", user_id, **about, description="A refresh token was used again.")
        refusal = unknown_token()
        refusal.logged = True
        raise refusal
    return token


def exchanged(state: TenantState, application: Application, key: str, *, now: float) -> str | None:
    """Use a refresh token, and return the one that replaces it, None if it stays valid.

    The check is repeated: several requests may have come with the same token.
    """
    with state.logins.rotation:
        token = known_token(state, application, key, now=now)
        rotates = _rotates(application)
        ends = token.ends
        if not math.isfinite(ends):
            ends = now + _lifetime(application, "token_lifetime", _MAXIMUM)
        if not token.rotating and not rotates:
            token.ends = ends
            # It was used, so its idle lifetime begins again.
            _put(state, application, token, now=now, key=key)
            return None
        token.used_at = token.used_at if token.used_at is not None else now
        if token.rotating == rotates:
            successor = RefreshToken(
                token.granted,
                token.family,
                rotating=True,
                created_at=now,
                ends=ends,
                generation=token.generation + 1,
            )
            token.family.latest = max(token.family.latest, successor.generation)
        else:
            # The client's setting was changed: what it had before ends.
            _revoke_grant(state, token, now=now)
            successor = RefreshToken(token.granted, Family(), rotating=rotates, created_at=now, ends=ends)
        return _put(state, application, successor, now=now)


def revoke(state: TenantState, application: Application, key: str, *, whole_grant: bool, now: float) -> None:
    """Revoke a client's refresh token and its family; with `whole_grant` all of the same user, client and API."""
    with state.logins.rotation:
        token = state.logins.refresh_tokens.get(key, now=now)
        if token is None:
            return  # RFC 7009: nothing is wrong with a token that is invalid already
        if _client_of(token) != application.client_id:
            raise oauth_error(400, "invalid_request", "The token was issued to another client.")
        token.family.revoked = True
        if whole_grant:
            _revoke_grant(state, token, now=now)


def _revoke_grant(state: TenantState, token: RefreshToken, *, now: float) -> None:
    for other, _ in state.logins.refresh_tokens.all(now=now):
        if _grant_of(other) == _grant_of(token):
            other.family.revoked = True


def _grant_of(token: RefreshToken) -> tuple[str, str, str | None]:
    login = token.granted.login
    return login.session.user_id, login.authorization.client_id, login.authorization.audience


def _client_of(token: RefreshToken) -> str:
    return token.granted.login.authorization.client_id


def _put(
    state: TenantState, application: Application, token: RefreshToken, *, now: float, key: str | None = None
) -> str:
    until = min(token.ends, now + _lifetime(application, "idle_token_lifetime", _IDLE))
    return state.logins.refresh_tokens.put(token, until=until, now=now, key=key)


def _rotates(application: Application) -> bool:
    return application.refresh_token.get("rotation_type") == "rotating"


def _leeway(application: Application) -> float:
    leeway = application.refresh_token.get("leeway")
    return leeway if isinstance(leeway, int) else 0


def _lifetime(application: Application, name: str, default: float) -> float:
    """Return a lifetime of the client's refresh tokens in seconds, infinite unless they expire."""
    chosen = application.refresh_token
    if not chosen:
        return _MAXIMUM  # a client without any settings: the emulator's own default
    if chosen.get("expiration_type") != "expiring" or chosen.get(f"infinite_{name}") is True:
        return math.inf
    seconds = chosen.get(name)
    return seconds if isinstance(seconds, int) else default
