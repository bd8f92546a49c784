from __future__ import annotations

import collections
import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_strategies import json_objects, json_values

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


@given(json_objects)
def test_profile_size_is_that_of_the_compact_body(profile: dict[str, Any]) -> None:
    """A profile counts as compact UTF-8 JSON."""
    body = json.dumps(profile, ensure_ascii=False, separators=(",", ":")).encode()
    assert rules.profile_size(profile) == len(body)


def test_the_profile_limit_is_the_recommended_one() -> None:
    """It is 10 KB."""
    assert rules.PROFILE_LIMIT == 10_240


# Sensitive values -----------------------------------------------------------------------------------

# Assembled at run time, so that no scanner mistakes this file for a leak.
SECRETS = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow",
    "PKCS 8 key": "-----BEGIN " + "PRIVATE KEY-----\nMIIEow",
    "JWT": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
    "stripe": "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "github fine": "github_pat_" + "a1B2" * 9,
    "gitlab": "glpat-" + "a1B2" * 5,
    "slack": "xoxb-" + "1234567890-abcdef",
    "google": "AIza" + "a1B2c" * 7,
    "sendgrid": "SG." + "a1B2" * 5 + "." + "c3D4" * 8,
    "visa": "4111111111111111",
    "visa spaced": "4111 1111 1111 1111",
    "mastercard dashed": "5555-5555-5555-4444",
    "mastercard 2-series": "2223003122003222",
    "amex": "3782 822463 10005",
    "13 digits": "4222222222222",
    "19 digits": "4000000000000000006",
    "card in a text": "card: 4111 1111 1111 1111, exp 12/30",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_are_noticed_at_any_depth(text: str) -> None:
    """A secret or card number is found on its own and nested, with its path and never its value."""
    assert rules.sensitive(text, ("note",)) is not None
    reason = rules.sensitive({"list": ["x", {"deep": text}]}, ("prefs",))
    assert reason is not None
    assert "prefs.list.deep looks like" in reason
    assert text not in reason


# The beginnings of secrets, over and over: each is where a pattern may start, and none is where it ends.
HOSTILE = {
    "JWT": "-eyJ", "JWT, two parts": "eyJaaaaaaaa.", "JWT, short parts": " eyJaaaaaaaa.bbbbbbb",
    "key": "-----BEGIN ", "key, letters": "-----BEGIN A ", "key, one letter": "A ", "key, words": "-----BEGIN " + "A" * 30 + " ",
    "aws": "AKIA0123456789ABCDE", "stripe": "sk_live_", "github": "gho_", "github fine": "github_pat_",
    "gitlab": "glpat-", "slack": "xoxb-", "google": "AIza", "sendgrid": "SG.", "sendgrid, part": "-SG.aaaaaaaaaaaaaaaa",
    "digits": "4", "digits spaced": "4 ", "digits dashed": "4-", "two digits": " 41", "letter": "a", "dash": "-",
}  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_of_hostile_text_is_read_once(unit: str) -> None:
    """No text makes a pattern read the rest of it from each of its characters: that would take many minutes."""
    long, short = unit * (1_000_000 // len(unit)), unit * 40
    assert rules.sensitive([long], ("bio",)) == rules.sensitive([short], ("bio",))


def test_the_first_64_kilobytes_of_a_text_are_examined() -> None:
    """A secret may begin in them; the rest of a longer text is not examined, so that staging it takes no time."""
    secret = " " + SECRETS["stripe"]
    assert rules.sensitive("x" * (65_536 - len(secret)) + secret, ("bio",)) is not None
    assert rules.sensitive("x" * 65_536 + secret, ("bio",)) is None


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "secret",
        "client_secret",
        "clientSecret",
        "api_key",
        "API-KEY",
        "private_key",
        "ssn",
        "cvv",
    ],
)
def test_a_string_under_a_suspicious_name_is_a_secret(name: str) -> None:
    """It does not matter what the string looks like and how the name is spelled."""
    reason = rules.sensitive({name: CANARY}, ("account",))
    assert reason is not None
    assert f"account.{name}" in reason
    assert CANARY not in reason
    assert rules.sensitive(CANARY, (name,)) is not None


@pytest.mark.parametrize(
    "value",
    [
        *("", "dark", "a longer text about nothing", "sk_live_", "AKIA", "eyJ.a.b", "xoxb-1"),
        *("1700000000000", "+4915112345678901", "4111111111111112", "123e4567-e89b-12d3-a456-426614174000"),
        *(
            "103547991597142817347",
            "2026-11-23T19:38:00.000Z",
            "9999999999999995",
            "411111111111",
            "ord-4111111111111111",
        ),
        *(None, True, 4111111111111111, 1.5, [], {}),
        {"password_changed_at": "2026-11-23"},
        {"password": ""},
        {"password": True},
        {"secretary": "Ada"},
        ["fi", {"tokens": 3}],
    ],
    ids=repr,
)
def test_ordinary_values_are_left_alone(value: Any) -> None:
    """Times, ids, phone numbers, numbers with a wrong check digit and harmless names do not warn."""
    assert rules.sensitive(value, ("prefs",)) is None


@given(json_values, st.sampled_from(list(SECRETS.values())))
def test_a_reason_never_contains_the_value(value: Any, secret: str) -> None:
    """Whatever is around it, the text of the secret is not in the reason."""
    reason = rules.sensitive([value, secret], ("k",))
    assert reason is not None
    assert secret not in reason
