"""What an offload moves out of a profile: one rule for the plan, for users who have changed since, and for the check; PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import attrs

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, Path, json_equal
from auth0_meta.changes.profile import object_in
from auth0_meta.changes.rules import MAX_REQUEST, read
from auth0_meta.checks.names import bad_key
from auth0_meta.checks.sizes import json_size, profile_size
from auth0_meta.errors import InputError
from auth0_meta.external.pointers import Pointer, encode, is_pointer, pointer
from auth0_meta.migrate.offloading.paths import OffloadPath, dotted, parse_paths


class Move(NamedTuple):
    """One value that leaves a profile: its bytes as they are stored, and the pointer that takes its place."""

    path: OffloadPath
    data: bytes
    pointer: Pointer
    returns: bool
    """Whether Auth0 would take the value back: it refuses keys with `.` or `$`, which old data may have."""


class Moves(NamedTuple):
    """What a rule makes of one profile: the moves, and the values that stay, counted by the reason.

    `smaller`: not larger than the pointer, or than what was asked for.  `moved`: pointers already.  `stuck`: they, or keys
    beside them that would be sent too, are of a kind that Auth0 refuses.  `light`: the values of a profile that is not large enough.
    """

    moves: tuple[Move, ...] = ()
    smaller: int = 0
    moved: int = 0
    stuck: int = 0
    light: int = 0

    @property
    def change(self) -> Change:
        """Return the change that puts the pointers in the places of the values."""
        change = Change()
        for move in self.moves:
            bag, keys = move.path
            change = change.with_bag(bag, change.bag(bag).set(keys, move.pointer))
        return change


@attrs.frozen(kw_only=True)
class Rule:
    """Which values move: those under `paths`, of `smallest` bytes at least, in profiles of more than `larger_than` bytes.

    `store` is the name that the pointers begin with.  A value is left where it is unless that saves something.
    """

    paths: tuple[OffloadPath, ...]
    store: str
    smallest: int = 0
    larger_than: int = 0

    def moves(self, profile: Mapping[str, Any]) -> Moves:
        """Return what is moved out of a profile; it is only read.

        >>> rule = Rule(paths=parse_paths("app_metadata.history"), store="big")
        >>> found = rule.moves({"user_id": "auth0|1", "app_metadata": {"history": ["a" * 99] * 9}})
        >>> [dotted(move.path) for move in found.moves], found.smaller
        (['app_metadata.history'], 0)
        """
        found: list[Move] = []
        smaller = moved = stuck = 0
        for path in self.paths:
            value = _at(profile, path)
            if value is ABSENT:
                stuck += _has_dotted_key(profile, path)
            elif is_pointer(value):
                moved += 1
            elif (move := self._move(profile["user_id"], path, value)) is None:
                stuck += 1
            elif len(move.data) < self.smallest or len(move.data) <= json_size(move.pointer):
                smaller += 1
            else:
                found.append(move)
        kept = _sendable(found, profile)
        stuck += len(found) - len(kept)
        if kept and self.larger_than and profile_size(profile) <= self.larger_than:
            return Moves((), smaller, moved, stuck, len(kept))
        return Moves(tuple(kept), smaller, moved, stuck)

    def of(
        self, user_id: str, before: Mapping[str, Any], document: Mapping[str, Any]
    ) -> tuple[Move, ...] | None:
        """Return the moves of a planned `document`; None if it is anything but what the rule makes of `before`."""
        profile = {**before, "user_id": user_id}
        moves = attrs.evolve(self, larger_than=0).moves(profile)
        return moves.moves if json_equal(moves.change.document(profile), document) else None

    def _move(self, user_id: str, path: OffloadPath, value: object) -> Move | None:
        """Return how a value moves, None if it can't be stored."""
        try:
            data = encode(value)
        except InputError:
            return None
        made = pointer(data, store=self.store, user_id=user_id, path=dotted(path))
        return Move(path, data, made, len(data) <= MAX_REQUEST and not _has_refused_key(value))

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a job file keeps it."""
        paths = [[bag, *keys] for bag, keys in self.paths]
        return {
            "paths": paths,
            "store": self.store,
            "smallest": self.smallest,
            "larger_than": self.larger_than,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the rule that `to_json` gave; raise an error of any kind for anything else."""
        numbers = [facts["smallest"], facts["larger_than"]]
        if not isinstance(facts["store"], str) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError("an offload's facts have the wrong types")
        return cls(
            paths=parse_paths(facts["paths"]),
            store=facts["store"],
            smallest=numbers[0],
            larger_than=numbers[1],
        )


def _at(profile: Mapping[str, Any], path: OffloadPath) -> Any:
    """Return what is at exactly these keys, ABSENT if nothing is."""
    value: Any = object_in(profile, path[0])
    for key in path[1]:
        if not isinstance(value, Mapping) or key not in value:
            return ABSENT
        value = value[key]
    return value


def _has_dotted_key(profile: Mapping[str, Any], path: OffloadPath) -> bool:
    """Return whether the value is there, but under a key that is stored with its dots: no PATCH may name that."""
    bag = object_in(profile, path[0])
    return len(path[1]) > 1 and isinstance(bag, dict) and read(bag, path[1]) is not ABSENT


def _sendable(moves: list[Move], profile: Mapping[str, Any]) -> list[Move]:
    """Return the moves whose PATCH Auth0 would take: below the first level, what is beside a value is sent with it."""
    kept = []
    for move in moves:
        bag, keys = move.path
        others = {path[1] for path in (other.path for other in moves) if path[0] == bag}
        stored = object_in(profile, bag)
        beside = stored is not None and len(keys) > 1 and _has_refused_key(stored[keys[0]], keys[:1], others)
        if not beside:
            kept.append(move)
    return kept


def _has_refused_key(value: object, path: Path = (), but: set[Path] | frozenset[Path] = frozenset()) -> bool:
    """Return whether Auth0 would refuse a key anywhere in a value; what is at the paths in `but` does not count."""
    return any(bad_key(key) for key in _keys(value, path, but))


def _keys(value: object, path: Path, but: set[Path] | frozenset[Path]) -> Iterator[str]:
    todo: list[tuple[Path, object]] = [(path, value)]
    while todo:
        path, one = todo.pop()
        if but and path in but:
            continue
        if isinstance(one, dict):
            yield from one
            todo += [((*path, key) if but else path, item) for key, item in one.items()]
        elif isinstance(one, list):
            todo += [(path if not but else (*path, ""), item) for item in one]
