"""Stage, read and compute the changes of one bag; PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from auth0_meta.changes import rules
from auth0_meta.changes.jsonvalue import ABSENT, UNKNOWN, Bag, Path, json_equal, json_size
from auth0_meta.changes.operations import Append, Clash, Delete, Increment, Merge, Operation, Set
from auth0_meta.changes.paths import parse_path, read
from auth0_meta.errors import PathError, StateError


class _Staged(NamedTuple):
    """Hold one key's operations, what they make of ABSENT, and the size with the key's own."""

    ops: tuple[Operation, ...]
    value: Any
    size: int

    @property
    def exact(self) -> bool:
        """Tell whether `value` is the key's new value whatever it was: one Set or Delete of the key."""
        return bool(self.ops) and self.ops[0].whole


_NOTHING = _Staged((), ABSENT, 0)


class BagChange:
    """Hold what is staged for one bag: an immutable value whose staging methods return a new one.

    Normal form: `reset` (the bag was cleared or replaced first) and, per first-level key, the
    operations in order.  Setting or deleting a whole key drops what was staged for it before;
    what follows on a known value is evaluated at once, so after a reset each key is one Set.
    Every staging method copies and checks its input and raises `MetadataError` on what Auth0 does
    not accept, `PathError` on what contradicts the changes staged before; nothing was sent then.

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

    # What is staged

    @property
    def bag(self) -> Bag:
        """Return the bag's name."""
        return self._bag

    @property
    def reset(self) -> bool:
        """Tell whether the stored bag is cleared or replaced before the keys apply."""
        return self._reset

    @property
    def keys(self) -> dict[str, tuple[Operation, ...]]:
        """Return each touched first-level key with its operations, in a new dict."""
        return {key: staged.ops for key, staged in self._staged.items()}

    @property
    def size(self) -> int:
        """Return the bytes of JSON that are staged, 0 for none: no less than they take in a request.

        What is stored beside a nested change comes on top.
        """
        return len(self._bag) + 5 + self._size - bool(self._size) if self else 0

    @property
    def needs_base(self) -> bool:
        """Tell whether `document` needs the stored bag to be exact."""
        if self._reset:
            return bool(self._staged)
        return not all(staged.exact for staged in self._staged.values())

    @property
    def blind_safe(self) -> bool:
        """Tell whether this may be applied again after an unknown outcome: no append, no increment."""
        return all(op.blind_safe for staged in self._staged.values() for op in staged.ops)

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

    # Staging

    def set(self, path: str | Sequence[str], value: Any, /) -> BagChange:
        """Stage `value` at `path`, creating absent parents; None deletes, None inside it is data."""
        if value is None:
            return self.delete(path)
        keys = parse_path(path, bag=self._bag)
        return self._stage(keys[0], Set(keys[1:], rules.checked(value, bag=self._bag, path=keys)))

    def delete(self, path: str | Sequence[str], /) -> BagChange:
        """Stage the removal of `path`; deleting what is absent is no error and creates nothing."""
        keys = parse_path(path, bag=self._bag)
        return self._stage(keys[0], Delete(keys[1:]))

    def merge(self, patch: dict[str, Any], /) -> BagChange:
        """Stage an RFC 7396 merge of an object; None deletes at any depth, {} stages nothing.

        It alone overwrites a scalar with an object.
        """
        change = self
        for key, value in self._object(patch, "merge").items():
            change = change._stage(key, Merge((), value) if isinstance(value, dict) else _whole(value))
        return change

    def append(self, path: str | Sequence[str], value: Any, /, *, keep: int | None = None) -> BagChange:
        """Stage `value` as a new last item of the list at `path`, of which the last `keep` stay.

        `keep`: None for no bound, else at least 1.  An absent list and its parents are created.
        """
        keys = parse_path(path, bag=self._bag)
        if keep is not None and (type(keep) is not int or keep < 1):
            problem = "append's keep is a whole number of at least 1, or None for no bound"
            rules.refuse(problem, bag=self._bag, path=keys)
        return self._stage(keys[0], Append(keys[1:], rules.checked(value, bag=self._bag, path=keys), keep))

    def increment(self, path: str | Sequence[str], /, by: float = 1) -> BagChange:
        """Stage the addition of `by` (int or finite float) to the number at `path`; absent counts as 0."""
        keys = parse_path(path, bag=self._bag)
        if isinstance(by, bool) or not isinstance(by, (int, float)):
            rules.refuse(f"increment takes a number, not {type(by).__name__}", bag=self._bag, path=keys)
        return self._stage(keys[0], Increment(keys[1:], rules.checked(by, bag=self._bag, path=keys)))

    def replace(self, doc: dict[str, Any], /) -> BagChange:
        """Stage `doc` as the whole bag; what is stored and not in it goes, first-level None is left out."""
        change = self.clear()
        for key, value in self._object(doc, "replace").items():
            change = change._stage(key, _whole(value))
        return change

    def clear(self) -> BagChange:
        """Stage an empty bag."""
        return self._with({}, 0, reset=True)

    def then(self, later: BagChange, /) -> BagChange:
        """Return the change that does this and then `later`, which is of the same bag."""
        if later._reset:
            return later
        change = self
        for key, staged in later._staged.items():
            for op in staged.ops:
                change = change._stage(key, op)
        return change

    def _object(self, value: object, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            rules.refuse(f"{what} takes a dict, not {type(value).__name__}", bag=self._bag)
        copy: dict[str, Any] = rules.checked(value, bag=self._bag, path=())
        return copy

    def _with(self, staged: dict[str, _Staged], size: int, *, reset: bool) -> BagChange:
        change = BagChange(self._bag)
        change._reset = reset
        change._size = size
        change._staged = staged
        return change

    def _stage(self, key: str, op: Operation) -> BagChange:
        """Return this with `op` done after what is staged for `key`."""
        rules.check_name(key, bag=self._bag)
        old = self._staged.get(key, _NOTHING)
        new = self._following(key, old, op)
        staged = self._staged.copy()
        if new.ops:
            staged[key] = new
        else:
            staged.pop(key, None)
        change = self._with(staged, self._size - old.size + new.size, reset=self._reset)
        rules.check_size(change.size + 2, bag=self._bag)
        return change

    def _following(self, key: str, old: _Staged, op: Operation) -> _Staged:
        """Keep `op` after `old`, or evaluate it where the outcome is known.

        Evaluating on ABSENT also finds contradictions: an operation's outcome has the same JSON
        type on every stored value, so what clashes here clashes everywhere.
        """
        value = self._run(key, old.value, (op,))
        name = json_size(key) + 2  # with its colon and comma
        size = op.size + (old.size if old.ops and not op.whole else name)
        if not (op.whole or old.exact or self._reset):
            return _Staged((*old.ops, op), value, size)
        if value is ABSENT:
            return _NOTHING if self._reset else _Staged((Delete(),), ABSENT, name + 4)
        if size > rules.MAX_REQUEST:  # the sum is a bound: the exact size is worth its cost only here
            size = name + json_size(value)
        return _Staged((Set((), value),), value, size)

    def _run(self, key: str, value: Any, ops: tuple[Operation, ...]) -> Any:
        try:
            for op in ops:
                value = op.apply(value)
        except Clash as clash:
            problem = f"{clash.problem}; nothing was written"
            rules.refuse(problem, bag=self._bag, path=(key, *clash.path), error=PathError)
        return value

    # What it comes to

    def answer(self, path: Path, /) -> Any:
        """Return what is at `path` on every stored bag, ABSENT, or UNKNOWN where that depends on it.

        `path` is a tuple of keys, the first-level key first; () is the whole bag.

        >>> change = BagChange("user_metadata").merge({"prefs": {"lang": "fi", "old": None}})
        >>> change.answer(("prefs", "lang")), change.answer(("prefs", "old")), change.answer(("prefs",))
        ('fi', ABSENT, UNKNOWN)
        """
        if not path:
            return {key: staged.value for key, staged in self._staged.items()} if self._reset else UNKNOWN
        staged, below = self._staged.get(path[0], _NOTHING), path[1:]
        if self._reset or any(op.covers(below) for op in reversed(staged.ops)):
            return read(staged.value, below)
        return UNKNOWN

    def apply_key(self, key: str, stored: Any, /) -> Any:
        """Return what `key` holds after this, given what is stored there; ABSENT stands for no such key.

        Raises `PathError` where an operation meets the wrong type.
        """
        if self._reset:
            return self._staged.get(key, _NOTHING).value
        return self._run(key, stored, self._staged.get(key, _NOTHING).ops)

    def apply(self, base: Mapping[str, Any], /) -> dict[str, Any]:
        """Return the bag after this as a new dict that shares what does not change; `base` stays as it is.

        Raises `PathError` where an operation meets the wrong type.
        """
        result = {} if self._reset else dict(base)
        for key in self._staged:
            value = self.apply_key(key, base.get(key, ABSENT))
            if value is ABSENT:
                result.pop(key, None)
            else:
                result[key] = value
        return result

    def verify(self, base: Mapping[str, Any], /, *, key: str | None = None) -> None:
        """Raise the `PathError` that `apply` would raise on `base`; with `key`, for that first-level key only."""
        for touched in self._staged if key is None else (key,):
            self.apply_key(touched, base.get(touched, ABSENT))

    def document(self, base: Mapping[str, Any] | None, /) -> dict[str, Any] | None:
        """Return this bag's member of the PATCH body, None to leave it out; treat it as read-only.

        `base` is the stored bag; None for unknown, where `needs_base` is False.  Against a base
        only first-level keys that differ are in it.  {}, which clears the bag, is given only after
        `clear` or `replace` left nothing.  Raises `PathError` where an operation meets the wrong
        type, `StateError` when a base is needed.  Source: Auth0 merges metadata's first level,
        null deletes and {} clears.
        """
        if base is None:
            if self.needs_base:
                raise StateError(f"the document of {self.outline} needs the stored bag; read the user first")
            return {key: _null(staged.value) for key, staged in self._staged.items()} if self else None
        if self._reset and not self._staged:
            return {} if base else None
        document = {key: None for key in base if key not in self._staged} if self._reset else {}
        for key in self._staged:
            stored = base.get(key, ABSENT)
            value = self.apply_key(key, stored)
            if not json_equal(value, stored):
                document[key] = _null(value)
        return document or None


def _whole(value: Any) -> Operation:
    """Turn a first-level value of `merge` or `replace` into an operation."""
    return Delete() if value is None else Set((), value)


def _null(value: Any) -> Any:
    """Say deleted as Auth0's PATCH does."""
    return None if value is ABSENT else value
