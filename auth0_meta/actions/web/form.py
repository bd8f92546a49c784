"""Read the form that a browser brings back to /continue, within bounds: nobody has proved anything by then; PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import attrs

__all__ = ["MOST_BODY", "Refusal", "read_body", "read_form"]

MOST_BODY = 64 * 1024
"""Bytes that a form may have: a session token is a few hundred."""
_MOST_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"


@attrs.frozen
class Refusal:
    """Say which status and which text answer a body that is not read."""

    status: int
    reason: str


def read_body(read: Callable[[int], bytes]) -> bytes:
    """Read a body as far as it takes to know that it is too long; a stream may give less than it is asked for."""
    body = b""
    while len(body) <= MOST_BODY and (part := read(MOST_BODY + 1 - len(body))):
        body += part
    return body


def read_form(content_type: str | None, body: bytes) -> Mapping[str, str] | Refusal:
    """Return a form's fields, the last of each name, blank ones too; {} for no body.

    >>> read_form("application/x-www-form-urlencoded", b"state=x&answer=")
    {'state': 'x', 'answer': ''}
    >>> read_form("multipart/form-data; boundary=b", b"--b").status
    415
    """
    if not body:
        return {}
    if (content_type or "").partition(";")[0].strip().lower() != _FORM:
        return Refusal(415, f"Send the form as {_FORM}.")
    if len(body) > MOST_BODY:
        return Refusal(413, f"The form has more than {MOST_BODY} bytes.")
    try:
        fields = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return Refusal(413, f"The form has more than {_MOST_FIELDS} fields.")
    return dict(fields)
