"""One request, and what it is made of: paths, queries, bodies, and the object that is read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote, urlencode

from auth0_meta.arguments import whole
from auth0_meta.changes.foreign_types import not_json
from auth0_meta.changes.rules import MAX_REQUEST
from auth0_meta.checks.sizes import PROFILE_LIMIT
from auth0_meta.errors import InputError, MetadataError, StoredDataError
from auth0_meta.http.headers import NO_HEADERS
from auth0_meta.models import User, UserId
from auth0_meta.ratelimit.plans import route_group
from auth0_meta.redact import count

API = "/api/v2/"
_LARGEST_NUMBER = 2**63 - 1
"""The largest int that can be an id of anything."""


def _refuse_type(value: object) -> None:
    raise TypeError(not_json(value))


_encode = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_refuse_type
).encode


class Request(NamedTuple):
    """One request; `path` is encoded and starts with "/".

    `repeat`: whether sending it twice is harmless.  `sent` is the body before encoding; error messages are cleaned of
    the values in it.  `alias`: how messages name the path; None leaves out the query only.  `headers`: the ones that a
    caller adds.  `template`: the path before values were filled in; None if none were.
    """

    method: str
    path: str
    group: str
    repeat: bool
    body: bytes | None = None
    sent: Any = None
    content_type: str = "application/json"
    alias: str | None = None
    headers: Mapping[str, str] = NO_HEADERS
    template: str | None = None

    @property
    def shown(self) -> str:
        """Return the path as messages name it."""
        return self.alias or self.path.partition("?")[0]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.shown}>"


class Kind(NamedTuple):
    """A kind of object that holds metadata: how it is identified and counted, and how large Auth0 lets it be."""

    noun: str
    id_field: str
    reads: str
    """The route group of its GET."""
    writes: str
    """The route group of its PATCH."""
    most_sent: int
    """The bytes of JSON that one PATCH may have."""
    most_stored: int
    """The bytes of JSON that one object may have."""


USER = Kind(
    noun="user",
    id_field="user_id",
    reads=route_group("GET", "users/ID"),
    writes=route_group("PATCH", "users/ID"),
    most_sent=MAX_REQUEST,
    most_stored=PROFILE_LIMIT,
)


class Target(NamedTuple):
    """One object that is read and written: its id, the encoded `path`, and how messages show it."""

    kind: Kind
    id: str
    path: str
    shown: str

    @classmethod
    def user(cls, user: UserId, /) -> Target:
        """Return the target for a user.  Raises `MetadataError` as `id_of` and `user_path` do."""
        user_id = id_of(user)
        return cls(USER, user_id, user_path(user_id), f"users/{user_id}")


def id_of(user: UserId, /) -> str:
    """Return a user's id; raise `MetadataError` for a `User` without one.  `user_path` checks the id itself.

    >>> id_of(User.from_dict({"user_id": "auth0|1"})), id_of("auth0|1")
    ('auth0|1', 'auth0|1')
    """
    if isinstance(user, str) or not isinstance(user, User):
        return user
    if not user.user_id:
        msg = "this User has no user_id, since the profile that it was made from lacks it (nothing was sent)"
        raise MetadataError(msg)
    return user.user_id


_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]+")


def _quoted(unsafe: re.Match[str]) -> str:
    return quote(unsafe[0], safe="")


def user_path(user_id: str, /) -> str:
    """Return the encoded path of a user; the id is percent-encoded exactly once.

    Raises `MetadataError` for an id that is empty, contains white space or is "." or "..".
    Source: ids contain `|`, `/`, `%`, `:` and `#`, and no white space (Auth0 support).

    >>> user_path("oauth2|siwe|eip155%3A5")
    '/api/v2/users/oauth2%7Csiwe%7Ceip155%253A5'
    """
    if not isinstance(user_id, str) or not user_id:
        got = "an empty string" if isinstance(user_id, str) else type(user_id).__name__
        msg = f"the user id must be a string such as auth0|507f1f77bcf86cd799439020, not {got} (nothing was sent)"
        raise MetadataError(msg)
    if user_id in (".", "..") or not user_id.isprintable() or " " in user_id:  # no other space is printable
        msg = f"{user_id!r} can't be a user id: Auth0's contain no white space and are not paths (nothing was sent)"
        raise MetadataError(msg)
    return f"{API}users/{_UNSAFE.sub(_quoted, user_id)}"


class Endpoint(NamedTuple):
    """An endpoint with its values filled in: the encoded `path`, how messages show it, its template, and its user.

    `shown` and `template` are None if no value was filled in, `user_id` unless the endpoint is one user's.
    """

    path: str
    shown: str | None = None
    template: str | None = None
    user_id: str | None = None

    @classmethod
    def of(cls, template: str, values: Sequence[object], /) -> Self:
        """Fill each `{}` of a template with a value, percent-encoded; a template without `{}` is an encoded path.

        Raises `InputError` unless there is exactly one value for each `{}`, and for braces with something in them, a
        value that can't be a part of a path, and a path that would leave the API.

        >>> Endpoint.of("users/{}/roles", ["auth0|1"])
        Endpoint(path='/api/v2/users/auth0%7C1/roles', shown='users/auth0|1/roles', template='users/{}/roles', user_id='auth0|1')
        """
        _check_text(template)
        path, mark, query = template.partition("?")
        pieces = path.split("{}")
        if any("{" in piece or "}" in piece for piece in pieces) or "{}" in query:
            msg = (
                f"{path!r} has a brace that is not a placeholder (nothing was sent): write {{}} for each value, in order, "
                "before the query, which params= takes; a brace itself is %7B or %7D"
            )
            raise InputError(msg)
        places = len(pieces) - 1
        if len(values) != places:
            msg = (
                f"{path!r} has {count(places, 'placeholder')}, and {count(len(values), 'value')} came with it "
                "(nothing was sent): pass one for each {}"
            )
            raise InputError(msg)
        texts = [_part(number, value) for number, value in enumerate(values, 1)]
        encoded = endpoint_path(_joined(pieces, [quote(text, safe="") for text in texts]) + mark + query)
        user_id = _user_of(encoded)
        if values and user_id is not None:
            user_path(user_id)  # raises for what can't be a user id
        if not values:
            return cls(encoded, user_id=user_id)
        return cls(encoded, _short(_joined(pieces, texts)), _short(path), user_id)


def _check_text(path: object) -> None:
    """Raise `InputError` unless a path is one line of text without a host."""
    if not isinstance(path, str) or "://" in path or " " in path or not path.isprintable():
        msg = "path must be an endpoint below /api/v2/, such as users/{}/roles (nothing was sent)"
        raise InputError(msg)


def _part(number: int, value: object) -> str:
    """Return a value as the part of a path that it becomes."""
    name = f"value {number} for the path"
    if isinstance(value, User):
        return id_of(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(whole(name, value, least=0, most=_LARGEST_NUMBER))
    if not isinstance(value, str):
        msg = f"{name} must be a string, an int or a User, not {type(value).__name__} (nothing was sent)"
        raise InputError(msg)
    text = str.__str__(value)  # not what a member of an enumeration prints
    if not text.strip() or text in (".", "..") or not text.isprintable():
        got = repr(text) if text.strip() else "empty"
        raise InputError(f"{name} must be an id or a name, and it is {got} (nothing was sent)")
    return text


def _joined(pieces: Sequence[str], texts: Sequence[str]) -> str:
    """Put the texts between the pieces."""
    return "".join(one for pair in zip(pieces, (*texts, ""), strict=True) for one in pair)


def _short(path: str) -> str:
    """Return a path relative to the API."""
    return path.lstrip("/").removeprefix(API[1:])


def _user_of(path: str) -> str | None:
    """Return the id of the user whom an encoded path is about, None if there is none."""
    parts = path.partition("?")[0].removeprefix(API).split("/")
    user_id = unquote(parts[1]) if parts[0] == "users" and len(parts) > 1 else ""
    return user_id if user_id and user_id.isprintable() else None


def endpoint_path(path: str, /) -> str:
    """Return an encoded path with `/api/v2/` before it, refusing one that would leave the API."""
    short = _short(path)
    parts = short.partition("?")[0].split("/")
    # One stray % makes servers take the valid escapes literally too.
    broken = re.search("%(?![0-9A-Fa-f]{2})", short)
    if not parts[0] or any(unquote(part) in (".", "..") for part in parts) or "#" in short or broken:
        shown = path.partition("?")[0]
        raise InputError(
            f"{shown!r} is not an endpoint below /api/v2/ (nothing was sent): percent-encode ids, or fill them in with {{}}"
        )
    return API + short


def encode_query(params: Mapping[str, Any], /) -> str:
    """Encode a query; for a sequence the name is repeated."""
    try:
        return urlencode(params, doseq=True)
    except UnicodeEncodeError:
        msg = "the query contains a lone surrogate, which is not Unicode text (nothing was sent)"
        raise InputError(msg) from None


def encode_body(body: Any, what: str = "the request body", /) -> bytes:
    """Encode what a caller passes as a request's body, refusing what JSON can't represent."""
    try:
        return _encode(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # Only a TypeError is sure to have no value in its text.
        why = str(error) if isinstance(error, TypeError) else type(error).__name__
        raise InputError(f"{what} can't be written as JSON: {why} (nothing was sent)") from None


def encode_document(document: Mapping[str, Any], target: Target) -> bytes:
    """Encode a PATCH document, which repeats what is stored beside a change as it was read.

    So a lone surrogate goes back escaped, as it came: Auth0 has stored it, and refusing it would make the whole
    first-level key unchangeable.
    """
    try:
        return _encode(document).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        msg = (
            f"{target.id} holds a number that JSON can't represent, beside what is changed. Nothing was written: "
            "set the first-level key whole"
        )
        raise StoredDataError(msg, user_id=target.id) from None
