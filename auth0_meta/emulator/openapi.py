"""Describe the routes that are served in OpenAPI 3, for tools that read it or try to break it."""

from __future__ import annotations

import re
from typing import Any

from auth0_meta._version import __version__
from auth0_meta.emulator.routes import ROUTES, Route

Schema = dict[str, Any]


def _object(properties: dict[str, Schema], *required: str, closed: bool = True) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema | {"additionalProperties": False} if closed else schema


_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_BAG: Schema = {"type": "object"}
_NAME: Schema = {"type": "string", "minLength": 1}
_NULLABLE: Schema = {"type": ["string", "null"]}
_CONNECTION_ID: Schema = {"type": "string", "pattern": "^con_[A-Za-z0-9]{16}$"}
_PROFILE = {
    **dict.fromkeys(("email", "phone_number", "username", "password"), _NULLABLE),
    **dict.fromkeys(("name", "nickname", "given_name", "family_name", "picture"), _NULLABLE),
    **dict.fromkeys(("blocked", "email_verified", "phone_verified", "verify_email"), _BOOLEAN),
    **dict.fromkeys(("user_metadata", "app_metadata"), _BAG),
    "connection": _STRING,
}
_PASSING: dict[str, Schema] = {
    name: schema if schema is not _NULLABLE else _STRING for name, schema in _PROFILE.items()
}
_FIELD = _object(
    {"name": {"type": "string", "maxLength": 100}, "export_as": {"type": "string", "maxLength": 100}}, "name"
)
_BODIES: dict[str, tuple[str, Schema]] = {
    "POST /api/v2/users": (
        "application/json",
        _object(
            {**_PASSING, "user_id": {"type": "string", "pattern": r"^\S*$", "maxLength": 255}}, "connection"
        ),
    ),
    "PATCH /api/v2/users/{id}": (
        "application/json",
        _object({**_PROFILE, "verify_phone_number": _BOOLEAN, "client_id": _STRING}),
    ),
    "POST /api/v2/jobs/users-imports": (
        "multipart/form-data",
        _object(
            {
                "users": {"type": "string", "format": "binary"},
                "connection_id": _CONNECTION_ID,
                "upsert": _BOOLEAN,
                "external_id": _STRING,
                "send_completion_email": _BOOLEAN,
            },
            "users",
            "connection_id",
        ),
    ),
    "POST /api/v2/jobs/users-exports": (
        "application/json",
        _object(
            {
                "connection_id": _CONNECTION_ID,
                "format": {"type": "string", "enum": ["json", "csv"]},
                "limit": {"type": "integer", "minimum": 1},
                "fields": {"type": "array", "items": _FIELD},
            }
        ),
    ),
    "POST /api/v2/jobs/verification-email": (
        "application/json",
        _object(
            {"user_id": _STRING, "client_id": _STRING, "identity": _BAG, "organization_id": _STRING},
            "user_id",
        ),
    ),
    "POST /oauth/token": (
        "application/json",
        _object(
            dict.fromkeys(("grant_type", "client_id", "client_secret", "audience", "scope"), _STRING),
            "grant_type",
            closed=False,
        ),
    ),
}
_IDS = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
_PERMISSIONS = _object(
    {
        "permissions": {
            "type": "array",
            "minItems": 1,
            "items": _object(
                dict.fromkeys(("resource_server_identifier", "permission_name"), _STRING),
                *("resource_server_identifier", "permission_name"),
                closed=False,
            ),
        }
    },
    "permissions",
)
_TICKET = {
    **dict.fromkeys(("user_id", "result_url", "client_id", "organization_id"), _STRING),
    "ttl_sec": {"type": "integer"},
    "includeEmailInRedirect": _BOOLEAN,
    "identity": _BAG,
}
_SIGN_UP = dict.fromkeys(("client_id", "email", "password", "connection"), _STRING)
_SIGN_UP_ONLY = {
    **dict.fromkeys(("username", "given_name", "family_name", "name", "nickname", "picture"), _STRING),
    "user_metadata": {"type": "object", "additionalProperties": _STRING, "maxProperties": 10},
}


