"""Read-only JSON, the sections of the event, whose fields are attributes, and its metadata; PURE."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_type_hints

from auth0_meta.changes.foreign_types import not_json, type_name
from auth0_meta.changes.jsonvalue import Bag, Path
from auth0_meta.changes.views import MetadataDict, ObservedDict, ReadOnlyDict, ReadOnlyList
from auth0_meta.errors import InputError
from auth0_meta.warn import notice

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


class FrozenMetadata(MetadataDict, Frozen):
    """An object of the user's metadata in an event: `get` takes a path, `event.user.app_metadata.get("billing.plan")`."""

    __slots__ = ("_bag",)

    def __init__(self, value: Mapping[str, Any], bag: Bag) -> None:
        super().__init__(value)
        self._bag = bag


class SnapshotBag(ObservedDict, FrozenMetadata):
    """The metadata in `event.user`; reading a key that the same action has staged issues a `MetadataWarning`.

    The value is the one from before the action, as in Auth0: setters leave `event` alone, and only later
    actions see what was staged.  `staged` holds the keys that the action stages, and grows while it runs.
    """

    __slots__ = ("_staged",)

    def __init__(self, value: Mapping[str, Any], staged: Collection[str], bag: Bag) -> None:
        super().__init__(value, bag)
        self._staged = staged

    def _looked_at(self, keys: Path) -> None:
        key, bag = keys[0], self._bag
        if key in self._staged:
            notice(
                f"{bag}[{key!r}] was staged by this action, and event.user still has the previous value: "
                f"read api.user.{bag} for what will be stored"
            )

    def _looked_at_all(self) -> None:
        if self._staged:
            self._looked_at((next(iter(self._staged)),))

    # These don't warn, because they return no value that could be mistaken for the staged one.
    __len__ = Frozen.__len__
    __eq__ = Frozen.__eq__
    __ne__ = Frozen.__ne__
    __hash__ = None  # type: ignore[assignment]  # a dict
    __repr__ = Frozen.__repr__


def frozen_json(
    value: Any, /, *, path: str, section: type[Section] | None = None, bag: Bag | None = None
) -> Any:
    """Return a read-only copy of a JSON value; tuples become lists.

    `section`: what an object becomes, and each object in a list; its own fields follow its annotations.  `bag`: it
    is the user's metadata, or a part of it.
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
        raise InputError(f"{path} is {value}, which JSON can't represent: leave it out or send a string")
    if value is None or isinstance(value, str | int | float):
        return value
    if section is None and bag is None and type(value) in (Frozen, FrozenList):
        return value
    if isinstance(value, Mapping):
        inner = {} if section is None else _inner_sections(section)
        bags = {} if section is None else section._bags
        frozen = {
            _name(key, path): frozen_json(
                item, path=f"{path}.{key}", section=inner.get(key), bag=bags.get(key, bag)
            )
            for key, item in value.items()
        }
        return (section or Frozen)(frozen) if bag is None else FrozenMetadata(frozen, bag)
    if isinstance(value, list | tuple):
        items = (
            frozen_json(item, path=f"{path}[{i}]", section=section, bag=bag) for i, item in enumerate(value)
        )
        return FrozenList(items)
    raise InputError(f"{path}: {not_json(value)}")


def _name(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    raise InputError(f"{path} has a key of type {type_name(key)}: use strings, as JSON does")


class Section(Frozen):
    """An object of the event whose documented fields are attributes, None if they are absent.

    Attributes are in snake_case (`geoip.country_code`); `[]`, `get` and iteration use Auth0's names
    (`geoip["countryCode"]`).  Fields that are not documented are kept, and are attributes as well (type
    checkers know them by `[]` only).  Any other attribute raises AttributeError.

    Subclasses annotate their documented fields.
    """

    _auth0_names: ClassVar[dict[str, str]] = {}
    _bags: ClassVar[dict[str, Bag]] = {}
    """The fields that are the user's metadata."""

    def __init_subclass__(cls) -> None:
        cls._auth0_names = cls._auth0_names | {name: _camel(name) for name in inspect.get_annotations(cls)}

    # Hidden from type checkers, which would otherwise accept `event.user.emial`.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in self:
                return dict.__getitem__(self, name)
            auth0_name = self._auth0_names.get(name)
            if auth0_name is None:
                has = ", ".join(dict.keys(self)) or "no fields"
                raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {has}")
            return dict.get(self, auth0_name)

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(_READ_ONLY)

    def __dir__(self) -> Iterator[str]:
        return iter({*super().__dir__(), *self._auth0_names, *dict.keys(self)})


@functools.cache
def _inner_sections(section: type[Section]) -> Mapping[str, type[Section]]:
    """Return the fields that are sections, or lists of sections, under either spelling of their names."""
    return {
        spelling: part
        for name, hint in get_type_hints(section).items()
        for choice in (hint, *get_args(hint))
        for part in (choice, *get_args(choice))
        if isinstance(part, type) and issubclass(part, Section)
        for spelling in (name, _camel(name))
    }


def _camel(name: str) -> str:
    """Return Auth0's spelling of a field: country_code -> countryCode."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
