"""What a plan comes to: users, keys, sizes, and what applying it costs at this tenant's rate; PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from auth0_meta.migrate.report_types import SummaryReport

_MOST_KEYS = 200
_MOST_NAMED = 20
OTHERS = "(other keys)"


@attrs.frozen(kw_only=True)
class Rates:
    """Requests a second for reads and for writes; `shared`: they come from one bucket."""

    read: float
    write: float
    shared: bool


@attrs.frozen(kw_only=True)
class Cost:
    """Requests, and the seconds that they take; None while the tenant's rate is unknown."""

    reads: int
    writes: int
    seconds: float | None = None


def cost(users: int, *, trust: bool, rates: Rates | None) -> Cost:
    """Return what it costs to apply a plan to that many users; `trust`: without the reads.

    >>> cost(160, trust=False, rates=Rates(read=16, write=16, shared=True)).seconds
    20.0
    """
    reads = 0 if trust else users
    if rates is None:
        return Cost(reads=reads, writes=users)
    parts = (reads / rates.read, users / rates.write)
    return Cost(reads=reads, writes=users, seconds=sum(parts) if rates.shared else max(parts))


@attrs.define(kw_only=True)
class PathMoved:
    """What an offload moves under one path: the values, one for each user, their bytes, and those of the largest."""

    values: int = 0
    bytes: int = 0
    largest: int = 0


@attrs.define(kw_only=True)
class Moved:
    """What an offload moves, and what it leaves where it is.

    `values` of `bytes` leave the profiles, and pointers of `pointer_bytes` take their places; `paths`: by path.
    `one_way`: values that `undo` can't bring back, because Auth0 refuses a key in them or their size.

    Values that stay: `smaller` than their pointer, or than what was asked for; `already` moved; `stuck`, because Auth0
    would refuse the PATCH for a key with `.` or `$`, or they can't be stored; `light`: their profile is small enough.
    """

    values: int = 0
    bytes: int = 0
    pointer_bytes: int = 0
    paths: dict[str, PathMoved] = attrs.field(factory=dict)
    one_way: int = 0
    smaller: int = 0
    already: int = 0
    stuck: int = 0
    light: int = 0

    @property
    def saved(self) -> int:
        """The bytes by which the profiles shrink."""
        return self.bytes - self.pointer_bytes

    def add_value(self, path: str, size: int, pointer: int, *, returns: bool) -> None:
        """Count a value of `size` bytes, and the bytes of its pointer; `returns`: `undo` can bring it back."""
        self.values += 1
        self.bytes += size
        self.pointer_bytes += pointer
        self.one_way += not returns
        one = self.paths.setdefault(path, PathMoved())
        one.values += 1
        one.bytes += size
        one.largest = max(one.largest, size)

    def add(self, other: Moved) -> None:
        """Add the numbers of another one, such as the next user's."""
        for name in ("values", "bytes", "pointer_bytes", "one_way", "smaller", "already", "stuck", "light"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for path, more in other.paths.items():
            one = self.paths.setdefault(path, PathMoved())
            one.values += more.values
            one.bytes += more.bytes
            one.largest = max(one.largest, more.largest)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Moved:
        """Return the numbers whose JSON this is."""
        return cls(**{**facts, "paths": {path: PathMoved(**one) for path, one in facts["paths"].items()}})


@attrs.define(kw_only=True)
class PlanSummary:
    """What planning has seen, in numbers of users.

    `keys`: users by touched first-level key.  `oversize`: users whose profile would be larger than 10 KB.
    `advised`: users who get a value that does not belong in metadata.  `steady_checked`: users whose change was
    computed twice; `unsteady`: those of them for whom that gave two different changes, which differ at `unsteady_paths`.  `repeated`:
    rows for a user who had come up before.  `missing`: users of a change file whom the source does not have;
    `invalid` includes them. `requests`: reads of single users; those of a search or an export are not included.
    `moved`: what an offload moves, None for any other migration.
    """

    read: int = 0
    changing: int = 0
    unchanged: int = 0
    invalid: int = 0
    repeated: int = 0
    missing: int = 0
    oversize: int = 0
    advised: int = 0
    steady_checked: int = 0
    keys: dict[str, int] = attrs.field(factory=dict)
    oversize_users: list[str] = attrs.field(factory=list)
    unsteady: list[str] = attrs.field(factory=list)
    unsteady_paths: list[str] = attrs.field(factory=list)
    advice: list[str] = attrs.field(factory=list)
    rates: Rates | None = None
    requests: int = 0
    seconds: float = 0.0
    moved: Moved | None = None

    def count_keys(self, keys: Iterable[str], step: int = 1) -> None:
        """Count the keys that a plan touches; after 200 different ones, the others are counted together."""
        for key in keys:
            name = key if key in self.keys or len(self.keys) < _MOST_KEYS else OTHERS
            self.keys[name] = self.keys.get(name, 0) + step
            if not self.keys[name]:
                del self.keys[name]

    def note_oversize(self, user_id: str) -> None:
        """Count a profile that would be larger than 10 KB."""
        self.oversize += 1
        if len(self.oversize_users) < _MOST_NAMED:
            self.oversize_users.append(user_id)

    def note_unsteady(self, user_id: str, paths: Iterable[str]) -> None:
        """Note a user for whom the function staged two different changes, and where they differ."""
        self.unsteady.append(user_id)
        new = [path for path in paths if path not in self.unsteady_paths]
        self.unsteady_paths.extend(new[: _MOST_NAMED - len(self.unsteady_paths)])

    def note_advice(self, user_id: str, advice: Sequence[str]) -> None:
        """Count a user with a warning, and keep the first ones; a warning holds no value."""
        self.advised += 1
        if len(self.advice) < _MOST_NAMED:
            self.advice.append(advice[0] if user_id in advice[0] else f"{user_id}: {advice[0]}")

    def note_moved(self, moved: Moved) -> None:
        """Count what an offload moves for another user."""
        self.moved = self.moved or Moved()
        self.moved.add(moved)

    def costs(self) -> dict[str, Cost]:
        """Return what applying costs, with and without the reads."""
        kinds = {"apply": False, "apply_trusting_the_plan": True}
        return {name: cost(self.changing, trust=trust, rates=self.rates) for name, trust in kinds.items()}

    def to_json(self) -> SummaryReport:
        """Return everything as JSON: ids and key names, but no value."""
        costs = {name: attrs.asdict(one) for name, one in self.costs().items()}
        return cast("SummaryReport", {**attrs.asdict(self), "costs": costs})

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> PlanSummary:
        """Return the summary whose JSON this is."""
        own = {field.name: facts[field.name] for field in attrs.fields(cls) if field.name in facts}
        rates, moved = own.pop("rates", None), own.pop("moved", None)
        return cls(
            **own,
            rates=None if rates is None else Rates(**rates),
            moved=None if moved is None else Moved.from_json(moved),
        )
