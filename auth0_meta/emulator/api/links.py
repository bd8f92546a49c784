"""Endpoints that list, add and remove links: the roles of a user, the members of an organization, permissions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
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

    `scopes` are those of GET, POST and DELETE for `path`; without a third one there is no DELETE.  `find` returns what
    the path names (`owner` in the summaries), or refuses with 404.  `show` makes the list, which has the key `name`.
    A body of `{name: [...]}` holds ids unless `body` and `read` say otherwise.  `check_added` and `check_removed`
    refuse a thing that does not exist, before anything is written.  `added` is the status and body of the response to
    POST, and `after_removal` cleans up.
    """

    kind: Kind
    name: str
    owner: str
    path: str
    scopes: tuple[str, ...]
    evidence: str = "recorded"
    query: Query = PAGES
    find: Callable[[TenantState, Call], Hashable]
    show: Callable[[TenantState, Hashable], Sequence[Mapping[str, Any]]]
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
        name, owner, (read, add, *remove) = self.name, self.owner, self.scopes
        route = partial(Route, evidence=self.evidence)
        listing, adding = f"List the {name} of {owner}.", f"Add {name} to {owner}."
        removing = f"Remove {name} from {owner}."
        return (
            route("GET", self.path, self.list_all, scopes=read, query=self.query, summary=listing),
            route("POST", self.path, self.add, scopes=add, body=ids, summary=adding),
            *(
                route("DELETE", self.path, self.remove, scopes=each, body=ids, summary=removing)
                for each in remove
            ),
        )

    def list_all(self, state: TenantState, call: Call) -> Reply:
        """List what is linked to what the path names."""
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
        """Return what the path names and what the body names, or refuse one that does not exist."""
        holder, things = self.find(state, call), [self.read(item) for item in call.body[self.name]]
        for thing in things:
            check(state, thing)
        return holder, things
