"""Collect what actions request: staged metadata per action, changes to tokens for the whole login; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import FrozenMetadata, frozen_json
from auth0_meta.actions.event.sections import not_an_object
from auth0_meta.changes import rules
from auth0_meta.changes.jsonvalue import BAGS, Bag
from auth0_meta.checks.sizes import json_size
from auth0_meta.errors import InputError, StateError, StoredDataError

# Source: Auth0's limits of Actions, 32 kB for each metadata object and login.  Whether its kB has 1000 or
# 1024 bytes is not documented; with 1024, nothing that Auth0 accepts is refused here.
MAX_STAGED_BYTES = 32 * 1024

Staged = dict[Bag, dict[str, Any]]
"""What is staged: `user_metadata` or `app_metadata` -> first-level key -> value, None for a deletion."""

_OBJECT = attrs.validators.instance_of(dict)
_NAMES = attrs.validators.deep_iterable(attrs.validators.instance_of(str), attrs.validators.instance_of(list))


@attrs.define
class TokenChanges:
    """What actions request for the tokens.  It belongs to the whole login, survives redirects, and is all JSON."""

    # Validated, because they may come back from a store of suspended logins that was damaged meanwhile.
    id_token: dict[str, Any] = attrs.field(factory=dict, repr=False, validator=_OBJECT)
    access_token: dict[str, Any] = attrs.field(factory=dict, repr=False, validator=_OBJECT)
    added_scopes: list[str] = attrs.field(factory=list, validator=_NAMES)
    removed_scopes: list[str] = attrs.field(factory=list, validator=_NAMES)
    saml: dict[str, Any] = attrs.field(factory=dict, repr=False, validator=_OBJECT)


@attrs.define(kw_only=True, repr=False)
class Staging:
    """Everything that one action requests while it runs; once it has ended, calls fail instead of being lost.

    `event` is what the action sees, `earlier` what earlier actions staged, `state` the one that /continue
    received.
    """

    event: Event
    name: str
    token_changes: TokenChanges
    earlier: Staged
    no_redirect: str | None
    """Why this action can't redirect; None if it can."""
    state: str | None = None
    staged: Staged = attrs.field(factory=lambda: {bag: {} for bag in BAGS})
    denied: str | None = None
    validation_errors: list[tuple[str, str]] = attrs.field(factory=list)
    redirect_url: str | None = None
    ended: bool = False

    def require_open(self) -> None:
        """Raise `StateError` for a call that comes after the action has returned."""
        if self.ended:
            raise StateError(
                f"{self.name} has ended, so this call of its api comes too late for {self.event.user.user_id}: "
                "wait for your own threads, tasks and callbacks inside the action"
            )

    @property
    def stops(self) -> bool:
        """Return whether the login ends, or is suspended, after this action."""
        return self.denied is not None or bool(self.validation_errors) or self.redirect_url is not None

    def stage(self, bag: Bag, key: str, value: Any) -> None:
        """Stage one first-level value; None deletes the key.  Raises `MetadataError` for a bad key or value."""
        self.require_open()
        self.stored(bag)
        name = rules.check_segment(key, bag=bag)
        rules.check_name(name, bag=bag)
        copy = frozen_json(rules.checked(value, bag=bag, path=(name,)), path=name, bag=bag)
        after = {**self.earlier[bag], **self.staged[bag], name: copy}
        size = sum(json_size(k) + json_size(v) + 2 for k, v in after.items()) + 1
        if size > MAX_STAGED_BYTES:
            problem = (
                f"this login would stage {size} B of {bag}, and Auth0 accepts at most {MAX_STAGED_BYTES} B: "
                "keep large data in a store of your own"
            )
            rules.refuse(problem, bag=bag, path=(name,))
        self.staged[bag][name] = copy

    def stored(self, bag: Bag) -> dict[str, Any]:
        """Return the metadata as this action found it; raise `StoredDataError` if it is not an object."""
        found = dict.get(self.event.user, bag)
        if isinstance(found, dict):
            return found
        user_id = self.event.user.user_id
        raise StoredDataError(not_an_object(user_id, bag, found), user_id=user_id, bag=bag)

    def in_effect(self, bag: Bag) -> FrozenMetadata:
        """Return the metadata as it would be stored if the login ended now."""
        before = dict(dict.items(self.stored(bag)))
        shown: FrozenMetadata = frozen_json(overlay(before, self.staged[bag]), path=bag, bag=bag)
        return shown


def overlay(bag: dict[str, Any], staged: Mapping[str, Any]) -> dict[str, Any]:
    """Apply staged values to a dict, in place; None deletes the key."""
    for key, value in staged.items():
        if value is None:
            bag.pop(key, None)
        else:
            bag[key] = value
    return bag


def require_text(value: object, what: str, *, most: int | None = None) -> str:
    """Return `value` if it is a non-empty string of at most `most` characters; otherwise raise `InputError`."""
    if not isinstance(value, str):
        msg = f"{what} must be a string, not {type(value).__name__}"
    elif not value:
        msg = f"{what} must not be empty"
    elif most is not None and len(value) > most:
        msg = f"{what} has {len(value)} characters, and Auth0 accepts at most {most}: shorten it"
    else:
        return value
    raise InputError(msg)
