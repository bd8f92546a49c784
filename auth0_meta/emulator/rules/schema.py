"""What bodies, queries and rows may contain, and one validator for all of them, with messages like Auth0's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.errors import bad_request, payload_error, query_error, refused
from auth0_meta.emulator.http.message import Request, from_json
from auth0_meta.emulator.rules.switches import Switches

_TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
_TYPE_NAMES[bytes] = "string"  # a file in a form


@attrs.frozen(kw_only=True)
class Field:
    """What one value may be; `type` may name several types, joined by `|`.

    `shortest` and `longest` bound the length of a string or an array.  `items` describes the items of an array.
    `properties` describes the properties of an object (None: any); the `required` ones must be present, a `closed`
    object must have no others, and no object may have a `forbidden` one; `hint` is appended to that refusal.  If
    `echoed`, a refusal by `pattern` shows the text.  `about` is how Auth0 describes a query parameter in its refusals.
    """

    type: str = "string"
    nullable: bool = False
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    email: bool = False
    one_of: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    items: Field | None = None
    properties: Mapping[str, Field] | None = None
    required: tuple[str, ...] = ()
    closed: bool = True
    forbidden: tuple[str, ...] = ()
    echoed: bool = False
    hint: str = ""
    about: str = ""

    def as_json_schema(self) -> dict[str, Any]:
        """Return this as JSON Schema.

        >>> NAME.as_json_schema()
        {'type': 'string', 'minLength': 1}
        """
        types = [*self.type.split("|"), *(["null"] if self.nullable else [])]
        of_array = self.type == "array"
        schema = {
            "type": types[0] if len(types) == 1 else types,
            "minItems" if of_array else "minLength": self.shortest or None,
            "maxItems" if of_array else "maxLength": self.longest,
            "pattern": f"^{self.pattern}$" if self.pattern else None,
            "enum": list(self.one_of) or None,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "items": self.items and self.items.as_json_schema(),
            "required": list(self.required) or None,
        }
        if self.properties is not None:
            schema["properties"] = {name: rule.as_json_schema() for name, rule in self.properties.items()}
            schema["additionalProperties"] = False if self.closed else None
        return {name: value for name, value in schema.items() if value is not None}


TEXT = Field()
NAME = Field(shortest=1)
FLAG = Field(type="boolean")
WHOLE = Field(type="integer")
OBJECT = Field(type="object")


def array(items: Field, *, shortest: int = 0, longest: int | None = None) -> Field:
    """Describe an array."""
    return Field(type="array", items=items, shortest=shortest, longest=longest)


def record(*required: str, **properties: Field) -> Field:
    """Describe an object that has these properties and no others."""
    return Field(type="object", required=required, properties=properties)


@attrs.frozen
class Problem:
    """One reason to refuse a value: `code` is for the errors of an import, `message` for those and for refusals.

    `value` is appended to the message where the refused value may be shown; `path` is its dotted path.
    """

    code: str
    message: str
    path: str = ""
    value: str = ""

    @property
    def text(self) -> str:
        """Return the complete message, as in the refusal of a body or query."""
        return f"{self.message}: {self.value}" if self.value else self.message


def type_name(value: Any) -> str:
    """Return the name of a JSON value's type, as Auth0's validator writes it."""
    return _TYPE_NAMES.get(type(value), "null")


def is_email(text: str) -> bool:
    """Return whether a text has the form of an email address.  Open: how strict Auth0 is beyond that."""
    return re.fullmatch(r"[^\s@]+@[^\s@]+", text) is not None


def problems(value: Any, field: Field, path: str = "") -> Iterator[Problem]:
    """Yield every problem with a value; the wording about lengths and patterns is a guess.

    >>> [found.message for found in problems({"a": 1}, record("b", a=TEXT, b=TEXT))]
    ['Expected type string but found type integer', 'Missing required property: b']
    """
    found = type_name(value)
    if found == "null" and field.nullable:
        return
    if found != field.type and found not in field.type.split("|"):
        yield Problem("INVALID_TYPE", f"Expected type {field.type} but found type {found}", path)
    elif found == "string":
        yield from _string_problems(value, field, path)
    elif found == "object" and field.properties is not None:
        yield from _object_problems(value, field, path)
    elif found == "array":
        yield from _array_problems(value, field, path)
    elif found == "integer" and field.minimum is not None and value < field.minimum:
        yield Problem("MINIMUM", f"Value {value} is less than minimum {field.minimum}", path)
    elif found == "integer" and field.maximum is not None and value > field.maximum:
        yield Problem("MAXIMUM", f"Value {value} is greater than maximum {field.maximum}", path)


def _string_problems(value: str, field: Field, path: str) -> Iterator[Problem]:
    size = len(value)
    if size < field.shortest:
        yield Problem("MIN_LENGTH", f"String is too short ({size} chars), minimum {field.shortest}", path)
    elif field.longest is not None and size > field.longest:
        yield Problem("MAX_LENGTH", f"String is too long ({size} chars), maximum {field.longest}", path)
    elif field.email and not is_email(value):
        yield Problem("FORMAT", "Object didn't pass validation for format email", path, value)
    elif field.pattern is not None and not re.fullmatch(field.pattern, value):
        shown = value if field.echoed else ""
        yield Problem("PATTERN", f"String does not match pattern ^{field.pattern}$", path, shown)
    elif field.one_of and value not in field.one_of:
        yield Problem("ENUM_MISMATCH", "No enum match for", path, value)


def _object_problems(value: dict[str, Any], field: Field, path: str) -> Iterator[Problem]:
    properties = field.properties or {}
    if field.closed:
        unknown = [name for name in value if name not in properties]
    else:
        unknown = [name for name in field.forbidden if name in value]
    if unknown:
        message = f"Additional properties not allowed: {','.join(unknown)}{field.hint}"
        yield Problem("OBJECT_ADDITIONAL_PROPERTIES", message)
    for name, inner in value.items():
        if name in properties:
            yield from problems(inner, properties[name], f"{path}.{name}" if path else name)
    for name in field.required:
        if name not in value:
            yield Problem("OBJECT_REQUIRED", f"Missing required property: {name}", path)


def _array_problems(value: list[Any], field: Field, path: str) -> Iterator[Problem]:
    size = len(value)
    if size < field.shortest:
        yield Problem("ARRAY_LENGTH_SHORT", f"Array is too short ({size}), minimum {field.shortest}", path)
    elif field.longest is not None and size > field.longest:
        yield Problem("ARRAY_LENGTH_LONG", f"Array is too long ({size}), maximum {field.longest}", path)
    elif field.items is not None:
        for item in value:
            yield from problems(item, field.items, path)


def refuse_first(value: Any, field: Field, path: str = "") -> None:
    """Refuse a body, or the value at a path, because of its first problem; Auth0 names only the innermost property."""
    for found in problems(value, field, path):
        raise payload_error(found.text, found.path.rpartition(".")[2] or None)


# Bodies ---------------------------------------------------------------------------------------------------


@attrs.frozen
class Body:
    """A JSON body and what it may contain; subclasses describe other kinds of bodies."""

    field: Field

    content_type = "application/json"

    def read(self, request: Request, switches: Switches) -> Any:
        """Return the body as its handler expects it, or refuse it."""
        value = parse(request.body, switches)
        refuse_first(value, self.field)
        return value


def check_length(raw: bytes, limit: int, status: int = 413) -> None:
    """Refuse a body of more than `limit` bytes."""
    if len(raw) > limit:
        raise refused(status, f"Payload content length greater than maximum allowed: {limit}")


def parse(raw: bytes, switches: Switches) -> Any:
    """Return the parsed body, None if it is empty; refuse one that is too long or not valid JSON."""
    check_length(raw, switches.body_limit, switches.oversize_body_status)
    try:
        return from_json(raw) if raw else None
    except (ValueError, RecursionError):
        # The wording is a guess.
        raise bad_request("Invalid request payload JSON format", None) from None


# Queries --------------------------------------------------------------------------------------------------

Query = Mapping[str, Field]
_PER_PAGE = "Number of results per page. Defaults to 50"
FIELDS: Query = {"fields": TEXT, "include_fields": Field(type="boolean", about="true or false")}
PAGES: Query = {
    "page": Field(type="integer", minimum=0, about="Page index of the results to return. First page is 0."),
    "per_page": Field(type="integer", minimum=0, maximum=100, about=_PER_PAGE),
    "include_totals": Field(type="boolean", about="true or false"),
    **FIELDS,
}
CHECKPOINTS: Query = {
    "take": Field(type="integer", minimum=1, maximum=100, about=f"{_PER_PAGE}."),
    "from": Field(type="integer", minimum=0, about="Optional Id from which to start selection."),
}


def required_parameter(about: str) -> Field:
    """Describe a required query parameter."""
    return Field(shortest=1, about=about)


def read_query(sent: Mapping[str, str], query: Query) -> dict[str, Any]:
    """Return the parameters that a route knows, with integers and booleans converted; refuse the first invalid one.

    >>> read_query({"page": "2", "unknown": "x"}, PAGES)
    {'page': 2}
    """
    read: dict[str, Any] = {}
    for name, field in query.items():
        text = sent.get(name)
        if field.shortest and not text:
            raise query_error(f"Missing required property: {name}", name, field.about)
        if text is not None:
            read[name] = _converted(text, field.type)
            for found in problems(read[name], field):
                raise query_error(found.text, name, field.about)
    return read


def _converted(text: str, kind: str) -> Any:
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text) else text
