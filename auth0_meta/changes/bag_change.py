"""Stage changes to one bag, read what is staged, and compute the result; PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from auth0_meta.changes import operations, rules
from auth0_meta.changes.jsonvalue import ABSENT, UNKNOWN, Bag, KeyPath, Path, json_equal
from auth0_meta.changes.operations import Append, Clash, Delete, Increment, Merge, Operation, Set
from auth0_meta.checks.sizes import json_size
from auth0_meta.errors import PathError, StateError


class _Staged(NamedTuple):
    """One key's operations, their result on ABSENT, and their size, including the key's own."""

    ops: tuple[Operation, ...]
    value: Any
    size: int

    @property
    def exact(self) -> bool:
        """Return whether `value` is the key's new value whatever the old one is: one Set or Delete of the key."""
        return bool(self.ops) and self.ops[0].whole


_NOTHING = _Staged((), ABSENT, 0)


class BagChange:
    """What is staged for one bag: an immutable value whose staging methods return a new one.

    Normal form: `reset` (the bag was cleared or replaced first) and, per first-level key, the
    operations in order.  Setting or deleting a whole key drops what was staged for it before;
    an operation on a known value is evaluated at once, so after a reset each key is one Set.
    Every staging method copies and checks its input, and raises `MetadataError` for what Auth0 does
    not accept, and `PathError` for what contradicts the changes staged before; nothing was sent then.

    >>> change = BagChange("app_metadata").set("plan", "pro").increment("counters.logins")
    >>> change
    <BagChange app_metadata(plan 5 B, counters increment)>
    >>> change.document({"plan": "free", "counters": {"logins": 1, "seats": 3}})
    {'plan': 'pro', 'counters': {'logins': 2, 'seats': 3}}
    """

    __slots__ = ("_bag", "_reset", "_size", "_staged")

    def __init__(self, bag: Bag, /) -> None:
        self._bag: Bag = bag
        self._reset = False
        self._size = 0
        self._staged: dict[str, _Staged] = {}

    # What is staged ---------------------------------------------------------------------------------

    @property
    def bag(self) -> Bag:
        """Return the bag's name."""
        return self._bag

    @property
    def reset(self) -> bool:
        """Return whether the stored bag is cleared or replaced before the operations apply."""
        return self._reset

    @property
    def keys(self) -> dict[str, tuple[Operation, ...]]:
        """Return each touched first-level key with its operations, in a new dict."""
        return {key: staged.ops for key, staged in self._staged.items()}

    @property
    def operations(self) -> Iterator[Operation]:
        """Return the operations in order, key by key."""
        return chain.from_iterable(staged.ops for staged in self._staged.values())

    @property
    def size(self) -> int:
        """Return how many bytes of JSON are staged, 0 if none; in a request they take no more.

        What is stored next to a nested change is not counted.
        """
        return len(self._bag) + 5 + self._size - bool(self._size) if self else 0

    @property
    def needs_base(self) -> bool:
        """Return whether the stored bag must be known to compute the document."""
        if self._reset:
            return bool(self._staged)
        return not all(staged.exact for staged in self._staged.values())

    @property
    def repeatable(self) -> bool:
        """Return whether this may be applied again after an unknown outcome: no append, no increment."""
        return all(op.repeatable for op in self.operations)

    def __bool__(self) -> bool:
        return self._reset or bool(self._staged)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BagChange):
            return NotImplemented
        return (self._bag, self._reset, self.keys) == (other._bag, other._reset, other.keys)

    __hash__ = None  # type: ignore[assignment]  # holds dicts

    def __repr__(self) -> str:
        return f"<BagChange {self.outline}>"

    @property
    def outline(self) -> str:
        """Describe this by names and sizes, never values."""
        parts = [] if not self._reset else ["replaced"] if self._staged else ["cleared"]
        for key, staged in self._staged.items():
            if not staged.exact:
                parts.append(f"{key} {', '.join(dict.fromkeys(op.name for op in staged.ops))}")
            elif staged.value is ABSENT:
                parts.append(f"{key} deleted")
            else:
                parts.append(f"{key} {json_size(staged.value)} B")
        return f"{self._bag}({', '.join(parts) or 'untouched'})"

    # Staging ----------------------------------------------------------------------------------------

    def set(self, path: KeyPath, value: Any, /) -> BagChange:
        """Stage `value` at `path`, creating absent parents; None deletes, None inside it is data."""
        return self.staging(Set.of(self._bag, path, value))

    def delete(self, path: KeyPath, /) -> BagChange:
        """Stage the removal of `path`; deleting what is absent is not an error and creates nothing."""
        return self.staging(Delete.of(self._bag, path))

    def merge(self, patch: dict[str, Any], /) -> BagChange:
        """Stage an RFC 7396 merge of an object; None deletes at any depth, {} stages nothing.

        Only this overwrites a scalar with an object.
        """
        return self.staging(Merge.of(self._bag, patch))

    def append(self, path: KeyPath, value: Any, /, *, keep: int | None = None) -> BagChange:
        """Stage `value` as the new last item of the list at `path`, of which the last `keep` items stay.

        `keep`: None for no limit, else at least 1.  An absent list and its parents are created.
        """
        return self.staging(Append.of(self._bag, path, value, keep))

    def increment(self, path: KeyPath, /, by: float = 1) -> BagChange:
        """Stage the addition of `by` (int or finite float) to the number at `path`; absent counts as 0."""
        return self.staging(Increment.of(self._bag, path, by))

    def replace(self, document: dict[str, Any], /) -> BagChange:
        """Stage `document` as the whole bag; stored keys that it lacks are deleted, first-level None is left out."""
        return self.staging(operations.replacement(self._bag, document), reset=True)

    def clear(self) -> BagChange:
        """Stage an empty bag."""
        return self.staging((), reset=True)

    def then(self, later: BagChange, /) -> BagChange:
        """Return the change that does this and then `later`, which is of the same bag."""
        if later._reset:
            return later
        return self.staging(later.operations)

    def staging(self, ops: Iterable[Operation], /, *, reset: bool = False) -> BagChange:
        """Return the change that does this and then these checked operations; `reset` empties the bag first.

        Raises `PathError` for contradictions, `MetadataError` for more than a request may contain.
        """
        change = BagChange(self._bag)
        change._reset = reset or self._reset
        change._size = 0 if reset else self._size
        change._staged = {} if reset else self._staged.copy()
        for op in ops:
            change._add(op)
        rules.check_size(change.size + 2, bag=self._bag)
        return change

    def _add(self, op: Operation) -> None:
        """Do `op` after what is staged for its key; only while this change is being built."""
        old = self._staged.get(op.key, _NOTHING)
        new = self._following(old, op)
        if new.ops:
            self._staged[op.key] = new
        else:
            self._staged.pop(op.key, None)
        self._size += new.size - old.size

    def _following(self, old: _Staged, op: Operation) -> _Staged:
        """Keep `op` after `old`, or evaluate it if the outcome is known.

        Evaluating on ABSENT also finds contradictions: an operation's outcome has the same JSON
        type on every stored value, so what clashes here clashes everywhere.
        """
        value = self._run(old.value, (op,))
        name = json_size(op.key) + 2  # with its colon and comma
        size = op.size + (old.size if old.ops and not op.whole else name)
        if not (op.whole or old.exact or self._reset):
            return _Staged((*old.ops, op), value, size)
        if value is ABSENT:
            return _NOTHING if self._reset else _Staged((Delete((op.key,)),), ABSENT, name + 4)
        if size > rules.MAX_REQUEST:  # the sum is an upper bound: only here is the exact size worth its cost
            size = name + json_size(value)
        return _Staged((Set((op.key,), value),), value, size)

    def _run(self, value: Any, ops: Iterable[Operation]) -> Any:
        for op in ops:
            try:
                value = op.apply(value)
            except Clash as clash:
                raise self._refusal(clash, op) from None
        return value

    def _refusal(self, clash: Clash, op: Operation) -> PathError:
        """Return the error for an operation that met the wrong type, with the line that staged it."""
        where = f"{self._bag} {rules.shown(clash.path)!r}"
        at = "" if op.staged_at is None else f" (staged at {op.staged_at})"
        msg = f"{where}: {clash.problem}; nothing was written{at}"
        return PathError(msg, bag=self._bag, path=clash.path, staged_at=op.staged_at and op.staged_at[:2])

    # The result -------------------------------------------------------------------------------------

    def answer(self, path: Path, /) -> Any:
        """Return what is at `path` whatever is stored (a value, or ABSENT), or UNKNOWN if that depends on it.

        `path` is a tuple of keys, the first-level key first; () is the whole bag.

        >>> change = BagChange("user_metadata").merge({"prefs": {"lang": "fi", "old": None}})
        >>> change.answer(("prefs", "lang")), change.answer(("prefs", "old")), change.answer(("prefs",))
        ('fi', ABSENT, UNKNOWN)
        """
        if not path:
            return {key: staged.value for key, staged in self._staged.items()} if self._reset else UNKNOWN
        staged = self._staged.get(path[0], _NOTHING)
        if self._reset or any(op.covers(path) for op in reversed(staged.ops)):
            return rules.read(staged.value, path[1:])
        return UNKNOWN

    def apply_key(self, key: str, stored: Any, /) -> Any:
        """Return what `key` holds after this, given what is stored there; ABSENT if the key does not exist.

        Raises `PathError` if an operation meets the wrong type.
        """
        staged = self._staged.get(key, _NOTHING)
        return staged.value if self._reset else self._run(stored, staged.ops)

    def apply(self, stored: Mapping[str, Any], /) -> dict[str, Any]:
        """Return the bag after this as a new dict that shares what does not change; `stored` stays as it is.

        Raises `PathError` if an operation meets the wrong type.
        """
        return self.applied_to(stored)[1]

    def document(self, stored: Mapping[str, Any] | None, /) -> dict[str, Any] | None:
        """Return this bag's part of the PATCH body as `applied_to` gives it."""
        return self.applied_to(stored)[0]

    def applied_to(self, stored: Mapping[str, Any] | None, /) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return this bag's part of the PATCH body, and the bag afterwards; treat both as read-only.

        The part is None if there is nothing to send, and {}, which clears the bag, only if `clear` or
        `replace` leaves nothing.  `stored`: the stored bag; None if it is unknown, which only a change that
        does not need it (`needs_base`) allows, and then the bag afterwards has only the keys that are known.
        If the bag is known, the part has only first-level keys that differ.  Raises `PathError` if an
        operation meets the wrong type, `StateError` if the bag must be known.  Source: Auth0 merges
        metadata's first level, null deletes and {} clears.
        """
        if stored is None and self.needs_base:
            raise StateError(f"the document of {self.outline} needs the stored bag; read the user first")
        known = stored or {}
        after = {} if self._reset else dict(known)
        part = {key: None for key in known if key not in self._staged} if self._reset else {}
        for key in self._staged:
            before = known.get(key, ABSENT)
            value = self.apply_key(key, before)
            if value is ABSENT:
                after.pop(key, None)
            else:
                after[key] = value
            if stored is None or not json_equal(value, before):
                part[key] = None if value is ABSENT else value
        if self._reset and not after:
            return ({} if stored is None or stored else None), after
        return part or None, after

    def verify(self, stored: Mapping[str, Any], /, *, key: str | None = None) -> None:
        """Raise the `PathError` that `apply` would raise on `stored`; with `key`, for that first-level key only."""
        for touched in self._staged if key is None else (key,):
            self.apply_key(touched, stored.get(touched, ABSENT))
