"""Name the type of a value that JSON can't represent, and say what makes it a value that JSON can; PURE.

Only types are looked at, never values, and no library has to be installed: a type is known by its name and module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_BY_CLASS = {
    "builtins.bytes": "with .decode(), or to Base64",
    "builtins.bytearray": "with .decode(), or to Base64",
    "builtins.complex": "to a list of two numbers",
    "builtins.memoryview": "with bytes(...).decode(), or to Base64",
    "datetime.timedelta": "with .total_seconds()",
    "decimal.Decimal": "with str(...)",
    "enum.Enum": "with .value",
    "fractions.Fraction": "with str(...)",
    "numpy.datetime64": "with str(...)",
    "numpy.timedelta64": "with str(...)",
    "numpy.ndarray": "with .tolist()",
    "pathlib.PurePath": "with str(...)",
    "pandas.NAType": "to None",
    "pandas.NaTType": "to None",
    "uuid.UUID": "with str(...)",
}
"""The class, or one that it inherits from -> how to convert it.  The more special class comes first in a class's order."""

# numpy's scalars by their names, with or without the final "_" that some versions have.
_NUMPY_SCALARS = (
    (re.compile(r"bool_?"), "with bool(...)"),
    (re.compile(r"u?(byte|short|intc|intp|int\d*|long|longlong)_?"), "with int(...)"),
    (re.compile(r"(half|single|double|longdouble|float\d*)_?"), "with float(...)"),
    (re.compile(r"c?(longdouble|complex\d*)_?"), "to a list of two numbers"),
)
_BY_ATTRIBUTE = {
    "model_dump": 'with .model_dump(mode="json")',
    "__dataclass_fields__": "with dataclasses.asdict(...)",
    "__attrs_attrs__": "with attrs.asdict(...)",
    "tolist": "with .tolist()",
    "to_dict": "with .to_dict()",
    "isoformat": "with .isoformat()",
    "item": "with .item()",
}
_OTHERWISE = "to a dict, list, string, number, boolean or None"


def type_name(value: object) -> str:
    """Return the name of a value's type, with its module unless that is Python's own.

    Parts of a library that it calls private are left out: pandas._libs.tslibs.timestamps.Timestamp is
    pandas.Timestamp.

    >>> from decimal import Decimal
    >>> type_name(Decimal(1)), type_name({1})
    ('decimal.Decimal', 'set')
    """
    return _name(type(value)).removeprefix("builtins.")


def _name(kind: type) -> str:
    public = []
    for part in str(kind.__module__).split("."):
        if part.startswith("_"):
            break
        public.append(part)
    return f"{'.'.join(public) or kind.__module__}.{kind.__name__}"


def conversion(value: object) -> str:
    """Return how to convert a value of a type that JSON lacks: "convert it with bool(...)".

    >>> from datetime import date
    >>> conversion(date(2026, 1, 1)), conversion({1})
    ('convert it with .isoformat()', 'convert it with list(...)')
    """
    return f"convert it {_way(type(value))}"


def _way(kind: type) -> str:
    module, _, name = _name(kind).rpartition(".")
    if module == "numpy":
        for pattern, way in _NUMPY_SCALARS:
            if pattern.fullmatch(name):
                return way
    for base in kind.__mro__:
        if (known := _BY_CLASS.get(_name(base))) is not None:
            return known
    for attribute, way in _BY_ATTRIBUTE.items():
        if hasattr(kind, attribute):
            return way
    if issubclass(kind, Mapping):
        return "with dict(...)"
    return "with list(...)" if issubclass(kind, Iterable) else _OTHERWISE


def not_json(value: object) -> str:
    """Return what is wrong with a value that JSON can't represent, and what to do.

    >>> not_json({1})
    'set is not a JSON type: convert it with list(...)'
    """
    return f"{type_name(value)} is not a JSON type: {conversion(value)}"
