"""Links: the roles of users, the members of organizations, the permissions of users and roles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Literal, get_args

from auth0_meta.emulator.state.tables import Keeper, Row

Kind = Literal[
    "user_roles", "user_permissions", "role_permissions", "members", "member_roles", "organization_grants"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_OF_USERS: tuple[Kind, ...] = ("user_roles", "user_permissions")
_Index = defaultdict[Hashable, dict[Hashable, None]]


class Links:
    """Links between ids in the order in which they were made, found from either side; thread-safe.

    >>> from auth0_meta.emulator.state.users import UserStore
    >>> links = Links(UserStore())
    >>> links.add("user_roles", "auth0|1", ["rol_a", "rol_b"])
    >>> links.of("user_roles", "auth0|1"), links.holders("user_roles", "rol_b")
    (['rol_a', 'rol_b'], ['auth0|1'])
    >>> links.forget("rol_a")
    >>> links.of("user_roles", "auth0|1")
    ['rol_b']
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        # By holder and by thing; and the holders that consist of several ids, by each of these.
        self._things: dict[Kind, _Index] = {kind: defaultdict(dict) for kind in KINDS}
        self._holders: dict[Kind, _Index] = {kind: defaultdict(dict) for kind in KINDS}
        self._compounds: _Index = defaultdict(dict)

    def add(self, kind: Kind, holder: Hashable, things: Iterable[Hashable]) -> None:
        """Link things to a holder; existing links keep their place in the order."""
        with self._keeper.lock:
            for thing in things:
                if not self.has(kind, holder, thing):
                    self._keeper.put_row(kind, (holder, thing), None)
                    self.take_up(kind, holder, thing)

    def take_up(self, kind: Kind, holder: Hashable, thing: Hashable) -> None:
        """Hold a link that the keeper has already."""
        self._things[kind][holder][thing] = None
        self._holders[kind][thing][holder] = None
        for part in holder if isinstance(holder, tuple) else ():
            self._compounds[part][holder] = None

    def remove(self, kind: Kind, holder: Hashable, things: Iterable[Hashable]) -> None:
        """Unlink things; missing ones are ignored."""
        with self._keeper.lock:
            for thing in things:
                if self.has(kind, holder, thing):
                    self._keeper.remove_row(kind, (holder, thing))
                    _drop(self._things[kind], holder, thing)
                    _drop(self._holders[kind], thing, holder)

    def has(self, kind: Kind, holder: Hashable, thing: Hashable) -> bool:
        """Return whether a thing is linked to a holder."""
        return thing in self._things[kind].get(holder, ())

    def of(self, kind: Kind, holder: Hashable) -> list[Hashable]:
        """Return the things that a holder has."""
        return list(self._things[kind].get(holder, ()))

    def holders(self, kind: Kind, thing: Hashable) -> list[Hashable]:
        """Return the holders of a thing."""
        return list(self._holders[kind].get(thing, ()))

    def forget(self, gone: Hashable) -> None:
        """Delete every link of a user, a role or an organization that was deleted."""
        with self._keeper.lock:
            compounds = self._compounds.pop(gone, {})
            for kind in KINDS:
                for holder in (gone, *compounds):
                    self.remove(kind, holder, self.of(kind, holder))
                for holder in self.holders(kind, gone):
                    self.remove(kind, holder, [gone])
            for compound in compounds:
                for part in compound if isinstance(compound, tuple) else ():
                    _drop(self._compounds, part, compound)

    def users(self) -> set[Hashable]:
        """Return the ids of all users who have a link."""
        with self._keeper.lock:
            linked = {holder for kind in _OF_USERS for holder in self._things[kind]}
            return linked | {*self._holders["members"]}

    def rows(self) -> list[Row]:
        """Return every link as a row."""
        with self._keeper.lock:
            return [
                (kind, (holder, thing), None)
                for kind in KINDS
                for holder, things in self._things[kind].items()
                for thing in things
            ]


def _drop(index: _Index, key: Hashable, value: Hashable) -> None:
    """Remove a value, and the key with its last one."""
    values = index.get(key)
    if values is not None:
        values.pop(value, None)
        if not values:
            del index[key]
