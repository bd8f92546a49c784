"""Read the form that a browser posts to /continue, within limits, because anybody can post there; PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import attrs

MAX_BODY_BYTES = 64 * 1024
"""The size of the largest form that is read; a session token has a few hundred bytes."""
_MAX_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"


@attrs.frozen
class Refusal:
    """The status and the text of the response to a form that is not accepted."""

    status: int
    reason: str


def read_body(read: Callable[[int], bytes]) -> bytes:
    """Read a body, but no further than it takes to know that it is too long; a stream may return less than requested."""
    body = b""
    while len(body) <= MAX_BODY_BYTES and (part := read(MAX_BODY_BYTES + 1 - len(body))):
        body += part
    return body


def read_form(content_type: str | None, body: bytes) -> Mapping[str, str] | Refusal:
    """Return the fields of a form, blank ones too; of several with one name, the last; {} if there is no body.

    >>> read_form("application/x-www-form-urlencoded", b"state=x&answer=")
    {'state': 'x', 'answer': ''}
    >>> read_form("multipart/form-data; boundary=b", b"--b").status
    415
    """
    if not body:
        return {}
    if (content_type or "").partition(";")[0].strip().lower() != _FORM:
        return Refusal(415, f"Send the form as {_FORM}.")
    if len(body) > MAX_BODY_BYTES:
        return Refusal(413, f"The form has more than {MAX_BODY_BYTES} bytes.")
    try:
        fields = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        return Refusal(413, f"The form has more than {_MAX_FIELDS} fields.")
    return dict(fields)
