"""Check stored profiles, and the profile that a caller passes as the base of a transaction; PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from auth0_meta.changes.foreign_types import type_name
from auth0_meta.changes.jsonvalue import BAGS, Path, too_deep
from auth0_meta.checks.sizes import json_size
from auth0_meta.errors import InputError, MetadataError, StoredDataError

MAX_STORED_DEPTH = 200
"""How many levels a stored bag may have: twice what can be staged, and far below Python's recursion limit."""
_PLAIN = (str, int)  # a tuple is tested for in half the time of str | int


def object_in(profile: Mapping[str, Any], bag: str, /) -> Mapping[str, Any] | None:
    """Return a bag of a stored profile, None if it is anything but an object; absent and null read as {}.

    A SAML connection, for example, may have mapped a text to `user_metadata`.

    >>> object_in({"user_metadata": "[object Object]"}, "user_metadata") is None
    True
    """
    value = profile.get(bag)
    if value is None:
        return {}
    return value if isinstance(value, Mapping) else None


def stored_bag(
    profile: Mapping[str, Any], bag: str, /, *, so: str = "no change can be computed; nothing was written"
) -> Mapping[str, Any]:
    """Return a bag of a stored profile; absent and null read as {}.

    Raises `StoredDataError` if it is anything but an object, and says what that prevents (`so`), and what repairs it.

    >>> stored_bag({"user_id": "auth0|1"}, "app_metadata")
    {}
    """
    value = object_in(profile, bag)
    if value is None:
        user_id = profile.get("user_id")
        raise StoredDataError(
            f"{bag} of user {user_id!r} is stored as {type(profile[bag]).__name__} and not as an object, "
            f"so {so}. {repair(bag)}",
            user_id=user_id,
            bag=bag,
        )
    return value


def repair(bag: str) -> str:
    """Return the sentence that says what makes an object of a bag that is not one."""
    return f"In a transaction, {bag}.clear() or {bag}.replace({{...}}) makes an object of it"


def check_depth(profile: Mapping[str, Any], /) -> None:
    """Raise `StoredDataError` if a bag of a stored profile is nested too deeply to work with."""
    for bag in BAGS:
        if too_deep(profile.get(bag), MAX_STORED_DEPTH):
            user_id = profile.get("user_id")
            raise StoredDataError(
                f"{bag} of user {user_id!r} is nested more than {MAX_STORED_DEPTH} levels deep, "
                "which is too deep; nothing was written",
                user_id=user_id,
                bag=bag,
            )


def given_base(base: object, user_id: str, /) -> dict[str, Any]:
    """Return a copy of the profile that a caller passes for a user, as plain JSON.

    Raises `InputError` unless it is this user's profile, `MetadataError` if JSON can't represent what a bag
    holds.  A bag may be anything but an object, as long as nothing needs it.  Other fields that JSON can't represent, such as
    dates in a row of a database, are left out, because they don't matter here.

    >>> given_base({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}, "auth0|1")
    {'user_id': 'auth0|1', 'app_metadata': {'plan': 'pro'}}
    """
    if not isinstance(base, Mapping):
        msg = f"base= takes a User or a profile dict for {user_id}, not {type(base).__name__} (nothing was sent)"
        raise InputError(msg)
    if "sub" in base and "user_id" not in base:
        msg = (
            f"base= for {user_id} looks like a token's claims, which hold no metadata: pass a profile "
            "(nothing was sent)"
        )
        raise InputError(msg)
    theirs = base.get("user_id", user_id)
    if theirs != user_id:
        msg = f"base= is the profile of {theirs}, but the transaction is for {user_id} (nothing was sent)"
        raise InputError(msg)
    known = {name: value for name, value in base.items() if name not in BAGS and _is_json(value)}
    for bag in BAGS:
        try:
            if bag in base:
                known[bag] = _copy(base[bag], MAX_STORED_DEPTH)
        except _NotJson as problem:
            what, path = problem.what, problem.path
            where = f"{bag} {'.'.join(path)!r}" if path else bag
            msg = (
                f"base= for {user_id} can't be read as JSON: it holds {what} at {where} (nothing was sent): "
                "pass a profile as Auth0 returns it"
            )
            raise MetadataError(msg, bag=bag, path=path, user_id=user_id) from None
    return known


def _is_json(value: object) -> bool:
    if isinstance(value, str | int):  # the common case, without encoding
        return True
    try:
        json_size(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


class _NotJson(Exception):
    """A bag holds something that JSON can't represent, on its way up: each level adds its key to `trail`.

    `most`: how many keys of the path to name, None for all.
    """

    def __init__(self, what: str, most: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.trail: list[str] = []
        self._most = most

    @property
    def path(self) -> Path:
        """Return where it is."""
        return tuple(self.trail[::-1][: self._most])


def _copy(value: Any, levels: int) -> Any:
    """Copy a stored bag: any mapping becomes a dict, any tuple a list; names are not checked, as Auth0 accepted them."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping | list | tuple) and levels <= 0:
        raise _NotJson(f"nesting of more than {MAX_STORED_DEPTH} levels", most=3)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise _NotJson(f"a key of type {type_name(key)}")
        return {
            key: inner if inner is None or isinstance(inner, _PLAIN) else _copy_item(key, inner, levels)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_copy_item(index, inner, levels) for index, inner in enumerate(value)]
    if not isinstance(value, float):
        raise _NotJson(f"a {type_name(value)}")
    if not math.isfinite(value):
        raise _NotJson("NaN or Infinity")
    return value


def _copy_item(name: str | int, item: object, levels: int) -> Any:
    try:
        return _copy(item, levels - 1)
    except _NotJson as problem:
        problem.trail.append(str(name))
        raise
