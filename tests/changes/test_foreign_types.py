"""Values of types that JSON lacks: they are named with their module, and the error says how to convert them."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import types
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from support.logins import Login

from auth0_meta import InputError, MetadataError
from auth0_meta.actions import Event
from auth0_meta.changes.foreign_types import conversion, not_json, type_name
from auth0_meta.changes.profile import given_base

CANARY = "canary-5d1f"


def mimic(module: str, name: str, *bases: type, **members: Any) -> Any:
    """Return a value of a class that has the name of a class of a library that need not be installed."""
    return type(name, bases, {"__module__": module, "__repr__": lambda self: CANARY, **members})()


class Color(enum.Enum):
    """A member has a value that JSON can represent."""

    RED = CANARY


@dataclasses.dataclass
class Data:
    """A dataclass."""

    name: str = CANARY


@attrs.frozen
class Attrs:
    """An attrs class."""

    name: str = CANARY


class Model:
    """Like a model of pydantic."""

    def model_dump(self) -> None:
        """Be there."""


class Unknown:
    """A class that nothing is known of."""


# The name of the type, and how to convert it.
FOREIGN: dict[str, tuple[Any, str, str]] = {
    "numpy 2 bool": (mimic("numpy", "bool"), "numpy.bool", "with bool(...)"),
    "numpy 1 bool": (mimic("numpy", "bool_"), "numpy.bool_", "with bool(...)"),
    "numpy int64": (mimic("numpy", "int64", tolist=None, item=None), "numpy.int64", "with int(...)"),
    "numpy uint8": (mimic("numpy", "uint8"), "numpy.uint8", "with int(...)"),
    "numpy intc": (mimic("numpy", "intc"), "numpy.intc", "with int(...)"),
    "numpy float32": (mimic("numpy", "float32"), "numpy.float32", "with float(...)"),
    "numpy longdouble": (mimic("numpy", "longdouble"), "numpy.longdouble", "with float(...)"),
    "numpy complex64": (mimic("numpy", "complex64"), "numpy.complex64", "to a list of two numbers"),
    "numpy datetime64": (mimic("numpy", "datetime64", item=None), "numpy.datetime64", "with str(...)"),
    "numpy timedelta64": (mimic("numpy", "timedelta64", item=None), "numpy.timedelta64", "with str(...)"),
    "numpy ndarray": (mimic("numpy", "ndarray", tolist=None, item=None), "numpy.ndarray", "with .tolist()"),
    "numpy bytes": (mimic("numpy", "bytes_", bytes), "numpy.bytes_", "with .decode(), or to Base64"),
    "another array": (mimic("torch", "Tensor", tolist=None, item=None), "torch.Tensor", "with .tolist()"),
    "another scalar": (mimic("lib", "Scalar", item=None), "lib.Scalar", "with .item()"),
    "pandas Timestamp": (mimic("pandas._libs.tslibs.timestamps", "Timestamp", isoformat=None), "pandas.Timestamp", "with .isoformat()"),
    "pandas NaT": (mimic("pandas._libs.tslibs.nattype", "NaTType", isoformat=None), "pandas.NaTType", "to None"),
    "pandas NA": (mimic("pandas._libs.missing", "NAType"), "pandas.NAType", "to None"),
    "pandas Series": (mimic("pandas.core.series", "Series", tolist=None, to_dict=None), "pandas.core.series.Series", "with .tolist()"),
    "a private module": (mimic("_lib", "Thing"), "_lib.Thing", "to a dict, list, string, number, boolean or None"),
    "Decimal": (decimal.Decimal("7.25"), "decimal.Decimal", "with str(...)"),
    "Fraction": (fractions.Fraction(1, 7), "fractions.Fraction", "with str(...)"),
    "datetime": (datetime.datetime(2026, 1, 2), "datetime.datetime", "with .isoformat()"),  # noqa: DTZ001
    "date": (datetime.date(2026, 1, 2), "datetime.date", "with .isoformat()"),
    "time": (datetime.time(7, 25), "datetime.time", "with .isoformat()"),
    "timedelta": (datetime.timedelta(7), "datetime.timedelta", "with .total_seconds()"),
    "UUID": (uuid.UUID(int=725), "uuid.UUID", "with str(...)"),
    "Path": (pathlib.PurePosixPath(CANARY), "pathlib.PurePosixPath", "with str(...)"),
    "Enum": (Color.RED, f"{__name__}.Color", "with .value"),
    "a dataclass": (Data(), f"{__name__}.Data", "with dataclasses.asdict(...)"),
    "an attrs class": (Attrs(), f"{__name__}.Attrs", "with attrs.asdict(...)"),
    "a model": (Model(), f"{__name__}.Model", 'with .model_dump(mode="json")'),
    "an unknown class": (Unknown(), f"{__name__}.Unknown", "to a dict, list, string, number, boolean or None"),
    "bytes": (b"canary", "bytes", "with .decode(), or to Base64"),
    "bytearray": (bytearray(b"canary"), "bytearray", "with .decode(), or to Base64"),
    "a set": ({CANARY}, "set", "with list(...)"),
    "a frozenset": (frozenset([CANARY]), "frozenset", "with list(...)"),
    "a generator": ((x for x in CANARY), "generator", "with list(...)"),
    "a deque": (collections.deque([CANARY]), "collections.deque", "with list(...)"),
    "another mapping": (types.MappingProxyType({"a": CANARY}), "mappingproxy", "with dict(...)"),
    "complex": (7.25j, "complex", "to a list of two numbers"),
}  # fmt: skip
foreign = pytest.mark.parametrize(("value", "name", "way"), FOREIGN.values(), ids=FOREIGN)


@foreign
def test_a_foreign_type_is_named_with_its_module_and_how_to_convert_it(
    value: Any, name: str, way: str
) -> None:
    """The value itself is neither shown nor touched."""
    assert type_name(value) == name
    assert conversion(value) == f"convert it {way}"
    assert not_json(value) == f"{name} is not a JSON type: convert it {way}"


def _stage(call: Callable[[Any, Any], object]) -> Callable[[Any], None]:
    def run(value: Any) -> None:
        with Login({}, {}).tx() as tx:
            call(tx.app_metadata, value)

    return run


def _action(value: Any) -> None:
    error = Login({}, {}).run(lambda event, api: api.user.set_app_metadata("beta", value)).error
    assert error is not None
    raise error


def _claim(value: Any) -> None:
    error = Login({}, {}).run(lambda event, api: api.id_token.set_custom_claim("beta", value)).error
    assert error is not None
    raise error


REFUSED: dict[str, Callable[[Any], object]] = {
    "[]=": _stage(lambda bag, value: bag.__setitem__("beta", value)),
    "set": _stage(lambda bag, value: bag.set("a.beta", [value])),
    "merge": _stage(lambda bag, value: bag.merge({"a": {"beta": value}})),
    "replace": _stage(lambda bag, value: bag.replace({"beta": value})),
    "append": _stage(lambda bag, value: bag.append("beta", value)),
    "increment": _stage(lambda bag, value: bag.increment("beta", value)),
    "a key": _stage(lambda bag, value: bag.set("a", {value: 1})),
    "users.update": lambda value: Login().client.users.update("auth0|1", {"app_metadata": {"beta": value}}),
    "jobs.import_users": lambda value: Login().client.jobs.import_users(
        [{"app_metadata": {"beta": value}}], connection_id="con_0123456789abcdef"
    ),
    "an action's setter": _action,
    "a claim": _claim,
    "an event": lambda value: Event.from_dict({"user": {"user_id": "a|1", "app_metadata": {"beta": value}}}),
    "base=": lambda value: given_base({"app_metadata": {"beta": value}}, "auth0|1"),
}


@pytest.mark.parametrize("refuse", REFUSED.values(), ids=REFUSED)
def test_a_foreign_type_is_refused_by_name_wherever_it_is_passed(refuse: Callable[[Any], object]) -> None:
    """Nothing is sent, and the error has no value."""
    with pytest.raises(InputError, match=r"numpy\.bool\b") as caught:
        refuse(mimic("numpy", "bool"))
    assert CANARY not in str(caught.value)


def test_subclasses_of_json_types_become_plain_values() -> None:
    """numpy's float64 and str_ are such classes, and so are members of StrEnum and IntEnum."""
    float64 = mimic("numpy", "float64", float)
    text = mimic("numpy", "str_", str)
    members = enum.IntEnum("Level", {"HIGH": 3}).HIGH, enum.StrEnum("Color", {"RED": "red"}).RED
    local = Login({}, {})
    with local.tx() as tx:
        tx.app_metadata["values"] = [float64, text, *members]
        tx.app_metadata["a"] = {text or "k": 1} if text else {}
    assert local.bodies == [{"app_metadata": {"values": [0.0, "", 3, "red"], "a": {}}}]
    assert [type(value) for value in local.bodies[0]["app_metadata"]["values"]] == [float, str, int, str]


def test_a_mistaken_document_is_named_too() -> None:
    """`merge` and `replace` take a dict."""
    for call in ("merge", "replace"):
        with pytest.raises(MetadataError, match=r"takes a dict, not numpy\.ndarray"), Login().tx() as tx:
            getattr(tx.app_metadata, call)(mimic("numpy", "ndarray"))
