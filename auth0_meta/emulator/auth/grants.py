"""The grants of users (a code, a refresh token, a password), and OpenID Connect's discovery and /userinfo."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

import attrs

from auth0_meta.emulator.api import logs
from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.route import Route, documented
from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.auth import trigger
from auth0_meta.emulator.auth.access import (
    about_oneself,
    api_for,
    application_of,
    is_for_auth0,
    permissions_of,
    refused_audience,
    secret_of,
)
from auth0_meta.emulator.auth.forms import PageForm
from auth0_meta.emulator.auth.organizations import (
    organization_claims,
    organization_named,
    refused_organization,
)
from auth0_meta.emulator.auth.refresh import exchanged, known_token, new_refresh_token, unknown_token
from auth0_meta.emulator.http.errors import Refusal, not_served, oauth_error
from auth0_meta.emulator.http.message import Call, Grant, Reply, Request, to_json
from auth0_meta.emulator.rules.api_access import LIFETIME
from auth0_meta.emulator.rules.application import Application, without_query
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge
from auth0_meta.emulator.state.logins import BLOCKED, AuthorizationRequest, Granted, Login, Session
from auth0_meta.emulator.state.tenant_state import TenantState

_CLAIMS = {
    "profile": ("name", "given_name", "family_name", "nickname", "picture", "updated_at"),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_verified"),
}
_ALGORITHMS = ("HS256", "RS256")
_REALM = "http://auth0.com/oauth/grant-type/password-realm"
# The scopes that Auth0 granted for a password if the request asked for `openid`, or for none (recorded).
_DEFAULT = ("openid", "profile", "email", "address", "phone")


def base_url(state: TenantState, request: Request) -> str:
    """Return the URL that a token's `iss` begins with; it depends on the host, as with custom domains (documented)."""
    return state.access.url_for(request)


