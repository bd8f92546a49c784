"""Client grants: which client may request tokens for which API, and with which scopes."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import Resource, prefixed
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.rules.schema import TEXT, Field, array
from auth0_meta.emulator.state.tenant_state import TenantState

_FLAG = Field(type="boolean", nullable=True)
CLIENT_GRANTS = Resource(
    name="client-grants",
    called="client grant",
    new_id=prefixed("cgr_"),
    required=("client_id", "audience"),
    fixed=("client_id", "audience", "subject_type"),
    fields={
        "scope": array(Field(shortest=1, longest=280)),
        "organization_usage": Field(one_of=("deny", "allow", "require"), nullable=True),
        "allow_any_organization": _FLAG,
        "allow_all_scopes": _FLAG,
        "subject_type": Field(one_of=("client", "user")),
        "authorization_details_types": array(TEXT),
    },
    closed=True,
    error_code="inexistent_client_grant",
    unique=("client_id", "audience", "subject_type"),
    # The 409 is documented; the wording is a guess.
    conflict=("A client grant for this client and audience already exists.", "client_grant_conflict"),
    null_removes=True,
    filters={"client_id": "client_id", "audience": "audience"},
)


def granted_scopes(state: TenantState, application: Application, audience: str) -> tuple[str, ...] | None:
    """Return the scopes of an API that a client is granted, None if it has no grant for that API."""
    if application.scopes is None:
        return state.access.all_scopes
    if application.scopes:
        return application.scopes
    management = state.access.is_management(audience)
    for grant in [*state.resources.of(CLIENT_GRANTS.name).values()]:
        same = grant["audience"] == audience or (management and state.access.is_management(grant["audience"]))
        if same and grant["client_id"] == application.client_id:
            return tuple(grant.get("scope") or ())
    return None


ROUTES = CLIENT_GRANTS.routes(evidence="documented; texts open")
