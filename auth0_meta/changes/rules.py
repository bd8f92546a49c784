"""What may be staged: names, paths, types, sizes; PURE.  What metadata should not be is in `checks`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from auth0_meta.changes.foreign_types import not_json, type_name
from auth0_meta.changes.jsonvalue import ABSENT, Bag, KeyPath, Path
from auth0_meta.checks.names import bad_key, reserved
from auth0_meta.errors import MetadataError

MAX_REQUEST = 1_048_576
"""How many bytes a request's body may have. Source: Management API v2, 1 MB."""
MAX_DEPTH = 100
"""How many levels may be nested; the bag's own keys are the first. Auth0 documents no limit: this one is ours."""
MAX_NUMBER = sys.float_info.max
"""The largest number that a JSON reader with doubles, such as Auth0's, can hold."""
MAX_EXACT = 2**53
"""The largest integer up to which doubles have every integer.

Larger ones count as inexact even if a double has them: JavaScript writes 2**60 as 1152921504606847000, the shortest
digits that lead to the same double, and Python reads another integer from those.
"""


def refuse(problem: str, *, bag: Bag, path: tuple[str, ...] = ()) -> NoReturn:
    """Raise `MetadataError` with the bag and the path; `problem` says what to do and never contains a value."""
    where = f"{bag} {shown(path)!r}" if path else bag
    raise MetadataError(f"{where}: {problem}", bag=bag, path=path)


def shown(path: tuple[str, ...]) -> str:
    """Return a path as errors show it: dotted, and cut short if it is long."""
    return ".".join(path[:8]) + ("..." if len(path) > 8 else "")


def check_name(key: str, *, bag: Bag) -> None:
    """Raise `MetadataError` for a first-level name that Auth0 reserves in `app_metadata`, even in a deletion.

    Nothing was sent.

    >>> check_name("email", bag="user_metadata")
    >>> check_name("email", bag="app_metadata")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: app_metadata 'email': Auth0 reserves this name; choose another
    """
    if reserved(bag, key):
        refuse("Auth0 reserves this name; choose another", bag=bag, path=(key,))


def check_segment(key: object, *, bag: Bag, path: tuple[str, ...] = (), stored: bool = False) -> str:
    """Return one key of a path as a plain string; `path` leads to it.

    Raises `MetadataError` unless it is a non-empty string without `.`, `$` and lone surrogates.  One that may be
    `stored` already, and is only read, may have these: Auth0 has not always refused them.

    >>> check_segment("plan", bag="app_metadata")
    'plan'
    """
    try:
        return _some_key(key) if stored else _plain_key(key)
    except _Refused as refused:
        return refuse(refused.problem, bag=bag, path=path)


def check_size(size: int, *, bag: Bag) -> None:
    """Raise `MetadataError` for staged operations of more than `MAX_REQUEST` bytes."""
    if size > MAX_REQUEST:
        refuse(
            f"{size} bytes are staged, but a request may have at most {MAX_REQUEST}; store less here", bag=bag
        )


def checked(value: object, *, bag: Bag, path: tuple[str, ...]) -> Any:
    """Return a plain deep copy of a value that JSON can represent and Auth0 accepts.

    dict, list, str, int, float, bool and None pass, and so do their subclasses (as the plain
    value); a tuple becomes a list.  Raises `MetadataError`, which names the bag and the full path
    and never the value, for: a key at any depth that is not a string, is empty, or has `.` or `$`
    in it; NaN, Infinity and numbers too large for a double; a lone surrogate; more than `MAX_DEPTH` levels,
    and therefore cycles; every other type.  Source of the rule for names: Auth0's metadata field names.

    >>> checked({"tags": ("a", "b")}, bag="user_metadata", path=("prefs",))
    {'tags': ['a', 'b']}
    >>> checked({"tags": {"a"}}, bag="user_metadata", path=("prefs",))
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: user_metadata 'prefs.tags': set is not a JSON type: \
convert it with list(...)
    """
    try:
        return _copy(value, MAX_DEPTH - len(path))
    except _Refused as refused:
        return refuse(refused.problem, bag=bag, path=(*path, *reversed(refused.trail)))