def discovery(state: TenantState, call: Call) -> Reply:
    """Return the discovery document: the provider's URLs and what it supports."""
    url = base_url(state, call.request)
    logout = settings(state).get("oidc_logout") or {}
    ends = logout.get("rp_logout_end_session_endpoint_discovery") is not False
    body = {
        "issuer": f"{url}/",
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "userinfo_endpoint": f"{url}/userinfo",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "revocation_endpoint": f"{url}/oauth/revoke",
        **({"end_session_endpoint": f"{url}/oidc/logout"} if ends else {}),
        "scopes_supported": ["openid", "offline_access", *_CLAIMS],
        "response_types_supported": [
            *(
                "code",
                "token",
                "id_token",
                "code token",
                "code id_token",
                "token id_token",
                "code token id_token",
            )
        ],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,  # the standard's default is true
        "grant_types_supported": ["client_credentials", "password", "authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [*_ALGORITHMS],
        "token_endpoint_auth_methods_supported": [
            *("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
        ],
        "code_challenge_methods_supported": ["S256", "plain"],
        "claims_supported": [
            *("iss", "sub", "aud", "iat", "exp", "sid", "nonce", "auth_time", "org_id", "org_name"),
            *sum(_CLAIMS.values(), ()),
        ],
    }
    return Reply(200, to_json(body))


def _invalid(description: str) -> Refusal:
    return oauth_error(403, "invalid_grant", description)


def exchange(
    state: TenantState, call: Call, form: dict[str, str], application: Application, *, authenticated: bool
) -> Reply:
    """Exchange a code; it is used up even if the exchange fails."""
    granted = state.logins.codes.take(form.get("code", ""), now=call.now)
    if granted is None or granted.login.authorization.client_id != application.client_id:
        raise _invalid("Invalid authorization code")
    if without_query(form.get("redirect_uri", "")) != without_query(granted.login.authorization.redirect_uri):
        raise _invalid("The redirect URI is not the one sent to /authorize.")
    authorization, verifier = granted.login.authorization, form.get("code_verifier")
    challenge = authorization.challenge
    if challenge is None and not authenticated:
        raise oauth_error(401, "access_denied", "Unauthorized")
    if (verifier is None) != (challenge is None) or not _verifies(verifier or "", authorization):
        raise _invalid("Failed to verify code verifier")
    return _tokens(state, call, application, granted, first=True)


def _verifies(verifier: str, authorization: AuthorizationRequest) -> bool:
    """Return whether the verifier, or its SHA-256, is the challenge sent to /authorize; True without a challenge."""
    made = verifier.encode("utf-8", "replace")
    if authorization.challenge_method == "S256":
        made = base64.urlsafe_b64encode(hashlib.sha256(made).digest()).rstrip(b"=")
    return authorization.challenge is None or hmac.compare_digest(made, authorization.challenge.encode())


def refresh(
    state: TenantState, call: Call, form: dict[str, str], application: Application, *, authenticated: bool
) -> Reply:
    """Issue new tokens for a refresh token; the trigger runs again, as it does in Auth0."""
    key = form.get("refresh_token", "")
    granted = known_token(state, application, key, now=call.now).granted
    asked = form.get("audience") or granted.login.authorization.audience
    if application.refresh_token.get("policies") or asked != granted.login.authorization.audience:
        raise not_served("a refresh token for several APIs (refresh_token.policies)")
    profile = state.users.get(granted.login.session.user_id)
    if profile is None:
        raise unknown_token()
    if profile.root.get("blocked") is True:
        raise oauth_error(403, *BLOCKED)
    scopes = granted.scopes
    if form.get("scope"):  # auth0-python always sends one, empty by default
        # Documented: a reduced set.  Open: what a scope that was not granted does; here it is ignored.
        scopes = tuple(scope for scope in scopes if scope in form["scope"].split())
    # There is no browser that could show a page or be redirected.
    silent = attrs.evolve(granted.login.authorization, prompt="none", scopes=scopes)
    login = attrs.evolve(granted.login, authorization=silent)
    outcome = _run(state, call, login, profile, protocol="oauth2-refresh-token")
    successor = exchanged(state, application, key, now=call.now)
    if successor is None and application.lenient and not authenticated:
        # Auth0's script for browsers forgets a token that the response lacks: it expects rotation, and this
        # client has no settings that could ask for that.
        successor = key
    granted = outcome.granted(state, granted.login, scopes)
    return _tokens(state, call, application, granted, kind="refresh_token", refresh_token=successor)


def password(
    state: TenantState, call: Call, form: dict[str, str], application: Application, *, authenticated: bool
) -> Reply:
    """Sign in with an email or username and a password; the trigger runs as at any login.

    The bucket, and the refusals of a wrong audience and a wrong password, were recorded.
    """
    if form.get("organization"):
        raise not_served("the parameter organization of a password grant")
    reading = state.limiter.take("password", call.now)
    if reading is not None:
        call.reading = reading
        if not reading.allowed:
            raise oauth_error(429, "too_many_requests", reading.message)
    audience = form.get("audience") or settings(state).get("default_audience") or None
    api = api_for(state, audience) if audience is not None else None
    if audience is not None and api is None and not is_for_auth0(state, audience):
        raise oauth_error(400, "invalid_request", "invalid audience specified for password grant exchange")
    refused = refused_audience(state, application, audience) or refused_organization(state, application, None)
    if refused is not None:
        raise oauth_error(403 if refused[0] == "access_denied" else 400, *refused)
    profile = _user_with_password(state, form)
    if profile is None:
        logs.wrong_password(state, call.request, form.get("username", ""), client_id=application.client_id)
        raise oauth_error(403, "invalid_grant", "Wrong email or password.")
    if profile.root.get("blocked") is True:
        logs.note(
            state, call.request, "f", client_id=application.client_id, user=profile, description=BLOCKED[1]
        )
        raise oauth_error(403, *BLOCKED)
    requested = form.get("scope", "").split()
    every = (*_DEFAULT, *(api.scopes if api is not None else ()))  # documented: all that the API defines
    scopes = [*requested, *_DEFAULT] if "openid" in requested else requested or every
    authorization = AuthorizationRequest(
        client_id=application.client_id,
        redirect_uri="",
        scopes=tuple(dict.fromkeys(scopes)),
        audience=audience,
        prompt="none",
    )
    try:
        counted = (
            trigger.count_login(state, call, profile.user_id, client_id=application.client_id) or profile
        )
    except ProfileTooLarge:
        raise oauth_error(403, "access_denied", state.switches.login_failure_description) from None
    login = Login(authorization, Session(profile.user_id, secrets.token_urlsafe(24), call.now))
    outcome = _run(state, call, login, counted, protocol="oauth2-password")
    call.committed = True
    granted = outcome.granted(state, login, authorization.scopes)
    return _tokens(state, call, application, granted, kind="password", first=True)


def _user_with_password(state: TenantState, form: dict[str, str]) -> Profile | None:
    """Return the user with this name and password, in the realm's connection if the form names one."""
    name, realm = form.get("username", ""), form.get("realm") or settings(state).get("default_directory")
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


def token_reply(access_token: AccessToken, more: dict[str, str]) -> Reply:
    """Return the reply of the token endpoint, without `scope` if there are no scopes."""
    scope = {"scope": " ".join(access_token.scopes)} if access_token.scopes else {}
    body = {
        "access_token": access_token.text,
        **scope,
        "expires_in": access_token.lifetime,
        "token_type": "Bearer",
    }
    return Reply(200, to_json({**body, **more}))


def _tokens(
    state: TenantState,
    call: Call,
    application: Application,
    granted: Granted,
    *,
    kind: str = "",
    first: bool = False,
    refresh_token: str | None = None,
) -> Reply:
    """Issue the tokens of a login; the `first` time with the nonce, and with a refresh token if one was requested.

    `kind` is the claim `gty`, which a token has unless it is for a code; `refresh_token` is what replaces one.
    """
    profile = state.users.get(granted.login.session.user_id)
    if profile is None:
        raise _invalid("The user does not exist.")
    access_token = issue_access_token(state, call, granted, kind=kind)
    more = {}
    if "openid" in access_token.scopes:
        nonce = granted.login.authorization.nonce if first else None
        more["id_token"] = issue_id_token(state, call, granted, profile, nonce)
    if first and "offline_access" in access_token.scopes and application.grants("refresh_token"):
        refresh_token = new_refresh_token(state, application, granted, now=call.now)
    if refresh_token is not None:
        more["refresh_token"] = refresh_token
    return token_reply(access_token, more)


@attrs.frozen
class AccessToken:
    """An access token as the token endpoint shows it."""

    text: str
    scopes: tuple[str, ...]
    lifetime: int


def issue_access_token(
    state: TenantState, call: Call, granted: Granted, *, kind: str = "", in_browser: bool = False
) -> AccessToken:
    """Return a user's signed access token for the requested audience, by default /userinfo."""
    authorization, user_id = granted.login.authorization, granted.login.session.user_id
    url, audience, scopes = base_url(state, call.request), authorization.audience, granted.scopes
    api = api_for(state, audience) if audience is not None else None
    if audience is not None and is_for_auth0(state, audience):
        scopes = tuple(scope for scope in scopes if about_oneself(scope))
    lifetime = LIFETIME if api is None else api.browser_lifetime if in_browser else api.lifetime
    organization = organization_named(state, authorization.organization)
    own = f"{url}/userinfo"
    secret = secret_of(api)
    about_user = (
        "openid" in scopes and secret is None
    )  # documented: only tokens signed with RS256 have two audiences
    both = audience not in (None, own) and about_user
    claims = {
        **granted.access_claims,
        "iss": f"{url}/",
        "sub": user_id,
        "aud": [audience, own] if both else audience or own,
        "iat": int(call.now),
        "exp": int(call.now) + lifetime,
        "azp": authorization.client_id,
        **({"scope": " ".join(scopes)} if scopes else {}),
        **organization_claims(state, organization),
        **({"gty": kind} if kind else {}),
    }
    if api is not None and api.shows_permissions:
        claims["permissions"] = list(
            permissions_of(state, api, user_id, organization["id"] if organization else None)
        )
    known = Grant(user_id, frozenset(scopes), float(claims["exp"]), audience or own)
    rfc9068 = api is not None and api.follows_rfc9068
    token = state.access.issue_claims(claims, known, rfc9068=rfc9068, secret=secret)
    if about_user:
        shown = (user_id, scopes, granted.id_claims)
        state.logins.access_tokens.put(shown, until=claims["exp"], now=call.now, key=token)
    return AccessToken(token, scopes, lifetime)


def issue_id_token(
    state: TenantState, call: Call, granted: Granted, profile: Profile, nonce: str | None, **hashes: str
) -> str:
    """Return the signed ID token of a login; `hashes` bind it to a code and an access token that come with it."""
    authorization, session = granted.login.authorization, granted.login.session
    application = application_of(state, authorization)
    if application.signing_algorithm not in _ALGORITHMS:
        raise not_served(f"ID tokens signed with {application.signing_algorithm}")
    claims = {
        **_claims(profile, granted.scopes),
        **granted.id_claims,
        "iss": f"{base_url(state, call.request)}/",
        "sub": profile.user_id,
        "aud": authorization.client_id,
        "iat": int(call.now),
        "exp": int(call.now) + application.id_token_lifetime,
        "sid": session.sid,
        **hashes,
        **organization_claims(state, organization_named(state, authorization.organization)),
    }
    if authorization.max_age is not None or "login" in authorization.prompts:
        claims["auth_time"] = int(session.since)
    signed = claims | ({"nonce": nonce} if nonce is not None else {})
    return state.access.keys.sign(signed, secret=application.id_token_secret)


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
    documented("GET", "/.well-known/oauth-authorization-server", discovery, group=None),
)
