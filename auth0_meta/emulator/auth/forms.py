"""Bodies of the Authentication API: a form, or JSON in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import attrs

from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.rules.schema import Field
from auth0_meta.emulator.rules.switches import Switches


@attrs.frozen
class FormBody:
    """A body that SDKs send as a form or as JSON, whichever they like; handlers check its values.

    `assume` is the media type of a body without one.  `refuse` words the refusal of what is not an object.
    """

    field: Field
    assume: str
    refuse: Callable[[], Refusal]

    content_type = "application/json"

    def read(self, request: Request, switches: Switches) -> dict[str, Any]:
        """Return the members of the form or the JSON object."""
        text = request.body.decode("utf-8", "replace")
        if "json" not in request.headers.get("content-type", self.assume).lower():
            return dict(parse_qsl(text, keep_blank_values=True))
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.refuse()
        return value

    def as_json_schema(self) -> dict[str, Any]:
        """Return what it may hold as JSON Schema."""
        return self.field.as_json_schema()


@attrs.frozen
class PageForm:
    """The form that one of the login pages sends."""

    content_type = "application/x-www-form-urlencoded"

    def read(self, request: Request, switches: Switches) -> dict[str, str]:
        """Return the form's fields."""
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))

    def as_json_schema(self) -> dict[str, Any]:
        """Return that any field may be sent."""
        return {"type": "object", "additionalProperties": {"type": "string"}}
