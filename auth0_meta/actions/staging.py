"""Hold what actions ask for: staged metadata per action, claims and the like across them; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import Frozen, freeze
from auth0_meta.changes import rules
from auth0_meta.changes.jsonvalue import BAGS, Bag, json_size
from auth0_meta.errors import InputError, StateError, StoredDataError

MOST_STAGED = 32 * 1024
"""Bytes that a login may write to one bag. Source: Auth0's limits of Actions, 32 kB; 1024 is our reading."""

Staged = dict[Bag, dict[str, Any]]
"""What is staged: bag -> first-level key -> value, None for a deletion."""


@attrs.define
class Carried:
    """Hold what belongs to the whole login and is carried over a redirect, all of it JSON."""

    id_token: dict[str, Any] = attrs.field(factory=dict, repr=False)
    access_token: dict[str, Any] = attrs.field(factory=dict, repr=False)
    added_scopes: list[str] = attrs.field(factory=list)
    removed_scopes: list[str] = attrs.field(factory=list)
    saml: dict[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.define(kw_only=True, repr=False)
class Asked:
    """Hold one action's requests while it runs; `end` makes late calls fail instead of vanish.

    `event` is what the action sees, `earlier` what earlier actions staged, `state` that of /continue.
    """

    event: Event
    name: str
    carried: Carried
    earlier: Staged
    may_redirect: str | None
    """Why this action can't be resumed, None where it can."""
    state: str | None = None
    staged: Staged = attrs.field(factory=lambda: {bag: {} for bag in BAGS})
    denied: str | None = None
    invalid: list[tuple[str, str]] = attrs.field(factory=list)
    target: str | None = None
    ended: bool = False

    def end(self) -> None:
        """Take no more calls."""
        self.ended = True

    def require_open(self) -> None:
        """Refuse a call that comes after the action has returned."""
        if self.ended:
            msg = (
                f"{self.name} has ended, and this call of its api came too late to have an effect "
                f"for {self.event.user.user_id}: wait for your own threads, tasks and callbacks inside the action"
            )
            raise StateError(msg)

    @property
    def stops(self) -> bool:
        """Tell whether the flow ends, or pauses, after this action."""
        return self.denied is not None or bool(self.invalid) or self.target is not None

    def stage(self, bag: Bag, key: str, value: Any) -> None:
        """Stage one first-level value; None deletes.  Bad keys and values raise `MetadataError`."""
        self.require_open()
        self.stored(bag)
        name = rules.check_segment(key, bag=bag)
        rules.check_name(name, bag=bag)
        copy = freeze(rules.checked(value, bag=bag, path=(name,)), path=name)
        after = {**self.earlier[bag], **self.staged[bag], name: copy}
        size = sum(json_size(k) + json_size(v) + 2 for k, v in after.items()) + 1
        if size > MOST_STAGED:
            problem = f"{size} B are staged in this login and Auth0 takes {MOST_STAGED} B; keep large data elsewhere"
            rules.refuse(problem, bag=bag, path=(name,))
        self.staged[bag][name] = copy

    def stored(self, bag: Bag) -> dict[str, Any]:
        """Return the bag as this action found it; one that is no object can't be changed."""
        found = dict.get(self.event.user, bag)
        if isinstance(found, dict):
            return found
        msg = (
            f"Unexpected {bag} format. Must be a valid JSON object: {self.event.user.user_id} has {type(found).__name__}. "
            "Nothing was written"
        )
        raise StoredDataError(msg, user_id=self.event.user.user_id, bag=bag)

    def in_effect(self, bag: Bag) -> Frozen:
        """Return the bag as it would be stored if the login ended now."""
        before = dict(dict.items(self.stored(bag)))
        shown: Frozen = freeze(overlay(before, self.staged[bag]), path=bag)
        return shown


def overlay(bag: dict[str, Any], staged: Mapping[str, Any]) -> dict[str, Any]:
    """Lay staged values over a bag, in place; None deletes."""
    for key, value in staged.items():
        if value is None:
            bag.pop(key, None)
        else:
            bag[key] = value
    return bag


def text(value: object, what: str, *, most: int | None = None) -> str:
    """Return a non-empty string of at most `most` characters, or refuse it."""
    if not isinstance(value, str) or not value or (most is not None and len(value) > most):
        limit = f" of at most {most} characters" if most is not None else ""
        msg = f"{what} is a string{limit}, and not empty"
        raise InputError(msg)
    return value
