"""Take the profile that a caller holds as the base of a transaction; PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from auth0_meta.changes.change import MAX_STORED_DEPTH, stored_bag
from auth0_meta.changes.jsonvalue import BAGS, Bag, json_size
from auth0_meta.errors import InputError, MetadataError
from auth0_meta.models import User


def given_base(base: User | Mapping[str, Any], user_id: str, /) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Return a copy of the profile that a caller gave, and the bags that it can't speak for.

    Raises `InputError` for what is no profile or another user's, `MetadataError` for a bag that holds what JSON
    can't, `StoredDataError` for a bag that is no object.  Other fields that JSON can't hold are left out.

    >>> given_base({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}, "auth0|1")
    ({'user_id': 'auth0|1', 'app_metadata': {'plan': 'pro'}}, frozenset())
    """
    profile, omitted = (base.raw, base.omitted) if isinstance(base, User) else (base, frozenset[str]())
    if not isinstance(profile, Mapping):
        msg = f"base= takes a User or a profile dict for {user_id}, not {type(base).__name__} (nothing was sent)"
        raise InputError(msg)
    if "sub" in profile and "user_id" not in profile:
        msg = f"base= for {user_id} looks like a token's claims, which hold no metadata: pass a profile (nothing was sent)"
        raise InputError(msg)
    theirs = profile.get("user_id", user_id)
    if theirs != user_id:
        msg = f"base= is the profile of {theirs}, the transaction is for {user_id} (nothing was sent)"
        raise InputError(msg)
    for bag in BAGS:
        stored_bag(profile, bag)
    known = {name: value for name, value in profile.items() if name not in BAGS and _fits(value)}
    for bag in BAGS:
        if bag in profile:
            known[bag] = _Copier(user_id, bag).plain(profile[bag], ())
    return known, omitted


def _fits(value: object) -> bool:
    if isinstance(value, str | int):  # most of a profile
        return True
    try:
        json_size(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


class _Copier:
    """Copy what is stored in a bag, or refuse what can't be: names are not judged, Auth0 has taken them."""

    def __init__(self, user_id: str, bag: Bag) -> None:
        self._user_id = user_id
        self._bag = bag

    def plain(self, value: Any, path: tuple[str, ...]) -> Any:
        """Copy deeply; any mapping becomes a dict, any tuple a list."""
        if value is None or isinstance(value, str | int):
            return value
        if isinstance(value, Mapping | list | tuple) and len(path) >= MAX_STORED_DEPTH:
            self._refuse(f"what is nested more than {MAX_STORED_DEPTH} levels deep", path[:3])
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    self._refuse(f"a key that is {type(key).__name__}", path)
            return {key: self.plain(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(inner, (*path, str(index))) for index, inner in enumerate(value)]
        if not isinstance(value, float):
            self._refuse(type(value).__name__, path)
        if not math.isfinite(value):
            self._refuse("NaN or Infinity", path)
        return value

    def _refuse(self, what: str, path: tuple[str, ...]) -> NoReturn:
        where = f"{self._bag} {'.'.join(path)!r}" if path else self._bag
        msg = f"base= for {self._user_id} holds what JSON can't, {what}, at {where} (nothing was sent): pass a profile as Auth0 gives it"
        raise MetadataError(msg, bag=self._bag, path=path, user_id=self._user_id)
