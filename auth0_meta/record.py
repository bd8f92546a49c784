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

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, **values: Any) -> None:
        fields, kind = self._fields, type(self)
        wrong = [name for name in values if name not in fields] or [
            name for name in fields if name not in values and not hasattr(kind, name)
        ]
        if wrong:
            raise TypeError(f"{kind.__name__} has the fields {', '.join(fields)}: check {', '.join(wrong)}")
        for name in fields:
            self.__dict__[name] = values[name] if name in values else getattr(kind, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"
