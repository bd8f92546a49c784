"""Make JSON read-only, and give its known parts attributes; PURE."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn

from auth0_meta.errors import InputError

_ADVICE = (
    "an event is read-only: change a copy of the value, and say through api what shall happen, "
    "such as api.user.set_app_metadata(key, value)"
)


def _refuse(self: object, *args: object, **settings: object) -> NoReturn:
    raise InputError(_ADVICE)


class Frozen(dict[str, Any]):
    """Show a JSON object; every change raises `InputError`.

    Equal to, and serialised like, the dict it shows.  `copy()`, `|`, `copy.copy`, `copy.deepcopy` and pickles
    give plain dicts; the repr names keys only.
    """

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        """Return a plain dict of your own, down to the last level."""
        return {key: _thaw(value) for key, value in dict.items(self)}

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __copy__(self) -> dict[str, Any]:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(dict.keys(self)) or 'empty'}>"


class FrozenList(list[Any]):
    """Show a JSON array; every change raises `InputError`.  Copies, slices and sums are plain lists."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def copy(self) -> list[Any]:
        """Return a plain list of your own, down to the last level."""
        return [_thaw(item) for item in self]

    def __copy__(self) -> list[Any]:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.copy(),)

    def __repr__(self) -> str:
        return f"<FrozenList of {len(self)}>"


def _thaw(value: Any) -> Any:
    return value.copy() if isinstance(value, Frozen | FrozenList) else value


def freeze(value: Any, /, *, path: str) -> Any:
    """Return a read-only copy of a JSON value; tuples become lists.

    Raises `InputError` for what JSON can't hold, naming `path` and what is below it.

    >>> tags = freeze({"tags": ("a", "b")}, path="event.request.query")["tags"]
    >>> tags == ["a", "b"], tags + ["c"]
    (True, ['a', 'b', 'c'])
    >>> tags.append("c")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.InputError: an event is read-only: change a copy of the value, and say through api what \
shall happen, such as api.user.set_app_metadata(key, value)
    """
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{path} is {value}, which JSON can't hold: leave it out or send a string"
        raise InputError(msg)
    if value is None or isinstance(value, str | int | float):
        return value
    if type(value) in (Frozen, FrozenList):
        return value
    if isinstance(value, Mapping):
        return Frozen({_name(key, path): freeze(item, path=f"{path}.{key}") for key, item in value.items()})
    if isinstance(value, list | tuple):
        return FrozenList([freeze(item, path=f"{path}[{index}]") for index, item in enumerate(value)])
    msg = f"{path} is {type(value).__name__}, which JSON can't hold: convert it first"
    raise InputError(msg)


def _name(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    msg = f"{path} has a key that is {type(key).__name__}: JSON's are strings"
    raise InputError(msg)


class Section(Frozen):
    """Show an object of the event whose documented fields are attributes, None where they are absent.

    Attributes are in snake_case (`geoip.country_code`); `[]`, `get` and iteration use the names of the
    wire (`geoip["countryCode"]`).  Fields that are not documented are kept and are attributes as well.  Any
    other attribute raises AttributeError.

    Subclasses annotate their documented fields, and list in `SECTIONS` those that are sections too.
    """

    __slots__ = ()

    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {}
    _wire: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        names = (name for name in inspect.get_annotations(cls) if name.islower() and name[0] != "_")
        cls._wire = {name: _camel(name) for name in names}

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return dict.__getitem__(self, name)
        wire = self._wire.get(name)
        if wire is None:
            msg = f"{type(self).__name__} has no {name!r}; it holds {', '.join(dict.keys(self)) or 'nothing'}"
            raise AttributeError(msg)
        return dict.get(self, wire)

    def __dir__(self) -> Iterator[str]:
        return iter({*super().__dir__(), *self._wire, *dict.keys(self)})

    @classmethod
    def build(cls, value: Any, /, *, path: str) -> Any:
        """Freeze `value` as this section, a list of objects as sections; what is no object stays what it is."""
        if isinstance(value, list | tuple):
            return FrozenList([cls.build(item, path=f"{path}[{index}]") for index, item in enumerate(value)])
        if not isinstance(value, Mapping):
            return freeze(value, path=path)
        return cls(
            {
                _name(key, path): cls.SECTIONS[key].build(item, path=f"{path}.{key}")
                if key in cls.SECTIONS
                else freeze(item, path=f"{path}.{key}")
                for key, item in value.items()
            }
        )


def _camel(name: str) -> str:
    """Return the wire's spelling of a field: country_code -> countryCode."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
