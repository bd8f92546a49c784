"""Metadata as it was before the action that reads it, with a warning when the action has staged the key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from auth0_meta.actions.event.read_only import Frozen
from auth0_meta.changes.jsonvalue import Bag, ObservedDict
from auth0_meta.warn import notice


class SnapshotBag(ObservedDict, Frozen):
    """The metadata in `event.user`; reading a key that the same action has staged issues a `MetadataWarning`.

    The value is the one from before the action, as in Auth0: setters leave `event` alone, and only later
    actions see what was staged.  `staged` holds the keys that the action stages, and grows while it runs.
    """

    __slots__ = ("_name", "_staged")

    def __init__(self, bag: Mapping[str, Any], staged: Collection[str], name: Bag) -> None:
        super().__init__(bag)
        self._staged = staged
        self._name = name

    def _looked_at(self, key: object) -> None:
        if key in self._staged:
            self._warn(key)

    def _looked_at_all(self) -> None:
        if self._staged:
            self._warn(next(iter(self._staged)))

    # These don't warn, because they return no value that could be mistaken for the staged one.
    __len__ = Frozen.__len__
    __eq__ = Frozen.__eq__
    __ne__ = Frozen.__ne__
    __hash__ = None  # type: ignore[assignment]  # a dict
    __repr__ = Frozen.__repr__

    def _warn(self, key: object) -> None:
        notice(
            f"{self._name}[{key!r}] was staged by this action, and event.user still has the previous value: "
            f"read api.user.{self._name} for what will be stored"
        )
