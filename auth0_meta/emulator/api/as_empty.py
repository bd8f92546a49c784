"""What tools that copy a whole tenant ask for and can't go on without: answered as a tenant does that has none of it.

auth0-deploy-cli takes a 404 for most of what is not served here.  Where it gives up instead, this table has a row.
It writes settings even if there is nothing to change, so a write that changes nothing is accepted; no other is served.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import MANAGEMENT_ROOT, Route
from auth0_meta.emulator.http.errors import not_served
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.schema import CHECKPOINTS, PAGES, Body, Field
from auth0_meta.emulator.state.tenant_state import TenantState

_LISTS = (
    ("actions/actions", "actions", "read:actions"),
    ("custom-domains", "custom_domains", "read:custom_domains"),
    ("event-streams", "eventStreams", "read:event_streams"),
    ("flows", "flows", "read:flows"),
    ("flows/vault/connections", "connections", "read:flows_vault_connections"),
    ("forms", "forms", "read:forms"),
    ("log-streams", "log_streams", "read:log_streams"),
    ("prompts/rendering", "configs", "read:prompts"),
    ("rules", "rules", "read:rules"),
    ("rules-configs", "rules_configs", "read:rules_configs"),
    ("self-service-profiles", "self_service_profiles", "read:self_service_profiles"),
    ("token-exchange-profiles", "token_exchange_profiles", "read:token_exchange_profiles"),
)
_SETTINGS: tuple[tuple[str, dict[str, Any] | list[Any], str], ...] = (
    ("attack-protection/bot-detection", {}, "attack_protection"),
    ("attack-protection/breached-password-detection", {}, "attack_protection"),
    ("attack-protection/brute-force-protection", {}, "attack_protection"),
    ("attack-protection/captcha", {}, "attack_protection"),
    ("attack-protection/suspicious-ip-throttling", {}, "attack_protection"),
    ("guardian/policies", [], "mfa_policies"),
    ("prompts", {}, "prompts"),
    ("supplemental-signals", {}, "attack_protection"),
)
_DOCUMENTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("actions/triggers", {"triggers": []}, "read:actions"),
    ("branding/phone/providers", {"providers": []}, "read:phone_providers"),
    ("branding/phone/templates", {"templates": []}, "read:phone_templates"),
    ("organizations/{id}/clients", {"clients": []}, "read:organization_clients"),
    ("organizations/{id}/discovery-domains", {"domains": []}, "read:organization_discovery_domains"),
    ("prompts/{prompt}/custom-text/{language}", {}, "read:prompts"),
    ("prompts/{prompt}/partials", {}, "read:prompts"),
)


def _no_items(state: TenantState, call: Call, *, name: str) -> Reply:
    return listed(state, call, name, [])


def _empty(state: TenantState, call: Call, *, body: dict[str, Any] | list[Any]) -> Reply:
    return Reply(200, to_json(body))


def _unchanged(state: TenantState, call: Call, *, body: dict[str, Any] | list[Any]) -> Reply:
    if call.body != body:
        raise not_served(f"{call.request.method} {call.template} that changes anything")
    return Reply(200, to_json(body))


_route = partial(
    Route, evidence="open: as a tenant that has none", summary="Answer as a tenant that has none of it."
)
_write = partial(
    Route,
    evidence="open: as a tenant that has none",
    summary="Accept what changes nothing, and nothing else.",
)


def _settings(path: str, body: dict[str, Any] | list[Any], scope: str) -> tuple[Route, Route]:
    """Return the endpoints of settings that nothing can change."""
    full, method = MANAGEMENT_ROOT + path, "PUT" if isinstance(body, list) else "PATCH"
    sent = Body(Field(type="array" if isinstance(body, list) else "object"))
    return (
        _route("GET", full, partial(_empty, body=body), scopes=f"read:{scope}"),
        _write(method, full, partial(_unchanged, body=body), scopes=f"update:{scope}", body=sent),
    )


ROUTES = (
    *(route for row in _SETTINGS for route in _settings(*row)),
    # These are written without having been read: a 404 for reading them says that they are off.
    _settings("risk-assessments/settings", {"enabled": False}, "attack_protection")[1],
    *(
        _route(
            "GET",
            MANAGEMENT_ROOT + path,
            partial(_no_items, name=name),
            scopes=scope,
            query={**PAGES, **CHECKPOINTS},
        )
        for path, name, scope in _LISTS
    ),
    *(
        _route("GET", MANAGEMENT_ROOT + path, partial(_empty, body=body), scopes=scope)
        for path, body, scope in _DOCUMENTS
    ),
)
