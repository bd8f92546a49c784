"""OpenID Connect's logout: which hints agree, and where the browser may go.

Source: Auth0 docs, "OIDC Logout" and "Log Users Out of Auth0 with OIDC Endpoint".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.http.errors import Refusal, oauth_error
from auth0_meta.emulator.rules.application import logout_allowed
from auth0_meta.emulator.state.keys import parse_unverified, secret_key, signed
from auth0_meta.emulator.state.tenant_state import TenantState


def logout_target(state: TenantState, sent: Mapping[str, str]) -> str | None:
    """Return where a logout with these parameters leads, None for nowhere; or refuse it.

    The client that the ID token or `client_id` names must list the address, or the tenant.
    """
    hint, target = sent.get("id_token_hint"), sent.get("post_logout_redirect_uri")
    claims = {} if hint is None else _verified(state, hint)
    client_id = sent.get("client_id") or claims.get("aud")
    if hint is not None and client_id != claims["aud"]:
        raise _refused("The client_id is not the audience of the id_token_hint.")
    if hint is not None and sent.get("logout_hint", claims["sid"]) != claims["sid"]:
        raise _refused("The logout_hint is not the session of the id_token_hint.")
    application = state.application(client_id) if client_id else None
    if client_id and application is None:
        raise _refused(f"The application {client_id!r} does not exist.")
    if not target:
        # Documented: the first address that the client lists.
        return next(iter(application.logout_urls or ()), None) if application is not None else None
    listed = settings(state).get("allowed_logout_urls")
    by_client = application is not None and application.may_log_out_to(target)
    by_tenant = (application is None or listed is not None) and logout_allowed(listed, target)
    if not by_client and not by_tenant:
        raise _refused(f"The application does not allow a logout to redirect to {target!r}.")
    return target


def _verified(state: TenantState, token: str) -> Mapping[str, Any]:
    """Return the claims of an ID token of this tenant, expired or not, or refuse."""
    claims = parse_unverified(token)[1]
    application = state.application(str(claims.get("aud")))
    secret = None if application is None else application.id_token_secret
    try:
        if secret is None or not signed(token, secret_key(secret), algorithms=("HS256",)):
            claims = state.access.keys.verify(token)
    except Refusal:
        claims = {}
    if not (isinstance(claims.get("aud"), str) and isinstance(claims.get("sid"), str)):
        raise _refused("The id_token_hint is not an ID token of this tenant.")
    return claims


def _refused(why: str) -> Refusal:
    return oauth_error(400, "invalid_request", why)
