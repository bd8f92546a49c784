"""What passes between the fronts (sockets, WSGI) and the handlers: request, call, reply, answer."""

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
_encode_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def to_json(value: Any) -> bytes:
    """Serialize compactly; raises ValueError for a number that JSON can't represent."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; its escape is what came in.
        return _encode_ascii(value).encode()


def _finite(text: str) -> float:
    # Python reads NaN and Infinity, and 1e999 as infinity: no response could represent them.
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_decode = json.JSONDecoder(parse_constant=_finite, parse_float=_finite).decode


def from_json(raw: bytes) -> Any:
    """Parse UTF-8; raises ValueError or RecursionError for what is not valid JSON, NaN and Infinity too."""
    return _decode(raw.decode("utf-8"))


class CutShort(ConnectionResetError):
    """Asks a front to close the connection in the middle of a body."""


class Request:
    """One request: `path` still percent-encoded, header names in lower case."""

    __slots__ = ("body", "headers", "method", "path", "query_string")

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers = headers
        self.body = body

    @property
    def query(self) -> dict[str, str]:
        """Return the query parameters; of several with one name the last."""
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
    """What a rate-limit bucket said: `limit`, `remaining` and `reset` are the header values.

    `message` is Auth0's wording for a request that it refuses.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    message: str


@attrs.define
class Call:
    """One request on its way through the pipeline, with what each stage found out about it.

    `template` is that of its route; `params` are those in the path, decoded; `user_id` is set if the path names a user;
    `query` and `body` are what was sent, read as the route describes them; `reading` is that of the bucket it took from.
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
    committed: bool = False

    @property
    def name(self) -> str:
        """Return how histories name this request, such as `PATCH /api/v2/users/{id}`."""
        return f"{self.request.method} {self.template}"


@attrs.frozen
class Reply:
    """What a route answers; `committed` means that something was written.

    For faults, `cut` is how many bytes of the body are sent before the connection is closed, and `slow`
    how many seconds sending takes; None is all of it, at once.
    """

    status: int
    body: bytes = b""
    committed: bool = False
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    slow: float | None = None


@attrs.frozen
class Answer:
    """The whole response as a front sends it; Content-Length is left to the front.

    `cut` and `slow` are as in `Reply`; `pause` waits by the tenant's clock.  `feed` replaces a body that never
    ends: no length is sent, and the connection closes with it.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: int | None
    slow: float | None
    pause: Callable[[float], None]
    feed: Callable[[], Iterator[bytes]] | None = None

    @property
    def in_pieces(self) -> bool:
        """Return whether the body is sent in pieces, or not whole."""
        return self.cut is not None or self.slow is not None or self.feed is not None

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of the body with pauses between; raises `CutShort` at a cut."""
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
