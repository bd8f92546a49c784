"""Client grants: which client may request tokens for which API, and with which scopes."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import Resource, prefixed
from auth0_meta.emulator.rules.schema import TEXT, Field, array

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

ROUTES = CLIENT_GRANTS.routes(evidence="documented; texts open")
