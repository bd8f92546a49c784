"""Describe the routes that are served: in OpenAPI 3 for tools, and as a page of the documentation."""

from __future__ import annotations

import re
from typing import Any

from auth0_meta._version import __version__
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.routes import ROUTES, TABLE


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
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in route.parameters
    ]
    parameters += [
        {"name": name, "in": "query", "required": field.shortest > 0, "schema": field.as_json_schema()}
        for name, field in route.query.items()
    ]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method} {route.template}".lower()).strip("_"),
        "summary": _summary(route),
        "description": f"Evidence: {route.evidence}.",
        "parameters": parameters,
        "responses": {"default": {"description": "The response, or a refusal, as Auth0 sends it."}},
    }
    if route.body is not None:
        schema = route.body.field.as_json_schema()
        operation["requestBody"] = {
            "required": True,
            "content": {route.body.content_type: {"schema": schema}},
        }
    elif route.method in ("POST", "PUT", "PATCH"):
        # Clients send `{}`, or nothing.
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    if route.management:
        operation["security"] = [{"bearer": list(route.scopes)}]
    return operation


def _summary(route: Route) -> str:
    return route.summary or (route.handler.__doc__ or "").partition("\n")[0].strip()


_PAGE = """# Routes

Every route that a local tenant serves. This page is generated from the table of routes:
`python -c "from auth0_meta.emulator.openapi import coverage; print(coverage(), end='')" > docs/emulator-routes.md`.
*Evidence* says what the response is based on, in the words of [Fidelity](emulator-fidelity.md). *Bucket* is the rate-limit
bucket that a request takes a token from. A token needs any one of the *scopes*. `tenant.openapi()` returns the OpenAPI
document of the same routes, with their parameters and bodies.

| Route | What it does | Evidence | Bucket | Scopes |
|---|---|---|---|---|
"""


def coverage() -> str:
    """Return the page of the documentation that lists every route."""
    rows = [
        f"| `{route.method} {route.template}` | {_summary(route)} | {route.evidence} | {route.group or '-'} "
        f"| {', '.join(f'`{scope}`' for scope in route.scopes) or '-'} |\n"
        for route in TABLE
    ]
    return _PAGE + "".join(rows)
