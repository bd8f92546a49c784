"""Read-only JSON, and the sections of the event, whose fields are attributes; PURE."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from auth0_meta.changes.jsonvalue import ReadOnlyDict, ReadOnlyList
from auth0_meta.errors import InputError

_READ_ONLY = (
    "an event is read-only: change a copy of the value, and pass it to the api, "
    "such as api.user.set_app_metadata(key, value)"
)


class Frozen(ReadOnlyDict):
    """A read-only JSON object; every change raises `InputError`.

    It equals, and is serialized like, a dict with the same items.  `copy()`, `|`, `copy.copy`,
    `copy.deepcopy` and pickles give plain dicts.  The repr names keys only.
    """

    __slots__ = ()

    def _refusal(self, call: str, arguments: tuple[Any, ...]) -> InputError:
        return InputError(_READ_ONLY)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(dict.keys(self)) or 'empty'}>"


class FrozenList(ReadOnlyList):
    """A read-only JSON array; every change raises `InputError`.  Copies, slices and sums are plain lists."""

    __slots__ = ()

    def _refusal(self, call: str, arguments: tuple[Any, ...]) -> InputError:
        return InputError(_READ_ONLY)

    def __repr__(self) -> str:
        return f"<FrozenList of {len(self)}>"


def frozen_json(value: Any, /, *, path: str) -> Any:
    """Return a read-only copy of a JSON value; tuples become lists.

    Raises `InputError` for a value that JSON can't represent, and names its path, which begins with `path`.

    >>> tags = frozen_json({"tags": ("a", "b")}, path="event.request.query")["tags"]
    >>> tags == ["a", "b"], tags + ["c"]
    (True, ['a', 'b', 'c'])
    >>> tags.append("c")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.InputError: an event is read-only: change a copy of the value, and pass it to the api, \
such as api.user.set_app_metadata(key, value)
    """
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{path} is {value}, which JSON can't represent: leave it out or send a string"
        raise InputError(msg)
    if value is None or isinstance(value, str | int | float):
        return value
    if type(value) in (Frozen, FrozenList):
        return value
    if isinstance(value, Mapping):
        return Frozen(
            {_name(key, path): frozen_json(item, path=f"{path}.{key}") for key, item in value.items()}
        )
    if isinstance(value, list | tuple):
        return FrozenList([frozen_json(item, path=f"{path}[{index}]") for index, item in enumerate(value)])
    msg = f"{path} is of type {type(value).__name__}, which JSON can't represent: convert it first"
    raise InputError(msg)


def _name(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    msg = f"{path} has a key of type {type(key).__name__}: use strings, as JSON does"
    raise InputError(msg)


class Section(Frozen):
    """An object of the event whose documented fields are attributes, None if they are absent.

    Attributes are in snake_case (`geoip.country_code`); `[]`, `get` and iteration use Auth0's names
    (`geoip["countryCode"]`).  Fields that are not documented are kept, and are attributes as well (type
    checkers know them by `[]` only).  Any other attribute raises AttributeError.

    Subclasses annotate their documented fields, and list in `SECTIONS` those that are sections themselves.
    """

    __slots__ = ()

    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {}
    _auth0_names: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        names = (name for name in inspect.get_annotations(cls) if name.islower() and name[0] != "_")
        cls._auth0_names = {name: _camel(name) for name in names}

    # Hidden from type checkers, which would otherwise accept `event.user.emial`.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in self:
                return dict.__getitem__(self, name)
            auth0_name = self._auth0_names.get(name)
            if auth0_name is None:
                msg = f"{type(self).__name__} has no {name!r}; it has {', '.join(dict.keys(self)) or 'no fields'}"
                raise AttributeError(msg)
            return dict.get(self, auth0_name)

    def __dir__(self) -> Iterator[str]:
        return iter({*super().__dir__(), *self._auth0_names, *dict.keys(self)})

    @classmethod
    def build(cls, value: Any, /, *, path: str) -> Any:
        """Freeze `value` as this section, and a list of objects as sections; non-objects become plain read-only values."""
        if isinstance(value, list | tuple):
            return FrozenList([cls.build(item, path=f"{path}[{index}]") for index, item in enumerate(value)])
        if not isinstance(value, Mapping):
            return frozen_json(value, path=path)
        return cls(
            {
                _name(key, path): cls.SECTIONS[key].build(item, path=f"{path}.{key}")
                if key in cls.SECTIONS
                else frozen_json(item, path=f"{path}.{key}")
                for key, item in value.items()
            }
        )


def _camel(name: str) -> str:
    """Return Auth0's spelling of a field: country_code -> countryCode."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
