"""Clients: applications, as the Management API stores them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auth0_meta.emulator.api.crud import Document, Resource, merged
from auth0_meta.emulator.http.message import Call
from auth0_meta.emulator.rules.application import LOCAL


def _shown(call: Call, document: Document) -> Document:
    """Return a client as responses show it: without what only this tenant knows, and without keys."""
    shown = {name: value for name, value in document.items() if name != LOCAL}
    if "client_authentication_methods" in shown:
        shown["client_authentication_methods"] = _without_keys(shown["client_authentication_methods"])
    return shown


def _without_keys(value: Any) -> Any:
    """Return the ways in which a client authenticates, with the ids of its keys only."""
    if isinstance(value, list):
        return [_without_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {"id": value["id"]} if "pem" in value else {name: _without_keys(value[name]) for name in value}


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
    forbidden=(LOCAL,),
    view=_shown,
)


def client_document(
    client_id: str,
    *,
    client_secret: str | None = None,
    public_key: str | None = None,
    scopes: Iterable[str] | None = None,
    callbacks: Iterable[str] | None = None,
    logout_urls: Iterable[str] | None = None,
    lenient: bool = False,
) -> Document:
    """Return the document of a client that Python code registers; what is None is absent, and so not enforced."""
    document: Document = {
        "client_id": client_id,
        "name": client_id,
        LOCAL: {"lenient": lenient, "scopes": None if scopes is None else list(scopes)},
    }
    if client_secret is not None:
        document["client_secret"] = client_secret
    if public_key is not None:
        key = {"id": f"cred_{client_id}", "credential_type": "public_key", "pem": public_key}
        document["client_authentication_methods"] = {"private_key_jwt": {"credentials": [key]}}
    if callbacks is not None:
        document["callbacks"] = list(callbacks)
    if logout_urls is not None:
        document["allowed_logout_urls"] = list(logout_urls)
    return document


ROUTES = CLIENTS.routes(evidence="recorded")
