"""Endpoints that list, add and remove links: the roles of a user, the members of an organization, permissions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import attrs

from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.schema import NAME, PAGES, Body, Query, array, json_body
from auth0_meta.emulator.state.links import Kind
from auth0_meta.emulator.state.tenant_state import TenantState

Things = Iterable[Hashable]


def anything(state: TenantState, things: Things) -> None:
    """Accept things whether they exist or not."""


@attrs.frozen(kw_only=True)
class LinkTable:
    """One kind of link, seen from the holder's side or, with `inverted`, from the thing's.

    `find` returns whom the path names, or refuses with 404.  A list has the key `name` and is made by `show`.  A body
    of `{name: [...]}` holds ids unless `body` and `read` say otherwise.  `check_added` and `check_removed` refuse
    things that do not exist, before anything is written.  `added` and `removed` are the status and body of the responses,
    and `after_removal` cleans up.
    """

    kind: Kind
    name: str
    find: Callable[[TenantState, Call], Hashable]
    show: Callable[[TenantState, Hashable], Sequence[dict[str, Any]]]
    inverted: bool = False
    body: Body | None = None
    read: Callable[[Any], Hashable] = str
    check_added: Callable[[TenantState, Things], None] = anything
    check_removed: Callable[[TenantState, Things], None] = anything
    added: tuple[int, bytes] = (204, b"")
    after_removal: Callable[[TenantState, Hashable, Things], None] = lambda state, holder, things: None

    def routes(
        self, path: str, *, evidence: str, read: str, add: str, remove: str = "", query: Query = PAGES
    ) -> tuple[Route, ...]:
        """Return the endpoints at `path`, each with its scopes; without `remove` there is no DELETE."""
        ids = self.body or json_body(self.name, **{self.name: array(NAME, shortest=1)})
        routes = (
            Route("GET", path, self.list_all, scopes=read, query=query, evidence=evidence),
            Route("POST", path, self.add, scopes=add, body=ids, evidence=evidence),
            Route("DELETE", path, self.remove, scopes=remove, body=ids, evidence=evidence),
        )
        return routes if remove else routes[:2]

    def list_all(self, state: TenantState, call: Call) -> Reply:
        """List what is linked."""
        return listed(state, call, self.name, self.show(state, self.find(state, call)))

    def add(self, state: TenantState, call: Call) -> Reply:
        """Link what the body names; existing links stay."""
        holder, things = self.find(state, call), self._things(call)
        self.check_added(state, things)
        if self.inverted:
            for thing in things:
                state.resources.links.add(self.kind, thing, [holder])
        else:
            state.resources.links.add(self.kind, holder, things)
        return Reply(*self.added, committed=True)

    def remove(self, state: TenantState, call: Call) -> Reply:
        """Unlink what the body names; what is not linked is ignored."""
        holder, things = self.find(state, call), self._things(call)
        self.check_removed(state, things)
        state.resources.links.remove(self.kind, holder, things)
        self.after_removal(state, holder, things)
        return Reply(204, committed=True)

    def _things(self, call: Call) -> list[Hashable]:
        return [self.read(item) for item in call.body[self.name]]
