"""Organizations in a login and in a machine's token: which one is meant, and who may act for it.

Source: Auth0 docs, "Define Organization Behavior", "Use Organization Names in Authentication API", "Grant Just-In-Time
Membership to an Organization Connection" and "Configure Your Application for M2M Access"; the texts are reported.
"""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.organizations import ORGANIZATIONS
from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.http.errors import not_served, oauth_error
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.logins import AuthorizationRequest
from auth0_meta.emulator.state.tenant_state import TenantState

Document = dict[str, Any]


def organization_named(state: TenantState, name: str | None) -> Document | None:
    """Return the organization with this id or, if the tenant's settings allow that, with this name."""
    if not name:
        return None
    found = ORGANIZATIONS.find(state, name)
    if found is None and _names_allowed(state):
        found = ORGANIZATIONS.find_by(state, "name", name.lower())
    return found


def _names_allowed(state: TenantState) -> bool:
    return settings(state).get("allow_organization_name_in_authentication_api") is True


def organization_id(state: TenantState, authorization: AuthorizationRequest) -> str | None:
    """Return the id of a login's organization, None if it has none."""
    found = organization_named(state, authorization.organization)
    return None if found is None else str(found["id"])


def refused_organization(
    state: TenantState, application: Application, name: str | None
) -> tuple[str, str] | None:
    """Return the error and its description if a login can't have this organization, or none; else None."""
    if not name:
        if application.organization_usage != "require":
            return None
        if application.organization_require_behavior != "no_prompt":
            raise not_served("the prompt for an organization: send the parameter organization to /authorize")
        return "invalid_request", "parameter organization is required for this client"
    if application.organization_usage == "deny":
        return "invalid_request", "parameter organization is not allowed for this client"
    if organization_named(state, name) is None:
        return "invalid_request", f"parameter organization is invalid: {name}"
    return None


def refused_member(state: TenantState, name: str | None, profile: Profile) -> str:
    """Return why this user can't log in to an organization, "" for members; some connections make everybody one.

    Auth0 lets nobody in whose connection is not enabled for the organization.  An organization without any enabled
    connection is not checked here, so that a test has to add members only.
    """
    if not name:
        return ""
    organization = organization_named(state, name)
    if organization is None:
        return f"parameter organization is invalid: {name}"
    key, links = organization["id"], state.resources.links
    connection = first_identity(profile).get("connection")
    with state.resources.lock:
        known = state.resources.organization_connections.get(key, {})
        enabled = {one: about for one, about in known.items() if about.get("is_enabled") is not False}
    documents = state.resources.of("connections")
    here = next(
        (about for one, about in enabled.items() if documents.get(one, {}).get("name") == connection), None
    )
    if enabled and here is None:
        return f"the connection {connection} is not enabled for the {key} organization"
    if here is not None and here.get("assign_membership_on_login") is True:
        links.add("members", key, [profile.user_id])
    if not links.has("members", key, profile.user_id):
        return f"user {profile.user_id} is not part of the {key} organization"
    return ""


def organization_claims(state: TenantState, organization: Document | None) -> dict[str, str]:
    """Return the claims about an organization: its id, and its name if the tenant's settings allow names."""
    if organization is None:
        return {}
    name = organization.get("name") if _names_allowed(state) else None
    return {"org_id": organization["id"], **({"org_name": name} if name else {})}


def machine_organization(
    state: TenantState, application: Application, grant: Document, name: str | None
) -> Document | None:
    """Return the organization of a machine's token, or refuse: its client grant says which ones it may have.

    The texts are a guess.
    """
    usage = grant.get("organization_usage") or ("deny" if grant else application.organization_usage)
    if not name and usage == "require":
        name = application.default_organization
    if not name:
        if usage == "require":
            raise _refused("parameter organization is required for this client")
        return None
    found = organization_named(state, name)
    if found is None and application.lenient and not grant:
        return {"id": name}
    if usage == "deny":
        raise _refused("parameter organization is not allowed for this client")
    if found is None:
        raise _refused(f"parameter organization is invalid: {name}")
    associated = state.resources.links.has("organization_grants", found["id"], grant.get("id"))
    if grant and grant.get("allow_any_organization") is not True and not associated:
        raise _refused(f"Client is not authorized for the organization {name}.", "access_denied", 403)
    return found


def _refused(description: str, error: str = "invalid_request", status: int = 400) -> Exception:
    return oauth_error(status, error, description)
