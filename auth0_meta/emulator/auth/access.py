"""What a token may be for, and with which scopes: the rules of `api_access`, applied to what the tenant knows."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.client_grants import CLIENT_GRANTS
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.http.errors import Refusal, not_served, oauth_error
from auth0_meta.emulator.rules.api_access import ALL, DENY, GRANT, OIDC_SCOPES, Api, user_scopes
from auth0_meta.emulator.rules.application import Application, unregistered
from auth0_meta.emulator.state.logins import AuthorizationRequest
from auth0_meta.emulator.state.tenant_state import TenantState

Document = dict[str, Any]
_GRANTS_HELP = "https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"


def api_for(state: TenantState, audience: str) -> Api | None:
    """Return the API with this identifier, None if nobody has created it."""
    if is_management(state, audience):
        return Api(identifier=audience, scopes=state.access.all_scopes)
    document = APIS.find_by(state, "identifier", audience)
    return None if document is None else Api.of(document)


def secret_of(api: Api | None) -> str | None:
    """Return the secret that signs an API's tokens, None for the tenant's key; refuse an API with any other algorithm."""
    if api is None or api.algorithm == "RS256":
        return None
    if api.algorithm != "HS256":
        raise not_served(f"tokens signed with {api.algorithm}")
    return api.secret


def is_management(state: TenantState, audience: str) -> bool:
    """Return whether this audience is the Management API, rather than a user's own API whose identifier has the same ending."""
    if state.access.is_own(audience.removesuffix("/api/v2/")):
        return state.access.is_management(audience)
    return state.access.is_management(audience) and APIS.find_by(state, "identifier", audience) is None


def is_for_auth0(state: TenantState, audience: str) -> bool:
    """Return whether this audience is /userinfo or another API of this tenant, which nobody has to create."""
    scheme, _, rest = audience.partition("://")
    host, _, path = rest.partition("/")
    own = state.access.is_own(f"{scheme}://{host}") and path.rstrip("/") in ("userinfo", "mfa")
    return own or is_management(state, audience)


def application_of(state: TenantState, authorization: AuthorizationRequest) -> Application:
    """Return the client that began a login; one that was deleted since then counts as not registered."""
    client_id = authorization.client_id
    return state.application(client_id) or unregistered(client_id)


# Machines ------------------------------------------------------------------------------------------------


def machine_grant(
    state: TenantState, application: Application, audience: str
) -> tuple[tuple[str, ...], Document]:
    """Return the scopes that a client may have for an API, and its client grant, `{}` if it needs none; or refuse.

    A client grant decides.  Without one, a client of a tenant that is not strict gets what the API defines if it is
    not registered, and so does one that Python code registered for all scopes.
    """
    api, grant = api_for(state, audience), client_grant(state, application, audience, "client")
    if api is None and not application.lenient:
        raise oauth_error(403, "access_denied", f"Service not enabled within domain: {audience}")
    if api is None:
        return (), {}  # recorded: a token without scopes
    if grant is not None and api.client_policy != DENY:
        return api.granted(grant), grant
    if application.scopes is None and api.client_policy != DENY:
        return api.scopes, {}
    if application.scopes and is_management(state, audience):
        return application.scopes, {}
    raise not_authorized(audience)


def not_authorized(audience: str) -> Refusal:
    """Return the refusal of a client without a grant for an API (reported)."""
    description = (
        f'Client is not authorized to access "{audience}". You need to create a "client-grant" associated to '
        f"this API. See: {_GRANTS_HELP}"
    )
    return oauth_error(403, "access_denied", description)


def client_grant(
    state: TenantState, application: Application, audience: str, subject: str
) -> Document | None:
    """Return the client's grant for an API, as a machine (`subject` "client") or for a user ("user")."""
    management = is_management(state, audience)
    for grant in [*state.resources.of(CLIENT_GRANTS.name).values()]:
        same = grant["audience"] == audience or (management and state.access.is_management(grant["audience"]))
        mine = grant.get("client_id") == application.client_id
        if same and mine and (grant.get("subject_type") or "client") == subject:
            return grant
    return None


# Users ---------------------------------------------------------------------------------------------------


def refused_audience(
    state: TenantState, application: Application, audience: str | None
) -> tuple[str, str] | None:
    """Return the error and its description if a login can't ask for this API, else None.

    A client that is not registered may ask for any, unless the tenant is strict.
    """
    if not audience or is_for_auth0(state, audience):
        return None
    api = api_for(state, audience)
    if api is None:
        return None if application.lenient else ("access_denied", f"Service not found: {audience}")
    if api.user_policy == DENY or (
        (api.user_policy == GRANT or not application.first_party)
        and client_grant(state, application, audience, "user") is None
    ):
        client = application.client_id
        return (
            "invalid_request",
            f'Client "{client}" is not authorized to access resource server "{audience}".',
        )
    return None


def allowed_scopes(
    state: TenantState,
    application: Application,
    audience: str | None,
    requested: tuple[str, ...],
    *,
    user_id: str,
    organization: str | None,
) -> tuple[str, ...]:
    """Return which of the requested scopes a login may have, before the trigger changes them."""
    if audience and is_for_auth0(state, audience):
        return tuple(scope for scope in requested if about_oneself(scope))
    api = api_for(state, audience) if audience else None
    if audience and api is None:
        return requested  # an API that nobody has created: who may ask for it at all may ask for anything
    grant = None
    if api is not None and (api.user_policy != ALL or not application.first_party):
        grant = client_grant(state, application, api.identifier, "user") or {}
    permissions = permissions_of(state, api, user_id, organization) if api is not None else ()
    return user_scopes(requested, api, permissions=permissions, grant=grant)


def about_oneself(scope: str) -> bool:
    """Return whether a user's own token for an API of Auth0 may have this scope.

    Source: Auth0 docs, "Get Management API Access Tokens for Single-Page Applications".
    """
    return scope in OIDC_SCOPES or ":current_user" in scope


def permissions_of(state: TenantState, api: Api, user_id: str, organization: str | None) -> tuple[str, ...]:
    """Return a user's permissions on an API by name: direct ones, those of roles, and of roles in the organization."""
    links = state.resources.links
    roles = links.of("user_roles", user_id)
    if organization is not None:
        roles = [*roles, *links.of("member_roles", (organization, user_id))]
    pairs: list[Any] = links.of("user_permissions", user_id)
    for role in roles:
        pairs += links.of("role_permissions", role)
    return tuple(
        sorted({name for identifier, name in pairs if identifier == api.identifier and name in api.scopes})
    )
