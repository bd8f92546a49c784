"""Read the JSON of a report, which may come from an earlier version or from elsewhere; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import attrs

from auth0_meta.changes.foreign_types import type_name
from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.errors import InputError

_MOST_BYTES = 64 << 20
_NOT_ONE = "this is not a report of an audit"


def document_of(given: object, /) -> Mapping[str, Any]:
    """Return the JSON object that a caller passes as such or as text."""
    if isinstance(given, str | bytes):
        if len(given) > _MOST_BYTES:
            raise InputError(f"{_NOT_ONE}: it has more than {_MOST_BYTES:,} bytes")
        try:
            given = read_json(given if isinstance(given, bytes) else given.encode("utf-8", "surrogatepass"))
        except NotReadable as error:
            raise InputError(f"{_NOT_ONE}: it is {error}") from None
    if not isinstance(given, Mapping):
        raise InputError(f"{_NOT_ONE}: it must be a JSON object, not {type_name(given)}")
    return given


@attrs.frozen
class Fields:
    """An object of a report; each method returns a field, and raises `InputError` if it is not of that type."""

    values: Mapping[str, Any] = attrs.field(repr=False)
    where: str

    @property
    def is_empty(self) -> bool:
        """Return whether the object is absent or has no field."""
        return not self.values

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string, `default` if it is absent."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else self._refuse(name, "a string", value)

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number, `default` if it is absent."""
        return self._whole(name, self.values.get(name, default))

    def number(self, name: str, default: float) -> float:
        """Return a number, `default` if it is absent."""
        value = self.values.get(name, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return value
        self._refuse(name, "a number of at least 0", value)

    def texts(self, name: str, *, optional: bool = False) -> tuple[str, ...]:
        """Return an array of strings."""
        return tuple(
            one if isinstance(one, str) else self._refuse(f"{name}[{n}]", "a string", one)
            for n, one in enumerate(self._list(name, optional=optional))
        )

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return an array of whole numbers."""
        return tuple(self._whole(f"{name}[{n}]", one) for n, one in enumerate(self._list(name)))

    def every_whole(self) -> dict[str, int]:
        """Return all fields, which are whole numbers."""
        return {name: self._whole(name, value) for name, value in self.values.items()}

    def inner(self, name: str) -> Fields:
        """Return an object, an empty one if it is absent."""
        value = self.values.get(name, {})
        if not isinstance(value, Mapping):
            self._refuse(name, "an object", value)
        return Fields(value, f"{name} of {self.where}")

    def objects(self, name: str, *, optional: bool = False) -> list[Fields]:
        """Return an array of objects."""
        return [
            Fields(
                one if isinstance(one, Mapping) else self._refuse(f"{name}[{n}]", "an object", one),
                f"{name}[{n}]",
            )
            for n, one in enumerate(self._list(name, optional=optional))
        ]

    def _list(self, name: str, *, optional: bool = False) -> list[Any]:
        value = self.values.get(name, [] if optional else None)
        return value if isinstance(value, list) else self._refuse(name, "an array", value)

    def _whole(self, name: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self._refuse(name, "a whole number of at least 0", value)

    def _refuse(self, name: str, what: str, value: object) -> NoReturn:
        found = "absent" if value is None else type_name(value)
        raise InputError(f"{_NOT_ONE}: {name} of {self.where} must be {what}, not {found}")
