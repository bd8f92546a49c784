"""Answer the password grants at /oauth/token, with the bucket and the two refusals that were recorded."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from auth0_meta.emulator.api.crud import APIS
from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.auth import grants as oidc
from auth0_meta.emulator.auth import trigger as hosted
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import oauth_error
from auth0_meta.emulator.http.message import Reply
from auth0_meta.emulator.state.logins import BLOCKED, Asked, Granted, Session, count_login

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App
    from auth0_meta.emulator.rules.profile import Profile

_REALM = "http://auth0.com/oauth/grant-type/password-realm"
# What was granted where `openid` was asked for, or nothing.
_DEFAULT = ("openid", "profile", "email", "address", "phone")


def grant(app: App, call: Call, form: dict[str, str], client_id: str, *, proven: bool) -> Reply:
    """Sign in by e-mail or username and password; the trigger runs as at any login."""
    verdict = app.limiter.take("password", call.now)
    if verdict is not None:
        call.verdict = verdict
        if not verdict.allowed:
            raise oauth_error(429, "too_many_requests", verdict.message)
    audience = form.get("audience") or None
    if audience is not None and not _known(app, audience):
        raise oauth_error(400, "invalid_request", "invalid audience specified for password grant exchange")
    profile = _whose(app, form)
    if profile is None:
        raise oauth_error(403, "invalid_grant", "Wrong email or password.")
    if profile.root.get("blocked") is True:
        raise oauth_error(403, *BLOCKED)
    asked_for = form.get("scope", "").split()
    scopes = tuple(dict.fromkeys([*asked_for, *_DEFAULT] if "openid" in asked_for else asked_for or _DEFAULT))
    asked = Asked(
        client_id=client_id, redirect_uri="", scopes=scopes, audience=audience, prompt="none", query={}
    )
    counted = count_login(app, profile.user_id, hosted.PEER) or profile
    session = Session(profile.user_id, secrets.token_urlsafe(24), call.now)
    outcome = hosted.run(app, call.request, asked, session, counted, protocol="oauth2-password")
    if outcome.error is not None:
        raise oauth_error(403, outcome.error, outcome.reason)
    granted = Granted(
        asked=asked,
        session=session,
        scopes=outcome.scopes(scopes),
        id_claims=outcome.id_claims,
        access_claims=outcome.access_claims,
    )
    call.committed = True
    return oidc.tokens(app, call, granted, nonce=None, first=True)


def _known(app: App, audience: str) -> bool:
    """Tell whether a password grant may name this API: the Management API, or one that was made here."""
    if audience in app.access.audiences or (not app.access.strict and audience.endswith("/api/v2/")):
        return True
    return any(api["identifier"] == audience for api in list(app.shelf.of(APIS.name).values()))


def _whose(app: App, form: dict[str, str]) -> Profile | None:
    """Return the user whose name and password these are, in the realm's connection where one is named."""
    name, realm = form.get("username", ""), form.get("realm")
    for profile in (*app.store.with_email(name.lower()), *app.store.with_username(name)):
        first = first_identity(profile)
        here = first.get("connection") == realm if realm else first.get("provider") == "auth0"
        if here and app.shelf.passwords.fits(profile.user_id, form.get("password", "")):
            return profile
    return None


GRANTS = {"password": grant, _REALM: grant}
