"""Resource servers: the APIs for which tokens are issued."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import Resource
from auth0_meta.emulator.state.tenant_state import TenantState

APIS = Resource(
    name="resource-servers",
    called="resource server",
    new_id=TenantState.new_object_id,
    required=("identifier",),
    fixed=("identifier",),
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
