"""Endpoints that create, list, get, update and delete documents; a `Resource` describes how each kind differs.

A response contains the id and what was written; only that of a resource server has defaults too, as recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import attrs

from auth0_meta.emulator.api.paging import Later, listed, shown
from auth0_meta.emulator.api.route import MANAGEMENT_ROOT, Handler, Route
from auth0_meta.emulator.http.errors import bad_request, payload_error, refused
from auth0_meta.emulator.http.message import Call, Reply, Request, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.schema import CHECKPOINTS, FIELDS, NAME, PAGES, TEXT, Body, Field, refuse_first
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.tenant_state import TenantState

Document = dict[str, Any]
Bag = dict[str, Any]
BagRule = Callable[[Bag | None, Bag | None], Bag | None]
_TEXT = Field(longest=255, nullable=True)


def merged(before: Bag | None, change: Bag | None) -> Bag | None:
    """Merge client_metadata: null deletes a key, `{}` clears, and an emptied object stays `{}` (28 recorded writes).

    >>> merged({"a": "1", "b": "2"}, {"a": None, "c": "3", "unknown": None})
    {'b': '2', 'c': '3'}
    >>> merged({"a": "1"}, {"a": None}), merged({"a": "1"}, {})
    ({}, {})
    """
    after = {**(before or {}), **change} if change else {}
    return {name: value for name, value in after.items() if value is not None}


def replaced(before: Bag | None, change: Bag | None) -> Bag | None:
    """Replace an organization's metadata as a whole; `{}` and null remove it (25 recorded writes).

    >>> replaced({"a": "1"}, {"b": "2"}), replaced({"a": "1"}, {})
    ({'b': '2'}, None)
    """
    return {name: value for name, value in (change or {}).items() if value is not None} or None


@attrs.frozen
class DocumentBody(Body):
    """The body of a document: its schema, the limits on metadata, and a depth that fits into a list."""

    bag: str | None = None
    most: int = 0

    def read(self, request: Request, switches: Switches) -> Document:
        """Return the body, or refuse it."""
        body: Document = Body.read(self, request, switches)
        bag = body.get(self.bag) if self.bag else None
        if bag is not None:
            _check_bag(bag, str(self.bag), self.most)
        try:
            # A list in an envelope adds two levels to the document.
            to_json([{"items": [body]}])
        except RecursionError:
            raise bad_request("Invalid request payload JSON format", None) from None
        return body


def _check_bag(bag: Bag, where: str, most: int) -> None:
    """Refuse metadata over the documented limits; the wording is a guess."""
    if len(bag) > most:
        raise payload_error(f"Too many properties defined ({len(bag)}), maximum {most}", where)
    for text in (*bag, *bag.values()):
        refuse_first(text, _TEXT, where)


@attrs.frozen(kw_only=True)
class Resource:
    """One kind of document, and how it differs from the others.

    `name` is used in paths, `called` in sentences; `new_id` makes an id, stored under `id_name`.  `required`
    attributes must be present on creation, and `fields` are others that are checked; unless `closed`, further ones
    are stored unchecked.  No body may contain `forbidden` ones, and a PATCH no `fixed` ones.  No two documents may
    agree in all `unique` ones: the refusal is `conflict`.  `bag` is the attribute that holds metadata, with at most `most` keys, written by
    `rule`.  `filters` maps query parameters to attributes.  `alias` is an attribute that the path may contain instead
    of the id.  `prepare` returns a body with what Auth0 adds to it, given the document before (None for a new one);
    `view` returns what a response shows of a document; `after_delete` deletes what belonged to it.  `read_scopes` are
    those for reading, if there are several.  `defaults` are shown unless the body sets them.  With `null_removes`,
    null removes an attribute.
    """

    name: str
    called: str
    new_id: Callable[[TenantState], str]
    id_name: str = "id"
    required: tuple[str, ...] = ()
    fields: dict[str, Field] = attrs.field(factory=dict)
    closed: bool = False
    fixed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    error_code: str | None = None
    unique: tuple[str, ...] = ()
    conflict: tuple[str, str | None] = ("", None)
    bag: str | None = None
    most: int = 0
    rule: Callable[[Switches], BagRule] = lambda switches: replaced
    filters: dict[str, str] = attrs.field(factory=dict)
    alias: str | None = None
    prepare: Callable[[TenantState, Document | None, Document], Document] = lambda state, before, body: body
    view: Callable[[Call, Document], Document] = lambda call, document: document
    after_delete: Callable[[TenantState, Call, Document], object] = lambda state, call, gone: None
    read_scopes: str = ""
    defaults: dict[str, Any] = attrs.field(factory=dict)
    null_removes: bool = False
    created: int = 201
    deleted: int = 204

    @property
    def scope(self) -> str:
        """Return the name that scopes and envelopes use."""
        return self.name.replace("-", "_")

    def routes(self, *, evidence: str) -> tuple[Route, ...]:
        """Return the five endpoints."""
        every, one = f"{MANAGEMENT_ROOT}{self.name}", f"{MANAGEMENT_ROOT}{self.name}/{{id}}"
        query, scope = {**PAGES, **CHECKPOINTS, **dict.fromkeys(self.filters, TEXT)}, self.scope
        create, update = self._body(patch=False), self._body(patch=True)
        a_document = f"an {self.called}" if self.called[0] in "aeiou" else f"a {self.called}"
        listing = f"List {self.called}s, as an array, in the totals envelope or by checkpoints."
        missing = "204" if self.deleted == 202 else f"{self.deleted} even"

        def route(method: str, path: str, handler: Handler, verb: str, summary: str, **more: Any) -> Route:
            scopes = (verb == "read" and self.read_scopes) or f"{verb}:{scope}"
            return Route(method, path, handler, scopes=scopes, evidence=evidence, summary=summary, **more)

        return (
            route("POST", every, self.create, "create", f"Create {a_document}.", body=create),
            route("GET", every, self.list_all, "read", listing, query=query),
            route("GET", one, self.get, "read", f"Get {a_document}, or only its `fields`.", query=FIELDS),
            route(
                "PATCH",
                one,
                self.update,
                "update",
                f"Update {a_document}; the response shows all of it.",
                body=update,
            ),
            route(
                "DELETE", one, self.delete, "delete", f"Delete {a_document}; {missing} if it does not exist."
            ),
        )

    def _body(self, *, patch: bool) -> DocumentBody:
        properties = {**dict.fromkeys(self.required, NAME), **self.fields}
        if self.bag is not None:
            properties[self.bag] = Field(type="object", nullable=True)
        fixed = self.fixed if patch else ()
        field = Field(
            type="object",
            properties={name: rule for name, rule in properties.items() if name not in fixed},
            required=() if patch else self.required,
            closed=self.closed,
            forbidden=(self.id_name, *self.forbidden, *fixed),
        )
        return DocumentBody(field, bag=self.bag, most=self.most)

    def create(self, state: TenantState, call: Call) -> Reply:
        """Create a document; metadata and attributes are stored as sent."""
        with state.resources.lock:
            self._check_unique(state, call.body, None)
            key = self.new_id(state)
            document = self._written(state, {self.id_name: key}, self.prepare(state, None, call.body))
            state.resources.of(self.name)[key] = document
        return Reply(self.created, to_json(self.view(call, document)), committed=True)

    def get(self, state: TenantState, call: Call) -> Reply:
        """Get a document, or only its `fields`."""
        document = self.get_or_404(state, call.params["id"])
        return Reply(200, to_json(shown(call, [self.view(call, document)])[0]))

    def update(self, state: TenantState, call: Call) -> Reply:
        """Update a document, and return all of it."""
        with state.resources.lock:
            before = self.get_or_404(state, call.params["id"])
            self._check_unique(state, {**before, **call.body}, before)
            document = self._written(state, before, self.prepare(state, before, call.body))
            state.resources.of(self.name)[document[self.id_name]] = document
        return Reply(200, to_json(self.view(call, document)), committed=True)

    def delete(self, state: TenantState, call: Call) -> Reply:
        """Delete a document; one that does not exist gets the same status (open for connections: 204)."""
        with state.resources.lock:
            gone = self.find(state, call.params["id"])
            if gone is not None:
                del state.resources.of(self.name)[gone[self.id_name]]
                state.resources.forget(gone[self.id_name])
        if gone is not None:
            self.after_delete(state, call, gone)
        if self.deleted != 202:
            return Reply(self.deleted, b"{}", committed=gone is not None)
        if gone is None:
            return Reply(204)
        return Reply(202, to_json({"deleted_at": iso(state.milliseconds())}), committed=True)

    def list_all(self, state: TenantState, call: Call) -> Reply:
        """List the documents: as an array, in the totals envelope, or by checkpoints."""
        with state.resources.lock:
            every = list(state.resources.of(self.name).values())
        for parameter, attribute in self.filters.items():
            if parameter in call.query:
                wanted = call.query[parameter]
                every = [one for one in every if _matches(one.get(attribute), wanted, parameter)]
        return listed(state, call, self.scope, Later(every, partial(self.view, call)))

    def get_or_404(self, state: TenantState, key: str) -> Document:
        """Return the document with this id or alias, or refuse with 404."""
        return self._or_404(self.find(state, key))

    def get_by_or_404(self, state: TenantState, attribute: str, value: str) -> Document:
        """Return the first document whose attribute has this value, or refuse with 404."""
        return self._or_404(self.find_by(state, attribute, value))

    def _or_404(self, document: Document | None) -> Document:
        if document is None:
            # Recorded for roles, without an errorCode; the others are worded like it.
            raise refused(404, f"The {self.called} does not exist.", self.error_code)
        return document

    def id_in_path(self, state: TenantState, call: Call) -> str:
        """Return the id of the document that the path names, or refuse with 404."""
        return str(self.get_or_404(state, call.params["id"])[self.id_name])

    def find(self, state: TenantState, key: str) -> Document | None:
        """Return the document with this id or alias, or None."""
        found = state.resources.of(self.name).get(key)
        return found if found is not None or self.alias is None else self.find_by(state, self.alias, key)

    def find_all(self, state: TenantState, keys: Iterable[Any]) -> list[Document]:
        """Return the documents with these ids, leaving out ids that don't exist."""
        documents = state.resources.of(self.name)
        return [documents[key] for key in keys if key in documents]

    def find_by(self, state: TenantState, attribute: str, value: str) -> Document | None:
        """Return the first document whose attribute has this value, or None."""
        return next(iter(state.resources.of(self.name).find(attribute, value)), None)

    def _check_unique(self, state: TenantState, after: Document, before: Document | None) -> None:
        key = [after.get(name) for name in self.unique]
        # The first of them is required, and a text.
        for other in state.resources.of(self.name).find(self.unique[0], str(key[0])) if key else ():
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
    """Return a function that makes ids that begin with `prefix`."""
    return lambda state: state.new_id(prefix)


def _matches(value: Any, wanted: str, parameter: str) -> bool:
    """Return whether an attribute matches a filter; `name_filter` matches a part of it (documented)."""
    if parameter == "name_filter":
        return isinstance(value, str) and wanted.casefold() in value.casefold()
    if wanted in ("true", "false") and not isinstance(value, str):
        return bool(value) is (wanted == "true")
    return bool(value == wanted)