def _json(schema: Schema, *paths: str, methods: tuple[str, ...] = ("POST",)) -> dict[str, tuple[str, Schema]]:
    return {f"{method} {path}": ("application/json", schema) for path in paths for method in methods}


def _named(*required: str, bag: str | None = None) -> Schema:
    """Describe a resource of which any attribute is kept."""
    bags = {bag: {"type": ["object", "null"]}} if bag else {}
    return _object({**dict.fromkeys(required, _NAME), **bags}, *required, closed=False)


_METHOD = {
    **dict.fromkeys(("type", "name", "totp_secret", "phone_number", "email"), _STRING),
    "preferred_authentication_method": {"type": "string", "enum": ["sms", "voice"]},
}
_KEY = {
    **dict.fromkeys(("key_id", "public_key", "aaguid", "relying_party_identifier"), _STRING),
    **dict.fromkeys(("credential_device_type", "identity_user_id", "user_agent", "user_handle"), _STRING),
    "credential_backed_up": _BOOLEAN,
    "transports": {"type": "array", "items": _STRING},
}
_ENABLED = dict.fromkeys(("assign_membership_on_login", "show_as_button", "is_signup_enabled"), _BOOLEAN)
_BOTH = ("POST", "DELETE")
_BODIES |= {
    **_json(_named("name", bag="client_metadata"), "/api/v2/clients"),
    **_json(_named("name", bag="metadata"), "/api/v2/organizations"),
    **_json(_named("name", "strategy", bag="metadata"), "/api/v2/connections"),
    **_json(_named("name"), "/api/v2/roles"),
    **_json(_named("identifier"), "/api/v2/resource-servers"),
    **_json(
        _object({"roles": _IDS}, "roles"),
        "/api/v2/users/{id}/roles",
        "/api/v2/organizations/{id}/members/{user_id}/roles",
        methods=_BOTH,
    ),
    **_json(_object({"users": _IDS}, "users"), "/api/v2/roles/{id}/users"),
    **_json(_object({"members": _IDS}, "members"), "/api/v2/organizations/{id}/members", methods=_BOTH),
    **_json(_PERMISSIONS, "/api/v2/users/{id}/permissions", "/api/v2/roles/{id}/permissions", methods=_BOTH),
    **_json(
        _object(
            {
                **dict.fromkeys(("provider", "connection_id", "link_with"), _STRING),
                "user_id": {"type": ["string", "integer"]},
            }
        ),
        "/api/v2/users/{id}/identities",
    ),
    **_json(_object({**_METHOD, **_KEY}, "type"), "/api/v2/users/{id}/authentication-methods"),
    **_json(
        {"type": "array", "items": _object(_METHOD, "type")},
        "/api/v2/users/{id}/authentication-methods",
        methods=("PUT",),
    ),
    **_json(
        _object({name: _METHOD[name] for name in ("name", "preferred_authentication_method")}),
        "/api/v2/users/{id}/authentication-methods/{method_id}",
        methods=("PATCH",),
    ),
    **_json(
        _object({"connection_id": _STRING, **_ENABLED}, "connection_id"),
        "/api/v2/organizations/{id}/enabled_connections",
    ),
    **_json(
        _object(_ENABLED),
        "/api/v2/organizations/{id}/enabled_connections/{connection_id}",
        methods=("PATCH",),
    ),
    **_json(_object(_TICKET, "user_id"), "/api/v2/tickets/email-verification"),
    **_json(
        _object({**_TICKET, "email": _STRING, "connection_id": _STRING, "mark_email_as_verified": _BOOLEAN}),
        "/api/v2/tickets/password-change",
    ),
    **_json(
        _object({**_SIGN_UP, **_SIGN_UP_ONLY}, "email", "password", "connection", closed=False),
        "/dbconnections/signup",
    ),
    **_json(_object(_SIGN_UP, "email", "connection", closed=False), "/dbconnections/change_password"),
}
_PAGES: dict[str, Schema] = {
    "page": {"type": "integer", "minimum": 0},
    "per_page": {"type": "integer", "minimum": 0, "maximum": 100},
    "include_totals": _BOOLEAN,
}
_TAKE: dict[str, Schema] = {"take": {"type": "integer", "minimum": 1, "maximum": 100}, "from": _STRING}
_FIELDS = {"fields": _STRING, "include_fields": _BOOLEAN}
_QUERIES: dict[str, dict[str, Schema]] = {
    "GET /api/v2/users": {
        "page": {"type": "integer", "minimum": 0},
        "per_page": {"type": "integer", "minimum": 0, "maximum": 100},
        "include_totals": _BOOLEAN,
        "sort": {"type": "string", "pattern": "^[A-Za-z0-9_]+:(1|-1)$"},
        "q": _STRING,
        "search_engine": {"type": "string", "enum": ["v3"]},
        "primary_order": _BOOLEAN,
        **_FIELDS,
    },
    "GET /api/v2/users/{id}": _FIELDS,
    "GET /api/v2/users-by-email": {"email": _STRING, **_FIELDS},
    **{
        f"GET {path}": {**_PAGES, **_TAKE, **_FIELDS}
        for path in (
            *("/api/v2/clients", "/api/v2/organizations", "/api/v2/resource-servers"),
            *("/api/v2/organizations/{id}/members", "/api/v2/roles/{id}/users"),
        )
    },
    "GET /api/v2/connections": {**_PAGES, **_TAKE, **_FIELDS, "name": _STRING, "strategy": _STRING},
    "GET /api/v2/roles": {**_PAGES, **_TAKE, **_FIELDS, "name_filter": _STRING},
    "GET /api/v2/logs": {**_PAGES, **_TAKE, **_FIELDS, "q": _STRING},
    **{
        f"GET {path}": _PAGES
        for path in (
            *("/api/v2/users/{id}/roles", "/api/v2/users/{id}/permissions", "/api/v2/users/{id}/logs"),
            *("/api/v2/users/{id}/organizations", "/api/v2/users/{id}/authentication-methods"),
            "/api/v2/organizations/{id}/enabled_connections",
            *("/api/v2/roles/{id}/permissions", "/api/v2/organizations/{id}/members/{user_id}/roles"),
        )
    },
    "GET /api/v2/users/{id}/sessions": _TAKE,
    **{f"GET /api/v2/{name}/{{id}}": _FIELDS for name in ("clients", "organizations", "connections")},
    "GET /api/v2/user-blocks": {"identifier": _STRING},
    "DELETE /api/v2/user-blocks": {"identifier": _STRING},
    "DELETE /api/v2/connections/{id}/users": {"email": _STRING},
    "GET /exports/{id}/{file}": {"Expires": _STRING, "Signature": _STRING},
}
_REQUIRED = frozenset(("email", "identifier", "Expires", "Signature"))


def describe(url: str) -> dict[str, Any]:
    """Return the OpenAPI document of what is served at `url`.

    >>> sorted(describe("http://127.0.0.1:8810")["paths"]["/api/v2/users/{id}"])
    ['delete', 'get', 'patch']
    """
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "auth0-meta local tenant", "version": __version__},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route) -> dict[str, Any]:
    key = f"{route.method} {route.template}"
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.template)
    ]
    parameters += [
        {"name": name, "in": "query", "required": name in _REQUIRED, "schema": schema}
        for name, schema in _QUERIES.get(key, {}).items()
    ]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", key.lower()).strip("_"),
        "summary": (route.answer.__doc__ or "").partition("\n")[0],
        "parameters": parameters,
        "responses": {"default": {"description": "Auth0's answer or its refusal."}},
    }
    if route.method in ("POST", "PUT", "PATCH") or key in _BODIES:
        kind, schema = _BODIES.get(key, ("application/json", _object({}, closed=False)))
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    if route.management:
        operation["security"] = [{"bearer": list(route.scopes)}]
    return operation
