"""Which pages' scripts may call the tenant (CORS): those on loopback, and those of origins that a client lists.

The Management API is open to them only in a strict tenant: any other accepts whatever token a page makes up.
Source: Auth0 docs, "Configure Cross-Origin Resource Sharing".
"""

from __future__ import annotations

import re

from auth0_meta.emulator.api.route import MANAGEMENT_ROOT
from auth0_meta.emulator.http.errors import refused
from auth0_meta.emulator.http.message import Reply, Request
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.rules.loopback import is_loopback_url
from auth0_meta.emulator.state.tenant_state import TenantState

_OPEN = ("/oauth/", "/userinfo", "/.well-known/", "/dbconnections/")
_METHODS = "GET, POST, PUT, PATCH, DELETE"
_READABLE = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, WWW-Authenticate"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9_, -]{1,1000}")
_SECONDS = "600"


def trusted_origin(state: TenantState, request: Request) -> str | None:
    """Return the origin of a request if its scripts may send it and read the response, else None."""
    origin = request.headers.get("origin")
    if origin is None or not _is_open(state, request):
        return None
    if is_loopback_url(origin, origin=True):
        return origin
    clients = [*state.resources.of("clients").values()]
    return origin if any(Application.of(client).allows_origin(origin) for client in clients) else None


def preflight(state: TenantState, request: Request) -> Reply:
    """Respond to a browser's preflight request; the request that follows shows whether a route serves it."""
    if trusted_origin(state, request) is None:
        message = "Scripts of this origin may not call this: list it in `allowed_origins` of a client"
        strict = " of a strict tenant" if request.path.startswith(MANAGEMENT_ROOT) else ""
        raise refused(403, f"{message}{strict}.")
    headers = [("Access-Control-Allow-Methods", _METHODS), ("Access-Control-Max-Age", _SECONDS)]
    names = request.headers.get("access-control-request-headers", "")
    if _HEADER_NAMES.fullmatch(names):
        headers.append(("Access-Control-Allow-Headers", names))
    return Reply(204, headers=tuple(headers))


def cors_headers(state: TenantState, request: Request) -> list[tuple[str, str]]:
    """Return the headers with which a browser lets a trusted origin's script read the response; no cookie is involved."""
    if not _is_open(state, request):
        return []
    origin = trusted_origin(state, request)
    vary = [("Vary", "Origin")]
    if origin is None:
        return vary
    return [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _READABLE), *vary]


def _is_open(state: TenantState, request: Request) -> bool:
    return request.path.startswith(_OPEN) or (
        state.access.strict and request.path.startswith(MANAGEMENT_ROOT)
    )
