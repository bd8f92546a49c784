"""Combine the changes to both bags: `Change`, its PATCH document, its form in a job file; PURE.

A `BagChange` is what is staged for one bag, a `Change` is both.  They are persistent values:
staging returns a new one and the old one stays valid, so a savepoint is just a reference.  Auth0
merges the first level of a bag and replaces what is below, so operations are kept per first-level
key and evaluated, as late as possible, against what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from auth0_meta.changes import operations, rules
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.jsonvalue import BAGS, Bag, json_equal
from auth0_meta.changes.profile import object_in, stored_bag
from auth0_meta.errors import MetadataError


class Applied(NamedTuple):
    """The result of a change on one profile: the PATCH body, and the profile once that is applied."""

    document: dict[str, dict[str, Any]]
    profile: dict[str, Any]


class Change:
    """What is staged for a user and not yet written; the repr shows names and sizes only.

    Immutable.  `user_metadata` and `app_metadata` are the parts, `touched` the (bag, first-level key)
    pairs; a change with nothing in it is false.

    >>> change = Change()
    >>> change = change.with_bag("user_metadata", change.user_metadata.set("theme", "dark"))
    >>> change
    <Change user_metadata(theme 6 B)>
    >>> change.document(None)
    {'user_metadata': {'theme': 'dark'}}
    """

    __slots__ = ("_app", "_user")

    def __init__(self) -> None:
        self._user = _UNTOUCHED["user_metadata"]
        self._app = _UNTOUCHED["app_metadata"]

    @property
    def user_metadata(self) -> BagChange:
        """Return what is staged for the user metadata."""
        return self._user

    @property
    def app_metadata(self) -> BagChange:
        """Return what is staged for the app metadata."""
        return self._app

    def bag(self, name: Bag, /) -> BagChange:
        """Return what is staged for the bag of this name."""
        return self._user if name == "user_metadata" else self._app

    def with_bag(self, name: Bag, bag: BagChange, /) -> Change:
        """Return a change with this bag's part replaced.

        Raises `MetadataError` if both parts together exceed the 1 MB that a request may have.
        """
        change = Change()
        change._user, change._app = (bag, self._app) if name == "user_metadata" else (self._user, bag)
        rules.check_size(change.size, bag=name)
        return change

    @property
    def size(self) -> int:
        """Return how many bytes of JSON are staged, braces included; in a request they take no more."""
        user, app = self._user.size, self._app.size
        return user + app + 2 + bool(user and app)

    @property
    def needs_base(self) -> bool:
        """Return whether the stored profile must be known to compute the document."""
        return self._user.needs_base or self._app.needs_base

    @property
    def repeatable(self) -> bool:
        """Return whether this may be applied again after an unknown outcome: no append, no increment."""
        return self._user.repeatable and self._app.repeatable

    @property
    def touched(self) -> tuple[tuple[Bag, str], ...]:
        """Return the (bag, first-level key) pairs named here; a `reset` bag touches its other keys too."""
        return tuple((bag, key) for bag in BAGS for key in self.bag(bag).keys)

    def then(self, later: Change, /) -> Change:
        """Return the change that does this and then `later`; raise `PathError` if they contradict each other."""
        return self.with_bag("user_metadata", self._user.then(later._user)).with_bag(
            "app_metadata", self._app.then(later._app)
        )

    def applied_to(self, profile: Mapping[str, Any] | None, /) -> Applied:
        """Return the PATCH body and the profile afterwards, computed together; treat both as read-only.

        The body has the bags that change, none when there is nothing to send.  `profile`: the stored user
        as JSON; None if it is unknown, which only a change that does not need it (`needs_base`) allows, and
        then the profile afterwards has only what is staged.  Raises `PathError` if an operation meets the
        wrong type, `StoredDataError` if a touched bag is stored as anything but an object and not cleared or
        replaced, `StateError` if the profile must be known.
        """
        document: dict[str, dict[str, Any]] = {}
        after = dict(profile or {})
        for bag in BAGS:
            if not (change := self.bag(bag)):
                continue
            broken = profile is not None and object_in(profile, bag) is None
            if broken and change.reset:
                # It has no keys that would have to be deleted.  The PATCH is sent in any case, even if it is {}.
                document[bag] = after[bag] = change.applied_to({})[1]
                continue
            part, after[bag] = change.applied_to(None if profile is None else stored_bag(profile, bag))
            if part is not None:
                document[bag] = part
        return Applied(document, after)

    def document(self, profile: Mapping[str, Any] | None, /) -> dict[str, dict[str, Any]]:
        """Return the PATCH body that `applied_to` computes; {} when there is nothing to send."""
        return self.applied_to(profile).document

    def outgrown(self, after: Mapping[str, Any], /) -> tuple[Bag, operations.Increment, str] | None:
        """Return the bag and the increment that makes a stored number inexact, and the reason of `rules.inexact`.

        `after`: the profile that `applied_to` returns.  An amount that is inexact itself is not reported, because
        staging has done that.
        """
        for bag in BAGS:
            for op in self.bag(bag).operations:
                if not isinstance(op, operations.Increment) or rules.inexact(op.value, op.path):
                    continue
                if (reason := rules.inexact(rules.read(after[bag], op.path), op.path)) is not None:
                    return bag, op, reason
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the staged operations as JSON for a job file; treat it as read-only.

        >>> change = Change()
        >>> change.with_bag("app_metadata", change.app_metadata.clear().set("plan", "pro")).to_json()
        {'app_metadata': {'reset': True, 'ops': [['set', ['plan'], 'pro']]}}
        """
        encoded: dict[str, Any] = {}
        for bag in BAGS:
            if change := self.bag(bag):
                encoded[bag] = {"reset": change.reset, "ops": [op.to_json() for op in change.operations]}
        return encoded

    @classmethod
    def from_json(cls, encoded: object, /) -> Change:
        """Return the change that `to_json` wrote; everything is checked again.

        Raises `MetadataError` on an unknown bag or operation, and what staging raises.

        >>> Change.from_json({"app_metadata": {"reset": False, "ops": [["increment", ["visits"], 1]]}})
        <Change app_metadata(visits increment)>
        """
        change = cls()
        if not isinstance(encoded, dict):
            raise MetadataError(
                "an encoded change must be an object with user_metadata, app_metadata or both"
            )
        for bag, part in encoded.items():
            if bag not in BAGS:
                raise MetadataError("an encoded change may have only user_metadata and app_metadata")
            reset, ops = (part.get("reset"), part.get("ops")) if isinstance(part, dict) else (None, None)
            if not isinstance(reset, bool) or not isinstance(ops, list):
                rules.refuse("an encoded bag must be an object with 'reset' and 'ops'", bag=bag)
            restored = [op for encoded_op in ops for op in operations.from_json(bag, encoded_op)]
            change = change.with_bag(bag, BagChange(bag).staging(restored, reset=reset))
        return change

    def __bool__(self) -> bool:
        return bool(self._user or self._app)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return (self._user, self._app) == (other._user, other._app)

    __hash__ = None  # type: ignore[assignment]  # holds dicts

    def __repr__(self) -> str:
        return f"<Change {', '.join(self.bag(bag).outline for bag in BAGS if self.bag(bag)) or 'nothing'}>"


_UNTOUCHED: dict[Bag, BagChange] = {bag: BagChange(bag) for bag in BAGS}


def differing_paths(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the paths at which two changes, as JSON, do different things.

    >>> differing_paths({"app_metadata": {"reset": False, "ops": [["set", ["a", "b"], 1]]}}, {})
    ['app_metadata.a.b']
    """
    found: dict[str, None] = {}
    for bag in BAGS:
        ours, theirs = (change.get(bag, {"reset": False, "ops": []}) for change in (one, other))
        if ours["reset"] != theirs["reset"]:
            found[bag] = None
        for op in [*ours["ops"], *theirs["ops"]]:
            known = [sum(json_equal(op, each) for each in ops) for ops in (ours["ops"], theirs["ops"])]
            if known[0] != known[1]:
                found[".".join((bag, *op[1]))] = None
    return list(found)
