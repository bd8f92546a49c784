"""The paths of an offload: which are refused, and why; PURE."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeAlias

from auth0_meta.changes import rules
from auth0_meta.changes.jsonvalue import BAGS, Bag, KeyPath, Path
from auth0_meta.errors import InputError

MOST_PATHS = 100
OffloadPath = tuple[Bag, Path]
"""A bag, and the keys from its first level down."""
Paths: TypeAlias = str | Iterable[KeyPath]
"""One path as text, or several, each as text or as a tuple of keys; all begin with the bag."""


def parse_paths(paths: Paths, /) -> tuple[OffloadPath, ...]:
    """Return the paths, in the order given.

    Raises `InputError` for one that names no bag or a whole bag, a name that Auth0 refuses or reserves, and for two
    paths of which one contains the other.  Nothing was read or sent.

    >>> parse_paths(["app_metadata.history", ("user_metadata", "logs", "old")])
    (('app_metadata', ('history',)), ('user_metadata', ('logs', 'old')))
    """
    several = [paths] if isinstance(paths, str) else paths
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise InputError(
            f"paths must be text or several paths, not {type(paths).__name__} (nothing was read)"
        )
    found: list[OffloadPath] = []
    for path in several:
        one = _parse(path)
        for other in found:
            _check_apart(other, one)
        found.append(one)
        if len(found) > MOST_PATHS:
            raise InputError(f"an offload moves at most {MOST_PATHS} paths (nothing was read)")
    if not found:
        raise InputError("name at least one path to move, such as app_metadata.history (nothing was read)")
    return tuple(found)


def dotted(path: OffloadPath, /) -> str:
    """Return a path as text.

    >>> dotted(("app_metadata", ("a", "b")))
    'app_metadata.a.b'
    """
    return ".".join((path[0], *path[1]))


def _parse(path: object) -> OffloadPath:
    if isinstance(path, str):
        keys: list[object] = [*path.split(".")]
    elif isinstance(path, tuple | list):
        keys = [*path]
    else:
        what = f"a path is text, such as app_metadata.history, or a tuple of keys, not {type(path).__name__}"
        raise InputError(f"{what} (nothing was read)")
    bag = next((bag for bag in BAGS if keys and keys[0] == bag), None)
    if bag is None:
        shown = repr(path if isinstance(path, str) else ".".join(map(str, keys)))[:80]
        raise InputError(f"the path {shown} {_without_bag(keys)} (nothing was read)")
    if len(keys) == 1:
        what = f"{bag} is a whole bag, and what is moved has a key: name one in it, such as {bag}.history"
        raise InputError(f"{what} (nothing was read)")
    parsed = rules.parse_path([str(key) if isinstance(key, str) else key for key in keys[1:]], bag=bag)  # type: ignore[misc]
    rules.check_name(parsed[0], bag=bag)
    return bag, parsed


def _without_bag(keys: list[object]) -> str:
    """Return what is wrong with a path that does not begin with a bag, and what may have been meant."""
    near = difflib.get_close_matches(str(keys[0]) if keys else "", BAGS, n=1)
    if near:
        return f"does not begin with a bag: did you mean {'.'.join((near[0], *map(str, keys[1:])))[:80]}?"
    return "does not begin with user_metadata or app_metadata"


def _check_apart(one: OffloadPath, other: OffloadPath) -> None:
    """Refuse two paths of which one contains the other: it would move the other's pointer, or the value twice."""
    if one == other:
        raise InputError(f"{dotted(one)} is named twice (nothing was read)")
    outer, inner = sorted((one, other), key=lambda path: len(path[1]))
    if outer[0] == inner[0] and inner[1][: len(outer[1])] == outer[1]:
        what = f"{dotted(inner)} is inside {dotted(outer)}, which is moved as a whole: leave one of them out"
        raise InputError(f"{what} (nothing was read)")
