"""The messages between the servers (sockets, WSGI) and the handlers: request, call, reply, response."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import attrs

_PIECES = 10
JSON_TYPE = "application/json; charset=utf-8"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
to_ascii_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""Serialize compactly in ASCII, which can hold any text; raises ValueError as `to_json` does."""


def to_json(value: Any) -> bytes:
    """Serialize compactly; raises ValueError for a number that JSON can't represent."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        # A lone surrogate can't be encoded as UTF-8; write it as the escape that it came as.
        return to_ascii_json(value).encode()


def to_any_json(value: Any) -> bytes:
    """Serialize as `to_json` does, with a text in place of a number that JSON can't represent: one must not hide all else."""
    try:
        return to_json(value)
    except ValueError:
        return to_json(json.loads(json.dumps(value), parse_constant=str))


def _finite(text: str) -> float:
    # Python accepts NaN and Infinity, and reads 1e999 as infinity; no response could represent them.
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_decode = json.JSONDecoder(parse_constant=_finite, parse_float=_finite).decode


MOST_LEVELS = 200
"""How deeply JSON may be nested: what walks through it takes up to four calls a level, of the thousand that Python allows."""


def is_deep(value: Any) -> bool:
    """Return whether a JSON value is nested in more than MOST_LEVELS levels."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        containers = [one for one in level if isinstance(one, (dict, list))]
        if not containers:
            return False
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    return True


def from_json(raw: bytes) -> Any:
    """Parse UTF-8 JSON; raises ValueError or RecursionError if it is not valid, is deep, or has NaN or Infinity."""
    value = _decode(raw.decode("utf-8"))
    # Counting brackets costs nothing, and nearly every body has few.
    if raw.count(b"[") + raw.count(b"{") > MOST_LEVELS and is_deep(value):
        raise RecursionError
    return value


class CutShort(ConnectionResetError):
    """Raised to make the server close the connection in the middle of a body."""


class Request:
    """One request; `path` is still percent-encoded, and header names are in lower case."""

    __slots__ = ("body", "headers", "method", "path", "query_string")

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers = headers
        self.body = body

    @property
    def query(self) -> dict[str, str]:
        """Return the query parameters; if a name is repeated, the last value counts."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True)) if self.query_string else {}


@attrs.frozen
class Grant:
    """What a token allows; `scopes` None means all, `expires_at` None means never."""

    subject: str
    scopes: frozenset[str] | None
    expires_at: float | None
    audience: str | None = None


@attrs.frozen
class BucketReading:
    """What a rate-limit bucket reports: `limit`, `remaining` and `reset` are the values of the headers.

    `message` is how Auth0 words the refusal of a request.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    message: str


@attrs.define
class Call:
    """One request on its way through the pipeline, with what each stage found out about it.

    `template` is the template of its route, and `params` are the decoded parameters in the path; `user_id` is set
    if the path names a user.  `query` and `body` are parsed as the route describes them.  `reading` is what the
    request's rate-limit bucket reported.  `not_served` names what the emulator does not model.
    """

    request: Request
    now: float
    template: str = ""
    params: dict[str, str] = attrs.field(factory=dict)
    user_id: str | None = None
    grant: Grant | None = None
    reading: BucketReading | None = None
    query: dict[str, Any] = attrs.field(factory=dict)
    body: Any = None
    fault: Any = None
    outcome: str = "answered"
    not_served: str = ""
    committed: bool = False

    @property
    def name(self) -> str:
        """Return the name of this request in a user's history, such as `PATCH /api/v2/users/{id}`."""
        return f"{self.request.method} {self.template}"


@attrs.frozen
class Reply:
    """What a handler returns; `committed` says whether something was written.

    For faults, `cut` is how many bytes of the body are sent before the connection is closed (None: all), and
    `slow` how many seconds sending the body takes (None: no delay); `replaced` are headers, by their names in lower
    case, that take the place of any others of that name, or remove them (None).
    """

    status: int
    body: bytes = b""
    committed: bool = False
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    slow: float | None = None
    replaced: Mapping[str, str | None] = attrs.field(factory=dict)


@attrs.frozen
class Response:
    """The complete response; `sent_headers` are `headers` and Content-Length.

    `cut` and `slow` are as in `Reply`; `pause` waits by the tenant's clock.  `feed` yields a body of unknown length
    instead of `body`: no Content-Length is sent, and the connection is closed at its end.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: int | None
    slow: float | None
    pause: Callable[[float], None]
    feed: Callable[[], Iterator[bytes]] | None = None

    @property
    def sent_headers(self) -> list[tuple[str, str]]:
        """Return the headers with Content-Length, if the response has one."""
        if self.status == 204 or self.feed is not None:
            return self.headers
        return [*self.headers, ("Content-Length", str(len(self.body)))]

    @property
    def in_pieces(self) -> bool:
        """Return whether the body is sent in pieces, or only in part."""
        return self.cut is not None or self.slow is not None or self.feed is not None

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of the body, with pauses before them if slow; raises `CutShort` where it is cut."""
        if self.feed is not None:
            yield from self.feed()
        sent = self.body if self.cut is None else self.body[: self.cut]
        size = max(1, -(-len(sent) // _PIECES))
        for start in range(0, len(sent), size):
            if self.slow is not None:
                self.pause(self.slow / _PIECES)
            yield sent[start : start + size]
        if self.cut is not None:
            raise CutShort(errno.ECONNRESET, "cut by a fault")
