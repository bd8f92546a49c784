"""Clients: applications, as the Management API stores them and as every login reads them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from auth0_meta.emulator.api.connections import CONNECTIONS, enable
from auth0_meta.emulator.api.crud import Document, Resource, merged
from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import documented, recorded
from auth0_meta.emulator.http.errors import payload_error
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.application import LOCAL
from auth0_meta.emulator.rules.schema import CHECKPOINTS, FLAG, NAME, PAGES, TEXT, Field, array
from auth0_meta.emulator.state.tenant_state import TenantState

# In recorded responses to a body of `name` alone; `callbacks` is in exports of auth0-deploy-cli.
_DEFAULTS: Document = {
    "is_first_party": True,
    "is_token_endpoint_ip_header_trusted": False,
    "oidc_conformant": False,
    "callbacks": [],
    "sso_disabled": False,
    "cross_origin_authentication": False,
    "custom_login_page_on": True,
}
_JWT = {"secret_encoded": False, "lifetime_in_seconds": 36_000}
_REFRESH = {
    "rotation_type": "non-rotating",
    "expiration_type": "non-expiring",
    "leeway": 0,
    "token_lifetime": 2_592_000,
    "idle_token_lifetime": 1_296_000,
}
# Source: Auth0 docs, "Application Grant Types".
_PUBLIC_TYPES = ("spa", "native")
_PUBLIC_GRANTS = ("authorization_code", "implicit", "refresh_token")
_METHODS = "client_authentication_methods"
_KEYS = ("client_secret", "encryption_key", "signing_key", _METHODS)
_KEY_SCOPES = frozenset(("read:client_keys", "read:client_credentials"))
_URLS = array(TEXT)


def _prepared(state: TenantState, before: Document | None, body: Document) -> Document:
    """Return a body with what Auth0 adds: to a new client its secret and defaults, to keys their ids."""
    after = dict(body)
    if before is None:
        public = body.get("app_type") in _PUBLIC_TYPES
        own: Document = {"client_secret": secrets.token_urlsafe(48), **_DEFAULTS}
        own |= {"jwt_configuration": _JWT, "refresh_token": {}}
        own["grant_types"] = [*_PUBLIC_GRANTS, *(() if public else ("client_credentials",))]
        if _METHODS not in body:
            own["token_endpoint_auth_method"] = "none" if public else "client_secret_post"
        after = own | after
    if "jwt_configuration" in after:
        after["jwt_configuration"] = {"secret_encoded": False, **after["jwt_configuration"]}
    if isinstance(after.get("refresh_token"), dict):
        after["refresh_token"] = _refresh_settings(after["refresh_token"])
    if body.get(_METHODS):
        after[_METHODS] = {
            name: {**method, "credentials": [_with_id(state, before, key) for key in method["credentials"]]}
            for name, method in body[_METHODS].items()
        }
    return after


def _refresh_settings(sent: Document) -> Document:
    """Return all settings of refresh tokens; what expires has lifetimes that count, unless the body says otherwise."""
    infinite = sent.get("expiration_type") != "expiring"
    lifetimes = {"infinite_token_lifetime": infinite, "infinite_idle_token_lifetime": infinite}
    return {**_REFRESH, **lifetimes, **sent}


def _with_id(state: TenantState, before: Document | None, key: Document) -> Document:
    """Return a key of a body as it is stored: a new one gets an id, and of a known one the body has the id only."""
    if "pem" in key:
        now = iso(state.milliseconds())
        return {"id": state.new_id("cred_", 22), **key, "created_at": now, "updated_at": now}
    for known in _keys(before or {}):
        if known["id"] == key.get("id"):
            return known
    raise payload_error("A credential has neither a pem nor the id of one that exists", _METHODS)


def _keys(document: Document) -> list[Document]:
    """Return the keys of a client."""
    methods = document.get(_METHODS) or {}
    return [key for method in methods.values() for key in method["credentials"]]


def _shown(call: Call, document: Document) -> Document:
    """Return a client as responses show it; reading its keys takes a scope of its own (documented)."""
    granted = call.grant.scopes if call.grant else None
    secret = call.request.method in ("GET", "HEAD") and not (granted is None or granted & _KEY_SCOPES)
    hidden = (LOCAL, *_KEYS) if secret else (LOCAL,)
    shown = {name: value for name, value in document.items() if name not in hidden}
    if shown.get(_METHODS):
        shown[_METHODS] = {
            name: {**method, "credentials": [_without_pem(key) for key in method["credentials"]]}
            for name, method in shown[_METHODS].items()
        }
    return shown


def _without_pem(key: Document) -> Document:
    return {name: value for name, value in key.items() if name != "pem"}


def _forget(state: TenantState, call: Call, gone: Document) -> None:
    """Delete the grants of a client that was deleted, and disable it for connections."""
    client_id = gone["client_id"]
    with state.resources.lock:
        grants = state.resources.of("client-grants")
        for key in [key for key, grant in grants.items() if grant["client_id"] == client_id]:
            del grants[key]
            state.resources.forget(key)
        for connection in [*state.resources.of(CONNECTIONS.name).values()]:
            enable(state, connection, {client_id: False})


_SECONDS = Field(type="integer", minimum=0)
_KEY = Field(type="object", properties=dict.fromkeys(("id", "pem", "name"), TEXT), closed=False)
_CREDENTIALS = Field(
    type="object", properties={"credentials": array(_KEY)}, required=("credentials",), closed=False
)
CLIENTS = Resource(
    name="clients",
    called="client",
    id_name="client_id",
    new_id=lambda state: state.new_id("") + state.new_id(""),
    required=("name",),
    fields={
        "client_secret": NAME,
        "callbacks": _URLS,
        "allowed_logout_urls": _URLS,
        "web_origins": _URLS,
        "allowed_origins": _URLS,
        "grant_types": _URLS,
        "app_type": TEXT,
        "is_first_party": FLAG,
        "oidc_conformant": FLAG,
        "jwt_configuration": Field(type="object", properties={"lifetime_in_seconds": _SECONDS}, closed=False),
        "refresh_token": Field(
            type="object",
            properties={
                "rotation_type": Field(one_of=("rotating", "non-rotating")),
                "expiration_type": Field(one_of=("expiring", "non-expiring")),
                **dict.fromkeys(("leeway", "token_lifetime", "idle_token_lifetime"), _SECONDS),
                **dict.fromkeys(("infinite_token_lifetime", "infinite_idle_token_lifetime"), FLAG),
            },
            closed=False,
            nullable=True,
        ),
        "token_endpoint_auth_method": Field(
            one_of=("none", "client_secret_post", "client_secret_basic"), nullable=True
        ),
        "organization_usage": Field(one_of=("deny", "allow", "require"), nullable=True),
        "organization_require_behavior": Field(
            one_of=("no_prompt", "pre_login_prompt", "post_login_prompt"), nullable=True
        ),
        _METHODS: Field(
            type="object",
            properties={
                "private_key_jwt": _CREDENTIALS,
                "tls_client_auth": _CREDENTIALS,
                "self_signed_tls_client_auth": _CREDENTIALS,
            },
            nullable=True,
        ),
    },
    error_code="inexistent_client",
    bag="client_metadata",
    most=10,
    rule=lambda switches: merged,
    forbidden=(LOCAL,),
    filters={"is_global": "global", "is_first_party": "is_first_party", "app_type": "app_type"},
    read_scopes="read:clients read:client_keys read:client_credentials",
    prepare=_prepared,
    view=_shown,
    after_delete=_forget,
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
        "is_first_party": True,
        LOCAL: {"lenient": lenient, "scopes": None if scopes is None else list(scopes)},
    }
    if client_secret is not None:
        document["client_secret"] = client_secret
    if public_key is not None:
        key = {"id": f"cred_{client_id}", "credential_type": "public_key", "pem": public_key}
        document[_METHODS] = {"private_key_jwt": {"credentials": [key]}}
    if callbacks is not None:
        document["callbacks"] = list(callbacks)
    if logout_urls is not None:
        document["allowed_logout_urls"] = list(logout_urls)
    return document


def rotate_secret(state: TenantState, call: Call) -> Reply:
    """Give a client a new secret; the old one is wrong from now on."""
    with state.resources.lock:
        before = CLIENTS.get_or_404(state, call.params["id"])
        after = {**before, "client_secret": secrets.token_urlsafe(48)}
        state.resources.of(CLIENTS.name)[after["client_id"]] = after
    return Reply(200, to_json(_shown(call, after)), committed=True)


def list_credentials(state: TenantState, call: Call) -> Reply:
    """List the keys with which a client authenticates, without the keys themselves."""
    document = CLIENTS.get_or_404(state, call.params["id"])
    return Reply(200, to_json([_without_pem(key) for key in _keys(document)]))


def list_connections(state: TenantState, call: Call) -> Reply:
    """List the connections that are enabled for a client."""
    client_id = CLIENTS.id_in_path(state, call)
    with state.resources.lock:
        every = list(state.resources.of(CONNECTIONS.name).values())
    return listed(
        state, call, "connections", [one for one in every if client_id in one.get("enabled_clients", ())]
    )


ROUTES = (
    *CLIENTS.routes(evidence="recorded"),
    recorded("POST", "/api/v2/clients/{id}/rotate-secret", rotate_secret, scopes="update:client_keys"),
    documented("GET", "/api/v2/clients/{id}/credentials", list_credentials, scopes="read:client_credentials"),
    recorded(
        "GET",
        "/api/v2/clients/{id}/connections",
        list_connections,
        scopes="read:connections",
        query={**PAGES, **CHECKPOINTS},
    ),
)
