"""One request as the journal keeps it."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs

from auth0_meta.emulator.rules.masking import masked


class Unread:
    """A JSON body that no handler read; it is parsed on demand, and invalid JSON reads as None."""

    __slots__ = ("_raw", "_value")

    def __init__(self, raw: bytes) -> None:
        self._raw: bytes | None = raw
        self._value: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unread) and self.read() == other.read()

    __hash__ = None  # type: ignore[assignment]  # JSON values have none either

    def read(self) -> Any:
        """Return the parsed value."""
        raw = self._raw
        if raw is not None:
            try:
                self._value = json.loads(raw, parse_constant=_no_number, parse_float=_finite)
            except (ValueError, RecursionError):
                self._value = None
            self._raw = None
        return self._value


@attrs.frozen(kw_only=True)
class Entry:
    """One request; the repr leaves out the body and the query.

    `path` is as it was sent, without the query; `route` is the template that matched, "" for none;
    `user_id` is decoded, None if the route has none; `status` is None if the connection was closed
    without a response; `outcome` is "answered", "dropped_before_commit", "dropped_after_commit", or
    "plan_raised" if a second writer or predicate raised; `fault` is the fault that struck, else None;
    `committed` says whether the request wrote anything; `tokens` are those left in its bucket, None
    without a limit; `time` is its arrival by the tenant's clock.
    """

    method: str
    path: str
    query: str = attrs.field(repr=False)
    route: str
    user_id: str | None
    _body: Any = attrs.field(repr=False)
    status: int | None
    outcome: str
    fault: Any = attrs.field(repr=False)
    committed: bool
    tokens: int | None
    time: float

    @property
    def body(self) -> Any:
        """The parsed JSON as it was sent, also in a refused request, with secrets such as passwords masked.

        None without a JSON body, for a body past the size limit, and for /oauth/token.
        """
        body = self._body
        return masked(body.read() if isinstance(body, Unread) else body)


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
