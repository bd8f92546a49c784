"""What a plan changes, path by path; PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from auth0_meta.changes.jsonvalue import ABSENT, json_equal
from auth0_meta.external.pointers import is_pointer
from auth0_meta.migrate.ledger.compare import after_image
from auth0_meta.migrate.ledger.records import Plan


class PathChange(NamedTuple):
    """One path, such as `app_metadata.billing.plan`, and what it holds before and after; `ABSENT` if nothing."""

    path: str
    before: Any
    after: Any

    @property
    def kind(self) -> Literal["added", "changed", "deleted"]:
        """Return what happens to the path."""
        if self.before is ABSENT:
            return "added"
        return "deleted" if self.after is ABSENT else "changed"

    @property
    def moves(self) -> bool:
        """Return whether a pointer takes the place of a value, or a value that of its pointer."""
        return is_pointer(self.before) != is_pointer(self.after) and ABSENT not in (self.before, self.after)


def path_changes(plan: Plan) -> Iterator[PathChange]:
    """Yield what differs between the touched keys before and after; only objects are compared by their keys.

    >>> plan = Plan({}, {"app_metadata": {"a": {"b": 1, "c": [2]}, "d": None}}, {"app_metadata": {"a": {"b": 1}, "d": 0}})
    >>> [(change.path, change.kind) for change in path_changes(plan)]
    [('app_metadata.a.c', 'added'), ('app_metadata.d', 'deleted')]
    """
    after = after_image(plan.document)
    for bag, keys in plan.document.items():
        before = plan.before.get(bag, {})
        if not isinstance(before, dict):  # it was not an object, and becomes one
            yield PathChange(bag, before, after[bag])
            continue
        for key in keys or before:
            yield from _differences(f"{bag}.{key}", before.get(key, ABSENT), after[bag].get(key, ABSENT))


def _differences(path: str, before: Any, after: Any) -> Iterator[PathChange]:
    open_pairs = [(path, before, after)]  # no recursion: a stored object may be nested deeply
    while open_pairs:
        path, before, after = open_pairs.pop()
        pointers = is_pointer(before) or is_pointer(after)  # one value, whatever it looks like
        if isinstance(before, dict) and isinstance(after, dict) and not pointers:
            names = reversed({**before, **after})
            open_pairs += [
                (f"{path}.{name}", before.get(name, ABSENT), after.get(name, ABSENT)) for name in names
            ]
        elif not json_equal(before, after):
            yield PathChange(path, before, after)
