"""The user that a migration's function is given: read-only, and it notes which metadata the function looks at; PURE.

What a function looked at decides whether its operations still hold when the user has changed since the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import BAGS, Bag, Path, json_equal
from auth0_meta.changes.profile import object_in
from auth0_meta.changes.rules import read
from auth0_meta.changes.views import BagDict, MetadataDict, ObservedDict, freeze
from auth0_meta.errors import InputError
from auth0_meta.models import User

Note = Callable[[tuple[str | None, ...]], None]
Fields = Collection[str] | None
"""The fields that a source was asked for, None if it gives whole profiles."""


class Reads(set[tuple[str | None, ...]]):
    """The places that a function has looked at: each is a bag, then keys from its first level down.

    A last None says that the function only saw that there is an object; without it, it saw the whole value.
    """

    note = set.add

    def behind(self, change: Change, /) -> list[list[str | None]]:
        """Return the places on which a change may rest, in order, as JSON: those under its first-level keys.

        >>> reads, change = Reads(), Change()
        >>> reads.note(("app_metadata", "billing", "tier")); reads.note(("app_metadata", "seats"))
        >>> reads.behind(change.with_bag("app_metadata", change.app_metadata.set("billing.plan", "pro")))
        [['app_metadata', 'billing', 'tier']]
        """
        if not self:
            return []
        touched = {*change.touched, *((bag, None) for bag in BAGS if change.bag(bag))}
        related = [place for place in self if (place[0], (*place, None)[1]) in touched]
        if len(related) < 2:
            return [list(place) for place in related]
        # A place inside a value that was seen whole adds nothing.
        whole = {place for place in related if place[-1] is not None}
        least = [place for place in related if not any(place[:n] in whole for n in range(1, len(place)))]
        return [list(place) for place in sorted(least, key=lambda place: [key or "" for key in place])]


def is_unchanged(
    place: Sequence[str | None], keys: Collection[str], before: Mapping[str, Any], now: Mapping[str, Any]
) -> bool:
    """Return whether a place of `Reads` is as it was; `keys` are the only ones known of the bag `before`."""
    path: Path = tuple(key for key in place[1:] if key is not None)
    if not path:
        return all(json_equal(read(before, (key,)), read(now, (key,))) for key in keys)
    was, found = read(before, path), read(now, path)
    if place[-1] is None:
        return isinstance(was, dict) and isinstance(found, dict)
    return json_equal(was, found)


class WatchedUser(User):
    """A read-only user who notes every look at the metadata; reading any but the `fields` raises `InputError`."""

    def __init__(self, profile: Mapping[str, Any], reads: Reads, /, *, fields: Fields = None) -> None:
        bags: dict[str, MetadataDict] = {
            bag: _watch(dict(stored), bag, (), reads.note)
            for bag in BAGS
            if (stored := object_in(profile, bag)) is not None
        }
        present = {bag: watched for bag, watched in bags.items() if profile.get(bag) is not None}
        super().__init__(_KnownFields({**profile, **present}, fields))
        self._bags.update(bags)


class _KnownFields(dict[str, Any]):
    """A profile that raises for a field that was not asked for, rather than calling it absent."""

    def __init__(self, profile: Mapping[str, Any], fields: Fields) -> None:
        super().__init__(profile)
        self._fields = fields

    def _check(self, field: object) -> None:
        if self._fields is not None and field not in self._fields and not super().__contains__(field):
            cure = f"plan with --fields {field}, in Python users=ExportSource(fields=(..., {field!r}))"
            raise InputError(f"the export was not asked for {field!r}, so its value is unknown: {cure}")

    def __getitem__(self, field: str) -> Any:
        self._check(field)
        return super().__getitem__(field)

    def get(self, field: str, default: Any = None, /) -> Any:
        """Return a field if it was asked for."""
        self._check(field)
        return super().get(field, default)

    def __contains__(self, field: object) -> bool:
        self._check(field)
        return super().__contains__(field)


def _watch(value: dict[str, Any], bag: Bag, path: Path, note: Note) -> _WatchedDict:
    items = {
        key: _watch(item, bag, (*path, key), note)
        if isinstance(item, dict)
        else freeze(item, bag=bag, path=(*path, key))
        for key, item in value.items()
    }
    return _WatchedDict(items, bag, path, note)


class _WatchedDict(ObservedDict, BagDict):
    """A stored object that notes each look at a key; a look at the whole object notes all of it."""

    __slots__ = ("_note",)

    def __init__(self, value: dict[str, Any], bag: Bag, path: Path, note: Note) -> None:
        super().__init__(value, bag, path)
        self._note = note

    def _looked_at(self, keys: Path) -> None:
        is_object = isinstance(read(self, keys), dict)
        self._note((self._bag, *self._path, *keys, *((None,) if is_object else ())))

    def _looked_at_all(self) -> None:
        self._note((self._bag, *self._path))
