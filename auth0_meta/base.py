"""Take the profile that a caller holds as the base of a transaction; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.errors import InputError
from auth0_meta.models import BAGS, User
from auth0_meta.patch import stored_bag

__all__ = ["given_base"]


def given_base(base: User | Mapping[str, Any], user_id: str, /) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Return a copy of the profile that a caller gave, and the bags that it can't speak for.

    Raises `InputError` for what is no profile or another user's, `StoredDataError` for a bag that
    is no object.

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
    return {name: _plain(value) if name in BAGS else value for name, value in profile.items()}, omitted


def _plain(value: Any) -> Any:
    """Copy deeply; any mapping becomes a dict, any tuple a list."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
