from __future__ import annotations

import collections
import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from support.json_strategies import json_values

from auth0_meta.changes import rules
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.errors import MetadataError

CANARY = "canary-7f3a"


class Color(str, enum.Enum):  # noqa: UP042  # str() of a StrEnum is its value, of this it is Color.RED
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float):
    pass


def cycle() -> dict[str, Any]:
    """Return a dict that contains itself."""
    loop: dict[str, Any] = {"list": []}
    loop["list"].append(loop)
    return loop


def deep(levels: int) -> Any:
    """Return an object with `levels` levels of nesting."""
    value: Any = CANARY
    for _ in range(levels):
        value = {"a": value}
    return value


# What JSON and Auth0 accept -------------------------------------------------------------------------


@given(json_values)
def test_json_passes_as_an_equal_copy(value: Any) -> None:
    """A JSON value passes unchanged, and the copy shares no container with it."""
    copy = rules.checked(value, bag="app_metadata", path=("key",))
    assert json_equal(copy, value)
    before = json.dumps(value)
    spoil(copy)
    assert json.dumps(value) == before


def spoil(value: Any) -> None:
    """Change every container of a value."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Ratio(0.5), 0.5),
        ((1, (2,)), [1, [2]]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, {"a": [Color.RED]}), {"a": ["red"]}),
        ({Color.RED: Level.HIGH}, {"red": 3}),
        (True, True),
        (2**1000, 2**1000),
        ("ä\U0001f600", "ä\U0001f600"),
    ],
    ids=repr,
)
def test_subclasses_become_plain(value: Any, plain: Any) -> None:
    """A subclass of a JSON type is stored as the plain value, with exactly the plain type."""
    copy = rules.checked(value, bag="user_metadata", path=("key",))
    assert copy == plain
    assert type(copy) is type(plain)
    if isinstance(copy, dict):
        assert [type(key) for key in copy] == [str] * len(plain)


@pytest.mark.parametrize(
    ("value", "where", "named"),
    [
        ({1: CANARY}, (), "not int"),
        ({"": CANARY}, (), "empty"),
        ({"x": {"a.b": CANARY}}, ("x",), "'a.b'"),
        ({"x": [{"a$": CANARY}]}, ("x", "0"), "'a$'"),
        ({"\ud800": CANARY}, (), "surrogate"),
        ({"x": math.nan}, ("x",), "NaN"),
        ({"x": [0, -math.inf]}, ("x", "1"), "NaN"),
        ({"x": 10**400}, ("x",), "1.8e308"),
        ({"x": CANARY.encode()}, ("x",), "bytes"),
        ({"x": {"y": {CANARY}}}, ("x", "y"), "set"),
        ({"x": object()}, ("x",), "object"),
        ({"x": f"{CANARY}\udfff"}, ("x",), "surrogate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_json_or_auth0_refuses_is_named_and_not_shown(
    value: Any, where: tuple[str, ...], named: str
) -> None:
    """A bad key or value raises with bag and full path, and the message never contains the value."""
    with pytest.raises(MetadataError) as caught:
        rules.checked(value, bag="app_metadata", path=("top",))
    assert (caught.value.bag, caught.value.path) == ("app_metadata", ("top", *where))
    assert f"app_metadata {'.'.join(('top', *where))!r}: " in str(caught.value)
    assert named in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("value", [cycle(), deep(rules.MAX_DEPTH)], ids=["cycle", "deep"])
def test_nesting_is_limited(value: Any) -> None:
    """A cycle and too much nesting raise the same error, whose message stays short."""
    with pytest.raises(MetadataError, match="levels deep") as caught:
        rules.checked(value, bag="user_metadata", path=("top",))
    assert len(str(caught.value)) < 200
    assert CANARY not in str(caught.value)


def test_nesting_counts_from_the_bag() -> None:
    """The deepest value that is accepted has MAX_DEPTH keys on the way to it, including those of the path."""
    value = deep(rules.MAX_DEPTH - 1)
    assert rules.checked(value, bag="user_metadata", path=("top",)) == value
    with pytest.raises(MetadataError):
        rules.checked(value, bag="user_metadata", path=("top", "next"))


# Names ----------------------------------------------------------------------------------------------


# As https://auth0.com/docs/manage-users/user-accounts/metadata/metadata-fields-data prints it.
FORBIDDEN = """__tenant, _id, blocked, clientID, created_at, email_verified, email, globalClientID, global_client_id,
identities, lastIP, lastLogin, loginsCount, metadata, multifactor_last_modified, multifactor, updated_at, user_id"""


@pytest.mark.parametrize("name", FORBIDDEN.replace("\n", " ").split(", "))
def test_reserved_names_are_refused_in_app_metadata(name: str) -> None:
    """Each name that Auth0 reserves is allowed in user_metadata."""
    rules.check_name(name, bag="user_metadata")
    with pytest.raises(MetadataError, match="reserves") as caught:
        rules.check_name(name, bag="app_metadata")
    assert (caught.value.bag, caught.value.path) == ("app_metadata", (name,))


@pytest.mark.parametrize("name", ["plan", "Email", "user_id2", "clientId", "a:b/c d", "_", "ä"])
def test_other_names_are_allowed(name: str) -> None:
    """A name that only resembles a reserved one is accepted, and so are colons, slashes, spaces and letters."""
    rules.check_name(name, bag="app_metadata")
    assert rules.check_segment(name, bag="app_metadata") == name


def test_a_segment_is_a_plain_string() -> None:
    """A str subclass is accepted as a key and becomes a plain str."""
    assert type(rules.check_segment(Color.RED, bag="app_metadata")) is str


@pytest.mark.parametrize("key", ["", "a.b", "$set", "\udc00", None, 1, b"a", ("a",)])
def test_bad_keys_are_refused(key: Any) -> None:
    """The error has the path that leads to the key."""
    with pytest.raises(MetadataError) as caught:
        rules.check_segment(key, bag="user_metadata", path=("x", "y"))
    assert (caught.value.bag, caught.value.path) == ("user_metadata", ("x", "y"))


# Sizes ----------------------------------------------------------------------------------------------


def test_a_request_has_at_most_one_megabyte() -> None:
    """1 MB is 1,048,576 bytes: exactly that is accepted, and one byte more is not."""
    rules.check_size(1_048_576, bag="user_metadata")
    with pytest.raises(MetadataError, match="1048577 bytes"):
        rules.check_size(1_048_577, bag="user_metadata")
