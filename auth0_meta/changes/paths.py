"""Read the paths that callers give: a dotted string or a tuple of keys; PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auth0_meta.changes.jsonvalue import ABSENT, Bag, Path
from auth0_meta.changes.rules import MAX_DEPTH, check_segment, refuse


def parse_path(path: str | Sequence[str], /, *, bag: Bag) -> Path:
    """Return a path as a tuple of keys, from a dotted string or a tuple or list of keys.

    Keys hold no dot, so dots are unambiguous.  Raises `MetadataError` on an empty path or key, a
    key that is no string, `.` (in a tuple) or `$` in a key.  Nothing was sent.

    >>> parse_path("billing.plan", bag="app_metadata"), parse_path(["billing"], bag="app_metadata")
    (('billing', 'plan'), ('billing',))
    """
    if isinstance(path, str):
        keys: Sequence[str] = path.split(".") if path else ()
    elif isinstance(path, (tuple, list)):
        keys = path
    else:
        refuse(f"a path is a dotted string or a tuple of keys, not {type(path).__name__}", bag=bag)
    if not keys:
        refuse("the path is empty; name at least a first-level key", bag=bag)
    if len(keys) > MAX_DEPTH:
        refuse(f"the path has {len(keys)} keys; at most {MAX_DEPTH} levels are supported", bag=bag)
    parsed: Path = ()
    for key in keys:
        parsed = (*parsed, check_segment(key, bag=bag, path=parsed))
    return parsed


def check_key(key: object, /, *, bag: Bag) -> str:
    """Return a first-level key as a plain string, for `[]` and `del`.

    Raises `MetadataError` on a path and on what `parse_path` refuses.  Nothing was sent.

    >>> check_key("a.b", bag="user_metadata")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: user_metadata: [] and del take one first-level key; \
for a path use .set("a.b", ...), .get("a.b") or .delete("a.b")
    """
    if isinstance(key, tuple) or (isinstance(key, str) and "." in key):
        calls = '.set("a.b", ...), .get("a.b") or .delete("a.b")'
        refuse(f"[] and del take one first-level key; for a path use {calls}", bag=bag)
    return check_segment(key, bag=bag)


def read(value: Any, path: Path, /) -> Any:
    """Return what is at `path` in a JSON value, ABSENT where a key is missing or no object is met.

    >>> read({"a": {"b": 1}}, ("a", "b")), read({"a": 1}, ("a", "b"))
    (1, ABSENT)
    """
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value
