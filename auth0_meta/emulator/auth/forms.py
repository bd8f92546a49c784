"""Bodies of the Authentication API: forms, or JSON instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import attrs

from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Request, from_json
from auth0_meta.emulator.rules.schema import TEXT, Body, Field, check_length
from auth0_meta.emulator.rules.switches import Switches


def open_record(*required: str, **properties: Field) -> Field:
    """Describe an object that may have other properties too."""
    return Field(type="object", required=required, properties=properties, closed=False)


@attrs.frozen
class FormBody(Body):
    """A body that SDKs send as a form or as JSON; handlers check its values.

    `assume` is the media type of a body without one.  `refuse` returns the refusal of JSON that is not an object.
    """

    assume: str
    refuse: Callable[[], Refusal]

    def read(self, request: Request, switches: Switches) -> dict[str, Any]:
        """Return the fields of the form or of the JSON object."""
        check_length(request.body, switches.body_limit, switches.oversize_body_status)
        if "json" not in request.headers.get("content-type", self.assume).lower():
            return _form(request)
        try:
            value = from_json(request.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.refuse()
        return value


_MOST_FIELDS = 1000
_PAGE = open_record("state", state=TEXT)


@attrs.frozen
class PageForm(Body):
    """The form of a login page."""

    field: Field = _PAGE

    content_type = "application/x-www-form-urlencoded"

    def read(self, request: Request, switches: Switches) -> dict[str, str]:
        """Return the form's fields."""
        check_length(request.body, switches.body_limit, switches.oversize_body_status)
        return _form(request)


def _form(request: Request) -> dict[str, str]:
    text = request.body.decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}  # refused, as nothing that is required is there
