"""Clients: applications, as the Management API stores them."""

from __future__ import annotations

from auth0_meta.emulator.api.crud import Resource, merged

CLIENTS = Resource(
    name="clients",
    called="client",
    id_name="client_id",
    new_id=lambda state: state.new_id("") + state.new_id(""),
    required=("name",),
    error_code="inexistent_client",
    bag="client_metadata",
    most=10,
    rule=lambda switches: merged,
)

ROUTES = CLIENTS.routes(evidence="recorded")
