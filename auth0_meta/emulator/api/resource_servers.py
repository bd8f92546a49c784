"""Resource servers: the APIs for which tokens are issued."""

from __future__ import annotations

import secrets

import attrs

from auth0_meta.emulator.api.crud import Document, Resource
from auth0_meta.emulator.rules.schema import NAME
from auth0_meta.emulator.state.tenant_state import TenantState


def _with_secret(state: TenantState, before: Document | None, body: Document) -> Document:
    """Return a body with a secret for HS256, if neither it nor the API has one (documented)."""
    known = {**(before or {}), **body}
    if known.get("signing_alg") != "HS256" or known.get("signing_secret"):
        return body
    return {**body, "signing_secret": secrets.token_urlsafe(24)}


APIS = Resource(
    name="resource-servers",
    called="resource server",
    new_id=TenantState.new_object_id,
    required=("identifier",),
    fields={
        "signing_alg": attrs.evolve(NAME, nullable=True),
        "signing_secret": attrs.evolve(NAME, nullable=True),
    },
    fixed=("identifier",),
    prepare=_with_secret,
    error_code="inexistent_resource_server",
    unique=("identifier",),
    # The 409 is documented; the wording is a guess.
    conflict=("A resource server with the same identifier already exists", "resource_server_conflict"),
    alias="identifier",
    # In every recorded response about an API.
    defaults={
        "allow_offline_access": False,
        "skip_consent_for_verifiable_first_party_clients": False,
        "token_lifetime": 86_400,
        "token_lifetime_for_web": 7_200,
        "signing_alg": "RS256",
    },
    null_removes=True,
)

ROUTES = APIS.routes(evidence="recorded")
