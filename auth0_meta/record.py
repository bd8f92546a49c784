"""Immutable values with named fields: what calls return.

They are not attrs classes, because a client has no other use for attrs, and importing it costs a fifth of what importing
requests costs.  They are not tuples either: `"%s" % result` would take a tuple apart.
"""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """A value whose fields are its annotations.  It takes keywords, is compared by its fields and never changes.

    >>> class Point(Record):
    ...     x: int
    ...     y: int = 0
    >>> Point(x=1), Point(x=1) == Point(x=1, y=0), Point(x=1) == Point(x=2)
    (Point(x=1, y=0), True, False)
    """

    _fields: ClassVar[dict[str, None]] = {}
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        cls._fields = dict.fromkeys(cls.__annotations__)
        cls._defaults = {name: vars(cls)[name] for name in cls._fields if name in vars(cls)}

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(self._defaults, **values)
        kind = type(self)
        if self.__dict__.keys() != kind._fields.keys():
            wrong = ", ".join(sorted(self.__dict__.keys() ^ kind._fields.keys()))
            raise TypeError(f"{kind.__name__} has the fields {', '.join(kind._fields)}: check {wrong}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self._fields)))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._fields)})"
        )
