"""The issuer of tokens: the requested host, if it is one of the tenant's names."""

from __future__ import annotations

from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.state.tenant_state import TenantState


def base_url(state: TenantState, request: Request) -> str:
    """Return the URL that a token's `iss` begins with; as with custom domains it follows the host (documented).

    Loopback has many names, and all of them are the tenant's one URL.
    """
    scheme, _, own = state.access.url.partition("://")
    host = request.headers.get("host", "").lower()
    name = host if host in state.hosts else host.rpartition(":")[0]
    if not name or host == own or is_loopback(name.strip("[]")):
        return state.access.url
    return f"{scheme}://{host}"
