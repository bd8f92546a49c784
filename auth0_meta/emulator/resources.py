"""Serve clients, organizations and connections as far as their metadata goes: each has rules of its own.

An answer holds the id and what was written, none of Auth0's many defaults; nothing else of them acts.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from auth0_meta.emulator.call import Call
from auth0_meta.emulator.query import flag, page_of
from auth0_meta.emulator.refusals import Refusal, payload_error, problem
from auth0_meta.emulator.switches import Switches
from auth0_meta.emulator.validate import parse_object, type_name
from auth0_meta.emulator.wire import Reply, to_json

if TYPE_CHECKING:
    from auth0_meta.emulator.app import App

__all__ = ["CLIENTS", "CONNECTIONS", "ORGANIZATIONS", "Resource", "Shelf", "merged", "replaced"]

Bag = dict[str, Any]
_LONGEST = 255


class Shelf:
    """Keep the documents of every resource, in memory, by resource and id."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._kept: dict[str, dict[str, Bag]] = {}

    def of(self, resource: str) -> dict[str, Bag]:
        """Return one resource's documents by id."""
        return self._kept.setdefault(resource, {})

    def clear(self) -> None:
        """Forget every document."""
        with self.lock:
            self._kept.clear()


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
    """Describe one resource: its metadata's name and rule, its id, what a new one needs."""

    name: str
    bag: str
    most: int
    id_name: str
    id_prefix: str
    required: tuple[str, ...]
    rule: Callable[[Switches], Callable[[Bag | None, Bag | None], Bag | None]]
    error_code: str

    def create(self, app: App, call: Call) -> Reply:
        """Answer POST of a collection: 201."""
        body = self._body(app, call)
        missing = [name for name in self.required if name not in body]
        if missing:
            raise payload_error(f"Missing required property: {missing[0]}")
        if self.id_name in body:
            raise payload_error(f"Additional properties not allowed: {self.id_name}")
        app.run_hooks(call)
        key = app.new_id(self.id_prefix) if self.id_prefix else app.new_id("") + app.new_id("")
        document = self._written(app, {self.id_name: key}, body)
        with app.shelf.lock:
            app.shelf.of(self.name)[key] = document
        return Reply(201, to_json(document), committed=True)

    def get(self, app: App, call: Call) -> Reply:
        """Answer GET of one: 200."""
        app.run_hooks(call)
        return Reply(200, to_json(self._found(app, call)))

    def update(self, app: App, call: Call) -> Reply:
        """Answer PATCH of one: 200 and the whole of it."""
        body = self._body(app, call)
        if self.id_name in body:
            raise payload_error(f"Additional properties not allowed: {self.id_name}")
        app.run_hooks(call)
        with app.shelf.lock:
            document = self._written(app, self._found(app, call), body)
            app.shelf.of(self.name)[call.params["id"]] = document
        return Reply(200, to_json(document), committed=True)

    def delete(self, app: App, call: Call) -> Reply:
        """Answer DELETE of one: 204, also where there is none."""
        app.run_hooks(call)
        with app.shelf.lock:
            gone = app.shelf.of(self.name).pop(call.params["id"], None)
        return Reply(204, committed=gone is not None)

    def list(self, app: App, call: Call) -> Reply:
        """Answer GET of a collection: an array, or the totals envelope."""
        asked = call.request.query
        page, per_page = page_of(asked, switches=app.switches)
        totals = flag(asked, "include_totals", default=False)
        app.run_hooks(call)
        with app.shelf.lock:
            every = list(app.shelf.of(self.name).values())
        start = page * per_page
        shown = every[start : start + per_page]
        if not totals:
            return Reply(200, to_json(shown))
        head = {"start": start, "limit": per_page, "length": len(shown)}
        return Reply(200, to_json({**head, self.name: shown, "total": len(every)}))

    def _body(self, app: App, call: Call) -> Bag:
        body = parse_object(call.request.body, switches=app.switches)
        call.body = body
        self._check(body.get(self.bag))
        try:
            to_json(body)
        except ValueError:
            raise payload_error("A number is out of range") from None
        return copy.deepcopy(body)

    def _check(self, bag: Any) -> None:
        """Refuse metadata past the documented limits; the wording is not sourced."""
        if bag is None:
            return
        if not isinstance(bag, dict):
            raise payload_error(f"Expected type object but found type {type_name(bag)}", self.bag)
        if len(bag) > self.most:
            raise payload_error(f"Too many properties defined ({len(bag)}), maximum {self.most}", self.bag)
        for name, value in bag.items():
            if value is not None and not isinstance(value, str):
                raise payload_error(f"Expected type string but found type {type_name(value)}", self.bag)
            for text in (name, value or ""):
                if len(text) > _LONGEST:
                    raise payload_error(
                        f"String is too long ({len(text)} chars), maximum {_LONGEST}", self.bag
                    )

    def _written(self, app: App, before: Bag, body: Bag) -> Bag:
        after = {**before, **{name: value for name, value in body.items() if name != self.bag}}
        if self.bag in body:
            bag = self.rule(app.switches)(before.get(self.bag), body[self.bag])
            after.pop(self.bag, None)
            if bag is not None:
                after[self.bag] = bag
        return after

    def _found(self, app: App, call: Call) -> Bag:
        document = app.shelf.of(self.name).get(call.params["id"])
        if document is None:
            # The wording follows that of users and roles; it is not sourced for these.
            raise Refusal(404, problem(404, f"The {self.name[:-1]} does not exist.", self.error_code))
        return document


CLIENTS = Resource(
    "clients", "client_metadata", 10, "client_id", "", ("name",), lambda _: merged, "inexistent_client"
)
ORGANIZATIONS = Resource(
    "organizations", "metadata", 25, "id", "org_", ("name",), lambda _: replaced, "inexistent_organization"
)
CONNECTIONS = Resource(
    "connections",
    "metadata",
    10,
    "id",
    "con_",
    ("name", "strategy"),
    _connection_rule,
    "inexistent_connection",
)
