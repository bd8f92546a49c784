"""A tenant's configuration in the form of auth0-deploy-cli (`tenant.yaml`): read it and apply it.

Each item becomes the requests that auth0-deploy-cli would send, without going through the pipeline, so it is checked by the
same rules and stored in the same way as what the Management API makes.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from auth0_meta.emulator.api.client_grants import CLIENT_GRANTS
from auth0_meta.emulator.api.clients import CLIENTS
from auth0_meta.emulator.api.connections import CONNECTIONS
from auth0_meta.emulator.api.crud import Document, Resource
from auth0_meta.emulator.api.organizations import ORGANIZATIONS
from auth0_meta.emulator.api.resource_servers import APIS
from auth0_meta.emulator.api.roles import ROLES
from auth0_meta.emulator.api.route import MANAGEMENT_ROOT
from auth0_meta.emulator.control.seed_files import as_plain, explained, parse_yaml
from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Call, Request, to_json
from auth0_meta.emulator.routes import find
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.errors import ConfigError, InputError, MetadataWarning
from auth0_meta.files.paths import read_file

_MOST = 16 * 1024 * 1024
_IF_NEW = "the client_secret of a new client"
_NOT_SERVED = frozenset(
    [
        "actionModules",
        "actions",
        "attackProtection",
        "branding",
        "clientAuthCredentials",
        "connectionProfiles",
        "customDomains",
        "emailProvider",
        "emailTemplates",
        "eventStreams",
        "exclude",
        "flows",
        "flowVaultConnections",
        "forms",
        "guardianFactorProviders",
        "guardianFactors",
        "guardianFactorTemplates",
        "guardianPhoneFactorMessageTypes",
        "guardianPhoneFactorSelectedProvider",
        "guardianPolicies",
        "hooks",
        "include",
        "logStreams",
        "networkACLs",
        "pages",
        "phoneProviders",
        "phoneTemplates",
        "prompts",
        "rateLimitPolicies",
        "riskAssessment",
        "rules",
        "rulesConfigs",
        "selfServiceProfiles",
        "supplementalSignals",
        "themes",
        "tokenExchangeProfiles",
        "triggers",
        "userAttributeProfiles",
    ]
)
"""The sections that auth0-deploy-cli 8 knows and that the emulator does not serve."""


@attrs.frozen
class Config:
    """A configuration that was read: `name` is for messages, `sections` hold lists of items, and `tenant` the settings."""

    name: str
    sections: dict[str, list[Document]] = attrs.field(repr=False)
    tenant: Document = attrs.field(repr=False)


# Reading ------------------------------------------------------------------------------------------------------


def read_config(source: str | os.PathLike[str] | Mapping[str, Any]) -> Config:
    """Read a YAML or JSON file, with its keywords replaced, or a mapping of the same form.

    Raises `ConfigError`, which names the section, item and key that is wrong, but no value.  Sections that are not
    served cause a `MetadataWarning` if there is anything in them.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _checked("config", source)
    path = Path(source)
    try:
        with explained(path, "the configuration"):
            text = _with_keywords(read_file(path, most=_MOST).decode("utf-8-sig"), _keywords())
            parsed = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except InputError as error:
        raise ConfigError(str(error)) from None
    return _checked(str(path), parsed)


def _keywords() -> dict[str, Any]:
    """Return what keywords stand for, as auth0-deploy-cli takes it: the environment, over a JSON object in one variable."""
    text = os.environ.get("AUTH0_KEYWORD_REPLACE_MAPPINGS", "")
    try:
        mappings = json.loads(text) if text else {}
    except ValueError:
        mappings = None
    if not isinstance(mappings, dict):
        raise ConfigError("AUTH0_KEYWORD_REPLACE_MAPPINGS is not a JSON object")
    return {**mappings, **os.environ}


def _with_keywords(text: str, mappings: Mapping[str, Any]) -> str:
    r"""Replace `##NAME##` by the text and `@@NAME@@`, quoted or not, by the JSON of what the name stands for.

    >>> _with_keywords("a: ##A##-x\nb: @@B@@", {"A": "1", "B": ["2", 3]})
    'a: 1-x\nb: ["2", 3]'
    """

    def value(found: re.Match[str]) -> Any:
        if found["name"] not in mappings:
            line = text.count("\n", 0, found.start()) + 1
            msg = f"the keyword {found['name']} on line {line} has no value: set it in the environment"
            raise ConfigError(msg)
        return mappings[found["name"]]

    def plain(found: re.Match[str]) -> str:
        known = value(found)
        return known if isinstance(known, str) else json.dumps(known)

    text = re.sub(r"""["']?@@(?P<name>\w+)@@["']?""", lambda found: json.dumps(value(found)), text)
    return re.sub(r"##(?P<name>\w+)##", plain, text)