class _Refused(Exception):
    """A problem on its way up to where the path is known; each level adds its key to `trail`."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.trail: list[str] = []


def _copy(value: object, levels: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, int):
        return _number(int.__int__(value))
    if isinstance(value, float):
        return _number(float.__float__(value))
    if isinstance(value, (dict, list, tuple)) and levels <= 0:
        raise _Refused(f"nested more than {MAX_DEPTH} levels deep, or contains itself")
    if isinstance(value, dict):
        copy = {}
        for key, item in value.items():
            name = _plain_key(key)
            copy[name] = _copy_item(name, item, levels)
        return copy
    if isinstance(value, (list, tuple)):
        return [_copy_item(index, item, levels) for index, item in enumerate(value)]
    raise _Refused(not_json(value))


def _copy_item(name: str | int, item: object, levels: int) -> Any:
    try:
        return _copy(item, levels - 1)
    except _Refused as refused:
        refused.trail.append(str(name))
        raise


def _some_key(key: object) -> str:
    if not isinstance(key, str):
        raise _Refused(f"a key must be a string, not {type_name(key)}: convert it with str(...)")
    if not key:
        raise _Refused("a key must not be empty")
    return str.__str__(key)


def _plain_key(key: object) -> str:
    key = _some_key(key)
    if bad_key(key):
        raise _Refused(f"the key {key!r} contains '.' or '$', which Auth0 refuses in names")
    return _plain_text(key)


def _plain_text(text: str) -> str:
    plain = str.__str__(text)
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError:
            raise _Refused("a lone surrogate can't be sent as UTF-8") from None
    return plain


def _number(number: float) -> float:
    if not abs(number) <= MAX_NUMBER:  # false for NaN too
        raise _Refused("NaN, Infinity and numbers above 1.8e308 are not JSON")
    return number


def parse_path(path: KeyPath, /, *, bag: Bag, stored: bool = False) -> Path:
    """Return a path as a tuple of keys, from a dotted string or a tuple or list of keys.

    Keys contain no dot, so dots are unambiguous; what is only read may be `stored` under other keys, see
    `check_segment`.  Raises `MetadataError` on an empty path or key, a
    key that is not a string, `.` (in a tuple) or `$` in a key.  Nothing was sent.

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
        parsed = (*parsed, check_segment(key, bag=bag, path=parsed, stored=stored))
    return parsed


def first_level(key: object, /, *, bag: Bag) -> tuple[Any]:
    """Return the path that a key given to `[]`, `in` or `del` means; `parse_path` checks the key itself.

    Raises `MetadataError` on a path, which these don't take.  Nothing was sent.

    >>> first_level("a.b", bag="user_metadata")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.MetadataError: user_metadata: [], in and del take one key; \
for a path use .get("a.b"), in a transaction also .set("a.b", ...) and .delete("a.b")
    """
    if isinstance(key, tuple) or (isinstance(key, str) and "." in key):
        calls = '.get("a.b"), in a transaction also .set("a.b", ...) and .delete("a.b")'
        refuse(f"[], in and del take one key; for a path use {calls}", bag=bag)
    return (key,)


def read(value: Any, path: Path, /) -> Any:
    """Return what is at `path` in a JSON value, or ABSENT if a key is missing or an object on the way is.

    Where a path leads nowhere, a key is found that is stored with its dots, as Auth0 once accepted.

    >>> read({"a": {"b": 1}}, ("a", "b")), read({"a": 1}, ("a", "b")), read({"a.b": 1}, ("a", "b"))
    (1, ABSENT, 1)
    """
    if not path:
        return value
    if isinstance(value, dict):
        for n in range(1, len(path) + 1):
            inner = dict.get(value, ".".join(path[:n]), ABSENT)  # no look for an observed object to report
            if inner is not ABSENT and (found := read(inner, path[n:])) is not ABSENT:
                return found
    return ABSENT


def inexact(value: object, path: Path) -> str | None:
    """Return why a JSON value at `path` may come back changed, since it has an integer past `MAX_EXACT`; else None.

    The reason names the path of the first such integer and never contains it.

    >>> inexact({"ids": [1, -(2**53) - 1]}, ("discord",))
    'discord.ids.1 is an integer past 2**53, which Auth0 keeps as a double, so another one may come back: store it as text'
    >>> inexact(2**53, ("discord",)) is None
    True
    """
    if isinstance(value, int):  # a boolean is one, and small
        return f"{'.'.join(path)} {_TOO_FAR}" if abs(value) > MAX_EXACT else None
    if isinstance(value, dict):
        items: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return None
    for key, item in items:
        if isinstance(item, (int, dict, list)) and (found := inexact(item, (*path, str(key)))) is not None:
            return found
    return None


_TOO_FAR = (
    "is an integer past 2**53, which Auth0 keeps as a double, so another one may come back: store it as text"
)
