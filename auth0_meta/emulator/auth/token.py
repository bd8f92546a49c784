"""The token endpoint and the key set; refusals have the form of the Authentication API's."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from auth0_meta.emulator.api.logs import token_requested
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.auth import refresh
from auth0_meta.emulator.auth.access import api_for, machine_grant, not_authorized, secret_of
from auth0_meta.emulator.auth.forms import FormBody, open_record
from auth0_meta.emulator.auth.grants import GRANTS, AccessToken, base_url, token_reply
from auth0_meta.emulator.auth.organizations import machine_organization, organization_claims
from auth0_meta.emulator.http.errors import Refusal, not_served, oauth_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.api_access import LIFETIME
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.rules.schema import TEXT
from auth0_meta.emulator.state.keys import parse_unverified, signed
from auth0_meta.emulator.state.tenant_state import TenantState

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ("RS256", "RS384", "PS256")
_LONGEST_ASSERTION = 2048
_SKEW = 10


def jwks(state: TenantState, call: Call) -> Reply:
    """Return the public keys that verify this tenant's tokens."""
    return Reply(200, to_json(state.access.keys.jwks()))


def token(state: TenantState, call: Call) -> Reply:
    """Issue tokens for client credentials or for a login."""
    form = {name: item for name, item in call.body.items() if isinstance(item, str)} | _basic(call)
    kind = form.get("grant_type")
    if not kind:
        raise oauth_error(400, "invalid_request", "Missing required parameter: grant_type")
    if "dpop" in call.request.headers:
        raise not_served("the header DPoP of /oauth/token")
    if kind == "client_credentials":
        application = _application(state, call, form)
        _check_grant(application, kind)
        return _machine_token(state, call, application, form)
    if kind not in GRANTS:
        raise not_served(f"the grant {kind}")
    application, authenticated = _caller(state, call, form)
    _check_grant(application, kind)
    return GRANTS[kind](state, call, form, application, authenticated=authenticated)


def _machine_token(state: TenantState, call: Call, application: Application, form: dict[str, str]) -> Reply:
    """Issue a token for client credentials, with the requested audience and what the client is granted."""
    audience = form.get("audience", "")
    if not audience:
        raise not_authorized(audience)
    scopes, grant = machine_grant(state, application, audience)
    organization = machine_organization(state, application, grant, form.get("organization"))
    if form.get("scope") and state.switches.machine_scopes == "requested":
        scopes = tuple(scope for scope in scopes if scope in form["scope"].split())
    api = api_for(state, audience)
    more: dict[str, Any] = organization_claims(state, organization)
    if api is not None and api.shows_permissions:
        more["permissions"] = sorted(scopes)
    lifetime = LIFETIME if api is None else api.lifetime
    token = state.access.issue(
        call.now,
        client_id=application.client_id,
        scopes=scopes,
        audience=audience,
        expires_in=lifetime,
        issuer=base_url(state, call.request),
        more=more,
        rfc9068=api is not None and api.follows_rfc9068,
        secret=secret_of(api),
    )
    return token_reply(AccessToken(token, scopes, lifetime), {})


def revoke(state: TenantState, call: Call) -> Reply:
    """Revoke a refresh token; an unknown or already invalid one is not an error."""
    form = {name: item for name, item in call.body.items() if isinstance(item, str)} | _basic(call)
    application, _ = _caller(state, call, form)
    if not form.get("token"):
        raise oauth_error(400, "invalid_request", "Missing required parameter: token")
    whole = settings(state)["flags"].get("revoke_refresh_token_grant") is True
    refresh.revoke(state, application, form["token"], whole_grant=whole, now=call.now)
    return Reply(200, committed=True)


def _basic(call: Call) -> dict[str, str]:
    """Return a client's id and secret from the Authorization header, where OpenID Connect clients put them."""
    scheme, _, encoded = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise _denied() from None
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)} if colon else {}


def _check_grant(application: Application, kind: str) -> None:
    """Refuse a grant that the client's `grant_types` do not list."""
    if not application.grants(kind):
        raise _not_allowed(kind)


def _not_allowed(kind: str) -> Refusal:
    description = f"Grant type '{kind}' not allowed for the client."
    uri = "https://auth0.com/docs/clients/client-grant-types"
    return oauth_error(403, "unauthorized_client", description, error_uri=uri)


def _caller(state: TenantState, call: Call, form: dict[str, str]) -> tuple[Application, bool]:
    """Return the client that redeems a login, and whether it authenticated; public clients rely on PKCE."""
    application = state.application(form.get("client_id", ""))
    proves = "client_assertion" in form or bool(form.get("client_secret"))
    if application is not None and application.public and not (proves and application.auth_method != "none"):
        return application, False
    return _application(state, call, form), True


def _denied() -> Refusal:
    return oauth_error(401, "access_denied", "Unauthorized")


def _application(state: TenantState, call: Call, form: dict[str, str]) -> Application:
    """Return the client that authenticates by secret or assertion, or refuse."""
    if "client_assertion" in form:
        return _by_assertion(state, call, form)
    application = state.application(form.get("client_id", ""))
    secret = form.get("client_secret", "")
    if application is None or not application.accepts(secret):
        raise _denied()
    return application


def _by_assertion(state: TenantState, call: Call, form: dict[str, str]) -> Application:
    """Check a private_key_jwt as documented: algorithm, iss = sub, one string aud, exp, one-time jti.

    The signature can be checked only for registered clients.
    """
    assertion = form["client_assertion"]
    if form.get("client_assertion_type") != _ASSERTION or len(assertion) > _LONGEST_ASSERTION:
        raise _denied()
    header, claims = parse_unverified(assertion)
    client_id, expires, audience = claims.get("sub"), claims.get("exp"), claims.get("aud")
    if (
        header.get("alg") not in _ALGORITHMS
        or not isinstance(client_id, str)
        or claims.get("iss") != client_id
        or form.get("client_id", client_id) != client_id
        or not isinstance(expires, (int, float))
        or not call.now - _SKEW < expires <= call.now + 300 + _SKEW
        or not isinstance(audience, str)
        or (state.access.strict and not (audience.endswith("/") and state.access.is_own(audience[:-1])))
    ):
        raise _denied()
    application = state.application(client_id)
    if application is None or not _verified(application, assertion):
        raise _denied()
    if not state.access.first_use(client_id, claims.get("jti")):
        raise _denied()
    return application


def _verified(application: Application, assertion: str) -> bool:
    keys = application.public_keys
    return application.lenient or any(signed(assertion, key, algorithms=_ALGORITHMS) for key in keys)


def _body(required: str, *optional: str) -> FormBody:
    texts = dict.fromkeys((required, "client_id", "client_secret", *optional), TEXT)
    refuse = partial(oauth_error, 400, "invalid_request", "The body is not a JSON object.")
    return FormBody(open_record(required, **texts), "", refuse)


ROUTES = (
    recorded(
        "POST",
        "/oauth/token",
        token,
        group="token",
        log=token_requested,
        body=_body("grant_type", "audience", "scope"),
        latency=(0.328, 0.430),
    ),
    documented("POST", "/oauth/revoke", revoke, group=None, body=_body("token")),
    documented("GET", "/.well-known/jwks.json", jwks, group=None),
)
