"""Put the changes of both bags together: `Change`, its PATCH document, its form in a ledger; PURE.

A `BagChange` holds what is staged for one bag, a `Change` both.  They are persistent values:
staging gives a new one and the old one stays valid, which makes a savepoint a reference.  Auth0
merges the first level of a bag and replaces what is below, so operations are kept per first-level
key and evaluated, as late as possible, against what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from auth0_meta.changes import rules
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, Bag, json_equal, too_deep
from auth0_meta.errors import MetadataError, StoredDataError

MAX_STORED_DEPTH = 200
"""Levels of a stored bag: twice what can be staged, and far from where Python's recursion ends."""


class Change:
    """Hold what is staged for a user: an immutable pair of `BagChange`, one per bag.

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
        """Return what is staged for the bag that the user may edit."""
        return self._user

    @property
    def app_metadata(self) -> BagChange:
        """Return what is staged for the application's bag."""
        return self._app

    def bag(self, name: Bag, /) -> BagChange:
        """Return what is staged for the bag of this name."""
        return self._user if name == "user_metadata" else self._app

    def with_bag(self, name: Bag, bag: BagChange, /) -> Change:
        """Return a change with this bag's part exchanged.

        Raises `MetadataError` when both parts together pass the 1 MB that a request may have.
        """
        change = Change()
        change._user, change._app = (bag, self._app) if name == "user_metadata" else (self._user, bag)
        rules.check_size(change.size, bag=name)
        return change

    @property
    def size(self) -> int:
        """Return the bytes of JSON that are staged, braces included: no less than a request takes."""
        user, app = self._user.size, self._app.size
        return user + app + 2 + bool(user and app)

    @property
    def needs_base(self) -> bool:
        """Tell whether `document` needs the stored profile to be exact."""
        return self._user.needs_base or self._app.needs_base

    @property
    def blind_safe(self) -> bool:
        """Tell whether this may be applied again after an unknown outcome: no append, no increment."""
        return self._user.blind_safe and self._app.blind_safe

    @property
    def touched(self) -> tuple[tuple[Bag, str], ...]:
        """Return the (bag, first-level key) pairs named here; a `reset` bag touches its other keys too."""
        return tuple((bag, key) for bag in BAGS for key in self.bag(bag).keys)

    def then(self, later: Change, /) -> Change:
        """Return the change that does this and then `later`; raise `PathError` if they contradict."""
        return self.with_bag("user_metadata", self._user.then(later._user)).with_bag(
            "app_metadata", self._app.then(later._app)
        )

    def document(self, profile: Mapping[str, Any] | None, /) -> dict[str, dict[str, Any]]:
        """Return the PATCH body: the bags that change, {} when there is nothing to send.

        `profile` is the stored user as JSON; None for unknown, where `needs_base` is False.
        Treat the result as read-only.  Raises `PathError` where an operation meets the wrong type,
        `StoredDataError` when a touched bag is stored as no object, `StateError` when the profile
        is needed.
        """
        body: dict[str, dict[str, Any]] = {}
        for bag in BAGS:
            if change := self.bag(bag):
                part = change.document(None if profile is None else stored_bag(profile, bag))
                if part is not None:
                    body[bag] = part
        return body

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


def stored_bag(profile: Mapping[str, Any], bag: str, /) -> Mapping[str, Any]:
    """Return a bag of a stored profile; absent and null read as {}.

    Raises `StoredDataError` when it is no object.

    >>> stored_bag({"user_id": "auth0|1"}, "app_metadata")
    {}
    """
    value = profile.get(bag)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        user_id = profile.get("user_id")
        raise StoredDataError(
            f"{bag} of user {user_id!r} is stored as {type(value).__name__} and not as an object, "
            "so no change can be computed; nothing was written",
            user_id=user_id,
            bag=bag,
        )
    return value


def check_stored(profile: Mapping[str, Any], /) -> None:
    """Raise `StoredDataError` where a bag of a stored profile is no object, or is nested too deep to work with."""
    for bag in BAGS:
        if too_deep(stored_bag(profile, bag), MAX_STORED_DEPTH):
            user_id = profile.get("user_id")
            raise StoredDataError(
                f"{bag} of user {user_id!r} is stored nested more than {MAX_STORED_DEPTH} levels deep, too deep to work with; "
                "nothing was written",
                user_id=user_id,
                bag=bag,
            )


def diff(base: Mapping[str, Any], target: Mapping[str, Any], /, *, bag: Bag) -> BagChange:
    """Return the change that makes `target` of `base`, by whole first-level keys.

    A first-level null that `base` does not hold counts as absent: Auth0 can't store one.  Raises
    `MetadataError` when a key that differs has a name or value that Auth0 does not accept.

    >>> diff({"a": 1, "b": 2}, {"b": 2, "c": 3}, bag="user_metadata").document(None)
    {'a': None, 'c': 3}
    """
    change = BagChange(bag)
    for key in [*base, *(key for key in target if key not in base)]:
        value = target.get(key, ABSENT)
        if not json_equal(value, base.get(key, ABSENT)):
            change = change.delete((key,)) if value is ABSENT else change.set((key,), value)
    return change


def encode(change: Change, /) -> dict[str, Any]:
    """Return the staged operations as JSON for a ledger, `decode`'s inverse; treat it as read-only.

    >>> change = Change()
    >>> encode(change.with_bag("app_metadata", change.app_metadata.clear().set("plan", "pro")))
    {'app_metadata': {'reset': True, 'ops': [['set', ['plan'], 'pro']]}}
    """
    return {
        bag: {
            "reset": self.reset,
            "ops": [op.encode(key) for key, ops in self.keys.items() for op in ops],
        }
        for bag in BAGS
        if (self := change.bag(bag))
    }


_STAGING: dict[tuple[str, int], Callable[..., BagChange]] = {
    ("set", 2): BagChange.set,
    ("delete", 1): BagChange.delete,
    ("merge", 1): BagChange.merge,
    ("append", 3): lambda change, path, value, keep: change.append(path, value, keep=keep),
    ("increment", 2): BagChange.increment,
}
"""How an encoded operation is staged again, by name and number of arguments."""


def decode(encoded: object, /) -> Change:
    """Return the change that `encode` gave; everything is checked again.

    Raises `MetadataError` on an unknown bag or operation, and what staging raises.

    >>> decode({"app_metadata": {"reset": False, "ops": [["increment", ["visits"], 1]]}})
    <Change app_metadata(visits increment)>
    """
    change = Change()
    if not isinstance(encoded, dict):
        raise MetadataError("an encoded change is an object with the bags as members", bag=None, path=())
    for bag, part in encoded.items():
        if bag not in BAGS:
            raise MetadataError("an encoded change has no members but the bags", bag=None, path=())
        reset, ops = (part.get("reset"), part.get("ops")) if isinstance(part, dict) else (None, None)
        if not isinstance(reset, bool) or not isinstance(ops, list):
            rules.refuse("an encoded bag is an object with 'reset' and 'ops'", bag=bag)
        staged = BagChange(bag).clear() if reset else BagChange(bag)
        for op in ops:
            staged = _restaged(staged, op)
        change = change.with_bag(bag, staged)
    return change


def _restaged(change: BagChange, op: object) -> BagChange:
    if isinstance(op, list) and op and isinstance(op[0], str):
        stage = _STAGING.get((op[0], len(op) - 1))
        if stage is not None:
            return stage(change, *op[1:])
    rules.refuse("an unknown operation, or one with too few or too many arguments", bag=change.bag)