def _checked(name: str, value: Any) -> Config:
    """Return a configuration whose sections have the right shape."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: expected sections such as clients and roles")
    try:
        plain = as_plain(dict(value), name)
    except InputError as error:
        raise ConfigError(str(error)) from None
    unknown = [section for section in plain if section not in (*_MAKERS, "tenant", *_NOT_SERVED)]
    for section in unknown:
        near = difflib.get_close_matches(section, [*_MAKERS, "tenant"], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{name}: {section} is not a section of auth0-deploy-cli's tenant.yaml{hint}")
    left_out = [section for section in plain if section in _NOT_SERVED and _has_content(plain[section])]
    if left_out:
        msg = f"{name}: the local tenant does not serve {', '.join(left_out)}: left out"
        warnings.warn(msg, MetadataWarning, stacklevel=5)
    sections = {section: plain[section] or [] for section in _MAKERS if section in plain}
    for section, items in sections.items():
        if not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            raise ConfigError(f"{name}: {section} is not a list of objects")
        _refuse_repeated(name, section, items)
    tenant = plain.get("tenant") or {}
    if not isinstance(tenant, dict):
        raise ConfigError(f"{name}: tenant is not an object")
    for client in sections.get("clients", ()):
        # Here, so that a new client has the same secret after each reset.
        client[_IF_NEW] = secrets.token_urlsafe(48)
    return Config(name, sections, tenant)


def _refuse_repeated(name: str, section: str, items: list[Document]) -> None:
    """Refuse two items with one name or id, as auth0-deploy-cli does: the second would replace the first."""
    for attribute in () if section == "clientGrants" else ("name", "identifier", "client_id", "id"):
        known = set()
        for number, item in enumerate(items, 1):
            value = item.get(attribute)
            if isinstance(value, str) and value in known:
                raise ConfigError(
                    f"{name}: {section}, item {number}: an earlier one has the same {attribute}"
                )
            known.add(str(value))


def _has_content(value: Any) -> bool:
    """Return whether there is anything in a section besides empty lists and objects and settings that are off."""
    if isinstance(value, dict):
        return any(map(_has_content, value.values()))
    return any(map(_has_content, value)) if isinstance(value, list) else bool(value)


# Applying it --------------------------------------------------------------------------------------------------


def apply_config(state: TenantState, config: Config) -> None:
    """Create each item of a configuration, or update the one with the same name: all of them or none.

    Raises `ConfigError` for what the Management API would refuse, with its reason.
    """
    with state.users.transaction():
        for section, make in _MAKERS.items():
            for number, item in enumerate(config.sections.get(section, ()), 1):
                label = next((item[key] for key in ("name", "identifier", "client_id") if item.get(key)), "")
                where = f"{section}, item {number}{f' ({label})' if isinstance(label, str) and label else ''}"
                _attempt(config.name, where, partial(make, state, dict(item)))
        if config.tenant:
            _attempt(config.name, "tenant", partial(_send, state, "PATCH", "tenants/settings", config.tenant))


def _attempt(name: str, where: str, make: Callable[[], object]) -> None:
    try:
        make()
    except Refusal as refusal:
        raise ConfigError(f"{name}: {where}: {refusal.body.get('message')}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(f"{name}: {where}: it has a value of the wrong type, or lacks one") from None


def _send(state: TenantState, method: str, path: str, body: Any) -> Any:
    """Carry out a request to the Management API without its pipeline, and return what it responds."""
    found = find(method, MANAGEMENT_ROOT + path)
    if found is None:  # pragma: no cover  # every path here is served
        raise LookupError(path)
    route, params = found
    request = Request(method, MANAGEMENT_ROOT + path, {}, to_json(body))
    call = Call(request, state.now(), template=route.template, params=params)
    call.body = route.body.read(request, state.switches) if route.body else None
    reply = route.handler(state, call)
    return json.loads(reply.body) if reply.body else None


def _put(state: TenantState, resource: Resource, item: Document, *known_by: str) -> Document:
    """Create an item, or update the one with the same id or the same `known_by`; returns it as it is stored."""
    documents, before = state.resources.of(resource.name), _known(state, resource, item, known_by)
    key = item.pop(resource.id_name, None)
    if key is not None and not (isinstance(key, str) and key):
        raise TypeError
    if before is not None:
        body = {name: value for name, value in item.items() if name not in resource.fixed}
        _send(state, "PATCH", f"{resource.name}/{quote(before[resource.id_name], safe='')}", body)
        return documents[before[resource.id_name]]
    made: Document = documents[_send(state, "POST", resource.name, item)[resource.id_name]]
    if key is not None:
        del documents[made[resource.id_name]]
        made = documents[key] = {**made, resource.id_name: key}
    return made


def _known(
    state: TenantState, resource: Resource, item: Document, known_by: Sequence[str]
) -> Document | None:
    """Return the document that an item is about, by its id or else by its name, None if there is none."""
    documents, key = state.resources.of(resource.name), item.get(resource.id_name)
    if key in documents:
        return documents[str(key)]
    same = {name: item.get(name) for name in known_by}
    # The first of them is a text, or the item will be refused.
    found = documents.find(known_by[0], str(same[known_by[0]])) if key is None else []
    return next((one for one in found if {name: one.get(name) for name in same} == same), None)


def _client_id(state: TenantState, name: Any) -> Any:
    """Return the id of the client with this name; anything else is returned as it is, as it may be an id."""
    found = CLIENTS.find_by(state, "name", name)
    return name if found is None else found["client_id"]


def _api(state: TenantState, item: Document) -> None:
    _put(
        state,
        APIS,
        {name: item[name] for name in item if name not in ("is_system", "client_id")},
        "identifier",
    )


def _client(state: TenantState, item: Document) -> None:
    secret = item.pop(_IF_NEW)
    if _known(state, CLIENTS, item, ["name"]) is None:
        item.setdefault("client_secret", secret)
    _put(state, CLIENTS, item, "name")


def _database(state: TenantState, item: Document) -> None:
    _connection(state, {"strategy": "auth0", **item})


def _connection(state: TenantState, item: Document) -> None:
    if "enabled_clients" in item:
        item["enabled_clients"] = [_client_id(state, name) for name in item["enabled_clients"]]
    _put(state, CONNECTIONS, item, "name")


def _role(state: TenantState, item: Document) -> None:
    permissions = item.pop("permissions", None) or []
    role = _put(state, ROLES, item, "name")
    if permissions:
        _send(state, "POST", f"roles/{role['id']}/permissions", {"permissions": permissions})


def _client_grant(state: TenantState, item: Document) -> None:
    item.pop("is_system", None)
    item["client_id"] = _client_id(state, item.get("client_id"))
    if item["client_id"] not in state.resources.of(CLIENTS.name):
        raise Refusal(400, {"message": "client_id is not the name or id of a client"})
    _put(state, CLIENT_GRANTS, item, "client_id", "audience", "subject_type")


def _organization(state: TenantState, item: Document) -> None:
    connections, grants = item.pop("connections", None) or [], item.pop("client_grants", None) or []
    for name in ("clients", "discovery_domains"):
        if item.pop(name, None):
            raise Refusal(400, {"message": f"the local tenant does not serve {name} of organizations"})
    organization = _put(state, ORGANIZATIONS, item, "name")
    path = f"{ORGANIZATIONS.name}/{organization['id']}"
    for each in connections:
        body = dict(each)
        connection = CONNECTIONS.find_by(state, "name", body.pop("name", ""))
        if connection is None:
            raise Refusal(400, {"message": "connections has a name that no connection has"})
        _send(state, "POST", f"{path}/connections", {"connection_id": connection["id"], **body})
    for each in grants:
        client_id = _client_id(state, each.get("client_id"))
        found = CLIENT_GRANTS.find_by(state, "client_id", client_id)
        if found is None:
            raise Refusal(400, {"message": "client_grants has a client that has no client grant"})
        _send(state, "POST", f"{path}/client-grants", {"grant_id": found["id"]})


# In this order, each may refer to what was made before it.
_MAKERS = {
    "resourceServers": _api,
    "clients": _client,
    "databases": _database,
    "connections": _connection,
    "clientGrants": _client_grant,
    "roles": _role,
    "organizations": _organization,
}
