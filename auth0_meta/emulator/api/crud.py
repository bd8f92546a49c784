"""Serve clients, organizations, connections, roles and APIs: each has rules of its own for its metadata.

An answer holds the id and what was written, of Auth0's many defaults only those of an API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.query import projection
from auth0_meta.emulator.http.errors import Refusal, bad_request, payload_error, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules.schema import parse_object, type_name
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.tenant_state import TenantState

Bag = dict[str, Any]
_LONGEST = 255
_ACCEPTED = 202


def merged(before: Bag | None, change: Bag | None) -> Bag | None:
    """Write client_metadata: keys merge, null deletes and leaves `{}`, `{}` clears to `{}` (28 recorded).

    >>> merged({"a": "1", "b": "2"}, {"a": None, "c": "3", "unknown": None})
    {'b': '2', 'c': '3'}
    >>> merged({"a": "1"}, {"a": None}), merged({"a": "1"}, {})
    ({}, {})
    """
    if not change:
        return {}
    after = {**(before or {}), **change}
    return {name: value for name, value in after.items() if value is not None}


def replaced(before: Bag | None, change: Bag | None) -> Bag | None:
    """Write an organization's metadata: it is replaced whole, `{}` and null take it away (25 recorded).

    >>> replaced({"a": "1"}, {"b": "2"}), replaced({"a": "1"}, {}), replaced({"a": "1"}, None)
    ({'b': '2'}, None, None)
    """
    kept = {name: value for name, value in (change or {}).items() if value is not None}
    return kept or None


def _connection_rule(switches: Switches) -> Callable[[Bag | None, Bag | None], Bag | None]:
    return merged if switches.connection_metadata == "merge" else replaced


@attrs.frozen
class Resource:
    """Describe one resource: its metadata's name and rule (None: it has none), its id, what a new one needs.

    `unique` is the attribute that no two may share, `fixed` are those that PATCH may not name, `created`
    and `deleted` the statuses as recorded (200 with `{}` for roles, 202 for connections), `filters` the query parameters that
    pick, by the attribute that each is about.  `alias` is an attribute by which the path may name one too,
    `defaults` are shown where nothing was given, and `null_removes` tells whether null takes an attribute away.
    """

    name: str
    id_name: str
    id_prefix: str
    required: tuple[str, ...]
    error_code: str | None
    bag: str | None = None
    most: int = 0
    rule: Callable[[Switches], Callable[[Bag | None, Bag | None], Bag | None]] = lambda _: replaced
    unique: str | None = None
    conflict: tuple[str, str | None] = ("", None)
    fixed: tuple[str, ...] = ()
    created: int = 201
    deleted: int = 204
    filters: tuple[tuple[str, str], ...] = ()
    called: str = ""
    alias: str | None = None
    defaults: tuple[tuple[str, Any], ...] = ()
    null_removes: bool = False

    @property
    def scope(self) -> str:
        """Return the name in scopes and envelopes."""
        return self.name.replace("-", "_")

    def create(self, state: TenantState, call: Call) -> Reply:
        """Answer POST of a collection: 201, 200 for a role (recorded)."""
        body = self._body(state, call)
        missing = [name for name in self.required if name not in body]
        if missing:
            raise payload_error(f"Missing required property: {missing[0]}")
        call.run_hooks()
        with state.resources.lock:
            self._check_unique(state, body, None)
            key = self._new_key(state)
            document = self._written(state, {self.id_name: key}, body)
            state.resources.of(self.name)[key] = document
        return Reply(self.created, to_json(document), committed=True)

    def get(self, state: TenantState, call: Call) -> Reply:
        """Answer GET of one: 200."""
        pick = projection(call.request.query)
        call.run_hooks()
        document = self.found(state, call)
        return Reply(200, to_json(pick(document) if pick else document))

    def update(self, state: TenantState, call: Call) -> Reply:
        """Answer PATCH of one: 200 and the whole of it."""
        body = self._body(state, call)
        fixed = [name for name in self.fixed if name in body]
        if fixed:
            raise payload_error(f"Additional properties not allowed: {','.join(fixed)}")
        call.run_hooks()
        with state.resources.lock:
            before = self.found(state, call)
            self._check_unique(state, body, before)
            document = self._written(state, before, body)
            state.resources.of(self.name)[document[self.id_name]] = document
        return Reply(200, to_json(document), committed=True)

    def delete(self, state: TenantState, call: Call) -> Reply:
        """Answer DELETE of one: 204, 200 and `{}` for a role (recorded), also where there is none.

        A connection's is 202 and the moment (recorded).  Open: where there is none; here 204.
        """
        call.run_hooks()
        with state.resources.lock:
            gone = self._sought(state, call.params["id"])
            if gone is not None:
                del state.resources.of(self.name)[gone[self.id_name]]
                state.resources.forget(gone[self.id_name])
        if self.deleted == _ACCEPTED:
            if gone is None:
                return Reply(204)
            return Reply(_ACCEPTED, to_json({"deleted_at": iso(state.milliseconds())}), committed=True)
        return Reply(self.deleted, b"{}", committed=gone is not None)

    def list(self, state: TenantState, call: Call) -> Reply:
        """Answer GET of a collection: an array, the totals envelope, or checkpoints."""
        call.run_hooks()
        with state.resources.lock:
            every = list(state.resources.of(self.name).values())
        for parameter, attribute in self.filters:
            if parameter in call.request.query:
                sought = call.request.query[parameter]
                every = [one for one in every if _fits(one.get(attribute), sought, parameter)]
        return listed(call, self.scope, every, switches=state.switches, checkpoints=True)

    def found(self, state: TenantState, call: Call) -> Bag:
        """Return the one that the path names, or refuse with 404."""
        return self.one(state, call.params["id"])

    def one(self, state: TenantState, key: str) -> Bag:
        """Return one by its id, or refuse with 404."""
        document = self._sought(state, key)
        if document is None:
            # Recorded for roles, without an errorCode; the wording of the others follows it.
            raise Refusal(404, problem(404, f"The {self.called} does not exist.", self.error_code))
        return document

    def _sought(self, state: TenantState, key: str) -> Bag | None:
        """Return one by its id or its alias, None where there is none."""
        kept = state.resources.of(self.name)
        if self.alias is None or key in kept:
            return kept.get(key)
        return next((one for one in list(kept.values()) if one[self.alias] == key), None)

    def _new_key(self, state: TenantState) -> str:
        if self.id_prefix:
            return state.new_id(self.id_prefix)
        return state.new_id("") + state.new_id("") if self.id_name == "client_id" else state.new_object_id()

    def _check_unique(self, state: TenantState, body: Bag, before: Bag | None) -> None:
        if self.unique is None or self.unique not in body:
            return
        value = body[self.unique]
        for other in state.resources.of(self.name).values():
            if other is not before and other.get(self.unique) == value:
                raise Refusal(409, problem(409, *self.conflict))

    def _body(self, state: TenantState, call: Call) -> Bag:
        body = parse_object(call.request.body, switches=state.switches)
        call.body = body
        if self.id_name in body:
            raise payload_error(f"Additional properties not allowed: {self.id_name}")
        for name in self.required:
            if name in body and not isinstance(body[name], str):
                raise payload_error(f"Expected type string but found type {type_name(body[name])}", name)
            if body.get(name) == "":
                raise payload_error("String is too short (0 chars), minimum 1", name)
        if self.bag is not None:
            self._check(body.get(self.bag), self.bag)
        try:
            to_json([{self.name: [body]}])  # as deep as any list will show it
        except ValueError:
            raise payload_error("A number is out of range") from None
        except RecursionError:
            raise bad_request("Invalid request payload JSON format", None) from None
        # The journal keeps the body, and what it shows must not be what is stored.
        return parse_object(call.request.body, switches=state.switches)

    def _check(self, bag: Any, where: str) -> None:
        """Refuse metadata past the documented limits; the wording is not sourced."""
        if bag is None:
            return
        if not isinstance(bag, dict):
            raise payload_error(f"Expected type object but found type {type_name(bag)}", where)
        self._check_count(bag, where)
        for name, value in bag.items():
            if value is not None and not isinstance(value, str):
                raise payload_error(f"Expected type string but found type {type_name(value)}", where)
            for text in (name, value or ""):
                if len(text) > _LONGEST:
                    raise payload_error(f"String is too long ({len(text)} chars), maximum {_LONGEST}", where)

    def _check_count(self, bag: Bag, where: str) -> None:
        if len(bag) > self.most:
            raise payload_error(f"Too many properties defined ({len(bag)}), maximum {self.most}", where)

    def _written(self, state: TenantState, before: Bag, body: Bag) -> Bag:
        after = {**before, **{name: value for name, value in body.items() if name != self.bag}}
        if self.bag is not None and self.bag in body:
            bag = self.rule(state.switches)(before.get(self.bag), body[self.bag])
            after.pop(self.bag, None)
            if bag is not None:
                # What was there counts too: keys may be merged one by one past the limit.
                self._check_count(bag, self.bag)
                after[self.bag] = bag
        if self.null_removes:
            after = {name: value for name, value in after.items() if value is not None}
        return {self.id_name: after[self.id_name], **dict(self.defaults), **after}


def _fits(value: Any, sought: str, parameter: str) -> bool:
    """Tell whether an attribute is what a filter seeks, part of it for `name_filter` (documented)."""
    if parameter == "name_filter":
        return isinstance(value, str) and sought.casefold() in value.casefold()
    return bool(value == sought)


CLIENTS = Resource(
    name="clients",
    called="client",
    id_name="client_id",
    id_prefix="",
    required=("name",),
    error_code="inexistent_client",
    bag="client_metadata",
    most=10,
    rule=lambda _: merged,
)
ORGANIZATIONS = Resource(
    name="organizations",
    called="organization",
    id_name="id",
    id_prefix="org_",
    required=("name",),
    error_code="inexistent_organization",
    bag="metadata",
    most=25,
    unique="name",
    # That it is a 409 is documented, the wording is not sourced.
    conflict=("An organization with this name already exists.", "organization_conflict"),
)
CONNECTIONS = Resource(
    name="connections",
    called="connection",
    id_name="id",
    id_prefix="con_",
    required=("name", "strategy"),
    error_code="inexistent_connection",
    bag="metadata",
    most=10,
    rule=_connection_rule,
    unique="name",
    conflict=("A connection with the same name already exists", "conflict"),
    fixed=("name", "strategy"),
    deleted=_ACCEPTED,
    filters=(("name", "name"), ("strategy", "strategy")),
)
ROLES = Resource(
    name="roles",
    called="role",
    id_name="id",
    id_prefix="rol_",
    required=("name",),
    error_code=None,
    unique="name",
    # That it is a 409 is documented, the wording is not sourced.
    conflict=("A role with this name already exists.", None),
    created=200,
    deleted=200,
    filters=(("name_filter", "name"),),
)
APIS = Resource(
    name="resource-servers",
    called="resource server",
    id_name="id",
    id_prefix="",
    required=("identifier",),
    error_code="inexistent_resource_server",
    unique="identifier",
    # That it is a 409 is documented, the wording is not sourced.
    conflict=("A resource server with the same identifier already exists", "resource_server_conflict"),
    fixed=("identifier",),
    alias="identifier",
    # In every recorded answer about one.
    defaults=(
        ("allow_offline_access", False),
        ("skip_consent_for_verifiable_first_party_clients", False),
        ("token_lifetime", 86_400),
        ("token_lifetime_for_web", 7_200),
        ("signing_alg", "RS256"),
    ),
    null_removes=True,
)
