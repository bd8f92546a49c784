"""Endpoints that list, add and remove links: the roles of a user, the members of an organization, permissions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import attrs

from auth0_meta.emulator.api.paging import listed
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.schema import NAME, PAGES, Body, Query, array, record
from auth0_meta.emulator.state.links import Kind
from auth0_meta.emulator.state.tenant_state import TenantState

Things = Iterable[Hashable]


@attrs.frozen(kw_only=True)
class LinkTable:
    """One kind of link, seen from the holder's side or, with `inverted`, from the thing's.

    `scopes` open GET, POST and DELETE of `path`; without a third there is no DELETE.  `find` returns whom the path
    names, or refuses with 404.  A list has the key `name` and is made by `show`.  A body of `{name: [...]}` holds ids
    unless `body` and `read` say otherwise.  `check_added` and `check_removed` refuse a thing that does not exist, before
    anything is written.  `added` is the status and body of that response, and `after_removal` cleans up.
    """

    kind: Kind
    name: str
    path: str
    scopes: tuple[str, ...]
    evidence: str = "recorded"
    query: Query = PAGES
    find: Callable[[TenantState, Call], Hashable]
    show: Callable[[TenantState, Hashable], Sequence[dict[str, Any]]]
    check_added: Callable[[TenantState, Any], object]
    inverted: bool = False
    body: Body | None = None
    read: Callable[[Any], Hashable] = str
    check_removed: Callable[[TenantState, Any], object] = lambda state, thing: None
    added: tuple[int, bytes] = (204, b"")
    after_removal: Callable[[TenantState, Hashable, Things], None] = lambda state, holder, things: None

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the two or three endpoints."""
        ids = self.body or Body(record(self.name, **{self.name: array(NAME, shortest=1)}))
        path, evidence, (read, add, *remove) = self.path, self.evidence, self.scopes
        return (
            Route("GET", path, self.list_all, scopes=read, query=self.query, evidence=evidence),
            Route("POST", path, self.add, scopes=add, body=ids, evidence=evidence),
            *(
                Route("DELETE", path, self.remove, scopes=each, body=ids, evidence=evidence)
                for each in remove
            ),
        )

    def list_all(self, state: TenantState, call: Call) -> Reply:
        """List what is linked."""
        return listed(state, call, self.name, self.show(state, self.find(state, call)))

    def add(self, state: TenantState, call: Call) -> Reply:
        """Link what the body names; existing links stay."""
        holder, things = self._named(state, call, self.check_added)
        if self.inverted:
            for thing in things:
                state.resources.links.add(self.kind, thing, [holder])
        else:
            state.resources.links.add(self.kind, holder, things)
        return Reply(*self.added, committed=True)

    def remove(self, state: TenantState, call: Call) -> Reply:
        """Unlink what the body names; what is not linked is ignored."""
        holder, things = self._named(state, call, self.check_removed)
        state.resources.links.remove(self.kind, holder, things)
        self.after_removal(state, holder, things)
        return Reply(204, committed=True)

    def _named(
        self, state: TenantState, call: Call, check: Callable[[TenantState, Any], object]
    ) -> tuple[Hashable, list[Hashable]]:
        """Return whom the path names and what the body names, or refuse one that does not exist."""
        holder, things = self.find(state, call), [self.read(item) for item in call.body[self.name]]
        for thing in things:
            check(state, thing)
        return holder, things
