"""The grants of users (a code, a refresh token, a password), and OpenID Connect's discovery and /userinfo."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

import attrs

from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.auth import trigger
from auth0_meta.emulator.auth.forms import PageForm
from auth0_meta.emulator.http.errors import Refusal, oauth_error
from auth0_meta.emulator.http.message import Call, Grant, Reply, Request, to_json
from auth0_meta.emulator.rules.application import without_query
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.logins import (
    BLOCKED,
    REFRESH_LIFETIME,
    AuthorizationRequest,
    Granted,
    Login,
    Session,
)
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.tokens import LIFETIME

ID_LIFETIME = 36_000
_CLAIMS = {
    "profile": ("name", "given_name", "family_name", "nickname", "picture", "updated_at"),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_verified"),
}
_REALM = "http://auth0.com/oauth/grant-type/password-realm"
# The scopes that Auth0 granted for a password if the request asked for `openid`, or for none (recorded).
_DEFAULT = ("openid", "profile", "email", "address", "phone")


def base_url(state: TenantState, request: Request) -> str:
    """Return the URL that a token's `iss` begins with; it depends on the host, as with custom domains (documented)."""
    return state.access.url_for(request)


def discovery(state: TenantState, call: Call) -> Reply:
    """Return the discovery document: the provider's URLs and what it supports."""
    url = base_url(state, call.request)
    body = {
        "issuer": f"{url}/",
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "userinfo_endpoint": f"{url}/userinfo",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "scopes_supported": ["openid", "offline_access", *_CLAIMS],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["client_credentials", "password", "authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": [
            *("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
        ],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "sid", "nonce", *sum(_CLAIMS.values(), ())],
    }
    return Reply(200, to_json(body))


def _invalid(description: str) -> Refusal:
    return oauth_error(403, "invalid_grant", description)


def exchange(
    state: TenantState, call: Call, form: dict[str, str], client_id: str, *, authenticated: bool
) -> Reply:
    """Exchange a code; it is used up even if the exchange fails."""
    granted = state.logins.codes.take(form.get("code", ""), now=call.now)
    if granted is None or granted.login.authorization.client_id != client_id:
        raise _invalid("Invalid authorization code")
    if without_query(form.get("redirect_uri", "")) != without_query(granted.login.authorization.redirect_uri):
        raise _invalid("The redirect URI is not the one sent to /authorize.")
    verifier, challenge = form.get("code_verifier"), granted.login.authorization.challenge
    if challenge is None and not authenticated:
        raise oauth_error(401, "access_denied", "Unauthorized")
    if (verifier is None) != (challenge is None) or not _verifies(verifier or "", challenge):
        raise _invalid("Failed to verify code verifier")
    return _tokens(state, call, granted, first=True)


def _verifies(verifier: str, challenge: str | None) -> bool:
    """Return whether the verifier's SHA-256 is the challenge sent to /authorize; True without a challenge."""
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("utf-8", "replace")).digest())
    return challenge is None or hmac.compare_digest(made.rstrip(b"="), challenge.encode())


def refresh(
    state: TenantState, call: Call, form: dict[str, str], client_id: str, *, authenticated: bool
) -> Reply:
    """Issue new tokens for a refresh token; the trigger runs again, as it does in Auth0."""
    granted = state.logins.refresh_tokens.get(form.get("refresh_token", ""), now=call.now)
    profile = None if granted is None else state.users.get(granted.login.session.user_id)
    if granted is None or profile is None or granted.login.authorization.client_id != client_id:
        raise _invalid("Unknown or invalid refresh token.")
    if profile.root.get("blocked") is True:
        raise oauth_error(403, *BLOCKED)
    # There is no browser that could show a page or be redirected.
    silent = attrs.evolve(granted.login.authorization, prompt="none")
    login = attrs.evolve(granted.login, authorization=silent)
    outcome = _run(state, call, login, profile, protocol="oauth2-refresh-token")
    return _tokens(state, call, outcome.granted(granted.login, granted.scopes), first=False)


def password(
    state: TenantState, call: Call, form: dict[str, str], client_id: str, *, authenticated: bool
) -> Reply:
    """Sign in with an email or username and a password; the trigger runs as at any login.

    The bucket, and the refusals of a wrong audience and a wrong password, were recorded.
    """
    reading = state.limiter.take("password", call.now)
    if reading is not None:
        call.reading = reading
        if not reading.allowed:
            raise oauth_error(429, "too_many_requests", reading.message)
    audience = form.get("audience") or None
    if audience is not None and not (
        state.access.is_management(audience) or APIS.find_by(state, "identifier", audience)
    ):
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
    outcome = _run(state, call, login, counted, protocol="oauth2-password")
    call.committed = True
    return _tokens(state, call, outcome.granted(login, authorization.scopes), first=True)


def _user_with_password(state: TenantState, form: dict[str, str]) -> Profile | None:
    """Return the user with this name and password, in the realm's connection if the form names one."""
    name, realm = form.get("username", ""), form.get("realm")
    for profile in (*state.users.with_email(name.lower()), *state.users.with_username(name)):
        first = first_identity(profile)
        here = first.get("connection") == realm if realm else first.get("provider") == "auth0"
        if here and state.resources.password_matches(profile.user_id, form.get("password", "")):
            return profile
    return None


GRANTS = {"authorization_code": exchange, "refresh_token": refresh, "password": password, _REALM: password}
"""Grant types that sign a user in."""


