"""Endpoints that create, list, get, update and delete documents; a `Resource` describes how each kind differs.

A response holds the id and what was written; only APIs have defaults as well, those that were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from auth0_meta.emulator.api.paging import listed, shown
from auth0_meta.emulator.api.route import MANAGEMENT_ROOT, Route
from auth0_meta.emulator.http.errors import bad_request, payload_error, refused
from auth0_meta.emulator.http.message import Call, Reply, Request, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules.schema import CHECKPOINTS, FIELDS, NAME, PAGES, TEXT, Body, Field, refuse_first
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.tenant_state import TenantState

Document = dict[str, Any]
Bag = dict[str, Any]
BagRule = Callable[[Bag | None, Bag | None], Bag | None]
_TEXT = Field(longest=255, nullable=True)


def merged(before: Bag | None, change: Bag | None) -> Bag | None:
    """Write client_metadata: keys merge, null deletes and leaves `{}`, `{}` clears to `{}` (28 recorded).

    >>> merged({"a": "1", "b": "2"}, {"a": None, "c": "3", "unknown": None})
    {'b': '2', 'c': '3'}
    >>> merged({"a": "1"}, {"a": None}), merged({"a": "1"}, {})
    ({}, {})
    """
    after = {**(before or {}), **change} if change else {}
    return {name: value for name, value in after.items() if value is not None}


def replaced(before: Bag | None, change: Bag | None) -> Bag | None:
    """Write an organization's metadata: it is replaced as a whole; `{}` and null remove it (25 recorded).

    >>> replaced({"a": "1"}, {"b": "2"}), replaced({"a": "1"}, {})
    ({'b': '2'}, None)
    """
    return {name: value for name, value in (change or {}).items() if value is not None} or None


@attrs.frozen
class _ResourceBody(Body):
    """The body of POST or PATCH: its schema, the limits on metadata, and a depth that a list can still show."""

    bag: str | None = None
    most: int = 0

    def read(self, request: Request, switches: Switches) -> Document:
        body: Document = Body.read(self, request, switches)
        bag = body.get(self.bag) if self.bag else None
        if bag is not None:
            _check_bag(bag, str(self.bag), self.most)
        try:
            to_json([{"as deep as any list will show it": [body]}])
        except RecursionError:
            raise bad_request("Invalid request payload JSON format", None) from None
        return body


def _check_bag(bag: Bag, where: str, most: int) -> None:
    """Refuse metadata past the documented limits; the wording is not sourced."""
    if len(bag) > most:
        raise payload_error(f"Too many properties defined ({len(bag)}), maximum {most}", where)
    for text in (*bag, *bag.values()):
        refuse_first(text, _TEXT, where)


@attrs.frozen(kw_only=True)
class Resource:
    """One kind of document and how it differs from the others.

    `name` is used in paths, `called` in sentences; `new_id` makes an id, stored under `id_name`.  `required`
    attributes must be there at creation; `fields` are the others that are checked; unless `closed`, any other may be
    written too.  A PATCH may not name `fixed` ones.  No two documents may share a value of `unique`: the refusal is
    `conflict`.  `bag` is the attribute that holds metadata, of at most `most` keys, written by `rule`.  `filters` maps
    query parameters to attributes.  `alias` is an attribute that the path may name instead of the id.  `defaults` are
    shown unless the body sets them.  With `null_removes`, null removes an attribute.
    """

    name: str
    called: str
    new_id: Callable[[TenantState], str]
    id_name: str = "id"
    required: tuple[str, ...] = ()
    fields: dict[str, Field] = attrs.field(factory=dict)
    closed: bool = False
    fixed: tuple[str, ...] = ()
    error_code: str | None = None
    unique: tuple[str, ...] = ()
    conflict: tuple[str, str | None] = ("", None)
    bag: str | None = None
    most: int = 0
    rule: Callable[[Switches], BagRule] = lambda switches: replaced
    filters: dict[str, str] = attrs.field(factory=dict)
    alias: str | None = None
    defaults: dict[str, Any] = attrs.field(factory=dict)
    null_removes: bool = False
    created: int = 201
    deleted: int = 204

    @property
    def scope(self) -> str:
        """Return the name in scopes and envelopes."""
        return self.name.replace("-", "_")

    def routes(self, *, evidence: str) -> tuple[Route, ...]:
        """Return the five endpoints."""
        every, one = f"{MANAGEMENT_ROOT}{self.name}", f"{MANAGEMENT_ROOT}{self.name}/{{id}}"
        query, scope = {**PAGES, **CHECKPOINTS, **dict.fromkeys(self.filters, TEXT)}, self.scope
        create, update = self._body(patch=False), self._body(patch=True)
        return (
            Route("POST", every, self.create, scopes=f"create:{scope}", body=create, evidence=evidence),
            Route("GET", every, self.list_all, scopes=f"read:{scope}", query=query, evidence=evidence),
            Route("GET", one, self.get, scopes=f"read:{scope}", query=FIELDS, evidence=evidence),
            Route("PATCH", one, self.update, scopes=f"update:{scope}", body=update, evidence=evidence),
            Route("DELETE", one, self.delete, scopes=f"delete:{scope}", evidence=evidence),
        )

    def _body(self, *, patch: bool) -> _ResourceBody:
        properties = {**dict.fromkeys(self.required, NAME), **self.fields}
        if self.bag is not None:
            properties[self.bag] = Field(type="object", nullable=True)
        fixed = self.fixed if patch else ()
        field = Field(
            type="object",
            properties={name: rule for name, rule in properties.items() if name not in fixed},
            required=() if patch else self.required,
            closed=self.closed,
            forbidden=(self.id_name, *fixed),
        )
        return _ResourceBody(field, bag=self.bag, most=self.most)

    def create(self, state: TenantState, call: Call) -> Reply:
        """Create one; metadata and attributes are stored as given."""
        with state.resources.lock:
            self._check_unique(state, call.body, None)
            key = self.new_id(state)
            document = self._written(state, {self.id_name: key}, call.body)
            state.resources.of(self.name)[key] = document
        return Reply(self.created, to_json(document), committed=True)

    def get(self, state: TenantState, call: Call) -> Reply:
        """Get one, or only its `fields`."""
        document = self.get_or_404(state, call.params["id"])
        return Reply(200, to_json(shown(call, [document])[0]))

    def update(self, state: TenantState, call: Call) -> Reply:
        """Change one, and return all of it."""
        with state.resources.lock:
            before = self.get_or_404(state, call.params["id"])
            self._check_unique(state, {**before, **call.body}, before)
            document = self._written(state, before, call.body)
            state.resources.of(self.name)[document[self.id_name]] = document
        return Reply(200, to_json(document), committed=True)

    def delete(self, state: TenantState, call: Call) -> Reply:
        """Delete one; a missing one gets 204 too (open for connections)."""
        with state.resources.lock:
            gone = self.find(state, call.params["id"])
            if gone is not None:
                del state.resources.of(self.name)[gone[self.id_name]]
                state.resources.forget(gone[self.id_name])
        if self.deleted != 202:
            return Reply(self.deleted, b"{}", committed=gone is not None)
        if gone is None:
            return Reply(204)
        return Reply(202, to_json({"deleted_at": iso(state.milliseconds())}), committed=True)

    def list_all(self, state: TenantState, call: Call) -> Reply:
        """List them: an array, the totals envelope, or checkpoints."""
        with state.resources.lock:
            every = list(state.resources.of(self.name).values())
        for parameter, attribute in self.filters.items():
            if parameter in call.query:
                sought = call.query[parameter]
                every = [one for one in every if _fits(one.get(attribute), sought, parameter)]
        return listed(state, call, self.scope, every)

    def get_or_404(self, state: TenantState, key: str) -> Document:
        """Return the document with this id or alias, or refuse with 404."""
        return self._or_404(self.find(state, key))

    def get_by_or_404(self, state: TenantState, attribute: str, value: str) -> Document:
        """Return the first one whose attribute has this value, or refuse with 404."""
        return self._or_404(self.find_by(state, attribute, value))

    def _or_404(self, document: Document | None) -> Document:
        if document is None:
            # Recorded for roles, without an errorCode; the wording of the others follows it.
            raise refused(404, f"The {self.called} does not exist.", self.error_code)
        return document

    def id_in_path(self, state: TenantState, call: Call) -> str:
        """Return the id of the document that the path names, or refuse with 404."""
        return str(self.get_or_404(state, call.params["id"])[self.id_name])

    def find(self, state: TenantState, key: str) -> Document | None:
        """Return the document with this id or alias, None if there is none."""
        found = state.resources.of(self.name).get(key)
        return found if found is not None or self.alias is None else self.find_by(state, self.alias, key)

    def find_all(self, state: TenantState, keys: Iterable[Any]) -> list[Document]:
        """Return the documents that exist among these ids."""
        documents = state.resources.of(self.name)
        return [documents[key] for key in keys if key in documents]

    def find_by(self, state: TenantState, attribute: str, value: str) -> Document | None:
        """Return the first one whose attribute has this value."""
        every = list(state.resources.of(self.name).values())
        return next((one for one in every if one.get(attribute) == value), None)

    def _check_unique(self, state: TenantState, after: Document, before: Document | None) -> None:
        key = [after.get(name) for name in self.unique]
        for other in state.resources.of(self.name).values() if key else ():
            if other is not before and [other.get(name) for name in self.unique] == key:
                raise refused(409, *self.conflict)

    def _written(self, state: TenantState, before: Document, body: Document) -> Document:
        after = {**before, **{name: value for name, value in body.items() if name != self.bag}}
        if self.bag is not None and self.bag in body:
            bag = self.rule(state.switches)(before.get(self.bag), body[self.bag])
            after.pop(self.bag, None)
            if bag is not None:
                # Existing keys count too, or several small PATCHes could exceed the limit.
                _check_bag(bag, self.bag, self.most)
                after[self.bag] = bag
        if self.null_removes:
            after = {name: value for name, value in after.items() if value is not None}
        return {self.id_name: after[self.id_name], **self.defaults, **after}


def prefixed(prefix: str) -> Callable[[TenantState], str]:
    """Return a maker of ids that begin with `prefix`."""
    return lambda state: state.new_id(prefix)


def _fits(value: Any, sought: str, parameter: str) -> bool:
    """Return whether an attribute is what a filter seeks; `name_filter` matches a part of it (documented)."""
    if parameter == "name_filter":
        return isinstance(value, str) and sought.casefold() in value.casefold()
    return bool(value == sought)
