"""One request as the journal keeps it."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs

from auth0_meta.emulator.rules.masking import masked


class Unread:
    """Hold a JSON body that no handler came to; parsed when somebody asks, None for what is no JSON."""

    __slots__ = ("_raw", "_value")

    def __init__(self, raw: bytes) -> None:
        self._raw: bytes | None = raw
        self._value: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unread) and self.read() == other.read()

    __hash__ = None  # type: ignore[assignment]  # as the values it holds

    def read(self) -> Any:
        """Return the value."""
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
    """Describe one request; the repr leaves out the body and the query.

    `path` is as sent, without the query; `route` the template that matched ("" for none);
    `user_id` decoded, None where the route has none; `status` None when the connection was
    closed without an answer; `outcome` "answered", "dropped_before_commit", "dropped_after_commit",
    or "plan_raised" where a second writer or a predicate of the test raised; `fault` the planned
    fault that struck, else None; `committed` whether something was written; `tokens` left in its
    bucket after it, None without a limit; `time` of arrival by the tenant's clock.
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
        """Return the parsed JSON as sent, refused or not, secrets such as a password masked.

        None without a JSON body, for one past the size limit, and for /oauth/token.
        """
        body = self._body
        return masked(body.read() if isinstance(body, Unread) else body)


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
