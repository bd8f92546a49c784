"""What a profile holds in place of a value that is kept elsewhere, and the bytes that are kept; PURE."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypedDict, TypeGuard

from auth0_meta.errors import InputError
from auth0_meta.redact import discreet

MOST_BYTES = 4 * 1024 * 1024
"""The most bytes of one value.  A request to Auth0 has at most 1 MB, and other spellings of the same JSON may be longer."""
MOST_ID = 768
"""The most characters of a user id: what every database can have in an index."""
MOST_NAME = 64

NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MOST_NAME - 1}}}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{40}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OWNER = 16
"""Digits of a key that only depend on the user."""
_FIELDS = frozenset({"external", "sha256", "bytes"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


class Pointer(TypedDict):
    """What stands in a profile for a value that is kept elsewhere: where it is, and what it must be."""

    external: str
    sha256: str
    bytes: int


@discreet
def is_pointer(value: object, /) -> TypeGuard[Pointer]:
    """Return whether a value is a pointer: an object with exactly the keys `external`, `sha256` and `bytes`, all well-formed.

    The read-only objects that users, transactions and events return are accepted too.

    >>> is_pointer({"external": "big/" + "0" * 40, "sha256": "0" * 64, "bytes": 2})
    True
    >>> is_pointer({"external": "https://example.com", "sha256": "0" * 64, "bytes": 2}), is_pointer([1])
    (False, False)
    """
    if not isinstance(value, Mapping) or value.keys() != _FIELDS:
        return False
    external, digest, size = value["external"], value["sha256"], value["bytes"]
    if not isinstance(external, str) or not isinstance(digest, str) or type(size) is not int:
        return False
    store, _, key = external.partition("/")
    well_formed = NAME.fullmatch(store) and _KEY.fullmatch(key) and _HASH.fullmatch(digest)
    return bool(well_formed) and 0 < size <= MOST_BYTES


@discreet
def pointer(data: bytes, /, *, store: str, user_id: str, path: str) -> Pointer:
    """Return the pointer to `data`, the encoded value at `path` of a user, in the store of that name; nothing is stored.

    The id in it depends on the user, the path and the data only: making it again gives the same, and two users never have
    the same id.  `path` begins with the bag: "app_metadata.history".

    >>> made = pointer(b"[1,2]", store="big", user_id="auth0|1", path="app_metadata.history")
    >>> made["external"], made["bytes"]
    ('big/7d54bfbc013e4520c0fb698b412ed0854091534a', 5)
    """
    check_name(store)
    check_user(user_id)
    check_path(path)
    check_data(data)
    digest = hashlib.sha256(data).hexdigest()
    rest = _hash(json.dumps([user_id, path, digest]))[: 40 - _OWNER]
    return {"external": f"{store}/{_owner(user_id)}{rest}", "sha256": digest, "bytes": len(data)}


def belongs_to(key: str, user_id: str) -> bool:
    """Return whether a key was made for this user."""
    return key.startswith(_owner(user_id))


def _owner(user_id: str) -> str:
    return _hash(json.dumps(user_id))[:_OWNER]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# What is kept ---------------------------------------------------------------------


@discreet
def encode(value: object, /) -> bytes:
    r"""Return a JSON value as compact UTF-8 JSON, with the keys of its objects in order.

    `decode` gives back an equal value: numbers keep their digits and whether they are whole, a lone surrogate is escaped.
    Raises `InputError` for what JSON can't represent, and for more than 4 MiB.

    >>> encode({"name": "Åsa", "n": [1, 1.0, -0.0, None]}).decode()
    '{"n":[1,1.0,-0.0,null],"name":"Åsa"}'
    >>> encode("\ud800")
    b'"\\ud800"'
    """
    try:
        text = _dumps(value)
    except RecursionError:
        raise InputError("a value to store is nested too deeply") from None
    except TypeError as error:  # its text has names of types only
        raise InputError(f"a value to store is not JSON: {error}") from None
    except ValueError:
        what = "it holds NaN or Infinity, contains itself, or has a number of more than 4300 digits"
        raise InputError(f"a value to store is not JSON: {what}") from None
    _check_keys(value)
    data = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
    check_data(data)
    return data


@discreet
def decode(data: bytes, /) -> Any:
    """Return the value that `encode` has encoded.

    >>> decode(b'{"n":[1,1.0]}')
    {'n': [1, 1.0]}
    """
    return json.loads(data)


def _check_keys(value: object) -> None:
    """Refuse keys that `json` has made strings of; the value has no cycles."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if not all(isinstance(key, str) for key in one):
                raise InputError("a value to store holds a key that is not a string")
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one


# What is refused ------------------------------------------------------------------


def check_name(name: object) -> None:
    """Refuse what can't be the name of a store."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"the name of a store has 1 to {MOST_NAME} letters, digits, '.', '_' or '-', and begins with a letter or digit"
        )


def check_key(key: object) -> None:
    """Refuse what `pointer` can't have made."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InputError(
            "a key of an external store has 40 hexadecimal digits: use the part of a pointer after '/'"
        )


def check_user(user_id: object) -> None:
    """Refuse a user id that no store could hold."""
    if not isinstance(user_id, str) or not 0 < len(user_id) <= MOST_ID or _UNSTORABLE.search(user_id):
        raise InputError(
            f"a user id has 1 to {MOST_ID} characters, without null characters and lone surrogates"
        )


def check_path(path: object) -> None:
    """Refuse a path that doesn't begin with a bag."""
    if not isinstance(path, str) or path.partition(".")[0] not in ("user_metadata", "app_metadata"):
        raise InputError('a path begins with the bag, such as "app_metadata.history"')


def check_data(data: object) -> None:
    """Refuse data that no store would take."""
    if not isinstance(data, bytes) or not data:
        raise InputError("what is stored is the bytes of a JSON value")
    if len(data) > MOST_BYTES:
        raise InputError(f"a value to store has {len(data):,} bytes, and the most is {MOST_BYTES:,}")


def check_put(key: str, data: object, user_id: str, path: object) -> None:
    """Check all arguments of a store's `put`."""
    check_key(key)
    check_data(data)
    check_user(user_id)
    check_path(path)
    if not belongs_to(key, user_id):  # else forgetting the one user would delete a value of another
        raise InputError(f"the key {key} was made for another user than {user_id}")


def default_name(text: str) -> str:
    """Return the name of a store whose file or database has this name.

    >>> default_name("big"), default_name("Überlauf 2")
    ('big', 'berlauf-2')
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:MOST_NAME] or "store"