def _run(
    state: TenantState, call: Call, login: Login, profile: Profile, *, protocol: str
) -> trigger.LoginOutcome:
    """Run the trigger for a login without a browser, or refuse the login."""
    outcome = trigger.run(state, call.request, login, profile, protocol=protocol)
    if outcome.error is not None:
        raise oauth_error(403, outcome.error, outcome.reason)
    return outcome


def token_reply(access_token: str, scopes: tuple[str, ...], more: dict[str, str]) -> Reply:
    """Return the reply of the token endpoint, without `scope` if there are no scopes."""
    scope = {"scope": " ".join(scopes)} if scopes else {}
    body = {"access_token": access_token, **scope, "expires_in": LIFETIME, "token_type": "Bearer", **more}
    return Reply(200, to_json(body))


def _tokens(state: TenantState, call: Call, granted: Granted, *, first: bool) -> Reply:
    """Issue the tokens of a login; the `first` time with the nonce, and with a refresh token if one was requested."""
    profile = state.users.get(granted.login.session.user_id)
    if profile is None:
        raise _invalid("The user does not exist.")
    granted = attrs.evolve(granted, scopes=_allowed(granted))
    access_token = _access_token(state, call, granted)
    more = {}
    if "openid" in granted.scopes:
        nonce = granted.login.authorization.nonce if first else None
        more["id_token"] = _id_token(state, call, granted, profile, nonce)
    if first and "offline_access" in granted.scopes:
        until = call.now + REFRESH_LIFETIME
        more["refresh_token"] = state.logins.refresh_tokens.put(granted, until=until, now=call.now)
    return token_reply(access_token, granted.scopes, more)


def _allowed(granted: Granted) -> tuple[str, ...]:
    """Return the scopes that a user's token may have; for the Management API, only those about that user.

    Source: Auth0 docs, "Get Management API Access Tokens for Single-Page Applications".
    """
    if not (granted.login.authorization.audience or "").endswith("/api/v2/"):
        return granted.scopes
    kept = ("openid", "offline_access", *_CLAIMS)
    return tuple(scope for scope in granted.scopes if scope in kept or ":current_user" in scope)


def _access_token(state: TenantState, call: Call, granted: Granted) -> str:
    """Return a signed access token for the requested audience, by default /userinfo."""
    authorization, user_id = granted.login.authorization, granted.login.session.user_id
    url = base_url(state, call.request)
    own = f"{url}/userinfo"
    audience: str | list[str] = authorization.audience or own
    if authorization.audience is not None and "openid" in granted.scopes:
        audience = [authorization.audience, own]
    expires = int(call.now) + LIFETIME
    claims = {
        **granted.access_claims,
        "iss": f"{url}/",
        "sub": user_id,
        "aud": audience,
        "iat": int(call.now),
        "exp": expires,
        "azp": authorization.client_id,
        "scope": " ".join(granted.scopes),
    }
    known = Grant(user_id, frozenset(granted.scopes), float(expires), authorization.audience or own)
    token = state.access.issue_claims(claims, known)
    if "openid" in granted.scopes:
        shown = (user_id, granted.scopes, granted.id_claims)
        state.logins.access_tokens.put(shown, until=expires, now=call.now, key=token)
    return token


def _id_token(state: TenantState, call: Call, granted: Granted, profile: Profile, nonce: str | None) -> str:
    claims = {
        **_claims(profile, granted.scopes),
        **granted.id_claims,
        "iss": f"{base_url(state, call.request)}/",
        "sub": profile.user_id,
        "aud": granted.login.authorization.client_id,
        "iat": int(call.now),
        "exp": int(call.now) + ID_LIFETIME,
        "sid": granted.login.session.sid,
    }
    return state.access.keys.sign(claims | ({"nonce": nonce} if nonce is not None else {}))


def _claims(profile: Profile, scopes: tuple[str, ...]) -> dict[str, Any]:
    names = [name for scope in scopes for name in _CLAIMS.get(scope, ())]
    return {name: profile.root[name] for name in names if name in profile.root}


def user_info(state: TenantState, call: Call) -> Reply:
    """Return the claims that the token's scopes allow, and the custom claims of the ID token (documented)."""
    token = _token_sent(state, call)
    found = state.logins.access_tokens.get(token, now=call.now)
    profile = None if found is None or state.access.is_revoked(token) else state.users.get(found[0])
    if found is None or profile is None:
        description = "The access token is unknown, revoked or expired."
        body = {"error": "invalid_token", "error_description": description}
        raise Refusal(401, body, (("WWW-Authenticate", 'Bearer error="invalid_token"'),))
    _, scopes, custom = found
    return Reply(200, to_json({**_claims(profile, scopes), **custom, "sub": profile.user_id}))


def _token_sent(state: TenantState, call: Call) -> str:
    """Return the access token in the header, the form or the query, the three places of RFC 6750."""
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    form = PageForm().read(call.request, state.switches)
    return form.get("access_token") or call.request.query.get("access_token", "")


_BY_STANDARD = "open: follows the standard (OpenID Connect)"
ROUTES = (
    Route("GET", "/userinfo", user_info, group=None, evidence=_BY_STANDARD),
    Route("POST", "/userinfo", user_info, group=None, evidence=_BY_STANDARD),
    Route("GET", "/.well-known/openid-configuration", discovery, group=None, evidence=_BY_STANDARD),
)
