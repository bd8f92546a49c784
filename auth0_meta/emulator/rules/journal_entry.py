"""An entry of the journal: one request and its response, with secrets masked by name, except inside metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import attrs

from auth0_meta.emulator.http.masking import masked, masked_headers, masked_url
from auth0_meta.emulator.http.message import from_json

_MOST_FIELDS = 1000
_MOST_KEPT = 1024 * 1024
"""How many bytes of a response's body are kept; of a longer one none are."""


@attrs.frozen
class RecordedResponse:
    """A response as it was sent, or would have been if a fault had not cut it; the repr has the status only."""

    status: int
    _headers: Sequence[tuple[str, str]] = attrs.field(repr=False)
    _body: bytes = attrs.field(repr=False)
    length: int = attrs.field(repr=False)
    """How many bytes the body had."""

    @classmethod
    def of(cls, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> RecordedResponse:
        """Return what is kept of a response."""
        return cls(status, headers, body if len(body) <= _MOST_KEPT else b"", len(body))

    @property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case; tokens in them, and values of cookies, are masked."""
        return masked_headers(self._headers)

    @property
    def body(self) -> Any:
        """The parsed JSON, with tokens and other secrets masked; None for any other body, and if it was too long to keep."""
        return masked(parsed(self._body))

    @property
    def size(self) -> int:
        """How many bytes of text it holds, about."""
        return len(self._body) + sum([len(value) for _, value in self._headers])


@attrs.frozen(kw_only=True)
class Entry:
    """One request; the repr leaves out the body, the query and the headers.

    `path` is as it was sent, without the query; `headers` have names in lower case, and no token; `route` is the template that matched, "" if none did;
    `user_id` is decoded, None if the route has none; `status` is None if the connection was closed
    without a response; `outcome` is "answered", "dropped_before_commit", "dropped_after_commit", or
    "plan_raised" if a second writer or predicate raised; `fault` is the fault that struck, else None;
    `not_served` names what the tenant does not serve if it answered so, else "";
    `committed` says whether the request wrote anything; `tokens` is how many were left in its bucket,
    None without a limit; `time` is when it arrived, by the tenant's clock; `duration` is how many real seconds
    passed until the response was ready; `response` has `status`, `headers` and `body`, and is None if the connection was closed instead.
    """

    method: str
    path: str
    _query: str = attrs.field(repr=False)
    _headers: Mapping[str, str] = attrs.field(repr=False)
    route: str
    user_id: str | None
    _body: bytes | dict[str, Any] | None = attrs.field(repr=False)
    status: int | None
    outcome: str
    not_served: str = ""
    fault: Any = attrs.field(repr=False)
    committed: bool
    tokens: int | None
    time: float
    duration: float
    response: RecordedResponse | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case; tokens in them are masked."""
        return masked_headers(self._headers.items())

    @property
    def query(self) -> str:
        """The query as it was sent, with tokens and other secrets masked."""
        return masked_url(self._query)

    @property
    def size(self) -> int:
        """How many bytes of text the entry holds, about."""
        body = self._body if isinstance(self._body, bytes) else str(self._body)
        sent = len(self.path) + len(self._query) + len(body) + sum(map(len, self._headers.values()))
        return sent if self.response is None else sent + self.response.size

    @property
    def body(self) -> Any:
        """The parsed JSON or form as it was sent, even if the request was refused, with secrets such as passwords masked.

        None if the request has no such body, or one that is too large.  For a request to /oauth/, only fields that are
        known not to be credentials can be read.
        """
        body = self._body
        if isinstance(body, bytes):
            # Read on demand: most entries are never looked at.
            is_form = "form-urlencoded" in self._headers.get("content-type", "").lower()
            body = parsed(body, is_form=is_form)
        return masked(body)


def parsed(body: bytes, *, is_form: bool = False) -> Any:
    """Return parsed JSON, else the fields of a form, else None; `curl -d` labels JSON a form too."""
    try:
        return from_json(body)
    except (ValueError, RecursionError):
        pass
    # Broken JSON that is labelled as a form would become the name of a field, with whatever secret it has.
    if not is_form or body.lstrip()[:1] in (b"{", b"["):
        return None
    try:
        return dict(
            parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        )
    except ValueError:
        return None
