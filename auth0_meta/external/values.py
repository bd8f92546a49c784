"""Store a value and get its pointer; follow a pointer and get the value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from auth0_meta.errors import ExternalDamagedError, ExternalMismatchError, InputError
from auth0_meta.external.pointers import Pointer, belongs_to, check_user, decode, encode, is_pointer, pointer
from auth0_meta.external.store import ExternalStore, missing
from auth0_meta.redact import discreet


@discreet
def save(value: object, /, *, store: ExternalStore, user_id: str, path: str) -> Pointer:
    """Store the value at `path` of a user, and return the pointer that takes its place in the profile.

    The value is durable in the store on return; nothing is written to the tenant.  Saving it again gives the same pointer.
    `value` is any JSON value of at most 4 MiB, `path` begins with the bag: "app_metadata.history".

    Raises `InputError` before anything is stored; `ExternalUnavailableError` or an error of the store's own if it can't
    store; `ExternalDamagedError` if other data is there under the same key.
    """
    data = encode(value)
    made = pointer(data, store=store.name, user_id=user_id, path=path)
    store.put(_key(made), data, user_id=user_id, path=path)
    return made


@discreet
def load(
    value: object, /, *, store: ExternalStore | Iterable[ExternalStore], user_id: str | None = None
) -> Any:
    """Return the value that a pointer leads to, checked against the pointer's length and SHA-256.

    `store` is the store that the pointer names, or several, of which the one with that name is used.  With `user_id` only
    a pointer that was made for this user is followed; in `user_metadata`, which users can change in many
    applications, somebody might have put the pointer of another user.

    Raises `InputError` if `value` is not a pointer (`resolve` returns it), `ExternalMismatchError` for another store or user,
    `ExternalMissingError` if the value is not there, `ExternalDamagedError` if it is not the one that was stored, and
    `ExternalUnavailableError` or an error of the store's own if it can't be asked.
    """
    if not is_pointer(value):
        raise InputError(
            f"this {type(value).__name__} is not a pointer to an external value: "
            "use resolve(value, store=...) for a value that may or may not have been moved"
        )
    name, key = value["external"].split("/")
    chosen = _choose(store, value)
    if user_id is not None:
        check_user(user_id)
        if not belongs_to(key, user_id):
            raise _mismatch(value["external"], f"it does not belong to {user_id}: look at who wrote it")
    try:
        data = chosen.get(key)
    except LookupError:
        raise missing(name, key) from None
    if not isinstance(data, bytes) or len(data) != value["bytes"]:
        found = f"{len(data):,} bytes" if isinstance(data, bytes) else type(data).__name__
        raise _damaged(value, f"{found} instead of {value['bytes']:,}")
    if hashlib.sha256(data).hexdigest() != value["sha256"]:
        raise _damaged(value, "data with another SHA-256")
    try:
        return decode(data)
    except (ValueError, RecursionError):
        raise _damaged(value, "data that is not JSON") from None


@discreet
def resolve(
    value: Any, /, *, store: ExternalStore | Iterable[ExternalStore], user_id: str | None = None
) -> Any:
    """Return what a pointer leads to, as `load` does, and any other value unchanged.

    Code that reads through it works before a value is moved out of the profile, and after.
    """
    return load(value, store=store, user_id=user_id) if is_pointer(value) else value


@discreet
def discard(value: object, /, *, store: ExternalStore | Iterable[ExternalStore]) -> None:
    """Delete what a pointer leads to, once no profile holds the pointer any more; ignore any other value.

    It does nothing if the value was deleted already.  Raises `ExternalMismatchError` if the pointer names another store,
    and what the store raises if it can't delete.
    """
    if is_pointer(value):
        _choose(store, value).delete(_key(value))


def _key(made: Pointer) -> str:
    return made["external"].split("/")[1]


def _choose(store: ExternalStore | Iterable[ExternalStore], pointer_: Pointer) -> ExternalStore:
    """Return the store that a pointer names."""
    name = pointer_["external"].split("/")[0]
    stores = list(store) if isinstance(store, Iterable) else [store]
    for one in stores:
        if one.name == name:
            return one
    given = ", ".join(repr(one.name) for one in stores) or "none"
    raise _mismatch(
        pointer_["external"], f"it is in the store {name!r}, and the stores given are: {given}. Open that one"
    )


def _mismatch(pointer_: str, why: str) -> ExternalMismatchError:
    return ExternalMismatchError(f"{pointer_}: {why}", store=pointer_.split("/")[0], pointer=pointer_)


def _damaged(value: Pointer, what: str) -> ExternalDamagedError:
    at, store = value["external"], value["external"].split("/")[0]
    cure = "the store or the pointer was changed: restore a copy of the one that was"
    return ExternalDamagedError(f"{at}: the store {store!r} returned {what}; {cure}", store=store, pointer=at)
